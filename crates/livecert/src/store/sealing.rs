//! What the state folder knows about its sealing key, which is not the key, and all that is sealed with it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::file::{TEMPORARY, entries, read_json, replace, write_json};
use super::{AccountRecord, Lock, Store, StoreError};
use crate::secret::Sealed;

const SEALING_VERSION: u32 = 1;
/// The lock that everybody shares who knows the sealing key.
const LOCK: &str = "sealing@key";
/// What the source that is a file begins with.
const FILE: &str = "file:";
/// Between two tries to have all locks. Each of them is held for seconds.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// `sealing.json`: where the sealing key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingRecord {
    version: u32,
    /// Where the key is, such as `keyring:livecert/sealing`.
    pub source: String,
    /// The key's id.
    pub key: String,
    /// A new key that is coming into force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// A new sealing key. It is in force from the moment at which its place gives it: not before, and from then on for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// Where it is to be.
    pub to: String,
    /// Its id.
    pub key: String,
    /// The key before it, sealed with the new one: values that are not sealed anew yet stay readable.
    pub previous: Sealed,
}

impl SealingRecord {
    /// The place that the key before is sealed for.
    pub const PREVIOUS: &str = "sealing/previous";

    /// A record without a rotation.
    pub fn new(source: String, key: String) -> Self {
        SealingRecord { version: SEALING_VERSION, source, key, rotation: None }
    }

    fn with_places(mut self, change: impl Fn(&str) -> String) -> Self {
        self.source = change(&self.source);
        if let Some(rotation) = &mut self.rotation {
            rotation.to = change(&rotation.to);
        }
        self
    }
}

/// A state file that has sealed values.
#[derive(Debug)]
pub struct SealedFile {
    path: PathBuf,
    text: String,
    /// Places of values that do not tell theirs.
    places: HashMap<String, String>,
}

impl SealedFile {
    /// The values, each with its place.
    pub fn values(&self) -> Vec<(String, Sealed)> {
        Sealed::all_in(&self.text).into_iter().map(|sealed| (self.place(&sealed), sealed)).collect()
    }

    /// Writes the file with other values in the place of those for which `change` gives one.
    ///
    /// # Errors
    /// Those of `change`; the file cannot be written, and is still the old one.
    pub fn change<E: From<StoreError>>(
        &self,
        mut change: impl FnMut(&str, &Sealed) -> Result<Option<Sealed>, E>,
    ) -> Result<(), E> {
        let changed = Sealed::replace_in(&self.text, |sealed| change(&self.place(sealed), sealed))?;
        if changed != self.text {
            replace(&self.path, changed.as_bytes(), 0o600)?;
        }
        Ok(())
    }

    fn place(&self, sealed: &Sealed) -> String {
        let known = sealed.place().map(str::to_owned);
        known.or_else(|| self.places.get(sealed.as_str()).cloned()).unwrap_or_default()
    }
}

