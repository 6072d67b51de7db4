//! Plugins: what publishes a proof. A plugin has heard of no ACME; it is given TXT records, or what a host has to show,
//! and takes care of them.
//!
//! A new plugin is one file here: its [`PluginInfo`] declares its parameters, from which checks, help and storage follow,
//! and its connect function makes a [`Plugin`] (TXT records) or a [`WebPlugin`] (files and certificates at the host) from
//! the resolved arguments. Then it is listed in [`ALL`].

mod acme_dns;
mod argument;
mod exec;
mod gandi;
mod group;
mod manual;
mod name;
mod parameter;
mod rfc2136;
mod selfhost;
mod state;
mod together;
mod web;
mod webroot;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

pub use acme_dns::{AcmeDnsError, Cname};
pub use argument::{
    ArgumentError, ArgumentSource, ArgumentSources, Arguments, parse_arguments, secret_source, similar,
};
pub(crate) use argument::{
    changed_sources, is_only_sealed, read_secret, stored_sources, text_of_shared, unchanged_sources,
    with_default_credential,
};
pub use exec::ExecError;
pub use name::PublisherName;
pub use parameter::{Need, Parameter, ParameterKind, ParameterSet};
pub use rfc2136::UpdateError;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use rfc2136::fuzz as update_fuzz;
pub use selfhost::HttpListener;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use selfhost::fuzz;
pub use state::PluginState;
pub use web::{WebError, WebLeftover, WebPlugin, WebProof, WebProofKind};

use crate::secret::Prompter;

/// A future of a plugin.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One TXT value at one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxtRecord {
    /// The full name, lower case, without trailing dot. CNAMEs are already followed.
    pub fqdn: String,
    /// The value, unquoted, at most 255 octets of printable ASCII.
    pub value: String,
    /// The apex of the zone that public DNS shows for the name, where it is known: a hint which spares questions.
    pub apex: Option<String>,
}

/// A value that could not be removed.
#[derive(Debug)]
pub struct Leftover {
    /// The record that is still there, or may be.
    pub record: TxtRecord,
    /// Why.
    pub reason: Arc<PluginError>,
}

/// What became of a withdrawal.
#[derive(Debug, Default)]
pub struct Withdrawn {
    /// Values that could not be removed.
    pub leftovers: Vec<Leftover>,
    /// Values that are gone, from beside values of others: whoever writes whole lists may bring them back from an old
    /// read, so they are worth a second look.
    pub shared: Vec<TxtRecord>,
}

/// Publishes and withdraws TXT values.
///
/// Every plugin keeps to this: several values at one name are possible; only the given values are ever added or
/// removed; the deepest zone wins; doing a thing twice does no harm; an error is never taken for "nothing there".
pub trait Plugin: Send + Sync {
    /// Looks ahead for the zones of `records` (their values may be empty), while the ACME order is being made.
    ///
    /// # Errors
    /// As [`publish`](Self::publish); nothing was written.
    fn prepare<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        let _ = records;
        Box::pin(async { Ok(()) })
    }

    /// The name servers that the service publishes the zone of `record` on, when those that public DNS was `seen` to
    /// have are strangers to it; `None` when there is nothing to wonder about, or it is not known.
    fn strangers<'a>(
        &'a self,
        record: &'a TxtRecord,
        seen: &'a [String],
    ) -> Pending<'a, Option<Vec<String>>> {
        let _ = (record, seen);
        Box::pin(async { None })
    }

    /// Waits until `records` can be published, where others have to let go of their names first. Nothing is written, so it may
    /// be dropped at any moment. What it has taken is given back by [`withdraw`](Self::withdraw), or with the plugin.
    ///
    /// # Errors
    /// Others do not let go.
    fn take_turns<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        let _ = records;
        Box::pin(async { Ok(()) })
    }

    /// Publishes all `records`, side by side where it can.
    ///
    /// # Errors
    /// The first failure. Some of the records may have been published: withdraw all of them.
    fn publish<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>>;

    /// Puts back values that another writer has dropped since they were published; asks nobody, and writes nothing
    /// when they are all there. Plugins whose records nobody else writes have nothing to do.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    fn keep<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<(), PluginError>> {
        let _ = records;
        Box::pin(async { Ok(()) })
    }

    /// What is there now, without changing anything: one survey for each name of `records` that the plugin can see.
    ///
    /// # Errors
    /// A name that it cannot see.
    fn survey<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Result<Vec<Survey>, PluginError>> {
        let _ = records;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// How the credential stands, and which of `names` it does not cover; `None` for a plugin without credential.
    fn credential<'a>(&'a self, names: &'a [String]) -> Pending<'a, Option<CredentialReport>> {
        let _ = names;
        Box::pin(async { None })
    }

    /// When the credential ends, asked once and without patience.
    fn credential_end(&self) -> Pending<'_, CredentialLife> {
        Box::pin(async { CredentialLife::Endless })
    }

    /// Asks for a new credential of the same kind; the old one stays valid until its own end.
    ///
    /// # Errors
    /// [`PluginError::NotRenewable`] where that cannot be done, or what the service says.
    fn renew_credential(&self) -> Pending<'_, Result<RenewedCredential, PluginError>> {
        Box::pin(async { Err(PluginError::NotRenewable) })
    }

    /// Removes these values and nothing else. A value that is not there is no failure.
    fn withdraw<'a>(&'a self, records: &'a [TxtRecord]) -> Pending<'a, Withdrawn>;
}

