//! Looking at many certificates of which none is due reads each of their files once, and writes none of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod many;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use livecert::certificate::{RenewRequest, RenewalResult, StatusRequest, status};
use livecert::store::Store;

/// Where the reader is to read, and what it is to do, when this program is started as one.
const HOME: &str = "LIVECERT_TEST_READER_HOME";
const WORK: &str = "LIVECERT_TEST_READER_WORK";
/// Enough for several threads.
const COUNT: usize = 150;

/// This program, started as a reader.
#[test]
fn a_reader_reads() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let store = Store::open(Path::new(&home)).unwrap();
    if std::env::var_os(WORK).unwrap() == "status" {
        let report = status(&store, &StatusRequest::default(), Timestamp::now()).unwrap();
        assert_eq!((report.certificates.len(), report.troubles.len()), (COUNT, 0), "{:?}", report.troubles);
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let renewals = runtime.block_on(async {
        let request = RenewRequest::default();
        many::service(&store).renew(&request).await.unwrap()
    });
    assert_eq!(renewals.len(), COUNT);
    assert!(renewals.iter().all(|one| matches!(one.result, RenewalResult::NotDue(_))), "{renewals:?}");
}

/// The files that the reader opened, with how often it did, and the files that it renamed.
fn opened(home: &Path, work: &str) -> (BTreeMap<PathBuf, usize>, Vec<String>) {
    let log = home.with_extension("strace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-s", "4096", "-o"]).arg(&log);
    command.args(["-e", "trace=?open,?openat,?rename,?renameat,?renameat2"]);
    command.arg(std::env::current_exe().unwrap()).args(["--exact", "a_reader_reads", "--test-threads=1"]);
    let output = command.env(HOME, home).env(WORK, work).output().unwrap_or_else(|error| {
        panic!("strace cannot be started ({error}): `cargo xtask setup` installs it");
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = std::fs::read_to_string(&log).unwrap();
    let (mut opened, mut renamed) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        // What a call that was put off came to is in another line, without its path.
        let Some(path) = line.split('"').nth(1) else { continue };
        if line.contains("open") {
            // openat(4</home/certs/a.example>, "certificate.json", …
            let below = line
                .split_once('<')
                .and_then(|(_, rest)| rest.split_once('>'))
                .map_or("", |(folder, _)| folder);
            *opened.entry(Path::new(below).join(path)).or_default() += 1;
        } else {
            renamed.push(line.to_owned());
        }
    }
    (opened, renamed)
}

#[test]
fn by_a_run_without_work_and_by_status() {
    let folder = many::folder();
    let home = folder.path().join("home");
    many::fill(&home, COUNT);
    for work in ["renew", "renew again", "status"] {
        let (opened, renamed) = opened(&home, work);
        let own = opened.iter().filter(|(path, _)| {
            path.strip_prefix(home.join("certs"))
                .is_ok_and(|path| path.extension().is_some_and(|kind| kind == "json"))
        });
        let own: Vec<_> = own.collect();
        // The record, the generation, the window, the deployment, failures, the credential's end.
        assert!((5 * COUNT..=6 * COUNT).contains(&own.len()), "{work}: {} files of certificates", own.len());
        let twice: Vec<_> = own.iter().filter(|(_, times)| **times > 1).collect();
        assert!(
            twice.is_empty(),
            "{work}: {} files are read more than once: {:?}",
            twice.len(),
            twice.first()
        );
        // What is for all of them is not read for each one.
        let often: Vec<_> = opened.iter().filter(|(_, times)| **times > 4).collect();
        assert!(often.is_empty(), "{work}: {often:?}");
        // What the run did is written down once.
        assert!(renamed.len() <= 2, "{work}: {} files are written: {:?}", renamed.len(), renamed.first());
    }
}
