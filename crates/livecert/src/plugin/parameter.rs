//! What a plugin declares about its parameters. Parsing, checks, help and storage follow from it.

use std::time::Duration;

use super::PluginInfo;

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParameterKind {
    /// A secret: takes a source, never the secret itself.
    Secret,
    /// A secret given in clear: deprecated; `instead` says what to use.
    Insecure {
        /// The parameter to use instead.
        instead: &'static str,
    },
    /// Any text that is no secret.
    Plain,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number {
        /// What is counted, such as `seconds`; empty for a number of nothing.
        of: &'static str,
        /// The least that is possible.
        least: u64,
        /// The most that is possible.
        most: u64,
    },
    /// A duration such as `90s` or `5m`, or a number of seconds; more than nothing.
    Duration {
        /// The longest that is possible.
        longest: Duration,
    },
    /// A file or folder; a relative path is made absolute when it is given, because a renewal runs elsewhere.
    Path,
    /// One of these words; letter case does not matter.
    Choice(&'static [&'static str]),
}

/// Whether a parameter has to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// It may be left out.
    Optional,
    /// Without it there is nothing that the plugin could do.
    Required,
    /// It is a credential, of which the plugin takes exactly one.
    Credential,
    /// It is needed where this other one is given, and is of no use without.
    With(&'static str),
}

/// A parameter of a plugin.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Names that other clients have for it, which are understood too.
    pub aliases: &'static [&'static str],
    /// What it takes.
    pub kind: ParameterKind,
    /// Whether it has to be given.
    pub need: Need,
    /// What it is, in a line, with its default.
    pub help: &'static str,
}

/// Parameters that go together.
#[derive(Debug)]
pub struct ParameterSet {
    /// All of these are needed.
    pub needed: Vec<&'static Parameter>,
    /// These may be left out.
    pub optional: Vec<&'static Parameter>,
}

impl Parameter {
    /// A parameter that may be left out.
    pub const fn new(name: &'static str, kind: ParameterKind, help: &'static str) -> Self {
        Parameter { name, aliases: &[], kind, need: Need::Optional, help }
    }

    /// The same, when it has to be given as `need` says.
    #[must_use]
    pub const fn needed(mut self, need: Need) -> Self {
        self.need = need;
        self
    }

    /// The same, with the names that other clients have for it.
    #[must_use]
    pub const fn or(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Whether it is a credential, of which a plugin takes exactly one.
    pub fn is_credential(&self) -> bool {
        self.need == Need::Credential
    }

    /// Whether `name` means it. Letter case, `_` and `-` do not matter.
    pub fn is_called(&self, name: &str) -> bool {
        let name = plain_name(name);
        std::iter::once(&self.name).chain(self.aliases).any(|own| plain_name(own) == name)
    }
}

fn plain_name(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

impl ParameterKind {
    /// Whether what is given is a secret, or leads to one.
    pub fn is_secret(self) -> bool {
        matches!(self, ParameterKind::Secret | ParameterKind::Insecure { .. })
    }

    /// What it takes, in a few words.
    pub fn description(self) -> String {
        match self {
            ParameterKind::Secret => "source of a secret".to_owned(),
            ParameterKind::Insecure { .. } => "secret in clear".to_owned(),
            ParameterKind::Plain => "text".to_owned(),
            ParameterKind::Flag => "true or false".to_owned(),
            ParameterKind::Number { of: "", least, most } => format!("number from {least} to {most}"),
            ParameterKind::Number { of, least, most } => format!("number of {of} from {least} to {most}"),
            ParameterKind::Duration { longest } => format!("duration up to {}", short(longest)),
            ParameterKind::Path => "path".to_owned(),
            ParameterKind::Choice(words) => format!("one of {}", words.join(", ")),
        }
    }

    /// Its one word, for programs.
    pub fn word(self) -> &'static str {
        match self {
            ParameterKind::Secret => "secret",
            ParameterKind::Insecure { .. } => "insecure-secret",
            ParameterKind::Plain => "text",
            ParameterKind::Flag => "flag",
            ParameterKind::Number { .. } => "number",
            ParameterKind::Duration { .. } => "duration",
            ParameterKind::Path => "path",
            ParameterKind::Choice(_) => "choice",
        }
    }

    /// The one form of a value that is no secret, as it is stored; or what is wrong with it, in words that go on after the
    /// parameter's name.
    pub(super) fn canonical(self, value: &str) -> Result<String, String> {
        let wrong = |example: &str| Err(format!("'{value}' is not a {}{example}", self.description()));
        match self {
            ParameterKind::Secret | ParameterKind::Insecure { .. } | ParameterKind::Plain => {
                Ok(value.to_owned())
            }
            ParameterKind::Flag => match value.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok("true".to_owned()),
                "false" | "no" | "off" | "0" => Ok("false".to_owned()),
                _ => Err(format!("'{value}' is neither true nor false")),
            },
            ParameterKind::Number { least, most, .. } => match value.trim().parse::<u64>() {
                Ok(number) if (least..=most).contains(&number) => Ok(number.to_string()),
                _ => wrong(""),
            },
            ParameterKind::Duration { longest } => match duration(value.trim()) {
                Some(duration) if duration <= longest => Ok(value.trim().to_owned()),
                _ => wrong(", such as 90s or 5m"),
            },
            ParameterKind::Path => absolute(value),
            ParameterKind::Choice(words) => {
                let word = words.iter().find(|word| word.eq_ignore_ascii_case(value.trim()));
                let all = || format!("'{value}' is none of {}", words.join(", "));
                word.map(|word| (*word).to_owned()).ok_or_else(all)
            }
        }
    }
}