/// What is at a name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The name.
    pub fqdn: String,
    /// The zone in which the plugin writes it.
    pub zone: String,
    /// The servers that the service publishes the zone on; empty if it does not tell.
    pub name_servers: Vec<String>,
    /// TTL and TXT values there, as they are stored; `None` if there are none.
    pub there: Option<(u32, Vec<String>)>,
}

/// Whether a credential works.
#[derive(Debug)]
pub enum CredentialState {
    /// It does.
    Valid,
    /// It does not.
    Refused(PluginError),
    /// Nobody could be asked.
    Unknown(PluginError),
}

/// How a credential stands, as far as that can be found out.
#[derive(Debug)]
pub struct CredentialReport {
    /// What it is, such as `personal access token`.
    pub kind: &'static str,
    /// Whether it works.
    pub state: CredentialState,
    /// The name that it was given.
    pub name: Option<String>,
    /// When it ends; `None` if that is not known, or if it does not end.
    pub expires: Option<jiff::Timestamp>,
    /// Its permissions; empty if they are not known.
    pub permissions: Vec<String>,
    /// Permissions that it lacks.
    pub lacks: Vec<&'static str>,
    /// The domains that it is limited to; empty if they are not known, or if it is not limited.
    pub domains: Vec<String>,
    /// Names that it does not cover, with the reason.
    pub uncovered: Vec<(String, PluginError)>,
}

/// When a credential ends.
#[derive(Debug, Clone)]
pub struct CredentialEnd {
    /// What it is, such as `personal access token`.
    pub kind: &'static str,
    /// The name that it was given.
    pub name: Option<String>,
    /// When it ends.
    pub at: jiff::Timestamp,
}

/// What is known of a credential's end.
#[derive(Debug, Clone)]
pub enum CredentialLife {
    /// It has one.
    Ends(CredentialEnd),
    /// It has none, or there is no credential.
    Endless,
    /// Nobody could be asked.
    Unknown,
}

/// A new credential.
#[derive(Debug)]
pub struct RenewedCredential {
    /// The parameter that it is for.
    pub parameter: &'static str,
    /// The secret.
    pub secret: secrecy::SecretString,
    /// When it ends.
    pub expires: Option<jiff::Timestamp>,
}

