//! What happens while a certificate is made, as events: the command line draws them, a program may count them.

use std::time::Duration;

use crate::certificate::{CertificateError, Finding, RenewalResult};
use crate::dns::WatchedServer;
use crate::store::CertName;

/// Hears of events. Called from the tasks that do the work, so it must not block.
pub trait Progress: Send + Sync {
    /// A run begins in which so many certificates are worked on.
    fn begins(&self, _certificates: usize) {}

    /// Something happened to the work on `cert`.
    fn event(&self, cert: &CertName, event: Event<'_>);
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: &CertName, _: Event<'_>) {}
}

/// A part of the work on a certificate, in the order in which they follow one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Directory, account, zones, and the order with its authorizations.
    Order,
    /// The proofs are shown.
    Publish,
    /// It is waited until every name server shows them.
    Propagation,
    /// The CA looks.
    Validation,
    /// The certificate is made, downloaded, checked and stored.
    Finalize,
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Step; 5] =
        [Step::Order, Step::Publish, Step::Propagation, Step::Validation, Step::Finalize];

    /// Its name for people.
    pub fn word(self) -> &'static str {
        match self {
            Step::Order => "order",
            Step::Publish => "publish",
            Step::Propagation => "propagation",
            Step::Validation => "validation",
            Step::Finalize => "finalize",
        }
    }
}

/// An event.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Another process works on the certificate; `holder` is how it describes itself.
    WaitingForLock {
        /// Who holds the lock.
        holder: &'a str,
    },
    /// A deprecated parameter is in use.
    Deprecated {
        /// The parameter.
        parameter: &'a str,
        /// The one to use instead.
        instead: &'a str,
    },
    /// An account was made at the server.
    AccountCreated {
        /// Its URL.
        url: &'a str,
    },
    /// A server is left for the next one.
    Fallback {
        /// The server that is left.
        from: &'a str,
        /// The next one.
        to: &'a str,
        /// Why, with its causes.
        reason: &'a str,
    },
    /// The server does not know the old account any more, and has a new one.
    AccountReplaced {
        /// URL of the old one.
        old: &'a str,
        /// URL of the new one.
        new: &'a str,
        /// Records in DNS that name the old one, and have to be changed by hand.
        todo: &'a [String],
    },
    /// When the CA wants the certificate to be renewed.
    RenewalWindow {
        /// The moment that was chosen in its window.
        at: jiff::Timestamp,
        /// Where it explains why.
        explanation: Option<&'a str>,
    },
    /// An order that an earlier run left is taken up again.
    Resumed {
        /// How far it is.
        status: &'a str,
    },
    /// An order that a person was to go on with gives no certificate any more, or not the one that is wanted; there is a new
    /// one in its place.
    OrderReplaced {
        /// Its URL.
        url: &'a str,
    },
    /// A step of an order is done, and how the order stands now could not be read.
    OrderUnseen {
        /// Why, with its causes.
        reason: &'a str,
    },
    /// Which challenge is used for a name, where that was left open.
    Chosen {
        /// The name.
        name: &'a str,
        /// The challenge.
        challenge: &'a str,
    },
    /// No chain has the preferred issuer.
    NoPreferredChain {
        /// The preferred issuer.
        preferred: &'a str,
        /// The issuers that the chains end with.
        offered: &'a str,
        /// The issuer that is used.
        used: &'a str,
    },
    /// What was shown at a host could not be taken away.
    StillShown {
        /// The host.
        host: &'a str,
        /// Why, with its causes.
        reason: &'a str,
    },
    /// Something that may keep the certificate from being made, or from being of use.
    Doubt {
        /// What was found.
        finding: &'a Finding,
    },
    /// A part of the work begins; the one before has ended.
    Begins {
        /// The part.
        step: Step,
    },
    /// An order exists.
    Ordered {
        /// How many names are in it.
        names: usize,
        /// How many of them still have to be proved.
        open: usize,
    },
    /// The records are written.
    Published {
        /// How many values.
        values: usize,
        /// How long it took.
        took: Duration,
    },
    /// The name servers were looked at.
    Propagating {
        /// Pairs of name and server which show everything.
        ready: usize,
        /// All such pairs.
        all: usize,
        /// The same for each server.
        servers: &'a [WatchedServer],
    },
    /// Every name server shows everything.
    Propagated {
        /// How long it took.
        took: Duration,
    },
    /// The CA has validated all names.
    Validated {
        /// How long it took.
        took: Duration,
    },
    /// The new certificate is in place.
    Stored {
        /// Its generation.
        generation: u32,
    },
    /// The certificate's part of a renewal run has ended.
    Ended {
        /// What became of it.
        result: &'a RenewalResult,
    },
    /// The certificate's part of a run that makes the store match a file has ended.
    Settled {
        /// Why it failed; `None` if it did not.
        error: Option<&'a CertificateError>,
    },
    /// A hook is run.
    HookBegins {
        /// Which one: `pre`, `deploy`, `post` or `failure`.
        kind: &'a str,
        /// The command, or the folder of commands.
        command: &'a str,
    },
    /// A post hook failed after work that came to nothing anyway.
    PostHookFailed {
        /// Why, with its causes.
        reason: &'a str,
    },
    /// It is looked whether a service shows the new certificate.
    Verifying {
        /// The service, as it was given.
        at: &'a str,
    },
    /// The hooks have done their work.
    Deployed {
        /// The generation.
        generation: u32,
        /// Whether the services show it.
        served: bool,
    },
    /// The former generation is current again, because the new one is not in use.
    Returned {
        /// The new one.
        from: u32,
        /// The former one.
        to: u32,
    },
    /// The former generation is not current again, or its hooks failed.
    NotReturned {
        /// The former one.
        to: u32,
        /// Why, with its causes.
        reason: &'a str,
    },
    /// A folder keeps somebody from the files that are for them.
    Unreachable {
        /// Who, where, and what is missing.
        obstacle: &'a crate::store::Obstacle,
    },
    /// The files of the certificate are written in another way.
    Rewritten {
        /// Their generation.
        generation: u32,
    },
    /// The plugin's credential ends soon, or has ended.
    CredentialEnds {
        /// What it is.
        kind: &'a str,
        /// The name that it was given.
        name: Option<&'a str>,
        /// When it ends.
        expires: jiff::Timestamp,
        /// Whole days until then.
        days: i64,
    },
    /// The plugin was refused something, and this is what its credential says about itself.
    CredentialSays {
        /// What it is.
        kind: &'a str,
        /// The name that it was given.
        name: Option<&'a str>,
        /// Its permissions.
        permissions: &'a [String],
        /// What it is limited to; empty if it is not, or if it does not tell.
        domains: &'a [String],
    },
    /// A standing record ends soon.
    StandingEnds {
        /// Where it is.
        at: &'a str,
        /// When it ends.
        until: jiff::Timestamp,
        /// Whole days until then.
        days: i64,
    },
    /// The records are being removed.
    CleaningUp,
    /// A value could not be removed.
    LeftBehind {
        /// The name.
        fqdn: &'a str,
        /// The value.
        value: &'a str,
        /// Why, with its causes.
        reason: &'a str,
    },
}
