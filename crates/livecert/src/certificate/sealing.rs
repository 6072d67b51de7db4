//! The sealing key of a state folder: found, made where nothing is sealed yet, and rotated.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::FutureExt;
use secrecy::ExposeSecret;

use super::{CertificateError, Service};
use crate::plugin::PluginState;
use crate::secret::{KeyMaterial, KeyPlace, Keys, SealError, Sealed, SealingKey};
use crate::store::{Rotation, SealingRecord, Store, StoreError};

/// What came of a rotation.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rotated {
    /// Where the key in force is.
    pub place: String,
    /// Its id.
    pub key: String,
    /// How many values are sealed with it.
    pub sealed: usize,
    /// Values that could not be opened, neither before nor now, for people.
    pub unreadable: Vec<String>,
    /// Where the key before it still is.
    pub old: Option<String>,
    /// A new key that waits for a person, because livecert cannot write where it belongs.
    pub waiting: Option<Waiting>,
}

/// A new key that has to be brought to its place by a person.
#[derive(Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// The place.
    pub to: String,
    /// The file in which it is until then.
    pub file: PathBuf,
}

/// The key of `store`, read when it is needed: from `given`, or from where it was the last time.
pub(super) fn sealing_key(store: &Store, given: Option<KeyPlace>) -> SealingKey {
    let store = store.clone();
    SealingKey::lazy(move || load(&store, given.as_ref()))
}

fn state(error: StoreError) -> SealError {
    SealError::State(Box::new(error))
}

fn default_place(store: &Store) -> KeyPlace {
    KeyPlace::File(store.sealing_key())
}

/// Reads the keys, and finishes a rotation that a dead run had begun.
fn load(store: &Store, given: Option<&KeyPlace>) -> Result<Keys, SealError> {
    loop {
        let guard = store.share_sealing_key().map_err(state)?;
        if let Some(record) = store.sealing_record().map_err(state)? {
            let (current, previous) = match find(&record, given) {
                Err(SealError::KeyMissing { place, .. }) => {
                    drop(guard);
                    begin(store, given, &place)?;
                    continue;
                }
                found => found?,
            };
            if previous.is_none() && given.is_some_and(|given| given.to_string() != record.source) {
                remember(store, given)?;
            }
            return Ok(Keys { current, previous, guard: Box::new(guard) });
        }
        drop(guard);
        let place = given.cloned().unwrap_or_else(|| default_place(store));
        begin(store, given, &place.to_string())?;
    }
}

/// The key that a record tells of, and the one before it while a rotation is not finished.
fn find(
    record: &SealingRecord,
    given: Option<&KeyPlace>,
) -> Result<(KeyMaterial, Option<KeyMaterial>), SealError> {
    if let Some(rotation) = &record.rotation
        // What is not there, or not to be had here, is not in force.
        && let Ok(Some(new)) = rotation.to.parse().and_then(|place: KeyPlace| place.read())
        && new.id() == rotation.key
    {
        let previous = new.open(SealingRecord::PREVIOUS, &rotation.previous)?;
        let previous = std::str::from_utf8(previous.expose_secret()).ok().and_then(KeyMaterial::from_text);
        let damaged = || SealError::CannotOpen { place: SealingRecord::PREVIOUS.to_owned() };
        return Ok((new, Some(previous.ok_or_else(damaged)?)));
    }
    let place = match given {
        Some(given) => given.clone(),
        None => record.source.parse()?,
    };
    match place.read()? {
        None => Err(SealError::KeyMissing { place: place.to_string(), lost: Vec::new() }),
        Some(key) if key.id() == record.key => Ok((key, None)),
        Some(key) => Err(SealError::WrongKey {
            place: place.to_string(),
            found: key.id(),
            wanted: Some(record.key.clone()),
        }),
    }
}

