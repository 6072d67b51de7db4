//! dns-persist-01 (draft-ietf-acme-dns-persist-01): a lasting TXT record that names the CA and the account.

use std::net::SocketAddr;

use jiff::Timestamp;

use super::{Task, dns};
use crate::problem::Problem;

/// A record: an issue-value (RFC 8659 §4.2).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record<'a> {
    issuer: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

/// Reads a record by the grammar of RFC 8659 §4.2; the issuer may be missing there, not here.
fn read(text: &str) -> Option<Record<'_>> {
    let blank = |c| c == ' ' || c == '\t';
    let mut parts = text.split(';');
    let issuer = parts.next()?.trim_matches(blank);
    let is_label = |label: &str| {
        // label = (ALPHA / DIGIT) *( *("-") (ALPHA / DIGIT))
        let inside = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        !label.is_empty() && label.bytes().all(inside) && !label.starts_with('-') && !label.ends_with('-')
    };
    if !issuer.split('.').all(is_label) {
        return None;
    }
    let mut parameters = Vec::new();
    for part in parts {
        let part = part.trim_matches(blank);
        if part.is_empty() {
            // The grammar has a lone semicolon after the issuer; trailing ones are common, and harmless.
            continue;
        }
        let (tag, value) = part.split_once('=')?;
        let (tag, value) = (tag.trim_matches(blank), value.trim_matches(blank));
        // value = *(%x21-3A / %x3C-7E)
        if !is_label(tag) || !value.bytes().all(|b| (0x21..=0x7e).contains(&b)) {
            return None;
        }
        parameters.push((tag, value));
    }
    Some(Record { issuer, parameters })
}

impl<'a> Record<'a> {
    /// A parameter's value; tags are compared without case (RFC 8659 §4.2). What is there twice is none at all.
    fn get(&self, tag: &str) -> Result<Option<&'a str>, String> {
        let mut found = self.parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(tag));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => Err(format!("{tag} is there twice")),
            (first, _) => Ok(first.map(|(_, value)| *value)),
        }
    }

    /// Why the record is not good for this account, or nothing.
    fn check(&self, account_url: &str, wildcard: bool, now: i64) -> Result<(), String> {
        match self.get("accounturi")? {
            None => return Err("accounturi is missing".to_owned()),
            // RFC 3986 §6.2.1: character by character.
            Some(uri) if uri != account_url => return Err(format!("{uri} is another account")),
            Some(_) => {}
        }
        if let Some(until) = self.get("persistUntil")? {
            let digits = !until.is_empty() && until.bytes().all(|b| b.is_ascii_digit());
            // What has too many digits lies too far away to matter.
            let until = if digits {
                until.parse().unwrap_or(i64::MAX)
            } else {
                return Err(format!("persistUntil is not a number: {until}"));
            };
            if now > until {
                return Err(format!("the record was good until {until}"));
            }
        }
        let policy = self.get("policy")?;
        if wildcard && !policy.is_some_and(|policy| policy.eq_ignore_ascii_case("wildcard")) {
            return Err("a wildcard needs policy=wildcard".to_owned());
        }
        Ok(())
    }
}

/// Looks at the name itself, and for `policy=wildcard` at the names above it (§5.1), as far as two labels.
pub(super) async fn look(task: &Task, server: SocketAddr) -> Result<(), Problem> {
    let mut reasons = Vec::new();
    let mut domain = task.identifier.value.as_str();
    let mut above = false;
    loop {
        let name = format!("_validation-persist.{domain}");
        let values = dns::txt(server, &name).await?;
        match judge(&values, task, above) {
            Ok(()) => return Ok(()),
            Err(reason) => reasons.push(format!("{name}: {reason}")),
        }
        match domain.split_once('.') {
            Some((_, parent)) if parent.contains('.') => (domain, above) = (parent, true),
            _ => break,
        }
    }
    Err(Problem::unauthorized(reasons.join("; ")))
}

fn judge(values: &[String], task: &Task, above: bool) -> Result<(), String> {
    let mut reason = "no record of this CA".to_owned();
    for record in values.iter().filter_map(|value| read(value)) {
        // A-labels in lower case without trailing dot on both sides (§3.1): only case may differ.
        if !task.issuers.iter().any(|issuer| issuer.eq_ignore_ascii_case(record.issuer)) {
            continue;
        }
        let now = Timestamp::now().as_second();
        match record.check(&task.account_url, task.wildcard || above, now) {
            Ok(()) => return Ok(()),
            Err(why) => reason = why,
        }
    }
    Err(reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URL: &str = "https://ca.example/acct/123";

    #[test]
    fn the_drafts_examples_are_read() {
        let record = read("authority.example; accounturi=https://ca.example/acct/123").unwrap();
        assert_eq!(record, Record { issuer: "authority.example", parameters: vec![("accounturi", URL)] });
        let record = read("ca1.example;accounturi=https://ca.example/acct/123 ; policy=wildcard;").unwrap();
        assert_eq!(record.parameters, [("accounturi", URL), ("policy", "wildcard")]);
        for bad in [
            "",
            ";",
            "-a.example",
            "a.example accounturi=x",
            "a.example; x",
            "a.example; =x",
            "a.example; a=b c",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn only_a_record_of_this_account_in_its_time_is_good() {
        let check = |text: &str, wildcard| read(text).unwrap().check(URL, wildcard, 1000);
        let good = format!("ca; accounturi={URL}");
        assert_eq!(check(&good, false), Ok(()));
        assert!(check(&good, true).is_err());
        assert_eq!(check(&format!("{good}; Policy=WildCard; new=thing"), true), Ok(()));
        assert_eq!(check(&format!("{good}; policy=other"), false), Ok(()));
        assert!(check(&format!("{good}; policy=other"), true).is_err());
        assert_eq!(check(&format!("{good}; persistUntil=1000"), false), Ok(()));
        assert_eq!(check(&format!("{good}; persistuntil=99999999999999999999999"), false), Ok(()));
        for bad in
            ["persistUntil=999", "persistUntil=", "persistUntil=1e9", "persistUntil=-1", "accounturi=x"]
        {
            assert!(check(&format!("{good}; {bad}"), false).is_err(), "{bad}");
        }
        assert!(check("ca", false).is_err());
        assert!(check("ca; accounturi=https://CA.example/acct/123", false).is_err());
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_fall(text in ".{0,200}", parts in prop::collection::vec("[a-zA-Z0-9;= .-]{0,12}", 0..12)) {
            for text in [text, parts.concat(), parts.join(";")] {
                if let Some(record) = read(&text) {
                    let _ = record.check(URL, true, 0);
                    prop_assert!(!record.issuer.is_empty());
                }
            }
        }

        #[test]
        fn what_is_written_is_read(issuer in "[a-z0-9]{1,9}(\\.[a-z0-9]{1,9}){0,3}", tag in "[a-z]{1,9}", value in "[!-:<-~]{0,20}") {
            let text = format!("{issuer} ;\t{tag} = {value} ;");
            let record = read(&text).unwrap();
            prop_assert_eq!(record.issuer, issuer);
            prop_assert_eq!(record.parameters, [(tag.as_str(), value.as_str())]);
        }
    }
}
