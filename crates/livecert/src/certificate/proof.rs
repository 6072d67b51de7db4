//! How each name of a certificate is proved: by which challenge, through what, at which alias.

use std::collections::{BTreeMap, BTreeSet};

use livecert_acme::ChallengeType;

use super::per_name::Rules;
use super::proof_record::{ProofRules, stored_publishers};
use super::publisher::{Publisher, combined, used};
use super::{CertificateError, IssueRequest, PerNameError, SubjectName};
use crate::challenge::{
    ChallengeChoice, Route, account_validation_name, is_in_dns, proof_kind, validation_name,
};
use crate::dns::NamePattern;
use crate::plugin::{self, ProofKind, PublisherName, WebProofKind};
use crate::store::{CertificateRecord, StoredArgument};

/// Longest name in DNS, in octets (RFC 1035 §2.3.4, as text).
const MAX_NAME: usize = 253;

/// What is stored of the arguments of all publishers.
pub(super) type StoredArguments = BTreeMap<PublisherName, BTreeMap<String, StoredArgument>>;

/// How the names of a certificate are proved.
#[derive(Debug, Clone)]
pub(super) struct Proofs {
    /// How each name is proved.
    pub(super) names: Vec<NameProof>,
    /// What may be needed for that, each once, in a certain order.
    pub(super) publishers: Vec<Publisher>,
    pub(super) rules: ProofRules,
}

/// How one name is proved.
#[derive(Debug, Clone)]
pub(super) struct NameProof {
    pub(super) name: SubjectName,
    /// What publishes the proof; without a label, the zone may say which one of the plugin does.
    pub(super) publisher: PublisherName,
    pub(super) challenge: ChallengeChoice,
    /// The challenges that may be used, the most wanted first.
    pub(super) candidates: Vec<ChallengeType>,
    /// Where its TXT values are written.
    pub(super) alias: Option<String>,
}

impl NameProof {
    /// Whether a TXT value may have to be written for it.
    pub(super) fn may_write(&self) -> bool {
        self.candidates.iter().any(|kind| proof_kind(kind) == Some(ProofKind::Txt))
    }

    /// Whether something may have to be published for it.
    fn may_publish(&self) -> bool {
        self.candidates.iter().any(|kind| proof_kind(kind).is_some())
    }

    /// What the host most likely has to show.
    fn web_kind(&self) -> Option<WebProofKind> {
        self.candidates.iter().find_map(|kind| match kind {
            ChallengeType::Http01 => Some(WebProofKind::HttpFile),
            ChallengeType::TlsAlpn01 => Some(WebProofKind::AlpnCertificate),
            _ => None,
        })
    }

    /// The validation name at which a TXT value is most likely needed; none if that shows only with the order. `account`
    /// is the account's URL, where it is known.
    pub(super) fn likely_validation_name(&self, account: Option<&str>) -> Option<String> {
        let base = self.name.base();
        match (self.candidates.first(), account) {
            (Some(ChallengeType::Dns01), _) => Some(validation_name(base)),
            (Some(ChallengeType::DnsAccount01), Some(account)) => {
                Some(account_validation_name(account, base))
            }
            _ => None,
        }
    }
}