/// All locks at once: nobody works in the state folder, and nobody knows the sealing key.
#[derive(Debug)]
pub struct AllLocks(#[expect(dead_code, reason = "they are held")] Vec<Lock>);

impl Store {
    fn sealing_path(&self) -> PathBuf {
        self.home().join("sealing.json")
    }

    /// Where a new key waits for a person to bring it to its place.
    pub fn waiting_key(&self) -> PathBuf {
        self.home().join("sealing.key.next")
    }

    /// Where the sealing key is; `None` in a state folder that has none yet, or whose key is in its first place.
    ///
    /// # Errors
    /// The file is damaged, from a newer version, or cannot be read.
    pub fn sealing_record(&self) -> Result<Option<SealingRecord>, StoreError> {
        let record = read_json::<SealingRecord>(&self.sealing_path(), SEALING_VERSION)?;
        let from_here = |source: &str| match source.strip_prefix(FILE) {
            Some(path) => format!("{FILE}{}", self.home().join(path).display()),
            None => source.to_owned(),
        };
        Ok(record.map(|record| record.with_places(from_here)))
    }

    /// Stores where the sealing key is.
    ///
    /// # Errors
    /// It cannot be written; the old file is still whole.
    pub fn save_sealing_record(&self, record: &SealingRecord) -> Result<(), StoreError> {
        // Relative to the state folder, so that one which was moved or copied has its own key and not that of another.
        let to_here = |source: &str| {
            let path =
                source.strip_prefix(FILE).and_then(|path| Path::new(path).strip_prefix(self.home()).ok());
            path.map_or_else(|| source.to_owned(), |path| format!("{FILE}{}", path.display()))
        };
        write_json(&self.sealing_path(), &record.clone().with_places(to_here))
    }

    /// Keeps rotations away while the sealing key is known. A rotation that is under way is waited for: it takes a moment.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn share_sealing_key(&self) -> Result<Lock, StoreError> {
        Lock::share(&self.locks(), LOCK)
    }

    /// Keeps others away from the sealing key for a moment.
    ///
    /// # Errors
    /// The lock's file cannot be made.
    pub fn hold_sealing_key(&self) -> Result<Lock, StoreError> {
        Lock::hold(&self.locks(), LOCK)
    }

    /// Takes every lock of the state folder, or none: it never waits for one with another in its hand. `waiting` is told once
    /// that somebody is at work.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when somebody is at work for longer than `patience`.
    pub async fn lock_all(
        &self,
        patience: Duration,
        waiting: impl FnOnce(&str),
    ) -> Result<AllLocks, StoreError> {
        let deadline = tokio::time::Instant::now() + patience;
        let mut waiting = Some(waiting);
        loop {
            match self.try_lock_all().await {
                Err(StoreError::Locked { holder, .. }) if tokio::time::Instant::now() < deadline => {
                    if let Some(tell) = waiting.take() {
                        tell(&holder);
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                done => return done,
            }
        }
    }

    /// Takes every lock of the state folder, if nobody is at work.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when somebody is.
    pub async fn try_lock_all(&self) -> Result<AllLocks, StoreError> {
        let folder = self.locks();
        let mut names = vec![LOCK.to_owned()];
        // What was never locked has no file, and may be locked by somebody who comes now.
        names.extend(self.cert_names()?.iter().map(|cert| cert.as_str().to_owned()));
        for account in self.account_records()? {
            names.push(format!("account@{}", super::server_folder(&account.server)));
        }
        for entry in fs::read_dir(&folder).map_err(StoreError::read(&folder))? {
            let name = entry.map_err(StoreError::read(&folder))?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".lock")).map(str::to_owned));
        }
        names.sort();
        names.dedup();
        let mut held = Vec::new();
        for name in names {
            held.push(Lock::take(&folder, &name, Duration::ZERO, |_| ()).await?);
        }
        Ok(AllLocks(held))
    }

    /// Every file of the state folder that has a sealed value, whatever it is: no kind of file can be forgotten.
    ///
    /// # Errors
    /// A folder or file cannot be read.
    pub fn sealed_files(&self) -> Result<Vec<SealedFile>, StoreError> {
        let mut found = Vec::new();
        find(self.home(), &mut found)?;
        Ok(found)
    }
}

fn find(folder: &Path, found: &mut Vec<SealedFile>) -> Result<(), StoreError> {
    let mut there = entries(folder)?;
    there.sort();
    for (path, name) in there {
        // What a dead process did not finish was never a state file; the record is about the key itself; and where the state
        // folder is a file system of its own, it has a folder that is none of ours.
        if name.starts_with(TEMPORARY) || name == "sealing.json" || name == "lost+found" {
            continue;
        }
        let Some(kind) = if_there(path.symlink_metadata()).map_err(StoreError::read(&path))? else {
            continue;
        };
        if kind.is_dir() {
            find(&path, found)?;
        }
        // A pipe would keep whoever opens it waiting.
        if !kind.is_file() {
            continue;
        }
        let Some(bytes) = if_there(fs::read(&path)).map_err(StoreError::read(&path))? else { continue };
        let Ok(text) = String::from_utf8(bytes) else { continue };
        if !Sealed::all_in(&text).is_empty() {
            let places = places_in(&path, &text);
            found.push(SealedFile { path, text, places });
        }
    }
    Ok(())
}

/// `None` of what has vanished in the meantime.
fn if_there<T>(found: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        found => found.map(Some),
    }
}

/// The places of values that do not tell theirs, as they were sealed by the first livecerts: account keys and plugin
/// parameters.
fn places_in(path: &Path, text: &str) -> HashMap<String, String> {
    let mut places = HashMap::new();
    let Ok(value) = serde_json::from_str::<Value>(text) else { return places };
    if let Some(server) = value["server"].as_str() {
        for key in ["key", "next_key"] {
            note(&mut places, &value[key], AccountRecord::sealing_place(server));
        }
    }
    let cert = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
    // One in the archive may have a number behind its name.
    let cert = cert.split('@').next().unwrap_or_default();
    let of_certificate = (format!("certificate/{cert}"), &value["plugin_args"]);
    let publications = value["publications"].as_array().into_iter().flatten();
    let of_publications = publications.map(|publication| {
        let place = publication["sealed_for"].as_str().unwrap_or_default().to_owned();
        (place, &publication["plugin_args"])
    });
    for (place, arguments) in std::iter::once(of_certificate).chain(of_publications) {
        for (name, argument) in arguments.as_object().into_iter().flatten() {
            note(&mut places, &argument["sealed"], format!("{place}/{name}"));
        }
    }
    places
}

