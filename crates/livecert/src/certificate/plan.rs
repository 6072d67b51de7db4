//! What an issue would do, without doing it.

use jiff::Timestamp;

use super::{CertificateError, IssueRequest, Service};
use crate::challenge::{Placement, Proof, validation_name};

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
        let cert = request.check()?;
        let stored = self.store.find_record(&cert)?;
        let settings = self.settings(request, stored.as_ref())?;
        let due = self.store.current(&cert)?.map(|current| self.due(&cert, &current, Timestamp::now()));
        let not_due = due.filter(|due| !due.now && !request.force && !settings.changed).map(|due| due.at);
        let ready = self.ready(&cert, &settings).await?;
        let account = self.store.account(settings.home().as_str())?.and_then(|account| account.url);
        let mut names = settings.likely_validation_names(account.as_deref());
        // Where the account is still to be made, or the server decides, the common name stands for the others.
        if names.is_empty() && settings.needs_plugin() {
            names = settings.domains().iter().map(|base| validation_name(base)).collect();
        }
        let reading = async {
            let located = async {
                match &ready.solvers.dns {
                    Some(dns) => Ok(dns.prepare(&names).await?),
                    None => Ok(Placement::default()),
                }
            };
            tokio::try_join!(self.connect(settings.home()), located)
        };
        let (server, placement) = self.unless_interrupted(reading).await??;
        // Apex and wildcard are authorizations of their own, with values of their own.
        let proof = |name: &super::SubjectName| {
            let ends_with = |other: &&String| other.ends_with(&format!("_acme-challenge.{}", name.base()));
            let at = names.iter().find(ends_with)?;
            Some(Proof { name: at.clone(), value: format!("for {name}") })
        };
        let records = placement.records(&settings.names.iter().filter_map(proof).collect::<Vec<_>>());
        let surveys = match ready.dns() {
            Some(plugin) => self.unless_interrupted(plugin.survey(&records)).await?,
            None => Ok(Vec::new()),
        };
        let surveys = surveys.map_err(crate::challenge::ChallengeError::from)?;
        let mut rrsets: Vec<PlannedRrset> = Vec::new();
        for record in &records {
            let name = record.value.trim_start_matches("for ").to_owned();
            if let Some(rrset) = rrsets.iter_mut().find(|rrset| rrset.fqdn == record.fqdn) {
                rrset.added_for.push(name);
                continue;
            }
            let survey = surveys.iter().find(|survey| survey.fqdn == record.fqdn);
            rrsets.push(PlannedRrset {
                fqdn: record.fqdn.clone(),
                zone: survey.map(|survey| survey.zone.clone()).or(record.apex.clone()).unwrap_or_default(),
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
        let all: Vec<_> = settings.candidates.iter().map(ToString::to_string).collect();
        let challenge = all.join(" or ");
        for name in &settings.names {
            acme.push(format!("POST-as-GET authorization of {name}"));
        }
        for name in &settings.names {
            acme.push(format!("POST challenge {challenge} of {name}"));
        }
        acme.push("POST-as-GET order, until the CA has looked".to_owned());
        acme.push("POST finalize (the CSR)".to_owned());
        acme.push("POST-as-GET order, until the certificate is there".to_owned());
        acme.push("POST-as-GET certificate".to_owned());
        Ok(Plan { cert, server: settings.home().to_string(), not_due, acme, rrsets })
    }
}
