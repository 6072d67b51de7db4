//! Patterns of domain names, by which something is said about many names at once: the most specific one counts, whatever
//! the order in which they were given.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A name, all names below one (`*.NAME`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamePattern {
    /// Every name.
    All,
    /// Every name below this one, wildcards among them.
    Below(String),
    /// This name alone.
    Name(String),
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no name, and no pattern such as '*.example.com' or '*'")]
pub struct NamePatternError(pub String);

impl NamePattern {
    /// The pattern that is for one name of a certificate; for a wildcard this is the one for all names below.
    pub fn of(name: &str) -> Self {
        match name.strip_prefix("*.") {
            Some(base) => NamePattern::Below(base.to_owned()),
            None => NamePattern::Name(name.to_owned()),
        }
    }

    /// Whether it fits a name of a certificate, which may be a wildcard.
    pub fn fits(&self, name: &str) -> bool {
        match self {
            NamePattern::All => true,
            NamePattern::Below(base) => is_below(name, base),
            NamePattern::Name(own) => own == name,
        }
    }

    /// Whether it fits a record: a name stands for the zone itself, and `*.NAME` for all that is below the name. Where the
    /// zone is not known, it is taken to be one that was named.
    pub fn fits_record(&self, fqdn: &str, zone: Option<&str>) -> bool {
        match self {
            NamePattern::All => true,
            NamePattern::Below(base) => is_below(fqdn, base),
            NamePattern::Name(own) => match zone {
                Some(zone) => own == zone,
                None => own == fqdn || is_below(fqdn, own),
            },
        }
    }

    /// How much it says: the more labels the more, and a name more than all below it.
    fn weight(&self) -> (usize, bool) {
        match self {
            NamePattern::All => (0, false),
            NamePattern::Below(base) => (base.split('.').count(), false),
            NamePattern::Name(name) => (name.split('.').count(), true),
        }
    }

    /// What is said by the most specific of the patterns that `fits`.
    pub fn choose<'a, T>(
        rules: impl IntoIterator<Item = (&'a NamePattern, T)>,
        fits: impl Fn(&NamePattern) -> bool,
    ) -> Option<T> {
        let fitting = rules.into_iter().filter(|(pattern, _)| fits(pattern));
        fitting.max_by_key(|(pattern, _)| pattern.weight()).map(|(_, said)| said)
    }
}

fn is_below(name: &str, base: &str) -> bool {
    name.strip_suffix(base).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

impl FromStr for NamePattern {
    type Err = NamePatternError;

    fn from_str(text: &str) -> Result<Self, NamePatternError> {
        let wrong = || NamePatternError(text.to_owned());
        let given = text.trim();
        if given == "*" {
            return Ok(NamePattern::All);
        }
        if let Ok(address) = given.parse::<IpAddr>() {
            return Ok(NamePattern::Name(address.to_string()));
        }
        let (below, base) = match given.strip_prefix("*.") {
            Some(base) => (true, base),
            None => (false, given),
        };
        let base = base.strip_suffix('.').unwrap_or(base);
        if base.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong());
        }
        let ascii =
            idna::domain_to_ascii_cow(base.as_bytes(), idna::AsciiDenyList::EMPTY).map_err(|_| wrong())?;
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if ascii.len() > 253 || !ascii.split('.').all(label) {
            return Err(wrong());
        }
        let base = ascii.into_owned();
        Ok(if below { NamePattern::Below(base) } else { NamePattern::Name(base) })
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NamePattern::All => f.write_str("*"),
            NamePattern::Below(base) => write!(f, "*.{base}"),
            NamePattern::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> NamePattern {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_fit_what_they_say() {
        for (text, fits, not) in [
            ("*", &["example.com", "*.example.com", "192.0.2.1"][..], &[][..]),
            (
                "*.example.com",
                &["a.example.com", "b.a.example.com", "*.example.com"],
                &["example.com", "anexample.com"],
            ),
            ("Example.COM.", &["example.com"], &["a.example.com", "*.example.com"]),
            ("bücher.example", &["xn--bcher-kva.example"], &["b.example"]),
            ("::1", &["::1"], &["::2"]),
        ] {
            fits.iter().for_each(|name| assert!(pattern(text).fits(name), "{text} {name}"));
            not.iter().for_each(|name| assert!(!pattern(text).fits(name), "{text} {name}"));
            assert_eq!(pattern(&pattern(text).to_string()), pattern(text));
        }
        for wrong in ["", ".", "a..b", "*.", "a.*.b", "**", "a b", "a/b", "*x.example.com"] {
            assert!(wrong.parse::<NamePattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_zone_is_meant_by_its_name_and_all_in_it_by_a_star() {
        let record = "_acme-challenge.www.example.org";
        let fits = |text: &str, zone| pattern(text).fits_record(record, zone);
        assert!(fits("example.org", Some("example.org")) && fits("*.example.org", Some("example.org")));
        // A part that is delegated to somebody else is another zone.
        assert!(
            !fits("example.org", Some("www.example.org")) && fits("*.example.org", Some("www.example.org"))
        );
        assert!(fits("example.org", None) && !fits("example.com", None) && fits("*", Some("example.org")));
    }

    fn name() -> impl Strategy<Value = String> {
        proptest::collection::vec("[ab]", 1..5).prop_map(|labels| labels.join("."))
    }

    fn any_pattern() -> impl Strategy<Value = NamePattern> {
        prop_oneof![
            Just(NamePattern::All),
            name().prop_map(NamePattern::Below),
            name().prop_map(NamePattern::Name)
        ]
    }

    proptest! {
        #[test]
        fn the_most_specific_counts_whatever_the_order(
            patterns in proptest::collection::hash_set(any_pattern(), 0..12),
            shuffle in any::<prop::sample::Index>(),
            name in name(),
        ) {
            let mut rules: Vec<_> = patterns.iter().collect();
            rules.sort();
            let choose = |rules: &[&NamePattern]| {
                let said = rules.iter().map(|&pattern| (pattern, pattern.clone()));
                NamePattern::choose(said, |pattern| pattern.fits(&name))
            };
            let chosen = choose(&rules);
            let at = shuffle.index(rules.len() + 1);
            rules.rotate_left(at);
            prop_assert_eq!(&choose(&rules), &chosen);
            rules.reverse();
            prop_assert_eq!(&choose(&rules), &chosen);
            // Nothing that fits says more than the one that counts: everything else that fits it fits, too.
            let fitting: Vec<_> = rules.iter().filter(|pattern| pattern.fits(&name)).collect();
            prop_assert_eq!(chosen.is_none(), fitting.is_empty());
            for other in fitting {
                let chosen = chosen.as_ref().unwrap();
                let below = |pattern: &NamePattern| match pattern {
                    NamePattern::All => None,
                    NamePattern::Below(base) | NamePattern::Name(base) => Some(base.clone()),
                };
                let wider = match (below(other), below(chosen)) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(other), Some(chosen)) => chosen == other || is_below(&chosen, &other),
                };
                prop_assert!(wider, "{} over {}", chosen, other);
            }
        }

        #[test]
        fn no_text_makes_it_stumble(text in "\\PC{0,40}") {
            if let Ok(pattern) = text.parse::<NamePattern>() {
                prop_assert_eq!(pattern.to_string().parse::<NamePattern>(), Ok(pattern));
            }
        }
    }
}