/// Notes the key of a state folder in which no key is known, or whose key is gone. One is made only where nothing is
/// sealed: a new key opens nothing that is there.
fn begin(store: &Store, given: Option<&KeyPlace>, missing: &str) -> Result<(), SealError> {
    let lost = |values: Vec<(String, Sealed)>| {
        let places: BTreeSet<String> = values.into_iter().map(|(place, _)| place).collect();
        SealError::KeyMissing { place: missing.to_owned(), lost: Sealed::tell(&places) }
    };
    if store.sealing_record().map_err(state)?.is_some() {
        let values = values(store)?;
        if !values.is_empty() {
            return Err(lost(values));
        }
    }
    let _alone = store.hold_sealing_key().map_err(state)?;
    let record = store.sealing_record().map_err(state)?;
    if record.as_ref().is_some_and(|record| !matches!(find(record, given), Err(SealError::KeyMissing { .. })))
    {
        // Another process was faster.
        return Ok(());
    }
    let place = match given {
        Some(given) => given.clone(),
        None => record.map_or_else(|| Ok(default_place(store)), |record| record.source.parse())?,
    };
    let values = values(store)?;
    let key = match place.read()? {
        Some(key) => {
            if !values.is_empty() && !values.iter().any(|(place, sealed)| key.open(place, sealed).is_ok()) {
                let (place, found) = (place.to_string(), key.id());
                return Err(SealError::WrongKey { place, found, wanted: None });
            }
            key
        }
        None if values.is_empty() => {
            let key = KeyMaterial::generate()?;
            place.write(&key)?;
            key
        }
        None => return Err(lost(values)),
    };
    store.save_sealing_record(&SealingRecord::new(place.to_string(), key.id())).map_err(state)
}

fn values(store: &Store) -> Result<Vec<(String, Sealed)>, SealError> {
    let files = store.sealed_files().map_err(state)?;
    Ok(files.iter().flat_map(crate::store::SealedFile::values).collect())
}

/// Finishes a rotation that is in force and was not finished: the one before was killed, or a person has brought the new
/// key to its place. Where somebody is at work it has time: both keys are known.
pub(super) fn settle(store: &Store) {
    let settled = || -> Result<(), CertificateError> {
        let Some(record) = store.sealing_record()?.filter(|record| record.rotation.is_some()) else {
            return Ok(());
        };
        // Nobody is waited for, so the answer is there at once.
        let Some(Ok(_locks)) = store.try_lock_all().now_or_never() else { return Ok(()) };
        if let (new, Some(old)) = find(&record, None)? {
            finish(store, record, &new, &old)?;
            tracing::info!("the rotation of the sealing key is finished");
        }
        Ok(())
    };
    if let Err(error) = settled() {
        tracing::debug!(
            error = super::with_causes(&error),
            "the rotation of the sealing key is not finished"
        );
    }
}

/// The same key has been brought to another place by a person.
fn remember(store: &Store, given: Option<&KeyPlace>) -> Result<(), SealError> {
    if let (Some(mut record), Some(given)) = (store.sealing_record().map_err(state)?, given) {
        record.source = given.to_string();
        store.save_sealing_record(&record).map_err(state)?;
    }
    Ok(())
}

impl Service {
    /// With the sealing key at another place than the one that the state folder remembers.
    #[must_use]
    pub fn sealed_by(mut self, place: KeyPlace) -> Self {
        self.sealing_key = std::sync::Arc::new(sealing_key(&self.store, Some(place.clone())));
        self.sealing_place = Some(place);
        self.surroundings.state = Some(PluginState::new(self.store.clone(), self.sealing_key.clone()));
        self
    }

