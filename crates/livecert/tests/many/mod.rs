//! A store with many certificates, none of which is due, as renewals have left it; and a service on it that can ask nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use livecert::certificate::Service;
use livecert::plugin::Surroundings;
use livecert::progress::Silent;
use livecert::secret::Nobody;
use livecert::store::{
    Bundle, CertName, CertificateRecord, CredentialRecord, Deployed, DeploymentState, GenerationInfo, Output,
    RenewalRecord, RenewalWindow, Store, StoredArgument,
};
use secrecy::SecretString;

const SERVER: &str = "https://ca.example/directory";

/// A folder in memory, where there is one: it is about what is read, and not about a disk.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// Fills the folder with so many certificates, whose credential is in the file `gandi.pat` beside it.
pub(crate) fn fill(home: &Path, count: usize) -> Store {
    let store = Store::open(home).unwrap();
    let token = home.with_file_name("gandi.pat");
    livecert::store::write_secret(&token, b"0123456789abcdef0123456789abcdef01234567").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for number in 0..count {
        let cert: CertName = format!("host{number}.zone{}.example", number / 10).parse().unwrap();
        runtime.block_on(add(&store, &cert, &token));
    }
    store
}

async fn add(store: &Store, cert: &CertName, token: &Path) {
    let lock = store.lock(cert, Duration::ZERO, |_| ()).await.unwrap();
    let names = vec![cert.to_string()];
    let mut record = CertificateRecord::new(names.clone(), SERVER.into(), "gandi".into());
    let source = format!("file:{}", token.display());
    record.plugin_args.insert("GandiPAT".into(), StoredArgument::Secret { source, sealed: None });
    // Nobody listens there.
    let nowhere = StoredArgument::Plain("https://127.0.0.1:9/v5/livedns".into());
    record.plugin_args.insert("GandiApiBaseUrl".into(), nowhere);
    store.save_record(cert, &record).unwrap();
    let now = Timestamp::now();
    let days = |days: i64| now + SignedDuration::from_hours(24 * days);
    let mut info =
        GenerationInfo::new(names, "0a1b".into(), "CA".into(), (days(-1), days(89)), SERVER.into());
    let id = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
    info.certificate_id = Some(id.into());
    let mut draft = store.begin(cert, &lock).unwrap();
    draft.write_key(&SecretString::from("key")).unwrap();
    let bundle = Bundle { leaf: "leaf".into(), chain: "chain".into(), offered: Vec::new() };
    draft.complete(&bundle, &Output::default(), info).unwrap();
    let window = RenewalWindow { start: days(59), end: days(61) };
    store.save_renewal(cert, &RenewalRecord::new(id.into(), Some(window), 0.5, days(1))).unwrap();
    let mut state = DeploymentState::default();
    state.deployed = Some(Deployed { generation: 1, at: now, served: false });
    store.save_deployment(cert, &lock, &state).unwrap();
    store.save_credential_end(cert, &CredentialRecord::new("personal access token", days(300))).unwrap();
}

/// A service on the store.
pub(crate) fn service(store: &Store) -> Service {
    let http = livecert::network::http_client(None).unwrap();
    let surroundings = Surroundings { http, prompter: Arc::new(Nobody), locks: store.locks(), state: None };
    Service::new(store.clone(), surroundings, Arc::new(Silent), Default::default()).unwrap()
}