fn note(places: &mut HashMap<String, String>, value: &Value, place: String) {
    if let Some(sealed) = value.as_str() {
        places.insert(sealed.to_owned(), place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::KeyMaterial;
    use crate::store::{CertificateRecord, StoredArgument};

    #[test]
    fn places_of_the_first_form_are_those_it_was_sealed_for() {
        let text = r#"{"server": "https://ca.example/d", "key": "livecert-seal-1:A", "next_key": "livecert-seal-1:B",
            "plugin_args": {"GandiPAT": {"source": "prompt", "sealed": "livecert-seal-1:C"}},
            "publications": [{"sealed_for": "dns", "plugin_args": {"GandiToken": {"sealed": "livecert-seal-1:D"}}}]}"#;
        let places = places_in(Path::new("certs/a.example/x.json"), text);
        let place = |letter: &str| places[&format!("livecert-seal-1:{letter}")].as_str();
        assert_eq!(place("A"), "account/https://ca.example/d");
        assert_eq!(place("B"), "account/https://ca.example/d");
        assert_eq!(place("C"), "certificate/a.example/GandiPAT");
        assert_eq!(place("D"), "dns/GandiToken");
        let archived = places_in(Path::new("archive/a.example@1/certificate.json"), text);
        assert_eq!(archived["livecert-seal-1:C"], "certificate/a.example/GandiPAT");
    }

    #[test]
    fn a_copied_folder_has_its_own_key() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (original, copy) = (Store::open(first.path()).unwrap(), Store::open(second.path()).unwrap());
        let source = |store: &Store| format!("file:{}", store.sealing_key().display());
        original.save_sealing_record(&SealingRecord::new(source(&original), "id".into())).unwrap();
        std::fs::copy(original.sealing_path(), copy.sealing_path()).unwrap();
        assert_eq!(original.sealing_record().unwrap().unwrap().source, source(&original));
        assert_eq!(copy.sealing_record().unwrap().unwrap().source, source(&copy));
        for elsewhere in
            ["file:/etc/livecert/sealing.key", "keyring:livecert/sealing", "systemd-cred:sealing"]
        {
            copy.save_sealing_record(&SealingRecord::new(elsewhere.into(), "id".into())).unwrap();
            assert_eq!(copy.sealing_record().unwrap().unwrap().source, elsewhere);
        }
    }

    #[tokio::test]
    async fn all_locks_are_had_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let cert = "example.com".parse().unwrap();
        store.save_record(&cert, &CertificateRecord::example()).unwrap();
        let key = store.share_sealing_key().unwrap();
        let second = store.share_sealing_key().unwrap();
        assert!(matches!(store.try_lock_all().await, Err(StoreError::Locked { .. })));
        drop((key, second));
        let work = store.lock(&cert, Duration::ZERO, |_| ()).await.unwrap();
        assert!(matches!(store.lock_all(Duration::ZERO, |_| ()).await, Err(StoreError::Locked { .. })));
        drop(work);
        let all = store.try_lock_all().await.unwrap();
        assert!(matches!(store.lock(&cert, Duration::ZERO, |_| ()).await, Err(StoreError::Locked { .. })));
        drop(all);
        drop(store.share_sealing_key().unwrap());
    }

    #[test]
    fn a_change_reaches_every_file_and_only_its_values() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (old, new) = (KeyMaterial::generate().unwrap(), KeyMaterial::generate().unwrap());
        let cert = "example.com".parse().unwrap();
        let mut record = CertificateRecord::example();
        let sealed = Some(old.seal("certificate/example.com/GandiPAT", b"pat").unwrap());
        record
            .plugin_args
            .insert("GandiPAT".into(), StoredArgument::Secret { source: "prompt".into(), sealed });
        store.save_record(&cert, &record).unwrap();
        let unknown = folder.path().join("something.json.v7");
        let value = old.seal("a/b", b"v").unwrap();
        std::fs::write(&unknown, format!("[\"{}\"]", value.as_str())).unwrap();
        std::fs::write(folder.path().join(".livecert-x"), format!("[\"{}\"]", value.as_str())).unwrap();
        // What is none of ours: of a file system, of a program, and what is there no more.
        std::fs::create_dir(folder.path().join("lost+found")).unwrap();
        std::fs::write(folder.path().join("lost+found/#1"), value.as_str()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        assert!(if_there(std::fs::read(folder.path().join("gone"))).unwrap().is_none());

        let files = store.sealed_files().unwrap();
        assert_eq!(files.len(), 2);
        for file in &files {
            let reseal = |place: &str, sealed: &Sealed| {
                let opened = old.open(place, sealed).unwrap();
                Ok::<_, StoreError>(Some(
                    new.seal(place, secrecy::ExposeSecret::expose_secret(&opened)).unwrap(),
                ))
            };
            file.change(reseal).unwrap();
        }
        for file in store.sealed_files().unwrap() {
            for (place, sealed) in file.values() {
                assert!(new.open(&place, &sealed).is_ok(), "{place}");
            }
        }
        let StoredArgument::Secret { sealed: Some(_), .. } =
            &store.record(&cert).unwrap().plugin_args["GandiPAT"]
        else {
            panic!("the record has lost its value")
        };
    }
}
