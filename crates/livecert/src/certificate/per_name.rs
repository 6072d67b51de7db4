//! What can be said for each name of a certificate: in the order of the names, or by patterns.

use super::SubjectName;
use crate::dns::{NamePattern, NamePatternError};

/// Something that is said for names, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PerName<T> {
    /// Nothing is said.
    #[default]
    Unsaid,
    /// The n-th is for the n-th name, the last one for the rest.
    InOrder(Vec<T>),
    /// Each is for the names that its pattern fits; the most specific counts.
    ByPattern(Vec<(NamePattern, T)>),
}

/// What is wrong with something that is said for names. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PerNameError {
    /// Both forms.
    #[error("{option} is given in both ways, by position and as PATTERN=VALUE, and one of them it must be")]
    Mixed {
        /// The option.
        option: &'static str,
    },
    /// Not of the form PATTERN=VALUE.
    #[error("{option} must have the form PATTERN=VALUE, and one has no '='")]
    NoEquals {
        /// The option.
        option: &'static str,
    },
    /// A pattern that is none.
    #[error("{option}: {source}")]
    Pattern {
        /// The option.
        option: &'static str,
        /// What is wrong with it.
        source: NamePatternError,
    },
    /// Two values for one pattern.
    #[error("{option} says two things about {pattern}")]
    Twice {
        /// The option.
        option: &'static str,
        /// The pattern.
        pattern: String,
    },
    /// A pattern that no name fits.
    #[error("{option}: no name of the certificate fits {pattern} ({})", names.join(", "))]
    FitsNone {
        /// The option.
        option: &'static str,
        /// The pattern.
        pattern: String,
        /// The certificate's names.
        names: Vec<String>,
    },
    /// More values than names.
    #[error("{option} is given {given} times, and there are only {names} names", names = if *names == 1 { "1 name".to_owned() } else { format!("{names}") })]
    TooMany {
        /// The option.
        option: &'static str,
        /// How often it is given.
        given: usize,
        /// How many names there are.
        names: usize,
    },
    /// A name that no pattern fits.
    #[error("no --plugin says what publishes the proof of {name}")]
    Silent {
        /// The name.
        name: String,
    },
    /// An alias for something that is not proved by a TXT value.
    #[error(
        "{name} is proved {how}, where no TXT value is written, so the alias {alias} means nothing for it"
    )]
    AliasWithoutTxt {
        /// The name.
        name: String,
        /// How it is proved, such as `with webroot`.
        how: String,
        /// The alias.
        alias: String,
    },
    /// An alias that is no name.
    #[error("'{alias}' cannot be the name of a TXT record")]
    Alias {
        /// The text.
        alias: String,
    },
    /// Two ways for proofs that are at one name in DNS.
    #[error("{one} and {other} are proved at one name in DNS, and must have the same {what}")]
    Apart {
        /// A name.
        one: String,
        /// Another one.
        other: String,
        /// What differs.
        what: &'static str,
    },
}

impl<T> PerName<T> {
    /// For all names.
    pub fn all(value: T) -> Self {
        PerName::InOrder(vec![value])
    }

    /// Whether nothing is said.
    pub fn is_unsaid(&self) -> bool {
        matches!(self, PerName::Unsaid)
    }

    /// Whether something is said about this name.
    pub(super) fn says(&self, name: &SubjectName) -> bool {
        match self {
            PerName::Unsaid => false,
            PerName::InOrder(_) => true,
            PerName::ByPattern(rules) => rules.iter().any(|(pattern, _)| pattern.fits(name.as_str())),
        }
    }

    /// All that is said.
    pub fn values(&self) -> Vec<&T> {
        match self {
            PerName::Unsaid => Vec::new(),
            PerName::InOrder(values) => values.iter().collect(),
            PerName::ByPattern(rules) => rules.iter().map(|(_, value)| value).collect(),
        }
    }

