//! Faults on order: the next matching requests are answered wrongly, late, or not at all.

use serde::{Deserialize, Serialize};

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// This answer instead of the real one; nothing is applied.
    Answer {
        /// HTTP status.
        status: u16,
        /// Body, as it is.
        body: String,
        /// `Retry-After`, if there is one.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The connection is cut; nothing was applied.
    CutBefore,
    /// The connection is cut after the request was applied.
    CutAfter,
    /// The answer comes this much later, in milliseconds.
    Late(u64),
}

/// Which requests a fault is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule {
    /// The method; any if none.
    #[serde(default)]
    pub method: Option<String>,
    /// A part of the path; any if empty.
    #[serde(default)]
    pub path: String,
    /// How many matching requests pass first.
    #[serde(default)]
    pub after: u32,
    /// How many are hit.
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<FaultRule>);

impl Faults {
    /// The fault of a request; the first rule that is for it counts it.
    pub(crate) fn hit(&mut self, method: &str, path: &str) -> Option<Fault> {
        let matches = |rule: &&mut FaultRule| {
            rule.times > 0
                && rule.method.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
                && path.contains(&rule.path)
        };
        let rule = self.0.iter_mut().find(matches)?;
        if rule.after > 0 {
            rule.after -= 1;
            return None;
        }
        rule.times -= 1;
        Some(rule.fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_lets_some_pass_and_hits_the_next() {
        let rule = FaultRule {
            method: Some("get".into()),
            path: "/TXT".into(),
            after: 1,
            times: 1,
            fault: Fault::CutBefore,
        };
        let mut faults = Faults(vec![rule]);
        assert_eq!(faults.hit("PUT", "/a/TXT"), None);
        assert_eq!(faults.hit("GET", "/a/TXT"), None);
        assert_eq!(faults.hit("GET", "/a/TXT"), Some(Fault::CutBefore));
        assert_eq!(faults.hit("GET", "/a/TXT"), None);
    }
}
