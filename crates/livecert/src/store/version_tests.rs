//! State files of every version that livecert ever wrote, in `fixtures/`: each is read, and what is written from it has
//! the newest version, with the old file beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::hold::HoldScope;
use super::journal::JournalName;
use super::{CertName, Store, StoreError, server_folder};

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

struct Home {
    _folder: tempfile::TempDir,
    store: Store,
    cert: CertName,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        Home { store, cert: "example.com".parse().unwrap(), _folder: folder }
    }

    /// Puts a fixture where it lies in a state folder.
    fn put(&self, fixture: &str, at: PathBuf) -> PathBuf {
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::copy(fixtures().join(fixture), &at).unwrap();
        at
    }

    fn certificate(&self, version: u32) -> PathBuf {
        let at = self.store.cert_folder(&self.cert).join("certificate.json");
        self.put(&format!("certificate.v{version}.json"), at)
    }

    fn account(&self, version: u32) -> PathBuf {
        // Up to version 2 there was one at a server, in the server's own folder.
        let folder = self.store.accounts().join(server_folder(LETS_ENCRYPT));
        let at = if version > 2 { folder.join("1/account.json") } else { folder.join("account.json") };
        self.put(&format!("account.v{version}.json"), at)
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/fixtures")
}

fn version(path: &Path) -> u64 {
    let value: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    value["version"].as_u64().unwrap()
}

/// After `save`, the file has version `newest`, and the old one is beside it, as it was; later saves leave it so.
fn migrated(path: &Path, old: u32, newest: u64, save: impl Fn()) {
    let before = fs::read(path).unwrap();
    let copy = path.with_file_name(format!("{}.v{old}", path.file_name().unwrap().to_str().unwrap()));
    save();
    assert_eq!(version(path), newest);
    assert_eq!(fs::read(&copy).unwrap(), before);
    save();
    assert_eq!(fs::read(&copy).unwrap(), before);
}

#[test]
fn certificates_of_all_versions_are_read_and_migrated() {
    let home = Home::new();
    for old in [1, 2] {
        let path = home.certificate(old);
        let record = home.store.record(&home.cert).unwrap();
        assert_eq!(record.version, super::record::RECORD_VERSION);
        match old {
            1 => {
                assert_eq!(record.names, ["example.com", "*.example.com"]);
                assert_eq!((record.propagation.resolvers.len(), record.propagation.timeout), (1, Some(900)));
                assert!(record.fallbacks.is_empty());
            }
            _ => assert_eq!((record.fallbacks.len(), record.lifetime_days), (1, Some(6))),
        }
        migrated(&path, old, super::record::RECORD_VERSION.into(), || {
            home.store.save_record(&home.cert, &record).unwrap();
        });
        assert!(!fs::read_to_string(&path).unwrap().contains("last_error"));
        assert_eq!(home.store.record(&home.cert).unwrap(), record);
    }
    home.certificate(3);
    let record = home.store.record(&home.cert).unwrap();
    assert_eq!((record.own_request, record.keep_generations), (true, Some(2)));
}

#[test]
fn accounts_of_all_versions_are_read_and_migrated() {
    let home = Home::new();
    for old in [1, 2] {
        let put = home.account(old);
        let found = home.store.account(LETS_ENCRYPT).unwrap().unwrap();
        assert_eq!(
            (found.contact.len(), found.next_key.is_some()),
            if old == 1 { (1, false) } else { (0, true) }
        );
        // Whoever opens the folder finds it at the place of the first.
        let store = Store::open(home.store.home()).unwrap();
        let account = store.account(LETS_ENCRYPT).unwrap().unwrap();
        assert_eq!((&account.url, &account.key), (&found.url, &found.key));
        let path = put.with_file_name("1").join("account.json");
        assert!(path.exists() && !put.exists());
        migrated(&path, old, super::account::ACCOUNT_VERSION.into(), || {
            store.save_account(&account).unwrap()
        });
        // What is listed is the account, not the file that was kept beside it.
        assert_eq!(store.account_records().unwrap(), std::slice::from_ref(&account));
        store.remove_account(&account).unwrap();
    }
    home.account(3);
    let account = home.store.account_called(LETS_ENCRYPT, Some("work")).unwrap().unwrap();
    assert!(account.has_url("https://acme-v02.api.letsencrypt.org/acme/acct/1") && account.used.is_some());
}