impl Proofs {
    /// What is asked for, completed by what is stored.
    ///
    /// # Errors
    /// Words that contradict each other or the names.
    pub(super) fn new(
        request: &IssueRequest,
        stored: Option<&CertificateRecord>,
    ) -> Result<Self, CertificateError> {
        let names = &request.names;
        let before = stored;
        // What is declared is all of it, but for secrets that are where they were.
        let stored = stored.filter(|_| request.declared_in.is_none());
        let (known, publishers) = match stored {
            Some(stored) => (ProofRules::stored(stored)?, stored_publishers(stored)?),
            None => (ProofRules::default(), Vec::new()),
        };
        let beside = request.beside_stored && stored.is_some();
        let stored_plugins = beside.then_some(&known.plugins);
        let asked = request.plugin.rules("--plugin", names, stored_plugins)?;
        let is_new = asked.is_some();
        let mut plugins = match asked {
            Some(rules) => rules,
            None if stored.is_some() => known.plugins.clone(),
            None => Rules::all(Some(plugin::find("manual")?.into())),
        };
        plugins.0.retain(|(_, value)| value.is_some());
        let mut chosen = Vec::new();
        for name in names {
            let publisher = plugins.of(name).cloned().flatten();
            chosen.push(publisher.ok_or_else(|| PerNameError::Silent { name: name.to_string() })?);
        }

        let stored_challenges = beside.then_some(&known.challenges);
        let asked = request.challenge.rules("--challenge", names, stored_challenges)?;
        let mut challenges = asked.unwrap_or_else(|| known.challenges.clone());
        let stored_aliases = beside.then_some(&known.aliases);
        let asked = request.dns_alias.rules("--dns-alias", names, stored_aliases)?;
        let mut aliases = asked.unwrap_or_else(|| known.aliases.clone());
        if is_new {
            // What was chosen for another plugin says nothing about this one.
            for (name, publisher) in names.iter().zip(&chosen) {
                let before = known.plugins.of(name).and_then(Option::as_ref);
                if before.is_some_and(|before| before.plugin.name == publisher.plugin.name) {
                    continue;
                }
                if !request.challenge.says(name) {
                    forget(&mut challenges, name, ChallengeChoice::default());
                }
                if !request.dns_alias.says(name) {
                    forget(&mut aliases, name, None);
                }
            }
            challenges.forget_if_all_are(names, &ChallengeChoice::default());
            aliases.forget_if_all_are(names, &None);
        }
        let mut proofs = Vec::new();
        for (name, publisher) in names.iter().zip(chosen) {
            let challenge = challenges.of(name).cloned().unwrap_or_default();
            let candidates = challenge.candidates(publisher.plugin.name, publisher.plugin.proofs)?;
            let alias = aliases.of(name).cloned().flatten();
            proofs.push(NameProof { name: name.clone(), publisher, challenge, candidates, alias });
        }
        proofs.iter().try_for_each(check)?;
        check_together(&proofs)?;
        let all = combined(&request.publishers, &publishers, request.beside_stored);
        let chosen: BTreeSet<_> = proofs.iter().map(|proof| &proof.publisher).collect();
        let mut publishers = used(all, &chosen, &request.publishers)?;
        if let (Some(before), None) = (before, stored) {
            keep_what_is_unchanged(&mut publishers, stored_publishers(before)?);
        }
        let rules = ProofRules {
            plugins: plugins.kept(names),
            challenges: challenges.kept(names),
            aliases: aliases.kept(names),
        };
        Ok(Proofs { names: proofs, publishers, rules })
    }

    /// How a stored certificate is proved.
    ///
    /// # Errors
    /// The record has what this livecert does not know.
    pub(super) fn stored(record: &CertificateRecord) -> Result<Self, CertificateError> {
        let names = record.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
        Proofs::new(&IssueRequest { names, ..IssueRequest::default() }, Some(record))
    }

    /// How a name is proved that the CA wants to have proved: one of the certificate's, or what is above one of them.
    pub(super) fn of(&self, base: &str, wildcard: bool) -> Option<&NameProof> {
        let exact = |proof: &&NameProof| proof.name.base() == base && proof.name.is_wildcard() == wildcard;
        let below = |proof: &&NameProof| NamePattern::Below(base.to_owned()).fits(proof.name.as_str());
        let alike = |proof: &&NameProof| proof.name.base() == base;
        let all = || self.names.iter();
        all().find(exact).or_else(|| all().find(alike)).or_else(|| all().find(below))
    }

    /// The challenges that may be used for a name that the CA wants to have proved. One that was not asked for is proved as
    /// the first one is.
    pub(super) fn candidates(&self, base: &str, wildcard: bool) -> &[ChallengeType] {
        let proof = self.of(base, wildcard).or(self.names.first());
        proof.map_or(&[], |proof| &proof.candidates)
    }

    /// Whether a standing record may be used for one of the names.
    pub(super) fn may_stand(&self) -> bool {
        self.names.iter().any(|proof| proof.candidates.contains(&ChallengeType::DnsPersist01))
    }

