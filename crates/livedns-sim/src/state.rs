//! The zones: what the API sees at once, and what each name server shows after its delay.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// An rrset as it is stored: values as the API gives them back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rrset {
    /// Time to live in seconds.
    pub ttl: u32,
    /// The values; TXT values are quoted.
    pub values: Vec<String>,
}

/// Relative name (`@` for the apex) and type.
pub(crate) type Key = (String, String);

#[derive(Debug, Clone)]
struct Version {
    since: Instant,
    rrset: Option<Rrset>,
}

/// A zone with the history of its rrsets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zone {
    rrsets: BTreeMap<Key, Vec<Version>>,
}

impl Zone {
    pub(crate) fn get(&self, name: &str, kind: &str) -> Option<&Rrset> {
        self.rrsets.get(&(name.to_owned(), kind.to_owned()))?.last()?.rrset.as_ref()
    }

    /// The stored name that is equal but for letter case.
    pub(crate) fn name_in_other_case(&self, name: &str) -> Option<&str> {
        let same = |(key, versions): (&'_ Key, &'_ Vec<Version>)| {
            key.0 != name
                && key.0.eq_ignore_ascii_case(name)
                && versions.last().is_some_and(|version| version.rrset.is_some())
        };
        self.rrsets.iter().find(|(key, versions)| same((key, versions))).map(|(key, _)| key.0.as_str())
    }

    pub(crate) fn set(&mut self, name: &str, kind: &str, rrset: Option<Rrset>) {
        let versions = self.rrsets.entry((name.to_owned(), kind.to_owned())).or_default();
        versions.push(Version { since: Instant::now(), rrset });
        // No name server lags by this many changes.
        if versions.len() > 64 {
            versions.remove(0);
        }
    }

    /// Sets an rrset as if it had been there since yesterday: every name server shows it, however late it is.
    pub(crate) fn set_long_ago(&mut self, name: &str, kind: &str, rrset: Rrset) {
        let now = Instant::now();
        let since = now.checked_sub(Duration::from_secs(86_400)).unwrap_or(now);
        let version = Version { since, rrset: Some(rrset) };
        self.rrsets.insert((name.to_owned(), kind.to_owned()), vec![version]);
    }

    /// All rrsets as the API sees them.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&Key, &Rrset)> {
        self.rrsets.iter().filter_map(|(key, versions)| Some((key, versions.last()?.rrset.as_ref()?)))
    }

    /// What a name server shows that is `delay` behind.
    pub(crate) fn published(&self, name: &str, kind: &str, delay: Duration) -> Option<&Rrset> {
        // DNS does not know letter case.
        let same = |key: &Key| key.1 == kind && key.0.eq_ignore_ascii_case(name);
        let versions = self.rrsets.iter().find(|(key, _)| same(key))?.1;
        let visible = versions.iter().rev().find(|version| version.since.elapsed() >= delay)?;
        visible.rrset.as_ref().filter(|rrset| !rrset.values.is_empty())
    }

    /// Whether a name server that is `delay` behind shows anything at or below `name`.
    pub(crate) fn exists(&self, name: &str, delay: Duration) -> bool {
        let below = format!(".{name}");
        let there = |(name_, kind): &Key| {
            let name_ = name_.to_ascii_lowercase();
            (name_ == name || name_.ends_with(&below)) && self.published(&name_, kind, delay).is_some()
        };
        name == "@" || self.rrsets.keys().any(there)
    }
}

/// How one name server behaves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NameServer {
    /// How far it is behind the API.
    pub(crate) delay: Duration,
    /// It does not answer.
    pub(crate) down: bool,
    /// Every second answer is the old one.
    pub(crate) flapping: bool,
    /// It remembers that there was nothing, as a caching resolver does.
    pub(crate) caching: bool,
}

/// All zones, by apex.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zones(pub(crate) BTreeMap<String, Zone>);

impl Zones {
    /// The deepest zone that `fqdn` is in, with the relative name there.
    pub(crate) fn find(&self, fqdn: &str) -> Option<(&str, &Zone, String)> {
        let mut candidate = fqdn;
        loop {
            if let Some((apex, zone)) = self.0.get_key_value(candidate) {
                let relative = fqdn.strip_suffix(candidate).unwrap_or_default().trim_end_matches('.');
                let relative = if relative.is_empty() { "@" } else { relative };
                return Some((apex, zone, relative.to_owned()));
            }
            candidate = candidate.split_once('.')?.1;
        }
    }
}

/// A TXT value as the API gives it back: quoted, in chunks of at most 255 octets.
pub(crate) fn quoted(value: &str) -> String {
    let text = unquoted(value);
    if text.is_empty() {
        return quoted_whole("");
    }
    let chunk = |chunk: &[u8]| quoted_whole(&String::from_utf8_lossy(chunk));
    text.as_bytes().chunks(255).map(chunk).collect::<Vec<_>>().join(" ")
}

/// A text in quotes, however long.
pub(crate) fn quoted_whole(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The content of a TXT value: quoted chunks are joined, escapes are resolved; an unquoted value is its content.
pub(crate) fn unquoted(value: &str) -> String {
    let value = value.trim();
    if !(value.starts_with('"') && value.ends_with('"') && value.len() > 1) {
        return value.to_owned();
    }
    let (mut text, mut inside, mut escaped) = (String::new(), false, false);
    for character in value.chars() {
        match character {
            _ if escaped => {
                text.push(character);
                escaped = false;
            }
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ if inside => text.push(character),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn txt_values_come_back_quoted_and_in_chunks() {
        assert_eq!(quoted("abc"), "\"abc\"");
        assert_eq!(quoted("\"abc\""), "\"abc\"");
        assert_eq!(quoted("a\"b\\"), r#""a\"b\\""#);
        assert_eq!(unquoted(&quoted("a\"b\\")), "a\"b\\");
        let long = "x".repeat(300);
        assert_eq!(quoted(&long), format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
        assert_eq!(unquoted(&quoted(&long)), long);
    }

    #[test]
    fn the_deepest_zone_wins() {
        let zones =
            Zones(["example.com", "sub.example.com"].map(|name| (name.to_owned(), Zone::default())).into());
        let find = |name| zones.find(name).map(|(apex, _, relative)| (apex.to_owned(), relative));
        assert_eq!(find("a.sub.example.com"), Some(("sub.example.com".into(), "a".into())));
        assert_eq!(find("example.com"), Some(("example.com".into(), "@".into())));
        assert_eq!(find("example.org"), None);
    }

    #[test]
    fn a_name_server_lags_behind_the_api() {
        let mut zone = Zone::default();
        zone.set("a", "TXT", Some(Rrset { ttl: 300, values: vec!["\"1\"".into()] }));
        assert!(zone.get("a", "TXT").is_some());
        assert!(zone.published("a", "TXT", Duration::ZERO).is_some());
        assert!(zone.published("a", "TXT", Duration::from_secs(60)).is_none());
        zone.set("a", "TXT", None);
        assert!(zone.get("a", "TXT").is_none());
        assert!(zone.published("a", "TXT", Duration::ZERO).is_none());
        // A removal is as late as everything else.
        let since = Instant::now() - Duration::from_secs(90);
        zone.rrsets.get_mut(&("a".to_owned(), "TXT".to_owned())).unwrap()[0].since = since;
        assert!(zone.published("a", "TXT", Duration::from_secs(60)).is_some());
    }
}
