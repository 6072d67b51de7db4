//! What publishes proofs, by its name in one certificate: a plugin, or one of several uses of a plugin with arguments of
//! their own.

use std::fmt;
use std::str::FromStr;

use super::{ArgumentError, PluginInfo, find};

/// A plugin, or one use of it among others: `gandi`, `gandi@shop`.
#[derive(Debug, Clone)]
pub struct PublisherName {
    /// The plugin.
    pub plugin: &'static PluginInfo,
    /// What tells this use of it from others; none for the one that needs no name of its own.
    pub label: Option<String>,
}

impl PublisherName {
    /// Longest label, in characters.
    const LONGEST: usize = 63;

    /// The plugin under a label.
    ///
    /// # Errors
    /// [`ArgumentError::Label`] for one that cannot be: it has other signs than letters, digits, `-` and `_`, or it is the
    /// name of a plugin.
    pub fn labelled(plugin: &'static PluginInfo, label: &str) -> Result<Self, ArgumentError> {
        let fits = (1..=Self::LONGEST).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fits || find(label).is_ok() {
            return Err(ArgumentError::Label(label.to_owned()));
        }
        Ok(PublisherName { plugin, label: Some(label.to_owned()) })
    }

    fn key(&self) -> (&'static str, Option<&str>) {
        (self.plugin.name, self.label.as_deref())
    }
}

impl From<&'static PluginInfo> for PublisherName {
    fn from(plugin: &'static PluginInfo) -> Self {
        PublisherName { plugin, label: None }
    }
}

impl FromStr for PublisherName {
    type Err = ArgumentError;

    fn from_str(text: &str) -> Result<Self, ArgumentError> {
        match text.split_once('@') {
            Some((plugin, label)) => PublisherName::labelled(find(plugin)?, label),
            None => Ok(find(text)?.into()),
        }
    }
}

impl fmt::Display for PublisherName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{}@{label}", self.plugin.name),
            None => f.write_str(self.plugin.name),
        }
    }
}

impl PartialEq for PublisherName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for PublisherName {}

impl PartialOrd for PublisherName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublisherName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publisher_is_a_plugin_with_or_without_a_label() {
        for text in ["gandi", "gandi@shop", "webroot@b_2"] {
            assert_eq!(text.parse::<PublisherName>().unwrap().to_string(), text);
        }
        assert!(matches!("gandy@shop".parse::<PublisherName>(), Err(ArgumentError::UnknownPlugin { .. })));
        for wrong in ["gandi@", "gandi@a b", "gandi@webroot", "gandi@a@b", "gandi@a/b"] {
            assert!(matches!(wrong.parse::<PublisherName>(), Err(ArgumentError::Label(_))), "{wrong}");
        }
        assert_ne!("gandi".parse::<PublisherName>().unwrap(), "gandi@a".parse().unwrap());
    }
}
