//! dns-persist-01 (draft-ietf-acme-dns-persist-01): a standing TXT record at `_validation-persist` that names a CA and
//! an account. Once it is there, certificates are proved without anything being written, and without any token.

use std::fmt;

use jiff::Timestamp;

use super::DnsView;
use crate::dns::AuthorityError;

/// Where a CA looks for the standing record of `base`.
pub fn standing_name(base: &str) -> String {
    format!("_validation-persist.{base}")
}

/// A standing record. Its text is an issue-value (RFC 8659 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRecord {
    /// The CA's issuer domain name, lower case.
    pub issuer: String,
    /// URL of the account that may have certificates.
    pub account: String,
    /// Whether wildcards and names below are covered too (`policy=wildcard`).
    pub wildcard: bool,
    /// After this moment the CA does not take it for new validations (`persistUntil`, in whole seconds).
    pub until: Option<Timestamp>,
}

/// Why a TXT value is no standing record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StandingRecordError {
    /// No issuer domain name in front.
    #[error("it does not begin with the name of a CA")]
    Issuer,
    /// A part that is no parameter, such as what a semicolon at the end leaves.
    #[error("'{0}' is no parameter of the form tag=value")]
    Parameter(String),
    /// A parameter that counts stands there twice.
    #[error("it has two parameters {0}")]
    Twice(&'static str),
    /// No account.
    #[error("it has no accounturi")]
    Account,
    /// `persistUntil` is no number of seconds.
    #[error("'{0}' is no moment in seconds since 1970")]
    Until(String),
}

impl StandingRecord {
    /// Reads a TXT value.
    ///
    /// # Errors
    /// It is none that a CA would take; see [`StandingRecordError`].
    pub fn parse(value: &str) -> Result<Self, StandingRecordError> {
        const BLANK: [char; 2] = [' ', '\t'];
        let mut parts = value.split(';').map(|part| part.trim_matches(BLANK));
        let issuer = parts.next().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        let domain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
        if issuer.is_empty() || !issuer.bytes().all(domain) {
            return Err(StandingRecordError::Issuer);
        }
        let (mut account, mut policy, mut until) = (None, None, None);
        for part in parts {
            let parameter = || StandingRecordError::Parameter(part.to_owned());
            let (tag, value) = part.split_once('=').ok_or_else(parameter)?;
            let (tag, value) = (tag.trim_matches(BLANK), value.trim_matches(BLANK));
            let printable = |b: u8| matches!(b, 0x21..=0x3a | 0x3c..=0x7e);
            if tag.is_empty()
                || !tag.bytes().all(|b| b.is_ascii_alphanumeric())
                || !value.bytes().all(printable)
            {
                return Err(parameter());
            }
            let (name, slot) = match tag.to_ascii_lowercase().as_str() {
                "accounturi" => ("accounturi", &mut account),
                "policy" => ("policy", &mut policy),
                "persistuntil" => ("persistUntil", &mut until),
                // Later drafts may add some; a CA ignores what it does not know.
                _ => continue,
            };
            if slot.replace(value.to_owned()).is_some() {
                return Err(StandingRecordError::Twice(name));
            }
        }
        let moment = |text: String| {
            let seconds = text.parse::<i64>().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
            seconds.ok_or(StandingRecordError::Until(text))
        };
        Ok(StandingRecord {
            issuer,
            account: account.filter(|account| !account.is_empty()).ok_or(StandingRecordError::Account)?,
            wildcard: policy.is_some_and(|policy| policy.eq_ignore_ascii_case("wildcard")),
            until: until.map(moment).transpose()?,
        })
    }

    /// Whether it has ended for new validations.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now > until)
    }
}

impl fmt::Display for StandingRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; accounturi={}", self.issuer, self.account)?;
        if self.wildcard {
            f.write_str("; policy=wildcard")?;
        }
        match self.until {
            Some(until) => write!(f, "; persistUntil={}", until.as_second()),
            None => Ok(()),
        }
    }
}

/// A standing record as the name servers show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The name at which it is: that of the name itself, or of one above it.
    pub at: String,
    /// The record.
    pub record: StandingRecord,
}

/// Who asks for a certificate for what.
#[derive(Debug, Clone, Copy)]
pub struct StandingWish<'a> {
    /// The name, without `*.`.
    pub base: &'a str,
    /// Whether it is for the wildcard.
    pub wildcard: bool,
    /// Names of the CA, of which a record has to have one; `None` where the account alone tells.
    pub issuers: Option<&'a [String]>,
    /// URL of the account.
    pub account: &'a str,
}