/// Why a plugin could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// LiveDNS.
    #[error("LiveDNS was asked about {fqdn}")]
    Gandi {
        /// The record's name.
        fqdn: String,
        /// What the API client says.
        #[source]
        source: gandi_livedns::Error,
    },
    /// LiveDNS, about the credential.
    #[error("Gandi, asked about the credential")]
    Credential(#[source] gandi_livedns::Error),
    /// The credential cannot be renewed by a program.
    #[error("this credential cannot be renewed by a program")]
    NotRenewable,
    /// Another process of this machine keeps its turn at the name.
    #[error("the turn to write {fqdn} did not come")]
    Turn {
        /// The record's name.
        fqdn: String,
        /// Who keeps it.
        #[source]
        source: crate::store::StoreError,
    },
    /// An acme-dns server, or what is missing for it.
    #[error(transparent)]
    AcmeDns(#[from] AcmeDnsError),
    /// The user's own command.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// A name server, which was asked to change a zone.
    #[error("the name server was asked about {fqdn}")]
    Update {
        /// The record's name.
        fqdn: String,
        /// What came of it.
        #[source]
        source: UpdateError,
    },
    /// A proof that the host itself has to show.
    #[error(transparent)]
    Web(#[from] WebError),
    /// The person at the terminal did not confirm.
    #[error("the records were not confirmed")]
    NotConfirmed,
}

/// A kind of proof that a plugin can publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProofKind {
    /// A TXT value.
    Txt,
    /// A file that is fetched over HTTP.
    HttpFile,
    /// A certificate that is shown in a TLS handshake.
    AlpnCertificate,
}

/// A plugin that is ready, by what it publishes.
#[derive(Clone)]
pub enum Connected {
    /// TXT values.
    Dns(Arc<dyn Plugin>),
    /// Files or certificates at the host.
    Web(Arc<dyn WebPlugin>),
    /// Either, whichever is wanted.
    Both(Arc<dyn Plugin>, Arc<dyn WebPlugin>),
}

impl Connected {
    /// The plugin, if it publishes TXT values.
    pub fn dns(&self) -> Option<&Arc<dyn Plugin>> {
        match self {
            Connected::Dns(plugin) | Connected::Both(plugin, _) => Some(plugin),
            Connected::Web(_) => None,
        }
    }

    /// The plugin, which has to publish TXT values.
    ///
    /// # Errors
    /// [`ArgumentError::NoTxt`] where it does not.
    pub(crate) fn into_dns(self, info: &PluginInfo) -> Result<Arc<dyn Plugin>, ArgumentError> {
        match self {
            Connected::Dns(plugin) | Connected::Both(plugin, _) => Ok(plugin),
            Connected::Web(_) => Err(ArgumentError::NoTxt { plugin: info.name }),
        }
    }

    /// The plugin, if it publishes files or certificates at the host.
    pub fn web(&self) -> Option<&Arc<dyn WebPlugin>> {
        match self {
            Connected::Web(plugin) | Connected::Both(_, plugin) => Some(plugin),
            Connected::Dns(_) => None,
        }
    }
}

/// What a plugin declares about itself.
#[derive(Debug)]
pub struct PluginInfo {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What it can publish, the usual one first.
    pub proofs: &'static [ProofKind],
    /// How to set it up: what has to be done elsewhere, and an example. Lines of at most 100 columns.
    pub guide: &'static str,
    /// Its parameters.
    pub parameters: &'static [Parameter],
    /// Credentials from the environment, tried in this order when no credential parameter is given.
    pub environment: &'static [EnvironmentCredential],
    /// Whether a later run can remove what a dead one published, with nobody at the terminal.
    pub sweeps: bool,
    /// Whether it can do one piece of work at a time only, so that certificates which use it follow one another.
    pub alone: bool,
    /// Whether certificates with the same arguments use one plugin, so that what it has learned of its service serves all of
    /// them: for plugins that keep nothing for a single certificate.
    pub shared: bool,
    connect: Connect,
}

/// A credential that is taken from the environment: `variable` holds it, `variable_FILE` names a file with it.
#[derive(Debug)]
pub struct EnvironmentCredential {
    /// The variable, such as `GANDI_PAT`.
    pub variable: &'static str,
    /// The parameter that it stands for.
    pub parameter: &'static str,
}

type Connect = fn(&Arguments, &Surroundings) -> Result<Connected, ArgumentError>;

/// What every plugin is given beside its arguments.
#[derive(Clone)]
pub struct Surroundings {
    /// The process's HTTP client.
    pub http: reqwest::Client,
    /// The person at the terminal, if there is one.
    pub prompter: Arc<dyn Prompter>,
    /// The folder where processes of this machine take turns at what can be written by one at a time only.
    pub locks: PathBuf,
    /// Where plugins keep what services have given them; the service of a store sets it, where there is none.
    pub state: Option<PluginState>,
}

/// All plugins.
pub static ALL: [&PluginInfo; 7] = [
    &gandi::INFO,
    &rfc2136::INFO,
    &acme_dns::INFO,
    &exec::INFO,
    &manual::INFO,
    &webroot::INFO,
    &selfhost::INFO,
];

/// The plugin with this name.
///
/// # Errors
/// [`ArgumentError::UnknownPlugin`], with a name that is much alike.
pub fn find(name: &str) -> Result<&'static PluginInfo, ArgumentError> {
    let names = ALL.iter().map(|plugin| plugin.name);
    ALL.iter().find(|plugin| plugin.name.eq_ignore_ascii_case(name)).copied().ok_or_else(|| {
        ArgumentError::UnknownPlugin { name: name.to_owned(), similar: argument::similar(name, names) }
    })
}

impl PluginInfo {
    /// Whether a person does its work, so that nothing comes of it with nobody there.
    pub fn needs_person(&self) -> bool {
        std::ptr::eq(self, &manual::INFO)
    }

    /// Makes the plugin ready; no network is touched.
    ///
    /// # Errors
    /// A parameter that is missing, a value that it cannot have, or nobody at the terminal where one is needed.
    pub fn connect(
        &self,
        arguments: &Arguments,
        surroundings: &Surroundings,
    ) -> Result<Connected, ArgumentError> {
        self.is_complete(|name| arguments.has(name))?;
        (self.connect)(arguments, surroundings)
    }

    /// Whether no parameter is missing, where these are there.
    ///
    /// # Errors
    /// [`ArgumentError::Missing`]
    pub(crate) fn is_complete(&self, has: impl Fn(&str) -> bool) -> Result<(), ArgumentError> {
        for parameter in self.parameters.iter().filter(|parameter| !has(parameter.name)) {
            let with = match parameter.need {
                Need::Required => None,
                Need::With(other) if has(other) => Some(other),
                _ => continue,
            };
            return Err(ArgumentError::Missing { plugin: self.name, parameter: parameter.name, with });
        }
        Ok(())
    }

    /// The same, for work that is about TXT records alone.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and [`ArgumentError::NoTxt`] for a plugin that publishes something else.
    pub fn connect_dns(
        &self,
        arguments: &Arguments,
        surroundings: &Surroundings,
    ) -> Result<Arc<dyn Plugin>, ArgumentError> {
        self.connect(arguments, surroundings)?.into_dns(self)
    }
}
