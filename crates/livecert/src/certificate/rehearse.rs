//! A rehearsal: the same settings at the server's staging twin, all of it for real, and nothing is stored.
//!
//! It goes the way of [`Service::issue`], on a service whose store has folders of its own for what comes of it. The
//! journal is the real one, so that a rehearsal that is killed leaves nothing in DNS that the next run does not remove.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::back_off::Occasion;
use super::sweep::COURTESY;
use super::{CertificateError, DeployRun, IssueRequest, ServerUrl, Service, SubjectName, with_causes};
use crate::deploy::{HookKind, look_for};
use crate::plugin::Leftover;
use crate::progress::{Event, Progress};
use crate::store::{CertName, DeploymentRecord, GenerationInfo, LockHolder};

/// A rehearsal that went well.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rehearsed {
    /// The name that the certificate has in the store, or would have.
    pub cert: CertName,
    /// The certificate's home, which was not asked for anything.
    pub home: ServerUrl,
    /// The staging server.
    pub twin: ServerUrl,
    /// Whose order it was.
    pub account: RehearsalAccount,
    /// How many of the names were proved now. The others were, to the same account, before.
    pub proved: usize,
    /// The certificate that was made, checked and thrown away.
    pub info: GenerationInfo,
    /// What was done, in order, each with the time it took.
    pub steps: Vec<(RehearsalStep, Duration)>,
    /// TXT values that could not be removed. The journal knows of them.
    pub leftovers: Vec<Leftover>,
}

/// The account of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RehearsalAccount {
    /// The one in the store.
    Stored,
    /// One made for the rehearsal, and deactivated at its end.
    Ended,
    /// One made for the rehearsal. That it is deactivated is not known.
    Left,
}

/// A step of a rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RehearsalStep {
    /// Account, zones of the names, CAA, and the order.
    Ordered,
    /// The proofs are shown.
    Published,
    /// Every name server shows them.
    Propagated,
    /// The CA has validated them.
    Validated,
    /// The certificate is finalized, downloaded, checked and written; meanwhile the proofs are removed.
    Issued,
}

impl RehearsalStep {
    /// The step in a word, as `--json` has it.
    pub fn word(self) -> &'static str {
        match self {
            RehearsalStep::Ordered => "ordered",
            RehearsalStep::Published => "published",
            RehearsalStep::Propagated => "propagated",
            RehearsalStep::Validated => "validated",
            RehearsalStep::Issued => "issued",
        }
    }
}

impl Service {
    /// Gets a certificate for `request` from the staging twin of its server, whether it is due or not, and throws it away.
    /// `twin` names that server, where none is known or another one is wanted. The server itself gets no request, and the
    /// store's certificates and accounts stay as they are, also when the rehearsal fails or is killed.
    ///
    /// An account that the store has at the twin is used, else one is made, and deactivated at the end. The terms of the
    /// home that were accepted before count for the twin too. An external account binding goes to a twin that asks for
    /// one. Servers to fall back to are not rehearsed. No hook is run; it is only looked whether their
    /// programs are there.
    ///
    /// # Errors
    /// [`CertificateError::NoTwin`] and [`CertificateError::NotATwin`]; else as [`Service::issue`], at the twin.
    pub async fn rehearse(
        &self,
        request: &IssueRequest,
        twin: Option<&ServerUrl>,
    ) -> Result<Rehearsed, CertificateError> {
        let cert = request.check()?;
        let settings = self.settings(request, self.store.find_record(&cert)?.as_ref())?;
        let home = settings.home().clone();
        let twin = twin_of(&home, twin)?;
        look_for_hooks(&settings.deployment).await?;
        self.unless_interrupted(self.sweep_values_first()).await?;
        let waiting = |holder: &LockHolder| {
            self.progress.event(&cert, Event::WaitingForLock { holder: &holder.0 });
        };
        let making = self.store.rehearsal(&cert, twin.as_str(), self.lock_patience, waiting);
        let stage = self.unless_interrupted(making).await??;
        let steps = Arc::new(Steps::new(self.progress.clone()));
        let service = self.rehearsing_in(stage.store().clone(), steps.clone());
        let request = self.request_at(&twin, &home, request).await?;
        let issued = service.issue_unswept(&request, Occasion::Named, &DeployRun::rehearsal()).await;
        let account = self.end_account(&service, &twin).await;
        let issued = issued?;
        let (steps, proved) = steps.end();
        let (info, leftovers) = (issued.generation.info, issued.leftovers);
        Ok(Rehearsed { cert, home, twin, account, proved, info, steps, leftovers })
    }

