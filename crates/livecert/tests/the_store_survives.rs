//! Whatever happens to the writer, the store has the old generation or the new one, whole, and the next run goes on. The
//! writer is a process of its own (this program again), which `strace` kills before each system call that changes
//! something, or for which it lets that call fail. And readers never have a mixed pair while `current` is swapped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use livecert::store::{
    Bundle, CertLock, CertName, CertificateRecord, GenerationInfo, PendingOrder, Store, StoreError,
};
use secrecy::SecretString;
use tempfile::TempDir;

/// Where the writer is to write, when this program is started as one.
const HOME: &str = "LIVECERT_TEST_WRITER_HOME";
/// System calls that change files, under all names that they have. Those that a machine does not have are passed over.
const CHANGES: [&str; 18] = [
    "openat",
    "write",
    "fsync",
    "fchmod",
    "ftruncate",
    "flock",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "symlink",
    "symlinkat",
    "unlink",
    "unlinkat",
    "rmdir",
    "link",
    "linkat",
];

fn cert() -> CertName {
    "example.com".parse().unwrap()
}

/// A folder in memory, where there is one: it is about the order of things, and not about a disk.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

fn lock(store: &Store) -> Result<CertLock, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // A process that another test is starting has our open files until it is `strace`.
    runtime.block_on(store.lock(&cert(), Duration::from_secs(20), |_| ()))
}

/// What a renewal does with the store, in that order. Everything in generation N says N.
fn renew(home: &Path, keep: u16) -> Result<u32, StoreError> {
    let (store, cert) = (Store::open(home)?, cert());
    store.tidy()?;
    let lock = lock(&store)?;
    store.finish_left_behind(&cert, &lock)?;
    let draft = match store.left_behind(&cert, &lock)? {
        Some((draft, _)) => draft,
        None => {
            let mut draft = store.begin(&cert, &lock)?;
            draft.write_key(&SecretString::from(format!("key {}", draft.number())))?;
            draft.write_order(&PendingOrder::new("https://ca.example/", vec![], vec![], b"key"))?;
            draft.keep(true);
            draft
        }
    };
    let number = draft.number();
    let names = vec!["example.com".to_owned()];
    let record = CertificateRecord::new(names.clone(), "https://ca.example/".into(), "gandi".into());
    let settings = store.stage_record(&cert, &record)?;
    let validity = (Timestamp::UNIX_EPOCH, Timestamp::now());
    let server = "https://ca.example/".to_owned();
    let info = GenerationInfo::new(names, number.to_string(), "CA".into(), validity, server);
    let (leaf, chain) = (format!("leaf {number}\n"), format!("chain {number}\n"));
    let bundle = Bundle { leaf, chain, offered: Vec::new() };
    draft.complete_with(&bundle, &livecert::store::Output::default(), info, vec![settings])?;
    store.prune(&cert, &lock, keep)?;
    Ok(number)
}

/// The current generation, all of whose files have to be there and say the same number.
#[track_caller]
fn whole(home: &Path) -> u32 {
    let store = Store::read_only(home);
    assert_eq!(store.record(&cert()).unwrap().names, ["example.com"]);
    let generation = store.current(&cert()).unwrap().unwrap();
    let (number, folder) = (generation.number, generation.folder());
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    assert_eq!(read("privkey.pem"), format!("key {number}"));
    assert_eq!(read("cert.pem"), format!("leaf {number}\n"));
    assert_eq!(read("chain.pem"), format!("chain {number}\n"));
    assert_eq!(read("fullchain.pem"), format!("leaf {number}\nchain {number}\n"));
    assert_eq!(generation.info.serial, number.to_string());
    number
}

/// Everything below a folder.
fn all(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(all(&path));
        }
        found.push(path);
    }
    found
}

/// Nothing but complete things is in the store.
#[track_caller]
fn clean(home: &Path) {
    for path in all(home) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let rest = name.starts_with('.') || [".partial", ".old"].iter().any(|end| name.ends_with(end));
        assert!(!rest && name != "order.json", "left behind: {}", path.display());
        if name == "generation.json" {
            let text = std::fs::read(&path).unwrap();
            serde_json::from_slice::<serde_json::Value>(&text).unwrap();
        }
    }
}

/// Lets an hour pass for temporary files in folders that processes share: before that they may be in use.
fn an_hour_later(home: &Path) {
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
        }
    }
}

/// This program, started as a writer.
#[test]
fn a_writer_writes() {
    match std::env::var_os(HOME) {
        Some(home) => {
            if renew(Path::new(&home), 2).is_err() {
                std::process::exit(3);
            }
        }
        None => {
            let home = folder();
            for number in 1..=4 {
                assert_eq!((renew(home.path(), 2).unwrap(), whole(home.path())), (number, number));
            }
            clean(home.path());
        }
    }
}

