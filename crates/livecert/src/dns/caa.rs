//! CAA (RFC 8659, with the parameters of RFC 8657): who may give certificates for a domain.

use std::iter::successors;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use hickory_proto::op::Message;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::exchange::{DnsError, absolute};
use super::known::Known;
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

/// What resolvers say about CAA. Names with domains in common ask for them once.
#[derive(Debug)]
pub struct CaaView {
    resolver: Resolver,
    known: Known<Result<Vec<CaaRecord>, ResolveError>>,
}

impl CaaView {
    /// What this one says.
    pub fn new(resolver: Resolver) -> Self {
        CaaView { resolver, known: Known::default() }
    }

    /// Finds the records that count for `name` (without `*.`): its own, else those of the nearest domain above it that has
    /// any (RFC 8659 §3). All of these are asked for at once, as mostly there is none at any of them. The resolver follows
    /// CNAMEs. `zone` is the apex of the zone that the name is in: a resolver that fails above it is not held against the
    /// domain.
    ///
    /// # Errors
    /// Not every domain could be asked for; then nothing is known.
    pub async fn find(&self, name: &str, zone: &str) -> Result<Option<CaaSet>, CaaError> {
        let apex = absolute(zone)?.to_lowercase();
        let name = absolute(name)?.to_lowercase();
        let domains = successors(Some(name), |at| Some(at.base_name())).take_while(|at| !at.is_root());
        let look = |at: Name| async {
            let found = self.records(&at).await;
            (at, found)
        };
        // What decides is not kept waiting by what is above it.
        let mut looking: FuturesOrdered<_> = domains.map(look).collect();
        while let Some((at, found)) = looking.next().await {
            let records = match found {
                Err(_) if !apex.zone_of(&at) => return Ok(None),
                found => found?,
            };
            if !records.is_empty() {
                let domain = at.to_ascii().trim_end_matches('.').to_owned();
                return Ok(Some(CaaSet { domain, records }));
            }
        }
        Ok(None)
    }

    async fn records(&self, at: &Name) -> Result<Vec<CaaRecord>, ResolveError> {
        let ask = async {
            let answer = self.resolver.ask(at, RecordType::CAA).await?;
            Ok(caa_records(&answer))
        };
        let found = self.known.of(at, ask).await;
        // Who has waited for it shares an error, and whoever comes later asks anew.
        if found.is_err() {
            self.known.forget(at);
        }
        found
    }
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
    use std::sync::{Arc, Mutex};

    use futures_util::future::join_all;
    use hickory_proto::op::ResponseCode;

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

    /// A resolver without any records, and the names that it was asked for.
    async fn empty_resolver() -> (Resolver, Arc<Mutex<Vec<String>>>) {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().into();
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let seen = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
                let question = Message::from_vec(&buffer[..length]).unwrap();
                let name = question.queries[0].name().to_string();
                let mut answer = question.into_response();
                if name == "broken.example." {
                    answer.metadata.response_code = ResponseCode::ServFail;
                }
                seen.lock().unwrap().push(name);
                socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
            }
        });
        let http = crate::network::http_client(None).unwrap();
        (Resolver::new(&[address], &http).unwrap(), asked)
    }

    #[tokio::test]
    async fn domains_that_names_have_in_common_are_asked_for_once() {
        let (resolver, asked) = empty_resolver().await;
        let view = CaaView::new(resolver);
        let names = ["a.shop.example", "b.shop.example", "shop.example"];
        for found in join_all(names.map(|name| view.find(name, "shop.example"))).await {
            assert_eq!(found.unwrap(), None);
        }
        let mut asked = asked.lock().unwrap().clone();
        asked.sort();
        assert_eq!(asked, ["a.shop.example.", "b.shop.example.", "example.", "shop.example."]);
    }

    #[tokio::test]
    async fn a_failure_counts_in_the_zone_and_not_above_it() {
        let (resolver, asked) = empty_resolver().await;
        let view = CaaView::new(resolver);
        assert!(view.find("www.broken.example", "broken.example").await.is_err());
        assert_eq!(view.find("www.broken.example", "www.broken.example").await.unwrap(), None);
        // An error is not kept.
        let again = asked.lock().unwrap().iter().filter(|name| *name == "broken.example.").count();
        assert!(again >= 2, "{again}");
    }
}
