//! Every DNS plugin passes the same examination, against the real thing that it writes into.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod acme_dns;
mod exec;
mod gandi;
mod kit;
mod knot;
mod rfc2136;

use std::path::Path;
use std::sync::Arc;

use livecert::plugin::{self, Arguments, Plugin, PluginState, Surroundings};
use livecert::secret::{KeyMaterial, KeyPlace, Nobody, SealingKey};
use livecert::store::Store;

/// The sealing key of a folder, the same each time.
fn key_of(folder: &Path) -> KeyMaterial {
    let place = KeyPlace::File(folder.join("sealing.key"));
    place.read().unwrap().unwrap_or_else(|| {
        let key = KeyMaterial::generate().unwrap();
        place.write(&key).unwrap();
        key
    })
}

/// The plugin with these arguments, as the command line would have them.
async fn connect(name: &str, given: &[String], folder: &Path, trusted: Option<&Path>) -> Arc<dyn Plugin> {
    let info = plugin::find(name).unwrap();
    let http = livecert::network::http_client(trusted).unwrap();
    let key = Arc::new(SealingKey::from(key_of(folder)));
    let state = Some(PluginState::new(Store::read_only(folder), key.clone()));
    let locks = folder.join("locks");
    std::fs::create_dir_all(&locks).unwrap();
    let surroundings = Surroundings { http, prompter: Arc::new(Nobody), locks, state };
    let sources = plugin::parse_arguments(info, given).unwrap();
    let arguments = Arguments::resolve(info, &sources, "test", &key, &surroundings).await.unwrap();
    info.connect_dns(&arguments, &surroundings).unwrap()
}

/// `KEY=file:PATH` of a file with this secret.
fn secret(folder: &Path, parameter: &str, secret: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(format!("{parameter}.{}", secret.len()));
    std::fs::write(&path, secret).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!("{parameter}=file:{}", path.display())
}