    /// The same for a certificate of the store, with nothing but what is stored.
    ///
    /// # Errors
    /// It is not in the store; else as [`Service::rehearse`].
    pub async fn rehearse_stored(
        &self,
        cert: &CertName,
        twin: Option<&ServerUrl>,
    ) -> Result<Rehearsed, CertificateError> {
        let names = self.store.record(cert)?.names;
        let names = names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
        let request = IssueRequest { names, cert_name: Some(cert.clone()), ..IssueRequest::default() };
        self.rehearse(&request, twin).await
    }

    /// The request as it goes to the twin.
    async fn request_at(
        &self,
        twin: &ServerUrl,
        home: &ServerUrl,
        request: &IssueRequest,
    ) -> Result<IssueRequest, CertificateError> {
        let mut request = request.clone();
        request.servers = vec![twin.clone()];
        if twin != home {
            // It is one at the home.
            request.account = None;
        }
        if self.store.account(twin.as_str())?.is_none()
            && let Some(account) = self.store.account(home.as_str())?
        {
            request.accept_tos |= account.url.is_some() && account.terms.is_some();
            if request.contact.is_empty() {
                request.contact = account.contact;
            }
        }
        if request.external_account.is_some() {
            // It may be the home's, which has no meaning for the twin.
            let server = self.unless_interrupted(self.connect_to_look(twin)).await??;
            request.external_account =
                request.external_account.filter(|_| server.directory().meta.external_account_required);
        }
        Ok(request)
    }

    /// Deactivates the account that was made for the rehearsal. It is a courtesy to the twin, and no failure of ours.
    async fn end_account(&self, rehearsal: &Service, twin: &ServerUrl) -> RehearsalAccount {
        let url = |service: &Service| service.store.account(twin.as_str()).ok().flatten()?.url;
        let made = url(rehearsal);
        if made.is_none() || made == url(self) {
            return RehearsalAccount::Stored;
        }
        let work = async {
            let account = rehearsal.known_account(twin, None).await?;
            let Some(account) = account else { return Ok(()) };
            account
                .deactivate()
                .await
                .map(drop)
                .map_err(super::account::acme(twin, "deactivating the account"))
        };
        match tokio::time::timeout(COURTESY, work).await {
            Ok(Ok(())) => RehearsalAccount::Ended,
            Ok(Err(error)) => {
                let error = with_causes(&error);
                tracing::info!(account = made, error, "the account of the rehearsal is not deactivated");
                RehearsalAccount::Left
            }
            Err(_) => RehearsalAccount::Left,
        }
    }
}

/// Looks whether the programs of the hooks are there.
async fn look_for_hooks(hooks: &DeploymentRecord) -> Result<(), CertificateError> {
    let all = [
        (HookKind::Pre, &hooks.pre_hook),
        (HookKind::Deploy, &hooks.deploy_hook),
        (HookKind::Post, &hooks.post_hook),
        (HookKind::Failure, &hooks.failure_hook),
    ];
    for (hook, command) in all {
        if let Some(command) = command
            && let Err(source) = look_for(command).await
        {
            return Err(CertificateError::HookProgram { hook, command: command.clone(), source });
        }
    }
    Ok(())
}