    /// Makes a new sealing key, at `to` or where the old one is, and seals everything anew with it. It waits for all that
    /// works in the state folder, told to `waiting`. Killed at any moment, everything stays readable, and the next command
    /// finishes it. With `key_lost` the old key is not needed: what it has sealed is given up, and accounts with a lost key
    /// are set aside.
    ///
    /// # Errors
    /// The old key cannot be read, or is there with `key_lost`; the new one cannot be written; a state file cannot be read
    /// or written.
    pub async fn rotate_sealing_key(
        &self,
        to: Option<&KeyPlace>,
        key_lost: bool,
        waiting: impl FnOnce(&str),
    ) -> Result<Rotated, CertificateError> {
        if key_lost {
            return self.replace_lost_key(to, waiting).await;
        }
        // A state folder that has no key yet gets its first one here; whatever is wrong with the old one is told.
        drop(load(&self.store, self.sealing_place.as_ref())?);
        let locks = self.store.lock_all(self.lock_patience, waiting);
        let _locks = self.unless_interrupted(locks).await??;
        let store = &self.store;
        let Some(mut record) = store.sealing_record()? else { return Err(SealError::Crypto.into()) };
        let (current, previous) = find(&record, None)?;
        if let Some(previous) = previous {
            return finish(store, record, &current, &previous);
        }
        let source: KeyPlace = record.source.parse()?;
        let to = match (to, &record.rotation) {
            (Some(to), _) => to.clone(),
            (None, Some(rotation)) => rotation.to.parse()?,
            (None, None) => source.clone(),
        };
        let moves = to != source;
        let new = match &to {
            KeyPlace::SystemdCredential(_) => match prepared(store, &record, &to, &current)? {
                Prepared::There(key) => key,
                Prepared::Waiting(key) => {
                    record.rotation = Some(rotation(&to, &key, &current)?);
                    store.save_sealing_record(&record)?;
                    let count = store.sealed_files()?.iter().map(|file| file.values().len()).sum();
                    let waiting = Waiting { to: to.to_string(), file: store.waiting_key() };
                    return Ok(Rotated {
                        place: source.to_string(),
                        key: current.id(),
                        sealed: count,
                        unreadable: Vec::new(),
                        old: None,
                        waiting: Some(waiting),
                    });
                }
            },
            _ => {
                // Whatever is there already is somebody's.
                if moves && to.read()?.is_some() {
                    return Err(SealError::Occupied { place: to.to_string() }.into());
                }
                KeyMaterial::generate()?
            }
        };
        record.rotation = Some(rotation(&to, &new, &current)?);
        store.save_sealing_record(&record)?;
        // From here on the new key is in force, and the record opens the old one with it.
        if !matches!(to, KeyPlace::SystemdCredential(_))
            && let Err(error) = to.write(&new)
        {
            // A place that certainly has not taken it is no reason to go on with it another day.
            if to.read().is_ok_and(|found| found.is_none_or(|found| found.id() != new.id())) {
                record.rotation = None;
                store.save_sealing_record(&record)?;
            }
            return Err(error.into());
        }
        finish(store, record, &new, &current)
    }
}

impl Service {
    async fn replace_lost_key(
        &self,
        to: Option<&KeyPlace>,
        waiting: impl FnOnce(&str),
    ) -> Result<Rotated, CertificateError> {
        let locks = self.store.lock_all(self.lock_patience, waiting);
        let _locks = self.unless_interrupted(locks).await??;
        let record = self.store.sealing_record()?;
        let known = match &record {
            Some(record) => record.source.parse()?,
            None => default_place(&self.store),
        };
        let place = to.or(self.sealing_place.as_ref()).unwrap_or(&known).clone();
        self.is_lost(record.as_ref(), &known)?;
        // A key that is there may be somebody else's.
        if place.read()?.is_some() {
            return Err(SealError::Occupied { place: place.to_string() }.into());
        }
        let key = KeyMaterial::generate()?;
        let places: BTreeSet<String> = values(&self.store)?.into_iter().map(|(place, _)| place).collect();
        // The key first: where it cannot be written, nothing is given up.
        place.write(&key)?;
        for account in self.store.account_records()? {
            self.store.set_account_aside(&account)?;
        }
        self.store.save_sealing_record(&SealingRecord::new(place.to_string(), key.id()))?;
        Ok(Rotated {
            place: place.to_string(),
            key: key.id(),
            sealed: 0,
            unreadable: Sealed::tell(&places),
            old: None,
            waiting: None,
        })
    }

    /// Makes sure that no key is where one is known to have been. A place that cannot be looked into (a keyring that is
    /// locked, a file of somebody else) may have it.
    fn is_lost(&self, record: Option<&SealingRecord>, known: &KeyPlace) -> Result<(), SealError> {
        let rotation = record.and_then(|record| record.rotation.as_ref());
        let mut places = vec![known.clone()];
        places.extend(self.sealing_place.clone());
        if let Some(rotation) = rotation {
            // The key that was to come opens the one before it.
            places.push(rotation.to.parse()?);
            places.push(KeyPlace::File(self.store.waiting_key()));
        }
        for place in places {
            let found = match place.read() {
                Ok(None) | Err(SealError::NoCredential { .. }) => continue,
                found => found?,
            };
            let id = found.map(|key| key.id());
            let ours = [record.map(|record| &record.key), rotation.map(|rotation| &rotation.key)];
            let place = place.to_string();
            return Err(match record.is_none() || ours.contains(&id.as_ref()) {
                true => SealError::NotLost { place },
                false => SealError::Occupied { place },
            });
        }
        Ok(())
    }
}