/// Starts the writer in `home`, with `what` done to its `nth` call of `call`. Whether there was such a call.
fn spoiled(home: &Path, call: &str, what: &str, nth: &str) -> bool {
    let log = home.with_extension("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&log);
    command.args(["-e", &format!("trace=?{call}"), "-e", &format!("inject=?{call}:{what}:when={nth}")]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "a_writer_writes", "--test-threads=1"]);
    let output = command.env(HOME, home).output().unwrap_or_else(|error| {
        panic!("strace cannot be started ({error}): `cargo xtask setup` installs it");
    });
    let log = std::fs::read_to_string(&log).unwrap();
    if what.starts_with("signal") {
        return !output.status.success();
    }
    log.contains("(INJECTED)")
}

/// Does `what` to each call of `calls`, one in each run: after it the store is whole, and after one more run clean.
fn survives(calls: &[&str], what: &str, on: &str) {
    let (mut spoilt, mut new) = (0, 0);
    for call in calls {
        for nth in 1.. {
            let folder = folder();
            let home = folder.path().join("home");
            for _ in 0..2 {
                renew(&home, 2).unwrap();
            }
            if !spoiled(&home, call, what, &format!("{nth}{on}")) {
                break;
            }
            let current = whole(&home);
            assert!((2..=3).contains(&current), "{call} {nth}: {current}");
            new += u32::from(current == 3);
            an_hour_later(&home);
            let next = renew(&home, 2).unwrap_or_else(|error| panic!("{call} {nth}: {error:?}"));
            assert_eq!(whole(&home), next, "{call} {nth}");
            assert!((3..=4).contains(&next), "{call} {nth}: {next}");
            clean(&home);
            spoilt += 1;
        }
    }
    assert!(spoilt > 20 && new > 0 && new < spoilt, "{what}: {spoilt} runs, {new} of them with a new one");
}

#[test]
fn a_writer_that_is_killed_before_any_of_its_calls() {
    survives(&CHANGES, "signal=KILL", "");
}

#[test]
fn a_writer_whose_disk_is_full_or_broken_at_any_of_its_calls() {
    survives(&["fsync", "rename", "renameat", "renameat2", "fchmod", "unlink", "unlinkat"], "error=EIO", "");
    // Full, and it stays so.
    survives(&["write", "mkdir", "mkdirat", "symlink", "symlinkat", "fsync"], "error=ENOSPC", "+");
}

/// What a reader found: the numbers in the key and in the certificate.
fn pair(folder: &Path) -> (String, String) {
    let number = |file: &str| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        text.lines().next().unwrap().split_once(' ').unwrap().1.to_owned()
    };
    (number("privkey.pem"), number("fullchain.pem"))
}

#[test]
fn readers_never_have_a_mixed_pair() {
    const SWAPS: u32 = 4000;
    let folder = folder();
    let home = folder.path();
    for _ in 0..2 {
        renew(home, 5).unwrap();
    }
    let store = Store::open(home).unwrap();
    let current = store.cert_folder(&cert()).join("current");
    // Odd while a swap is under way.
    let (swaps, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // Resolves `current` once.
        let resolving = scope.spawn(|| {
            let mut seen = [0_u32; 2];
            while !ended.load(Ordering::SeqCst) {
                let generation = current.parent().unwrap().join(std::fs::read_link(&current).unwrap());
                let (key, certificate) = pair(&generation);
                assert_eq!(key, certificate);
                seen[usize::from(key == "2")] += 1;
            }
            seen
        });
        // Opens path by path: mixed only if a swap came between, and not when it looks again.
        let by_path = scope.spawn(|| {
            let (mut looks, mut mixed) = (0_u32, 0_u32);
            while !ended.load(Ordering::SeqCst) {
                let before = swaps.load(Ordering::SeqCst);
                let (key, certificate) = pair(&current);
                let undisturbed = before % 2 == 0 && swaps.load(Ordering::SeqCst) == before;
                looks += 1;
                assert!(key == certificate || !undisturbed, "{key} {certificate}");
                mixed += u32::from(key != certificate);
            }
            let (key, certificate) = pair(&current);
            assert_eq!(key, certificate);
            (looks, mixed)
        });
        let lock = lock(&store).unwrap();
        for number in 0..SWAPS {
            swaps.fetch_add(1, Ordering::SeqCst);
            store.make_current(&cert(), &lock, 1 + number % 2).unwrap();
            swaps.fetch_add(1, Ordering::SeqCst);
        }
        ended.store(true, Ordering::SeqCst);
        let (seen, (looks, mixed)) = (resolving.join().unwrap(), by_path.join().unwrap());
        assert!(seen[0] > 0 && seen[1] > 0 && looks > 0, "{seen:?}, {mixed} of {looks} mixed");
    });
}
