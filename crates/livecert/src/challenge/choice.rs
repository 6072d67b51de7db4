//! Which challenge is used where several could be.

use std::fmt;
use std::str::FromStr;

use livecert_acme::ChallengeType;

use crate::plugin::ProofKind;

/// Which challenges may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChallengeChoice {
    /// The one that the plugin is made for.
    #[default]
    ByPlugin,
    /// The best that server, DNS and plugin allow.
    Auto,
    /// This one.
    One(ChallengeType),
}

/// A word that names no challenge that livecert solves.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no challenge that livecert solves: {words} are, and auto", words = WORDS.join(", "))]
pub struct ChallengeChoiceError(pub String);

/// A challenge that the plugin cannot solve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plugin {plugin} cannot solve {challenge}")]
pub struct ChallengeMismatch {
    /// The plugin.
    pub plugin: &'static str,
    /// The challenge.
    pub challenge: ChallengeType,
}

const WORDS: [&str; 5] = ["dns-01", "dns-account-01", "dns-persist-01", "http-01", "tls-alpn-01"];

impl FromStr for ChallengeChoice {
    type Err = ChallengeChoiceError;

    fn from_str(text: &str) -> Result<Self, ChallengeChoiceError> {
        let word = text.to_ascii_lowercase();
        if word == "auto" {
            return Ok(ChallengeChoice::Auto);
        }
        let kind = WORDS.contains(&word.as_str()).then(|| word.parse::<ChallengeType>().ok()).flatten();
        kind.map(ChallengeChoice::One).ok_or_else(|| ChallengeChoiceError(text.to_owned()))
    }
}

impl fmt::Display for ChallengeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChallengeChoice::ByPlugin => f.write_str("by plugin"),
            ChallengeChoice::Auto => f.write_str("auto"),
            ChallengeChoice::One(kind) => kind.fmt(f),
        }
    }
}

/// What has to be shown for a challenge; `None` if nothing is, because it stands already.
pub fn proof_kind(challenge: &ChallengeType) -> Option<ProofKind> {
    match challenge {
        ChallengeType::Dns01 | ChallengeType::DnsAccount01 => Some(ProofKind::Txt),
        ChallengeType::Http01 => Some(ProofKind::HttpFile),
        ChallengeType::TlsAlpn01 => Some(ProofKind::AlpnCertificate),
        _ => None,
    }
}

/// Whether a challenge proves something in DNS, and so nothing for an IP address (RFC 8738 §7).
pub fn is_in_dns(challenge: &ChallengeType) -> bool {
    matches!(challenge, ChallengeType::Dns01 | ChallengeType::DnsAccount01 | ChallengeType::DnsPersist01)
}

impl ChallengeChoice {
    /// The challenges that may be used with a plugin that can show `proofs`, the most wanted first.
    ///
    /// A standing record is best, because nothing has to be written. dns-account-01 comes before dns-01: no other
    /// account's value is ever at its name.
    ///
    /// # Errors
    /// The plugin cannot solve the one that is wanted.
    pub fn candidates(
        &self,
        plugin: &'static str,
        proofs: &[ProofKind],
    ) -> Result<Vec<ChallengeType>, ChallengeMismatch> {
        let shows = |kind: &ChallengeType| proof_kind(kind).is_none_or(|proof| proofs.contains(&proof));
        match self {
            ChallengeChoice::One(kind) if shows(kind) => Ok(vec![kind.clone()]),
            ChallengeChoice::One(kind) => Err(ChallengeMismatch { plugin, challenge: kind.clone() }),
            ChallengeChoice::ByPlugin => Ok(proofs.iter().take(1).map(usual).collect()),
            ChallengeChoice::Auto => {
                let all = [
                    ChallengeType::DnsPersist01,
                    ChallengeType::DnsAccount01,
                    ChallengeType::Dns01,
                    ChallengeType::Http01,
                    ChallengeType::TlsAlpn01,
                ];
                Ok(all.into_iter().filter(shows).collect())
            }
        }
    }
}

/// The usual challenge for a proof.
fn usual(proof: &ProofKind) -> ChallengeType {
    match proof {
        ProofKind::Txt => ChallengeType::Dns01,
        ProofKind::HttpFile => ChallengeType::Http01,
        ProofKind::AlpnCertificate => ChallengeType::TlsAlpn01,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_and_the_wish_decide() {
        let candidates = |word: &str, proofs: &[ProofKind]| {
            let choice = if word.is_empty() { ChallengeChoice::ByPlugin } else { word.parse().unwrap() };
            let found = choice.candidates("p", proofs);
            found.map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        let (dns, web) = ([ProofKind::Txt], [ProofKind::HttpFile, ProofKind::AlpnCertificate]);
        assert_eq!(candidates("", &dns).unwrap(), "dns-01");
        assert_eq!(candidates("", &web).unwrap(), "http-01");
        assert_eq!(candidates("auto", &dns).unwrap(), "dns-persist-01 dns-account-01 dns-01");
        assert_eq!(candidates("AUTO", &web).unwrap(), "dns-persist-01 http-01 tls-alpn-01");
        assert_eq!(candidates("dns-persist-01", &web).unwrap(), "dns-persist-01");
        assert_eq!(candidates("http-01", &dns).unwrap_err().to_string(), "the plugin p cannot solve http-01");
        assert!("dns-02".parse::<ChallengeChoice>().is_err());
    }
}
