//! One order step by step: the steps that [`Service::issue`] takes in one go, each by itself and days apart if need be.
//!
//! The order is kept with its key in the draft of the generation that it is for (decision 0009). A step that was done
//! before says so; one whose time has not come names the state of the order and the step that is next.

mod answer;
mod error;
mod give_up;
mod go_on;
mod look;
mod new;
mod publish;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secrecy::SecretString;

pub use answer::{Answered, ListenEnd, Listening};
pub use error::OrderError;
pub use give_up::{GivenUp, SettingsAfter};
pub use go_on::{StepOutcome, StepReport};
pub use look::{OpenName, OpenOrder, OrderStanding, ToShow};
pub use new::NewOrderReport;
pub use publish::{ProofRequest, ShownProof};

use super::order::PlacedOrder;
use super::settings::Settings;
use super::work::{Key, Subject};
use super::{CertificateError, IssueRequest, ServerUrl, Service, SubjectName};
use crate::key::{ForeignRequest, PrivateKey};
use crate::secret::Prompter;
use crate::store::{CertLock, CertName, CertificateRecord, Draft, Generation, PendingOrder};

/// Nobody is asked whether it is done: the step before has shown what is to be done, and it is looked at. What is to be
/// removed is said when the order has no more use for it.
struct Unasked {
    prompter: Arc<dyn Prompter>,
    held: Mutex<Vec<(String, serde_json::Value)>>,
}

impl Unasked {
    fn held(&self) -> MutexGuard<'_, Vec<(String, serde_json::Value)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says what is to be removed.
    fn let_go(&self) {
        for (text, document) in self.held().drain(..) {
            self.prompter.show(&text, &document);
        }
    }
}

impl Prompter for Unasked {
    fn interactive(&self) -> bool {
        self.prompter.interactive()
    }

    fn ask_secret(&self, label: &str) -> Option<std::io::Result<SecretString>> {
        self.prompter.ask_secret(label)
    }

    fn confirm(&self, message: &str) -> bool {
        self.prompter.confirm(message)
    }

    fn goes_on(&self) -> bool {
        true
    }

    fn show(&self, text: &str, document: &serde_json::Value) {
        match document["task"] == "remove" {
            true => self.held().push((text.to_owned(), document.clone())),
            false => self.prompter.show(text, document),
        }
    }
}

/// An order that is taken up again, with what is stored beside it.
struct TakenUp {
    draft: Draft,
    key: Key,
    pending: PendingOrder,
    record: CertificateRecord,
    request: IssueRequest,
    settings: Settings,
    server: ServerUrl,
    current: Option<Generation>,
    placed: PlacedOrder,
    standing: OrderStanding,
}

/// A request for what is stored.
fn request_of(cert: &CertName, record: &CertificateRecord) -> Result<IssueRequest, CertificateError> {
    let names = record.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
    Ok(IssueRequest { names, cert_name: Some(cert.clone()), ..IssueRequest::default() })
}

impl Service {
    /// The same service, which asks nobody to do a thing.
    fn unasked(&self) -> (Self, Arc<Unasked>) {
        let prompter = self.surroundings.prompter.clone();
        let unasked = Arc::new(Unasked { prompter, held: Mutex::default() });
        let mut service = self.rehearsing_in(self.store.clone(), self.progress.clone());
        service.rehearsing = self.rehearsing;
        service.surroundings.prompter = unasked.clone();
        (service, unasked)
    }

    /// The open order of a certificate, as the server has it at this moment; `None` if there is none.
    ///
    /// # Errors
    /// The order is of a run of `issue` with other settings than those that are stored, or gives nothing any more, or the
    /// server cannot be asked.
    async fn take_up(&self, cert: &CertName, lock: &CertLock) -> Result<Option<TakenUp>, CertificateError> {
        self.store.finish_left_behind(cert, lock)?;
        let Some((draft, pending)) = self.store.left_behind(cert, lock)? else { return Ok(None) };
        if pending.url.is_empty() {
            return Ok(None);
        }
        let unfinished = || OrderError::Unfinished { cert: cert.to_string() };
        let record = self.store.find_record(cert)?.ok_or_else(unfinished)?;
        let request = request_of(cert, &record)?;
        let mut settings = Settings::new(&request, Some(&record))?;
        // Whichever is in use by now: an order is that account's which has made it.
        settings.account =
            Some(pending.account.clone()).filter(|_| pending.server == settings.home().as_str());
        let key = match self.stored_subject(cert, &settings)? {
            Subject::Ours => draft.key().and_then(|pem| PrivateKey::from_pem(&pem).ok()).map(Key::Ours),
            Subject::Theirs(request) => Some(Key::Theirs(request)),
        };
        let key = key.ok_or_else(unfinished)?;
        let names = settings.names.iter().map(|name| name.as_str().to_owned()).collect();
        let wanted = PendingOrder::new(&pending.server, names, settings.wishes(), &key.public_key_info());
        if !pending.is_for_the_same(&wanted) {
            return Err(unfinished().into());
        }
        let server: ServerUrl = pending.server.parse()?;
        let found = self.unless_interrupted(self.find_placed(&server, &pending)).await??;
        let Some(placed) = found else {
            return Err(OrderError::over(cert, &pending, OrderStanding::Gone, None).into());
        };
        let standing = OrderStanding::of(&placed.order);
        if standing.is_over() {
            let why = placed.order.error.as_ref().map(ToString::to_string);
            return Err(OrderError::over(cert, &pending, standing, why).into());
        }
        let current = self.store.current(cert)?;
        Ok(Some(TakenUp {
            draft,
            key,
            pending,
            record,
            request,
            settings,
            server,
            current,
            placed,
            standing,
        }))
    }

    fn stored_subject(&self, cert: &CertName, settings: &Settings) -> Result<Subject, CertificateError> {
        if !settings.own_request {
            return Ok(Subject::Ours);
        }
        Ok(Subject::Theirs(Box::new(ForeignRequest::read(&self.store.own_request(cert)?)?)))
    }

    /// The order at its server; `None` if the account that has made it is not known here, or the order not there.
    async fn find_placed(
        &self,
        server: &ServerUrl,
        pending: &PendingOrder,
    ) -> Result<Option<PlacedOrder>, CertificateError> {
        match self.known_account(server, Some(&pending.account)).await? {
            Some(account) => self.read_order(&account, server, &pending.url).await,
            None => Ok(None),
        }
    }
}
