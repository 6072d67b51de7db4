//! What commands share: the state folder, and the service on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use livecert::certificate::{CertificateError, ServerUrl, Servers, Service};
use livecert::plugin::Surroundings;
use livecert::secret::KeyPlace;
use livecert::store::Store;
use tokio_util::sync::CancellationToken;

use crate::arguments::{Globals, OneAccount};
use crate::failure::Failure;
use crate::interrupt;
use crate::terminal::{self, Drawn, Terminal};

/// The state folder that is meant.
pub(crate) fn home(globals: &Globals) -> Result<PathBuf, Failure> {
    home_folder(globals.home.as_deref())
}

/// The folder that is named, or the usual one.
pub(crate) fn home_folder(named: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(home) = named {
        return std::path::absolute(home)
            .map_err(|error| Failure::wrong(&format!("'{}' is no folder: {error}", home.display())));
    }
    if rustix::process::geteuid().is_root() {
        return Ok(PathBuf::from("/var/lib/livecert"));
    }
    let data = dirs::data_dir().ok_or_else(|| {
        Failure::wrong(
            "there is no home folder to keep the state in: name a folder with --home or LIVECERT_HOME",
        )
    })?;
    Ok(data.join("livecert"))
}

/// The store, for commands that only read.
pub(crate) fn store(globals: &Globals) -> Result<Store, Failure> {
    Ok(Store::read_only(&home(globals)?))
}

/// The server that is meant: by its code, its URL or a name of the user's own; the one in use where none is named.
pub(crate) fn server(named: Option<&str>, globals: &Globals) -> Result<ServerUrl, Failure> {
    let servers = Servers::read(&store(globals)?)?;
    let found = named.map_or_else(|| servers.in_use(), |named| servers.find(named));
    Ok(found.map_err(CertificateError::from)?)
}

/// The servers that are meant; none where none is named.
pub(crate) fn servers(named: &[String], globals: &Globals) -> Result<Vec<ServerUrl>, Failure> {
    named.iter().map(|named| server(Some(named), globals)).collect()
}

impl OneAccount {
    /// The account that the words mean, with its server.
    pub(crate) fn find(&self, globals: &Globals) -> Result<(ServerUrl, Option<String>), Failure> {
        account(self.account.as_deref(), self.server.server.as_deref(), globals)
    }
}

/// The account that is meant, with its server. Where no server is named, an account that only one other server has is
/// found too.
pub(crate) fn account(
    called: Option<&str>,
    at: Option<&str>,
    globals: &Globals,
) -> Result<(ServerUrl, Option<String>), Failure> {
    let home = server(at, globals)?;
    let Some(called) = called else { return Ok((home, None)) };
    let store = store(globals)?;
    let named = Some(called.to_owned());
    let is_at = |server: &str| store.account_called(server, Some(called)).is_ok_and(|found| found.is_some());
    if at.is_some() || is_at(home.as_str()) {
        return Ok((home, named));
    }
    let all = store.account_records().map_err(CertificateError::from)?;
    let mut others: Vec<_> = all.iter().map(|account| account.server.as_str()).collect();
    others.dedup();
    others.retain(|server| is_at(server));
    match others.as_slice() {
        [] => Ok((home, named)),
        [one] => Ok((one.parse().map_err(CertificateError::from)?, named)),
        several => Err(Failure::wrong(&format!(
            "several servers have an account '{called}': name one with --server ({})",
            several.join(", ")
        ))),
    }
}

/// Runs `work` on a runtime of one thread: it waits for servers nearly all of its time, and start-up counts.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::internal(&format!("the runtime cannot be started: {error}")))?;
    let result = runtime.block_on(work);
    // A thread may still wait for somebody at the terminal.
    runtime.shutdown_background();
    terminal::clear();
    result
}

/// Whether a hook of another livecert has called this one.
pub(crate) fn is_in_hook() -> bool {
    std::env::var_os("LIVECERT_HOOK").is_some()
}

/// The service, which is stopped by signals. Must be called in the runtime.
pub(crate) fn service(globals: &Globals) -> Result<Service, Failure> {
    let http =
        livecert::network::http_client(globals.ca_bundle.as_deref()).map_err(CertificateError::from)?;
    let store = Store::open(&home(globals)?).map_err(CertificateError::from)?;
    let terminal = Arc::new(Terminal::new(globals));
    let token = CancellationToken::new();
    interrupt::listen(token.clone(), terminal.clone())?;
    let progress = Arc::new(Drawn::new(globals.quiet, terminal.clone()));
    let surroundings = Surroundings { http, prompter: terminal, locks: store.locks(), state: None };
    let service = Service::new(store, surroundings, progress, token)?;
    let service = match globals.lock_timeout {
        Some(patience) => service.with_lock_patience(patience),
        // The run that has called the hook holds its locks until the hook has ended.
        None if is_in_hook() => service.with_lock_patience(Duration::ZERO),
        None => service,
    };
    Ok(match &globals.sealing_key {
        Some(place) => service.sealed_by(key_place(place)?),
        None => service,
    })
}

/// A place of the sealing key, as it was given.
pub(crate) fn key_place(text: &str) -> Result<KeyPlace, CertificateError> {
    Ok(text.parse::<KeyPlace>()?)
}
