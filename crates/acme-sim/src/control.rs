//! What a test or a person may do to the server from outside ACME: look, change what it does, forget, break. In this
//! process by [`Control`], from others by HTTP (`README.md` has the routes).

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::{Value, json};
use sim_server::{Faults, apply};

use crate::behaviour::Behaviour;
use crate::config::Targets;
use crate::faults::FaultRule;
use crate::log::RequestRecord;
use crate::server::Shared;
use crate::state::{Account, Authorization, IssuedCertificate, Order, RenewalWindow, Status};

/// How long one wait for a held request lasts before the caller is asked whether it goes on.
const WAIT: Duration = Duration::from_millis(5);
/// How long is waited for a request that is to be held, whatever the caller says.
const HELD: Duration = Duration::from_secs(300);

/// A handle on a running server.
#[derive(Debug, Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

impl Control {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Control { shared }
    }

    /// The switches.
    pub fn behaviour(&self) -> Behaviour {
        self.shared.lock().world.behaviour.clone()
    }

    /// Sets all switches.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.shared.lock().world.behaviour = behaviour;
    }

    /// Changes some switches.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.lock().world.behaviour);
    }

    /// Sets where validation looks.
    pub fn set_targets(&self, targets: Targets) {
        self.shared.lock().world.targets = targets;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.lock().log.records.clone()
    }

    /// Forgets the requests so far; the log file stays.
    pub fn clear_requests(&self) {
        self.shared.lock().log.records.clear();
    }

    /// The accounts, oldest first.
    pub fn accounts(&self) -> Vec<Account> {
        self.shared.lock().world.accounts.clone()
    }

    /// The orders, oldest first.
    pub fn orders(&self) -> Vec<Order> {
        self.shared.lock().world.orders.clone()
    }

    /// The authorizations, oldest first.
    pub fn authorizations(&self) -> Vec<Authorization> {
        self.shared.lock().world.authorizations.clone()
    }

    /// The certificates, oldest first.
    pub fn certificates(&self) -> Vec<IssuedCertificate> {
        self.shared.lock().world.certificates.clone()
    }

    /// Adds a key of an external account, base64url; `None` removes it.
    pub fn set_external_account(&self, kid: &str, key: Option<&str>) {
        let accounts = &mut self.shared.lock().world.external_accounts;
        match key {
            Some(key) => accounts.insert(kid.to_owned(), key.to_owned()),
            None => accounts.remove(kid),
        };
    }

    /// Forgets all accounts, orders and authorizations, as after a restart with an empty database. Certificates stay.
    pub fn forget_accounts(&self) {
        let world = &mut self.shared.lock().world;
        world.accounts.clear();
        world.orders.clear();
        world.authorizations.clear();
    }

    /// Lets the time of all orders be over that have not become certificates.
    pub fn expire_orders(&self) {
        let world = &mut self.shared.lock().world;
        let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
        let open = |order: &&mut Order| matches!(order.status, Status::Pending | Status::Ready);
        world.orders.iter_mut().filter(open).for_each(|order| order.expires = past);
    }

    /// Deactivates the account with this URL, as the CA would; `false` if there is none.
    pub fn deactivate_account(&self, url: &str) -> bool {
        let mut state = self.shared.lock();
        let account = state.world.accounts.iter_mut().find(|account| account.url == url);
        account.map(|account| account.status = Status::Deactivated).is_some()
    }

    /// Lets the account with this URL have agreed to the terms in force, as a person would at the URL that
    /// `userActionRequired` names; `false` if there is no such account.
    pub fn agree(&self, url: &str) -> bool {
        let mut state = self.shared.lock();
        let terms = state.world.behaviour.terms.clone();
        let account = state.world.accounts.iter_mut().find(|account| account.url == url);
        account.map(|account| account.agreed = terms).is_some()
    }

    /// Sets what renewalInfo says of a certificate (`None`: the rule); `false` if there is no such certificate.
    pub fn set_renewal_window(&self, renewal_id: &str, window: Option<RenewalWindow>) -> bool {
        let mut state = self.shared.lock();
        let mut certificates = state.world.certificates.iter_mut();
        let certificate = certificates.find(|certificate| certificate.renewal_id == renewal_id);
        certificate.map(|certificate| certificate.window = window).is_some()
    }

    /// Revokes a certificate, as the CA would; `false` if there is none.
    pub fn revoke(&self, renewal_id: &str, reason: u8) -> bool {
        let mut state = self.shared.lock();
        let mut certificates = state.world.certificates.iter_mut();
        let certificate = certificates.find(|certificate| certificate.renewal_id == renewal_id);
        certificate.map(|certificate| certificate.revoked = Some(reason)).is_some()
    }

    /// Issues the certificates of all orders that are `processing`.
    pub fn release_orders(&self) {
        let world = &mut self.shared.lock().world;
        let processing = |order: &&Order| order.status == Status::Processing;
        let ids: Vec<String> = world.orders.iter().filter(processing).map(|order| order.id.clone()).collect();
        for id in ids {
            // The CSR was good when it came; an order whose account was forgotten meanwhile stays where it is.
            let _ = world.issue(&id);
        }
    }

    /// Adds a rule for faults.
    pub fn fail(&self, rule: FaultRule) {
        self.shared.lock().faults.add(rule);
    }

    /// Forgets the faults that have not come yet.
    pub fn heal(&self) {
        self.shared.lock().faults = Faults::default();
    }

    /// Makes each answer this much later.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    /// Waits until a request is held by [`Fault::HoldBefore`](crate::Fault::HoldBefore) or
    /// [`HoldAfter`](crate::Fault::HoldAfter), for as long as `go_on` says so, and for five minutes at most; `false` if
    /// there is none in the end.
    pub fn until_held(&self, mut go_on: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + HELD;
        let mut state = self.shared.lock();
        while state.held == 0 {
            if !go_on() || Instant::now() > end {
                return false;
            }
            let waited = self.shared.holding.wait_timeout(state, WAIT);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Lets all held requests go on.
    pub fn release(&self) {
        self.shared.released.notify_waiters();
    }

    /// Answers a request to the HTTP endpoint: status and document.
    pub(crate) fn answer(&self, method: &Method, path: &str, body: &[u8]) -> (u16, Value) {
        let done = (200, json!({"done": true}));
        match (method, path.trim_matches('/')) {
            (&Method::GET, "requests") => (200, json!(self.requests())),
            (&Method::DELETE, "requests") => {
                self.clear_requests();
                done
            }
            (&Method::GET, "accounts") => (200, self.accounts().iter().map(show_account).collect()),
            (&Method::DELETE, "accounts") => {
                self.forget_accounts();
                done
            }
            (&Method::GET, "certificates") => {
                (200, self.certificates().iter().map(show_certificate).collect())
            }
            (&Method::GET, "behaviour") => (200, json!(self.behaviour())),
            (&Method::PUT, "behaviour") => apply(body, |behaviour| self.set_behaviour(behaviour)),
            (&Method::POST, "faults") => apply(body, |rule| self.fail(rule)),
            (&Method::POST, "release") => {
                self.release_orders();
                self.release();
                done
            }
            _ => (404, json!({"error": "there is no such control"})),
        }
    }
}

fn show_account(account: &Account) -> Value {
    json!({
        "url": account.url,
        "status": account.status,
        "contact": account.contact,
        "agreed": account.agreed,
        "external_account": account.external_account,
        "thumbprint": account.thumbprint(),
    })
}

fn show_certificate(certificate: &IssuedCertificate) -> Value {
    json!({
        "id": certificate.id,
        "renewal_id": certificate.renewal_id,
        "identifiers": certificate.identifiers,
        "not_before": certificate.not_before,
        "not_after": certificate.not_after,
        "revoked": certificate.revoked,
        "replaced": certificate.replaced_by.is_some(),
    })
}
