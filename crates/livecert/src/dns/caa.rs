//! CAA (RFC 8659, with the parameters of RFC 8657): who may give certificates for a domain.

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record, RecordType};

use super::exchange::{DnsError, absolute};
use super::resolver::{ResolveError, Resolver};

/// The records of one domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaSet {
    /// The domain at which they are: the one that was asked for, or one above it.
    pub domain: String,
    /// The records.
    pub records: Vec<CaaRecord>,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaRecord {
    /// A CA that does not understand the tag must refuse.
    pub critical: bool,
    /// The tag, lower case.
    pub tag: String,
    /// The value as it is.
    pub value: String,
}

/// Why CAA could not be found out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CaaError {
    /// The resolvers do not help. A CA must not give a certificate then either (RFC 8659 §3).
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The name is none.
    #[error(transparent)]
    Name(#[from] DnsError),
}

/// Who asks for the certificate.
#[derive(Debug, Clone)]
pub struct CaaApplicant<'a> {
    /// Names of the CA, as its directory tells them.
    pub identities: &'a [String],
    /// URL of the account; `None` if there is none yet.
    pub account: Option<&'a str>,
    /// The validation methods that may be used, such as `dns-01`: one that is allowed is enough.
    pub methods: &'a [String],
}

/// Finds the records that count for `name` (without `*.`): its own, else those of the nearest domain above it that has
/// any. The resolver follows CNAMEs, as RFC 8659 §3 wants it. `zone` is the apex of the zone that the name is in: a
/// resolver that fails above it is not held against the domain.
///
/// # Errors
/// Not every domain could be asked for; then nothing is known.
pub async fn find_caa(resolver: &Resolver, name: &str, zone: &str) -> Result<Option<CaaSet>, CaaError> {
    let mut at = absolute(name)?.to_lowercase();
    let apex = absolute(zone)?.to_lowercase();
    while !at.is_root() {
        let answer = match resolver.ask(&at, RecordType::CAA).await {
            Err(_) if !apex.zone_of(&at) => return Ok(None),
            answer => answer?,
        };
        let records = caa_records(&answer);
        if !records.is_empty() {
            let domain = at.to_ascii().trim_end_matches('.').to_owned();
            return Ok(Some(CaaSet { domain, records }));
        }
        at = at.base_name();
    }
    Ok(None)
}

pub(super) fn caa_records(answer: &Message) -> Vec<CaaRecord> {
    let record = |record: &Record| match &record.data {
        RData::CAA(caa) => Some(CaaRecord {
            critical: caa.issuer_critical,
            tag: caa.tag.to_ascii_lowercase(),
            value: String::from_utf8_lossy(&caa.value).into_owned(),
        }),
        _ => None,
    };
    answer.answers.iter().filter_map(record).collect()
}

impl CaaSet {
    /// Whether the applicant may have a certificate, for a wildcard or not.
    pub fn allows(&self, applicant: &CaaApplicant<'_>, wildcard: bool) -> bool {
        let known = ["issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone"];
        if self.records.iter().any(|record| record.critical && !known.contains(&record.tag.as_str())) {
            return false;
        }
        let of = |tag: &str| self.records.iter().filter(|record| record.tag == tag).collect::<Vec<_>>();
        let (issue, issuewild) = (of("issue"), of("issuewild"));
        let relevant = if wildcard && !issuewild.is_empty() { issuewild } else { issue };
        relevant.is_empty() || relevant.iter().any(|record| grants(&record.value, applicant))
    }
}

/// Whether one value names the CA, and its parameters the account and the method.
fn grants(value: &str, applicant: &CaaApplicant<'_>) -> bool {
    let mut parts = value.split(';').map(|part| part.trim_matches([' ', '\t']));
    let ca = parts.next().unwrap_or_default().trim_end_matches('.');
    if !applicant.identities.iter().any(|name| name.trim_end_matches('.').eq_ignore_ascii_case(ca)) {
        return false;
    }
    parts.filter(|part| !part.is_empty()).all(|part| match part.split_once('=') {
        Some((name, wanted)) => match name.trim().to_ascii_lowercase().as_str() {
            "accounturi" => applicant.account.is_none_or(|account| account == wanted.trim()),
            "validationmethods" => {
                wanted.split(',').any(|method| applicant.methods.iter().any(|ours| ours == method.trim()))
            }
            // A CA's own parameters are its own business.
            _ => true,
        },
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(records: &[(&str, &str)]) -> CaaSet {
        let record = |(tag, value): &(&str, &str)| CaaRecord {
            critical: tag.ends_with('!'),
            tag: tag.trim_end_matches('!').to_owned(),
            value: (*value).to_owned(),
        };
        CaaSet { domain: "example.com".into(), records: records.iter().map(record).collect() }
    }

    fn allows(records: &[(&str, &str)], wildcard: bool) -> bool {
        let identities = ["letsencrypt.org".to_owned()];
        let account = Some("https://ca.example/acct/1");
        let methods = ["dns-01".to_owned()];
        set(records).allows(&CaaApplicant { identities: &identities, account, methods: &methods }, wildcard)
    }

    #[test]
    fn issue_and_issuewild() {
        assert!(allows(&[("issue", "letsencrypt.org")], false));
        assert!(allows(&[("issue", " LetsEncrypt.org. ")], true));
        assert!(allows(&[("issue", "other.example"), ("issue", "letsencrypt.org")], false));
        assert!(!allows(&[("issue", "other.example")], false));
        assert!(!allows(&[("issue", ";")], false));
        assert!(!allows(&[("issue", "letsencrypt.org"), ("issuewild", ";")], true));
        assert!(allows(&[("issue", "letsencrypt.org"), ("issuewild", ";")], false));
        assert!(allows(&[("issue", ";"), ("issuewild", "letsencrypt.org")], true));
        assert!(allows(&[("iodef", "mailto:security@example.com")], true));
    }

    #[test]
    fn accounts_and_methods() {
        assert!(allows(&[("issue", "letsencrypt.org; validationmethods=http-01,dns-01")], false));
        assert!(!allows(&[("issue", "letsencrypt.org; validationmethods=http-01")], false));
        assert!(allows(&[("issue", "letsencrypt.org;accounturi=https://ca.example/acct/1")], false));
        assert!(!allows(&[("issue", "letsencrypt.org; accounturi=https://ca.example/acct/2")], false));
        assert!(allows(&[("issue", "letsencrypt.org; cansignhttpexchanges=yes")], false));
    }

    #[test]
    fn what_is_critical_and_not_understood_forbids() {
        assert!(!allows(&[("issue", "letsencrypt.org"), ("newtag!", "x")], false));
        assert!(allows(&[("issue!", "letsencrypt.org"), ("newtag", "x")], false));
    }
}