    /// Reads the words of a repeatable option: all of them values, or all of them `PATTERN=VALUE`.
    ///
    /// # Errors
    /// Both forms, a pattern that is none, or what `parse` says about a value.
    pub fn parse<E: From<PerNameError>>(
        option: &'static str,
        words: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Self, E> {
        let (patterns, plain): (Vec<_>, Vec<_>) = words.iter().partition(|word| word.contains('='));
        if patterns.is_empty() {
            let values = plain.into_iter().map(|word| parse(word)).collect::<Result<Vec<T>, E>>()?;
            return Ok(if values.is_empty() { PerName::Unsaid } else { PerName::InOrder(values) });
        }
        if !plain.is_empty() {
            return Err(PerNameError::Mixed { option }.into());
        }
        let mut rules = Vec::new();
        for (pattern, value) in patterns.into_iter().filter_map(|word| word.split_once('=')) {
            let pattern = pattern.parse().map_err(|source| PerNameError::Pattern { option, source })?;
            rules.push((pattern, parse(value)?));
        }
        Ok(PerName::ByPattern(rules))
    }
}

impl<T: Clone + PartialEq> PerName<T> {
    /// The same as rules, of which the most specific counts; `None` if nothing is said. `stored` are rules beside which
    /// those of patterns are set.
    ///
    /// # Errors
    /// Something that is said twice, or about no name.
    pub(super) fn rules(
        &self,
        option: &'static str,
        names: &[SubjectName],
        stored: Option<&Rules<T>>,
    ) -> Result<Option<Rules<T>>, PerNameError> {
        match self {
            PerName::Unsaid => Ok(None),
            PerName::InOrder(values) if values.len() > names.len() => {
                Err(PerNameError::TooMany { option, given: values.len(), names: names.len() })
            }
            PerName::InOrder(values) => Ok(Some(Rules::in_order(values, names))),
            PerName::ByPattern(given) => {
                let mut rules = Rules(Vec::new());
                for (pattern, value) in given {
                    if !names.iter().any(|name| pattern.fits(name.as_str())) {
                        let names = names.iter().map(ToString::to_string).collect();
                        return Err(PerNameError::FitsNone { option, pattern: pattern.to_string(), names });
                    }
                    if rules.0.iter().any(|(other, said)| other == pattern && said != value) {
                        return Err(PerNameError::Twice { option, pattern: pattern.to_string() });
                    }
                    rules.set(pattern.clone(), value.clone());
                }
                for (pattern, value) in stored.iter().flat_map(|stored| &stored.0) {
                    if rules.0.iter().all(|(other, _)| other != pattern) {
                        rules.set(pattern.clone(), value.clone());
                    }
                }
                Ok(Some(rules))
            }
        }
    }
}

/// What is said for the names that patterns fit. The most specific pattern counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rules<T>(pub(super) Vec<(NamePattern, T)>);

impl<T> Default for Rules<T> {
    fn default() -> Self {
        Rules(Vec::new())
    }
}

impl<T> Rules<T> {
    /// What counts for a name.
    pub(super) fn of(&self, name: &SubjectName) -> Option<&T> {
        let rules = self.0.iter().map(|(pattern, value)| (pattern, value));
        NamePattern::choose(rules, |pattern| pattern.fits(name.as_str()))
    }
}

impl<T: Clone + PartialEq> Rules<T> {
    pub(super) fn all(value: T) -> Self {
        Rules(vec![(NamePattern::All, value)])
    }

    pub(super) fn set(&mut self, pattern: NamePattern, value: T) {
        match self.0.iter_mut().find(|(other, _)| *other == pattern) {
            Some((_, said)) => *said = value,
            None => self.0.push((pattern, value)),
        }
    }

    /// Says it about this name.
    pub(super) fn set_for(&mut self, name: &SubjectName, value: T) {
        self.set(NamePattern::of(name.as_str()), value);
    }

    /// The n-th value for the n-th name, the last one for the rest.
    fn in_order(values: &[T], names: &[SubjectName]) -> Self {
        let Some(last) = values.last() else { return Rules::default() };
        let mut rules = Rules::all(last.clone());
        // What is said about a wildcard is said about all that is below, until that has a rule of its own.
        for _ in names {
            for (name, value) in names.iter().zip(values.iter().chain(std::iter::repeat(last))) {
                if rules.of(name) != Some(value) {
                    rules.set_for(name, value.clone());
                }
            }
        }
        rules
    }