impl StandingWish<'_> {
    /// Whether a record at the name of `holder` is enough.
    fn is_granted(&self, holder: &str, record: &StandingRecord, now: Timestamp) -> bool {
        let ours = |issuer: &String| issuer.trim_end_matches('.').eq_ignore_ascii_case(&record.issuer);
        self.issuers.is_none_or(|issuers| issuers.iter().any(ours))
            && record.account == self.account
            && !record.has_ended(now)
            && (record.wildcard || (holder == self.base && !self.wildcard))
    }
}

impl DnsView {
    /// The record that grants the wish: at the name itself, else at a name above it that covers what is below.
    ///
    /// # Errors
    /// Nobody answers for the name itself.
    pub async fn standing(&self, wish: &StandingWish<'_>) -> Result<Option<Standing>, AuthorityError> {
        let now = Timestamp::now();
        let mut holder = wish.base;
        loop {
            let at = standing_name(holder);
            let values = match self.values(&at).await {
                Ok(values) => values,
                Err(error) if holder == wish.base => return Err(error),
                Err(_) => return Ok(None),
            };
            let records = values.iter().filter_map(|value| StandingRecord::parse(value).ok());
            let granting = records.filter(|record| wish.is_granted(holder, record, now));
            // Several may stand there: the one that lasts longest counts.
            if let Some(record) = granting.max_by_key(|record| record.until.unwrap_or(Timestamp::MAX)) {
                return Ok(Some(Standing { at, record }));
            }
            match holder.split_once('.') {
                // A CA takes no record of a top-level domain.
                Some((_, above)) if above.contains('.') => holder = above,
                _ => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: &str = "https://ca.example/account/1";

    fn parse(value: &str) -> Result<StandingRecord, StandingRecordError> {
        StandingRecord::parse(value)
    }

    #[test]
    fn records_are_read_as_a_ca_reads_them() {
        let text = format!(
            "Authority.Example.;\taccounturi = {ACCOUNT} ; POLICY=Wildcard; persistUntil=1790000000; x=1; x=2"
        );
        let record = parse(&text).unwrap();
        assert_eq!((record.issuer.as_str(), record.account.as_str()), ("authority.example", ACCOUNT));
        assert!(record.wildcard && record.until.unwrap().as_second() == 1_790_000_000);
        assert_eq!(parse(&record.to_string()).unwrap(), record);
        assert_eq!(parse(""), Err(StandingRecordError::Issuer));
        assert_eq!(parse("a challenge's value"), Err(StandingRecordError::Issuer));
        assert_eq!(parse("ca.example"), Err(StandingRecordError::Account));
        assert_eq!(parse("ca.example; accounturi="), Err(StandingRecordError::Account));
        let ended = format!("ca.example; accounturi={ACCOUNT};");
        assert_eq!(parse(&ended), Err(StandingRecordError::Parameter(String::new())));
        let twice = format!("ca.example; accounturi={ACCOUNT}; AccountURI={ACCOUNT}");
        assert_eq!(parse(&twice), Err(StandingRecordError::Twice("accounturi")));
        let until = format!("ca.example; accounturi={ACCOUNT}; persistUntil=soon");
        assert_eq!(parse(&until), Err(StandingRecordError::Until("soon".into())));
    }

    #[test]
    fn only_a_record_for_this_ca_account_and_name_is_enough() {
        let issuers = ["other.example".to_owned(), "CA.example".to_owned()];
        let wish = |wildcard| StandingWish {
            base: "a.example",
            wildcard,
            issuers: Some(&issuers),
            account: ACCOUNT,
        };
        let now = Timestamp::from_second(1000).unwrap();
        let record = |more: &str| parse(&format!("ca.example; accounturi={ACCOUNT}{more}")).unwrap();
        let plain = record("");
        assert!(wish(false).is_granted("a.example", &plain, now));
        assert!(!wish(true).is_granted("a.example", &plain, now));
        assert!(!wish(false).is_granted("example", &plain, now));
        let wild = record("; policy=wildcard");
        assert!(
            wish(true).is_granted("a.example", &wild, now) && wish(false).is_granted("example", &wild, now)
        );
        assert!(wish(false).is_granted("a.example", &record("; persistUntil=1000"), now));
        assert!(!wish(false).is_granted("a.example", &record("; persistUntil=999"), now));
        let other = StandingRecord { account: format!("{ACCOUNT}0"), ..plain.clone() };
        assert!(!wish(false).is_granted("a.example", &other, now));
        assert!(!wish(false).is_granted(
            "a.example",
            &StandingRecord { issuer: "third.example".into(), ..plain },
            now
        ));
    }

    proptest::proptest! {
        #[test]
        fn any_value_is_read_or_refused_and_a_read_one_is_stable(value in "[a-c.;= \t]{0,12}(accounturi=[ -~]{0,9})?[ -~]{0,40}") {
            if let Ok(record) = parse(&value) {
                proptest::prop_assert_eq!(parse(&record.to_string()), Ok(record));
            }
        }
    }
}
