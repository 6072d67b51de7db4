//! What an issue would do, without doing it.

use futures_util::future::try_join_all;
use jiff::Timestamp;

use super::proof::NameProof;
use super::{CertificateError, IssueRequest, Service};
use crate::challenge::{Placement, Proof};

/// What an issue would do.
#[derive(Debug)]
#[non_exhaustive]
pub struct Plan {
    /// The certificate's name in the store.
    pub cert: crate::store::CertName,
    /// The server's directory URL.
    pub server: String,
    /// The stored certificate is not due before this moment: nothing would be done without force.
    pub not_due: Option<Timestamp>,
    /// ACME requests in their order, each with what it is for.
    pub acme: Vec<String>,
    /// What would become of each rrset, until it is as before again.
    pub rrsets: Vec<PlannedRrset>,
}

/// What would become of an rrset.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedRrset {
    /// The name.
    pub fqdn: String,
    /// Its zone, as far as it is known.
    pub zone: String,
    /// What would write it, such as `gandi`.
    pub publisher: String,
    /// TTL and values now.
    pub before: Option<(u32, Vec<String>)>,
    /// For each value that would be added: the name that it proves.
    pub added_for: Vec<String>,
}

impl Service {
    /// Plans an issue. Directory, DNS and the zones are read; nothing is changed.
    ///
    /// # Errors
    /// As [`issue`](Self::issue) before its order.
    pub async fn plan(&self, request: &IssueRequest) -> Result<Plan, CertificateError> {
        self.only_looking().plan_with(request).await
    }

    async fn plan_with(&self, request: &IssueRequest) -> Result<Plan, CertificateError> {
        let cert = request.check()?;
        let stored = self.store.find_record(&cert)?;
        let settings = self.settings(request, stored.as_ref())?;
        let current = self.store.current(&cert)?;
        let due = current.as_ref().map(|current| self.due(&cert, current, Timestamp::now()));
        let not_due = due.filter(|due| !due.now && !request.force && !settings.changed).map(|due| due.at);
        let ready = self.ready(&cert, &settings).await?;
        let account = self.account_for(settings.home(), &settings, current.as_ref())?;
        let account = account.and_then(|account| account.url);
        // Where the account is still to be made, or the server decides, the common name stands for the others.
        let names = settings.proofs.validation_names(account.as_deref());
        let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
        let reading = async {
            let located = async {
                match &ready.solvers.dns {
                    Some(dns) => Ok(dns.prepare(&names).await?),
                    None => Ok(Placement::default()),
                }
            };
            tokio::try_join!(self.connect_to_look(settings.home()), located)
        };
        let (server, placement) = self.unless_interrupted(reading).await??;
        // Apex and wildcard are authorizations of their own, with values of their own.
        let proof = |proof: &NameProof| {
            let name = &proof.name;
            let ends_with = |other: &&String| other.ends_with(&format!("_acme-challenge.{}", name.base()));
            let at = names.iter().find(ends_with)?;
            Some(Proof { name: at.clone(), value: format!("for {name}") })
        };
        let written = settings.proofs.names.iter().filter(|proof| proof.may_write());
        let records = placement.records(&written.filter_map(proof).collect::<Vec<_>>());
        let parts = match &ready.solvers.dns {
            Some(dns) => dns.by_writer(&placement, &records)?,
            None => Vec::new(),
        };
        let surveying = parts.iter().map(|(writer, records)| writer.plugin.survey(records));
        let surveys = self.unless_interrupted(try_join_all(surveying)).await?;
        let surveys = surveys.map_err(crate::challenge::ChallengeError::from)?.concat();
        let mut rrsets: Vec<PlannedRrset> = Vec::new();
        let by =
            parts.iter().flat_map(|(writer, records)| records.iter().map(move |record| (writer, record)));
        for (writer, record) in by {
            let name = record.value.trim_start_matches("for ").to_owned();
            if let Some(rrset) = rrsets.iter_mut().find(|rrset| rrset.fqdn == record.fqdn) {
                rrset.added_for.push(name);
                continue;
            }
            let survey = surveys.iter().find(|survey| survey.fqdn == record.fqdn);
            rrsets.push(PlannedRrset {
                fqdn: record.fqdn.clone(),
                zone: survey.map(|survey| survey.zone.clone()).or(record.apex.clone()).unwrap_or_default(),
                publisher: writer.name.clone(),
                before: survey.and_then(|survey| survey.there.clone()),
                added_for: vec![name],
            });
        }
        let directory = server.directory();
        let mut acme = vec![format!("GET {} (directory)", server.url()), "HEAD newNonce".to_owned()];
        if account.is_none() {
            acme.push(format!("POST {} (newAccount)", directory.new_account));
        }
        let names = match settings.names.len() {
            1 => "1 name".to_owned(),
            several => format!("{several} names"),
        };
        acme.push(format!("POST {} (newOrder: {names})", directory.new_order));
        if let more @ 1.. = settings.names.len().saturating_sub(1) {
            acme.push(format!("HEAD newNonce for the other names (up to {more})"));
        }
        for name in &settings.names {
            acme.push(format!("POST-as-GET authorization of {name}"));
        }
        for proof in &settings.proofs.names {
            let all: Vec<_> = proof.candidates.iter().map(ToString::to_string).collect();
            acme.push(format!("POST challenge {} of {}", all.join(" or "), proof.name));
        }
        acme.push("POST-as-GET order, until the CA has looked".to_owned());
        acme.push("POST finalize (the CSR)".to_owned());
        acme.push("POST-as-GET order, until the certificate is there".to_owned());
        acme.push("POST-as-GET certificate".to_owned());
        Ok(Plan { cert, server: settings.home().to_string(), not_due, acme, rrsets })
    }
}
