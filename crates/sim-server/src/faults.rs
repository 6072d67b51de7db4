//! Faults on order: which of the next requests are answered wrongly, late, or not at all. What may go wrong, each
//! simulator says itself.

use serde::{Deserialize, Serialize};

/// Which requests a fault is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRule<F> {
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
    pub fault: F,
}

/// The rules in force.
#[derive(Debug)]
pub struct Faults<F>(Vec<FaultRule<F>>);

impl<F> Default for Faults<F> {
    fn default() -> Self {
        Faults(Vec::new())
    }
}

impl<F: Clone> Faults<F> {
    /// Adds a rule, after those that are there.
    pub fn add(&mut self, rule: FaultRule<F>) {
        self.0.push(rule);
    }

    /// The fault of a request; the first rule that is for it counts it.
    pub fn hit(&mut self, method: &str, path: &str) -> Option<F> {
        let matches = |rule: &&mut FaultRule<F>| {
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
        let rule =
            FaultRule { method: Some("get".into()), path: "/TXT".into(), after: 1, times: 1, fault: "cut" };
        let mut faults = Faults::default();
        faults.add(rule);
        assert_eq!(faults.hit("PUT", "/a/TXT"), None);
        assert_eq!(faults.hit("GET", "/a/TXT"), None);
        assert_eq!(faults.hit("GET", "/a/TXT"), Some("cut"));
        assert_eq!(faults.hit("GET", "/a/TXT"), None);
    }
}