enum Prepared {
    /// The credential has a new key already.
    There(KeyMaterial),
    /// It has to be brought there.
    Waiting(KeyMaterial),
}

/// The new key for a credential, which only a person can write: the one that is there, or the one that waits to be brought
/// there.
fn prepared(
    store: &Store,
    record: &SealingRecord,
    to: &KeyPlace,
    current: &KeyMaterial,
) -> Result<Prepared, SealError> {
    if let Ok(Some(key)) = to.read()
        && key.id() != current.id()
    {
        return Ok(Prepared::There(key));
    }
    let file = KeyPlace::File(store.waiting_key());
    let waits = |key: &KeyMaterial| {
        record
            .rotation
            .as_ref()
            .is_some_and(|rotation| rotation.key == key.id() && rotation.to == to.to_string())
    };
    if let Some(key) = file.read()?.filter(waits) {
        return Ok(Prepared::Waiting(key));
    }
    let key = KeyMaterial::generate()?;
    file.write(&key)?;
    Ok(Prepared::Waiting(key))
}

fn rotation(to: &KeyPlace, new: &KeyMaterial, old: &KeyMaterial) -> Result<Rotation, SealError> {
    let previous = new.seal(SealingRecord::PREVIOUS, old.to_text().as_bytes())?;
    Ok(Rotation { to: to.to_string(), key: new.id(), previous })
}