    /// The names, without `*.` and each once, of proofs that are like this.
    pub(super) fn bases(&self, like: impl Fn(&NameProof) -> bool) -> Vec<String> {
        let mut bases: Vec<String> = self
            .names
            .iter()
            .filter(|proof| proof.name.address().is_none() && like(proof))
            .map(|proof| proof.name.base().to_owned())
            .collect();
        bases.sort();
        bases.dedup();
        bases
    }

    /// The validation names at which TXT values are most likely needed.
    pub(super) fn likely_validation_names(&self, account: Option<&str>) -> Vec<String> {
        let likely = self.names.iter().filter(|proof| proof.may_write());
        let mut names: Vec<_> = likely.filter_map(|proof| proof.likely_validation_name(account)).collect();
        names.sort();
        names.dedup();
        names
    }

    /// The same for names where that shows only with the order, each with its base: the common name stands for the others.
    pub(super) fn validation_names(&self, account: Option<&str>) -> Vec<(String, String)> {
        let likely = self.names.iter().filter(|proof| proof.may_write() && proof.name.address().is_none());
        let mut names: Vec<_> = likely
            .map(|proof| {
                let base = proof.name.base();
                let name = proof.likely_validation_name(account).unwrap_or_else(|| validation_name(base));
                (base.to_owned(), name)
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether a publisher, and so its credential, may be needed.
    pub(super) fn needs(&self, publisher: &Publisher) -> bool {
        let by_zone = PublisherName::from(publisher.name.plugin);
        let uses = |proof: &NameProof| {
            proof.publisher == publisher.name || (!publisher.zones.is_empty() && proof.publisher == by_zone)
        };
        self.names.iter().any(|proof| uses(proof) && proof.may_publish())
    }

    /// Whether nothing comes of it with nobody there: a name is proved by what a person does, and no record may stand for it.
    pub(super) fn needs_person(&self) -> bool {
        let by_person = |proof: &NameProof| {
            let stands = proof.candidates.iter().any(|kind| proof_kind(kind).is_none());
            proof.publisher.plugin.needs_person() && !stands
        };
        self.names.iter().any(by_person)
    }

    /// What a host shows through a publisher, by name, and what that most likely is.
    pub(super) fn hosts(&self, publisher: &PublisherName) -> (BTreeSet<String>, Vec<WebProofKind>) {
        let shown = self.names.iter().filter(|proof| proof.publisher == *publisher);
        let mut kinds: Vec<WebProofKind> = Vec::new();
        let mut hosts = BTreeSet::new();
        for proof in shown {
            if let Some(kind) = proof.web_kind() {
                hosts.insert(proof.name.base().to_owned());
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        (hosts, kinds)
    }

    /// Who writes the proof of each name, out of the publishers at `writers`.
    pub(super) fn routes(&self, writers: &[&Publisher]) -> BTreeMap<String, Route> {
        let mut routes = BTreeMap::new();
        for proof in self.names.iter().filter(|proof| proof.may_write()) {
            let by_zone = PublisherName::from(proof.publisher.plugin);
            let can = |publisher: &Publisher| {
                publisher.name == proof.publisher
                    || (proof.publisher == by_zone
                        && publisher.name.plugin.name == by_zone.plugin.name
                        && !publisher.zones.is_empty())
            };
            let able = writers.iter().enumerate().filter(|(_, publisher)| can(publisher));
            let writers = able.map(|(number, publisher)| (number, publisher.zones.clone())).collect();
            let publisher = proof.publisher.to_string();
            let route = Route { publisher, writers, alias: proof.alias.clone() };
            routes.insert(proof.name.base().to_owned(), route);
        }
        routes
    }

    /// What writes TXT values, with the names at which it most likely does so, as far as that can be told without asking
    /// DNS.
    pub(super) fn likely_writers(&self) -> Vec<(PublisherName, Vec<String>)> {
        let writing = |publisher: &&Publisher| publisher.name.plugin.proofs.contains(&ProofKind::Txt);
        let writers: Vec<&Publisher> = self.publishers.iter().filter(writing).collect();
        let routes = self.routes(&writers);
        let mut names: Vec<Vec<String>> = vec![Vec::new(); writers.len()];
        for (base, route) in &routes {
            let at = route.alias.clone().unwrap_or_else(|| validation_name(base));
            if let Some(writer) = route.writer(&at, None) {
                names[writer].push(at);
            }
        }
        writers.iter().map(|publisher| publisher.name.clone()).zip(names).collect()
    }

    /// What writes TXT values with a credential.
    pub(super) fn credential_writers(mut self) -> Vec<Publisher> {
        self.publishers.retain(|publisher| {
            let plugin = publisher.name.plugin;
            plugin.proofs.contains(&ProofKind::Txt) && !plugin.environment.is_empty()
        });
        self.publishers
    }

    /// The plugin that the certificate is said to have, where only one can be told.
    pub(super) fn main(&self) -> &'static plugin::PluginInfo {
        let star = self.rules.plugins.0.iter().find(|(pattern, _)| *pattern == NamePattern::All);
        let star = star.and_then(|(_, value)| value.as_ref());
        // There is a name.
        let first = self.names.first().map(|proof| &proof.publisher);
        star.or(first).map_or(plugin::ALL[0], |name| name.plugin)
    }
}

/// Arguments that are from where the stored ones are stay these.
fn keep_what_is_unchanged(publishers: &mut [Publisher], mut stored: Vec<Publisher>) {
    for publisher in publishers {
        let Some(before) = stored.iter_mut().find(|before| before.name == publisher.name) else { continue };
        let (before, asked) =
            (std::mem::take(&mut before.arguments), std::mem::take(&mut publisher.arguments));
        publisher.arguments = plugin::unchanged_sources(publisher.name.plugin, before, asked);
    }
}

/// The name has nothing said about it any more, where something less specific would say it.
fn forget<T: Clone + PartialEq>(rules: &mut Rules<T>, name: &SubjectName, nothing: T) {
    if rules.of(name).is_some_and(|said| *said != nothing) {
        rules.set_for(name, nothing);
    }
}

fn check(proof: &NameProof) -> Result<(), CertificateError> {
    let (name, candidates) = (&proof.name, &proof.candidates);
    let len = validation_name(name.base()).len();
    // What is proved in another way may be longer.
    if len > MAX_NAME && candidates.iter().all(is_in_dns) {
        return Err(CertificateError::ValidationNameTooLong { name: name.to_string(), len });
    }
    if name.is_wildcard() && !candidates.iter().any(is_in_dns) {
        let (name, challenges) = (name.to_string(), candidates.clone());
        return Err(CertificateError::WildcardAtHost { name, challenges });
    }
    if name.address().is_some() && candidates.iter().all(is_in_dns) {
        let (name, challenges) = (name.to_string(), candidates.clone());
        return Err(CertificateError::AddressInDns { name, challenges });
    }
    match &proof.alias {
        Some(alias) if !proof.may_write() => {
            let writes = proof.publisher.plugin.proofs.contains(&ProofKind::Txt);
            let how = match (writes, candidates.first()) {
                (true, Some(kind)) => format!("by {kind}"),
                _ => format!("with {}", proof.publisher),
            };
            let (name, alias) = (name.to_string(), alias.clone());
            Err(PerNameError::AliasWithoutTxt { name, how, alias }.into())
        }
        _ => Ok(()),
    }
}

/// A name and its wildcard have one validation name, which has one place and one that writes there.
fn check_together(proofs: &[NameProof]) -> Result<(), PerNameError> {
    for (number, proof) in proofs.iter().enumerate().filter(|(_, proof)| proof.may_write()) {
        let same = |other: &&NameProof| other.may_write() && other.name.base() == proof.name.base();
        let Some(other) = proofs[..number].iter().find(same) else { continue };
        let what = if other.publisher != proof.publisher {
            "plugin"
        } else if other.alias != proof.alias {
            "alias"
        } else {
            continue;
        };
        let (one, other) = (other.name.to_string(), proof.name.to_string());
        return Err(PerNameError::Apart { one, other, what });
    }
    Ok(())
}

/// An alias in its one form: a name in lower case, without trailing dot.
///
/// # Errors
/// It cannot be the name of a record.
pub fn dns_alias(text: &str) -> Result<Option<String>, PerNameError> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<NamePattern>() {
        Ok(NamePattern::Name(name)) if name.contains('.') => Ok(Some(name)),
        _ => Err(PerNameError::Alias { alias: text.to_owned() }),
    }
}
