//! The proof of one challenge by itself: shown by a plugin, and taken away again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use livecert_acme::{ChallengeType, Token};

use super::super::handover::{PATIENCE, PLACE};
use super::super::ledger::publication;
use super::super::{
    Care, CertificateError, HookRequest, Hooked, PropagationRequest, ServerUrl, Service, SubjectName,
};
use crate::challenge::{
    ChallengeError, ChallengeMismatch, account_validation_name, proof_kind, validation_name,
};
use crate::plugin::{self, ArgumentSources, Arguments, PluginInfo, WebPlugin, WebProof};
use crate::store::{JournalFile, JournalName};

/// The proof of one challenge.
#[derive(Debug, Clone)]
pub struct ProofRequest {
    /// The name that is proved; a wildcard is proved at the name without `*.`.
    pub name: SubjectName,
    /// The challenge's token; a made-up one tries a plugin out.
    pub token: Token,
    /// The server whose account answers.
    pub server: ServerUrl,
    /// dns-01, dns-account-01 or http-01.
    pub challenge: ChallengeType,
    /// The name of the TXT record, where that is not the one that the CA looks at (which leads there by a CNAME).
    pub alias: Option<String>,
    /// What shows it.
    pub plugin: &'static PluginInfo,
    /// Its arguments.
    pub arguments: ArgumentSources,
    /// How the publication is watched.
    pub propagation: PropagationRequest,
    /// Whether to wait until every name server shows it.
    pub wait: bool,
}

/// A proof that is shown, or was.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ShownProof {
    /// The name of the TXT record, or the URL of the file.
    pub at: String,
    /// The TXT value, or the content of the file.
    pub value: String,
    /// How long it took until every name server showed it; `None` if that was not waited for.
    pub visible_after: Option<Duration>,
}

impl From<Hooked> for ShownProof {
    fn from(done: Hooked) -> Self {
        ShownProof { at: done.fqdn, value: done.value, visible_after: done.visible_after }
    }
}

impl ProofRequest {
    fn mismatch(&self) -> CertificateError {
        ChallengeMismatch { plugin: self.plugin.name, challenge: self.challenge.clone() }.into()
    }

    fn file(&self, content: &str) -> WebProof {
        let (host, token) = (self.name.base().to_owned(), self.token.as_str().to_owned());
        WebProof::HttpFile { host, token, body: content.to_owned() }
    }

    fn url(&self) -> String {
        let host = self.name.base();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("http://{host}/.well-known/acme-challenge/{}", self.token.as_str())
    }
}

impl Service {
    /// Shows the proof. It stays until [`unpublish_proof`](Self::unpublish_proof), or until a sweep finds it forgotten.
    ///
    /// # Errors
    /// There is no account; the plugin cannot show it; else as [`Service::add_value`].
    pub async fn publish_proof(&self, request: &ProofRequest) -> Result<ShownProof, CertificateError> {
        match self.txt_request(request)? {
            Some(txt) => Ok(self.add_value(&txt).await?.into()),
            None => self.publish_file(request).await,
        }
    }

    /// Takes the proof away. That it is not there is no failure.
    ///
    /// # Errors
    /// As [`publish_proof`](Self::publish_proof).
    pub async fn unpublish_proof(&self, request: &ProofRequest) -> Result<ShownProof, CertificateError> {
        match self.txt_request(request)? {
            Some(txt) => Ok(self.remove_value(&txt).await?.into()),
            None => self.unpublish_file(request).await,
        }
    }

    /// The TXT value that proves it; `None` if a file does.
    fn txt_request(&self, request: &ProofRequest) -> Result<Option<HookRequest>, CertificateError> {
        let shown = proof_kind(&request.challenge).filter(|kind| request.plugin.proofs.contains(kind));
        if shown.is_none() {
            return Err(request.mismatch());
        }
        let base = request.name.base();
        let at = match request.challenge {
            ChallengeType::Dns01 => validation_name(base),
            ChallengeType::DnsAccount01 => {
                account_validation_name(&self.account_url(&request.server, None)?, base)
            }
            ChallengeType::Http01 => return Ok(None),
            _ => return Err(request.mismatch()),
        };
        Ok(Some(HookRequest {
            fqdn: request.alias.clone().unwrap_or(at),
            value: self.key_authorization(&request.server, None, &request.token)?.dns_value(),
            plugin: request.plugin,
            arguments: request.arguments.clone(),
            propagation: request.propagation.clone(),
            wait: request.wait,
            care: Care::Hook,
        }))
    }

    async fn publish_file(&self, request: &ProofRequest) -> Result<ShownProof, CertificateError> {
        let (web, arguments) = self.web_hand(request).await?;
        let content = self.key_authorization(&request.server, None, &request.token)?.as_str().to_owned();
        let proof = request.file(&content);
        let journal = JournalName::file(request.name.base(), request.token.as_str());
        let _lock = self.unless_interrupted(self.store.lock_journal(&journal, PATIENCE)).await??;
        if request.plugin.sweeps {
            let mut own = publication(request.plugin, &arguments, PLACE.to_owned());
            let (host, token) = (request.name.base().to_owned(), request.token.as_str().to_owned());
            own.files = vec![JournalFile { host, token, content: content.clone() }];
            (own.begun, own.handed_over) = (Timestamp::now(), true);
            self.store.save_publications(&journal, &[own])?;
        }
        if let Err(error) = web.publish(std::slice::from_ref(&proof)).await {
            if web.withdraw(std::slice::from_ref(&proof)).await.is_empty() {
                self.store.save_publications(&journal, &[])?;
            }
            return Err(ChallengeError::from(error).into());
        }
        Ok(ShownProof { at: request.url(), value: content, visible_after: None })
    }

    async fn unpublish_file(&self, request: &ProofRequest) -> Result<ShownProof, CertificateError> {
        let (web, _) = self.web_hand(request).await?;
        let content = self.key_authorization(&request.server, None, &request.token)?.as_str().to_owned();
        let journal = JournalName::file(request.name.base(), request.token.as_str());
        let _lock = self.unless_interrupted(self.store.lock_journal(&journal, PATIENCE)).await??;
        if let Some(left) = web.withdraw(&[request.file(&content)]).await.into_iter().next() {
            return Err(CertificateError::FileLeftBehind { url: request.url(), source: left.reason });
        }
        self.store.save_publications(&journal, &[])?;
        Ok(ShownProof { at: request.url(), value: content, visible_after: None })
    }

    async fn web_hand(
        &self,
        request: &ProofRequest,
    ) -> Result<(Arc<dyn WebPlugin>, Arguments), CertificateError> {
        let (info, prompter) = (request.plugin, self.surroundings.prompter.as_ref());
        let sources = plugin::with_default_credential(info, request.arguments.clone(), prompter)?;
        let resolving = Arguments::resolve(info, &sources, PLACE, &self.sealing_key, &self.surroundings);
        let arguments = self.unless_interrupted(resolving).await??;
        let connected = info.connect(&arguments, &self.surroundings)?;
        let web = connected.web().cloned().ok_or_else(|| request.mismatch())?;
        Ok((web, arguments))
    }
}