/// Seals anew what the old key has sealed, file by file, and forgets the old key when nothing is left. All locks must be
/// held.
fn finish(
    store: &Store,
    record: SealingRecord,
    new: &KeyMaterial,
    old: &KeyMaterial,
) -> Result<Rotated, CertificateError> {
    let (mut sealed, mut unreadable) = (0, BTreeSet::new());
    for file in store.sealed_files()? {
        file.change(|place, value| {
            if new.open(place, value).is_ok() {
                sealed += 1;
                return Ok::<_, CertificateError>(None);
            }
            match old.open(place, value) {
                Ok(opened) => {
                    sealed += 1;
                    Ok(Some(new.seal(place, opened.expose_secret())?))
                }
                // It was lost before: from another key, or changed.
                Err(_) => {
                    unreadable.insert(place.to_owned());
                    Ok(None)
                }
            }
        })?;
    }
    let Some(rotation) = record.rotation else { return Err(SealError::Crypto.into()) };
    let moved = rotation.to != record.source;
    let home = default_place(store).to_string();
    for path in [(moved && record.source == home).then(|| store.sealing_key()), Some(store.waiting_key())] {
        match path.as_ref().map(std::fs::remove_file) {
            Some(Err(source)) if source.kind() != std::io::ErrorKind::NotFound => {
                let path = path.unwrap_or_default();
                return Err(SealError::KeyFile { path, source }.into());
            }
            _ => {}
        }
    }
    store.save_sealing_record(&SealingRecord::new(rotation.to.clone(), rotation.key.clone()))?;
    Ok(Rotated {
        place: rotation.to,
        key: rotation.key,
        sealed,
        unreadable: Sealed::tell(&unreadable),
        old: (moved && record.source != home).then_some(record.source),
        waiting: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AccountRecord, CertificateRecord, StoredArgument};

    const SERVER: &str = "https://ca.example/directory";

    /// A state folder with two sealed values, and its key.
    fn home() -> (tempfile::TempDir, Store, KeyMaterial) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let key = sealing_key(&store, None);
        let sealed = key.seal(&AccountRecord::sealing_place(SERVER), b"key").unwrap();
        store.save_account(&AccountRecord::new(SERVER.into(), None, Vec::new(), sealed)).unwrap();
        let mut record = CertificateRecord::example();
        let sealed = key.seal("certificate/example.com/GandiPAT", b"pat").ok();
        record
            .plugin_args
            .insert("GandiPAT".into(), StoredArgument::Secret { source: "prompt".into(), sealed });
        store.save_record(&"example.com".parse().unwrap(), &record).unwrap();
        let material = default_place(&store).read().unwrap().unwrap();
        (folder, store, material)
    }

    fn opened(store: &Store) -> usize {
        let key = sealing_key(store, None);
        values(store).unwrap().iter().filter(|(place, sealed)| key.open(place, sealed).is_ok()).count()
    }

    fn sealed_with(store: &Store, key: &KeyMaterial) -> usize {
        values(store).unwrap().iter().filter(|(place, sealed)| key.open(place, sealed).is_ok()).count()
    }

    #[test]
    fn killed_at_any_moment_a_rotation_leaves_everything_readable_and_is_finished() {
        for moves in [false, true] {
            for killed_after in 0_usize..4 {
                let (folder, store, old) = home();
                let elsewhere = KeyPlace::File(folder.path().join("elsewhere"));
                let to = if moves { elsewhere } else { default_place(&store) };
                let new = KeyMaterial::generate().unwrap();
                let mut record = store.sealing_record().unwrap().unwrap();
                record.rotation = Some(rotation(&to, &new, &old).unwrap());
                store.save_sealing_record(&record).unwrap();
                if killed_after >= 1 {
                    to.write(&new).unwrap();
                }
                for file in store.sealed_files().unwrap().iter().take(killed_after.saturating_sub(1)) {
                    let reseal = |place: &str, sealed: &Sealed| {
                        let opened = old.open(place, sealed)?;
                        Ok::<_, CertificateError>(Some(new.seal(place, opened.expose_secret())?))
                    };
                    file.change(reseal).unwrap();
                }
                assert_eq!(opened(&store), 2, "{killed_after}");
                settle(&store);
                assert_eq!(opened(&store), 2, "{killed_after}");
                let in_force = if killed_after >= 1 { &new } else { &old };
                assert_eq!(sealed_with(&store, in_force), 2, "{killed_after}");
                let record = store.sealing_record().unwrap().unwrap();
                assert_eq!(record.key, in_force.id());
                assert_eq!(record.rotation.is_none(), killed_after >= 1);
                assert_eq!(store.sealing_key().exists(), !(moves && killed_after >= 1));
            }
        }
    }

    #[test]
    fn a_new_key_is_made_only_where_nothing_is_sealed() {
        let (_folder, store, _) = home();
        std::fs::remove_file(store.sealing_key()).unwrap();
        let place = AccountRecord::sealing_place(SERVER);
        let error = sealing_key(&store, None).seal(&place, b"x").unwrap_err();
        assert!(
            matches!(&error, SealError::KeyMissing { lost, .. } if lost.len() == 2
                && lost.contains(&"GandiPAT of example.com".to_owned())),
            "{error:?}"
        );
        assert!(!store.sealing_key().exists());
        // Also in a state folder that knows nothing about its key.
        std::fs::remove_file(store.home().join("sealing.json")).unwrap();
        let error = sealing_key(&store, None).seal(&place, b"x").unwrap_err();
        assert!(matches!(error, SealError::KeyMissing { .. }), "{error:?}");
        default_place(&store).write(&KeyMaterial::generate().unwrap()).unwrap();
        let error = sealing_key(&store, None).seal(&place, b"x").unwrap_err();
        assert!(matches!(error, SealError::WrongKey { wanted: None, .. }), "{error:?}");
    }

    #[test]
    fn another_key_is_refused_and_the_same_key_elsewhere_is_remembered() {
        let (folder, store, key) = home();
        let place = KeyPlace::File(folder.path().join("elsewhere"));
        place.write(&KeyMaterial::generate().unwrap()).unwrap();
        let error = sealing_key(&store, Some(place.clone())).seal("a", b"x").unwrap_err();
        assert!(
            matches!(&error, SealError::WrongKey { place: named, .. } if *named == place.to_string()),
            "{error:?}"
        );
        place.write(&key).unwrap();
        std::fs::remove_file(store.sealing_key()).unwrap();
        assert!(sealing_key(&store, Some(place)).seal("a", b"x").is_ok());
        assert_eq!(opened(&store), 2);
    }
}