#[tokio::test]
async fn what_belongs_to_a_generation_is_read_in_all_versions() {
    let home = Home::new();
    let cert = home.store.cert_folder(&home.cert);
    home.put("generation.v1.json", cert.join("generations/1/generation.json"));
    home.put("generation.v2.json", cert.join("generations/2/generation.json"));
    home.put("generation.v3.json", cert.join("generations/3/generation.json"));
    home.put("order.v1.json", cert.join("generations/4.partial/order.json"));
    home.put("renewal.v1.json", cert.join("renewal.json"));
    let all = home.store.generations(&home.cert).unwrap();
    let serials: Vec<_> = all.iter().map(|found| found.read.as_ref().unwrap().info.serial.as_str()).collect();
    assert_eq!(serials, ["03a1b2c3", "04a1b2c3", "05a1b2c3"]);
    let id = all[1].read.as_ref().unwrap().info.certificate_id.clone().unwrap();
    assert_eq!(home.store.renewal(&home.cert, &id).unwrap().share, 0.25);
    let lock = home.store.lock(&home.cert, Duration::ZERO, |_| ()).await.unwrap();
    let (_, order) = home.store.left_behind(&home.cert, &lock).unwrap().unwrap();
    assert_eq!(order.names, ["example.com"]);
    let revoked = |number| {
        let all = home.store.generations(&home.cert).unwrap();
        all.iter().find(|one| one.number == number).unwrap().read.as_ref().unwrap().info.revoked
    };
    let before = revoked(3);
    assert!(before.is_some() && revoked(2).is_none());
    let at = "2026-04-01T00:00:00Z".parse().unwrap();
    let note = |number: u32| home.store.note_revoked(&home.cert, &lock, number, at).unwrap();
    migrated(&cert.join("generations/2/generation.json"), 2, 3, || note(2));
    assert_eq!(revoked(2), Some(at));
    // The first moment is the one that counts.
    note(3);
    assert_eq!(revoked(3), before);
}

#[test]
fn servers_of_all_versions_are_read() {
    let home = Home::new();
    home.put("servers.v1.json", home.store.home().join("servers.json"));
    let servers = home.store.servers().unwrap();
    assert_eq!(servers.in_use.as_deref(), Some("https://ca.example/directory"));
    assert!(servers.find("https://ca.example/directory").unwrap().without_renewal_info);
}

#[test]
fn journals_and_holds_of_all_versions_are_read() {
    let home = Home::new();
    home.put("journal.v1.json", home.store.home().join("journal/example.com.json"));
    let publications = home.store.publications(&JournalName::from(&home.cert)).unwrap();
    assert_eq!(publications[0].records[0].fqdn, "_acme-challenge.example.com");
    home.put("holds.v1.json", home.store.accounts().join(server_folder(LETS_ENCRYPT)).join("holds.json"));
    assert!(home.store.hold(HoldScope::Server, LETS_ENCRYPT, &[]).is_some());
}

#[test]
fn what_a_directory_said_last_is_read_from_all_versions() {
    let home = Home::new();
    let folder = home.store.accounts().join(server_folder(LETS_ENCRYPT));
    home.put("directory.v1.json", folder.join("directory.json"));
    let known = home.store.new_nonce(LETS_ENCRYPT);
    assert_eq!(known.as_deref(), Some("https://acme-v02.api.letsencrypt.org/acme/new-nonce"));
}

#[test]
fn no_fixture_is_of_a_version_that_is_unknown_and_none_is_missing() {
    let newest = [
        ("certificate", super::record::RECORD_VERSION),
        ("account", super::account::ACCOUNT_VERSION),
        ("servers", super::server::SERVERS_VERSION),
        ("generation", super::generation::GENERATION_VERSION),
        ("order", super::draft::ORDER_VERSION),
        ("renewal", super::renewal::RENEWAL_VERSION),
        ("holds", super::hold::HOLDS_VERSION),
        ("directory", super::directory::DIRECTORY_VERSION),
        ("journal", super::journal::JOURNAL_VERSION),
    ];
    for (file, newest) in newest {
        for number in 1..=newest {
            let path = fixtures().join(format!("{file}.v{number}.json"));
            assert_eq!(version(&path), u64::from(number), "{}", path.display());
        }
    }
}

#[test]
fn a_damaged_file_is_told_with_its_older_copy_and_kept_when_it_is_written_anew() {
    let home = Home::new();
    let path = home.certificate(2);
    let record = home.store.record(&home.cert).unwrap();
    home.store.save_record(&home.cert, &record).unwrap();
    fs::write(&path, "{\"version\": 3, \"na").unwrap();
    let error = home.store.record(&home.cert).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { path: named, .. } if *named == path));
    assert_eq!(error.backup(), Some(path.with_file_name("certificate.json.v2")));
    home.store.save_record(&home.cert, &record).unwrap();
    let kept = fs::read_to_string(path.with_file_name("certificate.json.damaged")).unwrap();
    assert_eq!(kept, "{\"version\": 3, \"na");
}

#[test]
fn a_state_file_that_is_no_object_is_damaged_whatever_is_in_it() {
    let home = Home::new();
    let path = home.certificate(super::record::RECORD_VERSION);
    for text in ["[1]", "[3, [], \"https://ca/\"]", "3", "null", "{}", "{\"version\": \"3\"}"] {
        fs::write(&path, text).unwrap();
        assert!(matches!(home.store.record(&home.cert), Err(StoreError::Damaged { .. })), "{text}");
    }
}