/// Where a certificate of `home` is rehearsed.
fn twin_of(home: &ServerUrl, given: Option<&ServerUrl>) -> Result<ServerUrl, CertificateError> {
    let Some(given) = given else {
        return home.twin().ok_or_else(|| CertificateError::NoTwin { server: home.to_string() });
    };
    let is_home = given.is_same_directory(home) && !given.is_staging();
    if is_home || given.is_production() {
        return Err(CertificateError::NotATwin { server: given.to_string() });
    }
    Ok(given.clone())
}

/// Takes the time of each step, and hands all on that is still true in a rehearsal.
struct Steps {
    heard: Arc<dyn Progress>,
    taken: Mutex<Taken>,
}

struct Taken {
    last: Instant,
    steps: Vec<(RehearsalStep, Duration)>,
    proved: usize,
}

impl Steps {
    fn new(heard: Arc<dyn Progress>) -> Self {
        let taken = Taken { last: Instant::now(), steps: Vec::new(), proved: 0 };
        Steps { heard, taken: Mutex::new(taken) }
    }

    fn end(&self) -> (Vec<(RehearsalStep, Duration)>, usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut taken.steps), taken.proved)
    }
}

impl Progress for Steps {
    fn begins(&self, certificates: usize) {
        self.heard.begins(certificates);
    }

    fn event(&self, cert: &CertName, event: Event<'_>) {
        let step = match event {
            Event::Ordered { .. } => Some(RehearsalStep::Ordered),
            Event::Published { .. } => Some(RehearsalStep::Published),
            Event::Propagated { .. } => Some(RehearsalStep::Propagated),
            Event::Validated { .. } => Some(RehearsalStep::Validated),
            Event::Stored { .. } => Some(RehearsalStep::Issued),
            _ => None,
        };
        if let Some(step) = step {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let took = now.duration_since(taken.last);
            taken.steps.push((step, took));
            taken.last = now;
            if let Event::Ordered { open, .. } = event {
                taken.proved = open;
            }
        }
        // No certificate is in place, which somebody would read, nor is the account in the store another one.
        if !matches!(event, Event::Stored { .. } | Event::Unreachable { .. } | Event::AccountReplaced { .. })
        {
            self.heard.event(cert, event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_rehearsed_where_it_would_be_real() {
        let server = |text: &str| text.parse::<ServerUrl>().unwrap();
        let twin = |home: &str, given: Option<&str>| {
            let given = given.map(server);
            twin_of(&server(home), given.as_ref()).map(|twin| twin.to_string())
        };
        assert_eq!(twin("LE_PROD", None).unwrap(), "LE_STAGE");
        assert_eq!(twin("GOOGLE_PROD", None).unwrap(), "GOOGLE_STAGE");
        assert_eq!(twin("LE_STAGE", None).unwrap(), "LE_STAGE");
        assert_eq!(twin("ZEROSSL_PROD", Some("LE_STAGE")).unwrap(), "LE_STAGE");
        assert_eq!(twin("LE_PROD", Some("https://ca.example/dir")).unwrap(), "https://ca.example/dir");
        assert!(matches!(twin("ZEROSSL_PROD", None), Err(CertificateError::NoTwin { .. })));
        assert!(matches!(twin("https://ca.example/", None), Err(CertificateError::NoTwin { .. })));
        for same in ["https://ca.example/", "https://ca.example/?x", "https://ca.example.:443/#x"] {
            let same = twin("https://ca.example/", Some(same));
            assert!(matches!(same, Err(CertificateError::NotATwin { .. })));
        }
        assert!(twin("https://ca.example:1/dir", Some("https://ca.example:2/dir")).is_ok());
        for productive in ["LE_PROD", "ZEROSSL_PROD", "https://acme-v02.api.letsencrypt.org/directory?x"] {
            assert!(matches!(twin("LE_PROD", Some(productive)), Err(CertificateError::NotATwin { .. })));
        }
    }
}