fn absolute(value: &str) -> Result<String, String> {
    let path = std::path::absolute(value).map_err(|error| format!("'{value}' is no path: {error}"))?;
    path.into_os_string().into_string().map_err(|_| format!("'{value}' is not UTF-8 when made absolute"))
}

/// A duration, or a number of seconds as in Posh-ACME and lego; nothing is none.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let duration = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Duration::try_from(text.parse::<jiff::SignedDuration>().ok()?).ok()?,
    };
    (!duration.is_zero()).then_some(duration)
}

/// A whole number of hours, minutes or seconds, as it would be given.
fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{duration:?}"),
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

impl PluginInfo {
    /// The parameter that `name` means.
    pub fn parameter(&self, name: &str) -> Option<&'static Parameter> {
        self.parameters.iter().find(|parameter| parameter.is_called(name))
    }

    /// Which parameters go together: a set for each credential, and for what is given together or not at all.
    pub fn sets(&self) -> Vec<ParameterSet> {
        let all = self.parameters;
        let credentials: Vec<_> = all.iter().filter(|one| one.is_credential()).collect();
        let together: Vec<_> = all.iter().filter(|one| matches!(one.need, Need::With(_))).collect();
        let credentials: Vec<&[&Parameter]> =
            if credentials.is_empty() { vec![&[]] } else { credentials.chunks(1).collect() };
        let groups: &[&[&Parameter]] = if together.is_empty() { &[&[]] } else { &[&together, &[]] };
        let required = all.iter().filter(|one| one.need == Need::Required);
        let optional = all.iter().filter(|one| one.need == Need::Optional);
        let set = |credential: &[&'static Parameter], group: &[&'static Parameter]| ParameterSet {
            needed: required.clone().chain(credential.iter().chain(group).copied()).collect(),
            optional: optional.clone().collect(),
        };
        credentials.iter().flat_map(|credential| groups.iter().map(|group| set(credential, group))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::ALL;

    #[test]
    fn values_have_one_form_or_are_told_what_is_wrong() {
        let number = ParameterKind::Number { of: "seconds", least: 60, most: 3600 };
        let duration = ParameterKind::Duration { longest: Duration::from_secs(3600) };
        let choice = ParameterKind::Choice(&["hmac-sha256", "hmac-sha512"]);
        for (kind, given, form) in [
            (ParameterKind::Flag, "Yes", "true"),
            (ParameterKind::Flag, "0", "false"),
            (number, " 60", "60"),
            (duration, "1h", "1h"),
            (duration, "90", "90"),
            (choice, "HMAC-SHA512", "hmac-sha512"),
            (ParameterKind::Path, "/a/b", "/a/b"),
            (ParameterKind::Plain, " as it is ", " as it is "),
        ] {
            assert_eq!(kind.canonical(given).as_deref(), Ok(form), "{kind:?} {given}");
        }
        for (kind, given, reason) in [
            (ParameterKind::Flag, "maybe", "'maybe' is neither true nor false"),
            (number, "59", "'59' is not a number of seconds from 60 to 3600"),
            (number, "-1", "'-1' is not a number of seconds from 60 to 3600"),
            (duration, "61m", "'61m' is not a duration up to 1h, such as 90s or 5m"),
            (duration, "0", "'0' is not a duration up to 1h, such as 90s or 5m"),
            (choice, "md5", "'md5' is none of hmac-sha256, hmac-sha512"),
        ] {
            assert_eq!(kind.canonical(given), Err(reason.to_owned()), "{kind:?} {given}");
        }
        let relative = ParameterKind::Path.canonical("script").unwrap();
        assert_eq!(relative, std::env::current_dir().unwrap().join("script").to_str().unwrap());
    }

    #[test]
    fn what_the_plugins_declare_is_in_order() {
        for plugin in ALL {
            for (position, parameter) in plugin.parameters.iter().enumerate() {
                let names = std::iter::once(&parameter.name).chain(parameter.aliases);
                for name in names {
                    let first = plugin.parameters.iter().position(|other| other.is_called(name));
                    assert_eq!(first, Some(position), "two parameters of {} are called {name}", plugin.name);
                }
                if let Need::With(other) = parameter.need {
                    assert!(plugin.parameters.iter().any(|one| one.name == other), "{other}");
                }
                if let ParameterKind::Insecure { instead } = parameter.kind {
                    assert!(plugin.parameters.iter().any(|one| one.name == instead), "{instead}");
                }
            }
            for variable in plugin.environment {
                let named = plugin.parameter(variable.parameter);
                assert_eq!(named.map(|named| named.need), Some(Need::Credential), "{}", variable.variable);
            }
            assert!(!plugin.guide.is_empty() && plugin.guide.ends_with('\n'), "{}", plugin.name);
            assert!(plugin.guide.lines().all(|line| line.chars().count() <= 100), "{}", plugin.name);
        }
    }

    #[test]
    fn sets_follow_from_what_is_needed() {
        let names = |name: &str| -> Vec<Vec<&str>> {
            let sets = crate::plugin::find(name).unwrap().sets();
            sets.iter().map(|set| set.needed.iter().map(|one| one.name).collect()).collect()
        };
        assert_eq!(names("gandi"), [["GandiPAT"], ["GandiToken"], ["GandiTokenInsecure"]]);
        assert_eq!(names("manual"), [[""; 0]]);
        assert_eq!(names("exec"), [["ExecCommand"]]);
        let signed = vec!["RFC2136Nameserver", "RFC2136TSIGKey", "RFC2136TSIGSecret"];
        assert_eq!(names("rfc2136"), [signed, vec!["RFC2136Nameserver"]]);
    }
}