    /// Rules that come to nothing are none.
    pub(super) fn forget_if_all_are(&mut self, names: &[SubjectName], nothing: &T) {
        if names.iter().all(|name| self.of(name).is_none_or(|said| said == nothing)) {
            self.0.clear();
        }
    }

    /// What is worth keeping: the rules that fit a name, in the order of their patterns.
    pub(super) fn kept(mut self, names: &[SubjectName]) -> Self {
        self.0.retain(|(pattern, _)| names.iter().any(|name| pattern.fits(name.as_str())));
        self.0.sort_by(|(one, _), (other, _)| one.cmp(other));
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::certificate::parse_names;

    fn parse(words: &[&str]) -> Result<PerName<String>, PerNameError> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        PerName::parse("--plugin", &words, |value| Ok(value.to_owned()))
    }

    fn said(words: &[&str], names: &[&str]) -> Result<Vec<Option<String>>, PerNameError> {
        let names = parse_names(names.iter().copied()).unwrap();
        let rules = parse(words)?.rules("--plugin", &names, None)?.unwrap_or_default();
        Ok(names.iter().map(|name| rules.of(name).cloned()).collect())
    }

    #[test]
    fn the_nth_is_for_the_nth_name_and_the_last_one_for_the_rest() {
        let names = ["*.example.com", "b.org", "c.example.com", "*.d.example.com"];
        let given =
            |words: &[&str]| said(words, &names).unwrap().into_iter().map(Option::unwrap).collect::<Vec<_>>();
        assert_eq!(given(&["x"]), ["x"; 4]);
        assert_eq!(given(&["x", "y"]), ["x", "y", "y", "y"]);
        assert_eq!(given(&["x", "y", "z"]), ["x", "y", "z", "z"]);
        assert_eq!(given(&["x", "y", "x", "z"]), ["x", "y", "x", "z"]);
        assert!(matches!(
            said(&["x", "y", "z"], &["a.org", "b.org"]),
            Err(PerNameError::TooMany { given: 3, names: 2, .. })
        ));
    }

    #[test]
    fn patterns_are_for_the_names_that_they_fit() {
        let names = ["example.com", "*.example.com", "a.example.com", "b.org"];
        let given = |words: &[&str]| said(words, &names).unwrap();
        let some = |values: [&str; 4]| values.map(|value| Some(value.to_owned()));
        assert_eq!(given(&["*=x", "*.example.com=y", "a.example.com=z"]), some(["x", "y", "z", "x"]));
        assert_eq!(given(&["a.example.com=z", "*.example.com=y", "*=x"]), some(["x", "y", "z", "x"]));
        assert_eq!(given(&["b.org=x"])[0], None);
        let wrong = |words: &[&str]| said(words, &names).unwrap_err();
        assert!(matches!(wrong(&["x", "*=y"]), PerNameError::Mixed { .. }));
        assert!(matches!(wrong(&["*.org.example=y"]), PerNameError::FitsNone { .. }));
        assert!(matches!(wrong(&["*=y", "*=z"]), PerNameError::Twice { .. }));
        assert!(matches!(wrong(&["a b=y"]), PerNameError::Pattern { .. }));
    }

    proptest! {
        #[test]
        fn order_is_kept_by_rules(
            names in proptest::collection::hash_set("(\\*\\.)?([ab]\\.){0,3}c", 1..8),
            values in proptest::collection::vec("[xyz]", 1..8),
        ) {
            let names: Vec<_> = parse_names(names.iter().map(String::as_str)).unwrap();
            let values = &values[..values.len().min(names.len())];
            let rules = Rules::in_order(values, &names);
            for (number, name) in names.iter().enumerate() {
                let expected = values.get(number).or(values.last());
                prop_assert_eq!(rules.of(name), expected, "{} of {:?}", name, names);
            }
        }
    }
}
