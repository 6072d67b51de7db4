//! Moving from another client: its account, key and certificate stay in use, and the CA sees a renewal as any other.

mod acme_sh;
mod certbot;
mod hostile;
mod lego;
mod posh_acme;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use testbed::ca::Control;
use testbed::{AcmeSim, Outcome, PAT};

use super::other_clients_have_it_as_their_hook::{client, script, succeeds};
use super::{Bench, document, expect, read, sent};

/// A bench, an ACME server that has renewal windows, and a folder for another client's state.
struct Move {
    bench: Bench,
    server: AcmeSim,
    folder: PathBuf,
}

impl Move {
    fn new() -> Self {
        let bench = Bench::counting();
        let server = bench.testbed.acme_sim("old home").unwrap();
        let folder = bench.testbed.folder().join("theirs");
        std::fs::create_dir(&folder).unwrap();
        Move { bench, server, folder }
    }

    fn control(&self) -> Control {
        self.server.control()
    }

    fn import(&self, client: &str, more: &[&str]) -> Outcome {
        let folder = self.folder.to_str().unwrap();
        self.bench.run(&[&["import", client, folder, "--json"], more].concat())
    }

    /// The same with what points to the simulated Gandi, beside what is found.
    fn import_at_gandi(&self, client: &str, more: &[&str]) -> Outcome {
        let words = self.bench.testbed.dns_words();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.import(client, &[&words, more].concat())
    }

    /// What every import has to do with the only certificate that there is: take it over without a request, once, and have
    /// its renewal go on as the other client's would have.
    #[track_caller]
    fn goes_on(&self, client: &str, cert: &str, more: &[&str]) -> Value {
        let control = self.control();
        let (account, issued) = (control.accounts()[0].url.clone(), control.certificates()[0].clone());
        let before = tree(&self.folder);
        control.clear_requests();

        let plan = self.import_at_gandi(client, &[&["--plan"], more].concat());
        expect(&plan, 0);
        assert_eq!(document(&plan)["certificates"][0]["result"], "to-import", "{}", plan.stdout);
        assert!(!self.bench.testbed.home().exists(), "a plan has made the state folder");

        let import = self.import_at_gandi(client, more);
        expect(&import, 0);
        let imported = document(&import);
        assert_eq!(imported["accounts"][0]["url"], account.as_str(), "{imported}");
        let one = &imported["certificates"][0];
        assert_eq!((&one["result"], &one["name"]), (&"imported".into(), &cert.into()), "{imported}");
        assert_eq!(one["account"], account.as_str(), "{imported}");
        assert!(!(import.stdout + &import.stderr).contains(PAT));
        let stored = state(&self.bench);

        let again = self.import_at_gandi(client, more);
        expect(&again, 0);
        assert_eq!(document(&again)["certificates"][0]["result"], "already-there");
        assert_eq!(document(&again)["accounts"][0]["result"], "already-there");
        assert!(stored == state(&self.bench), "doing it again has changed the store");
        assert!(before == tree(&self.folder), "the other client's folder was changed");

        // Nobody is asked before it is due.
        expect(&self.bench.run(&["renew"]), 0);
        assert_eq!(control.requests(), []);
        let shown = document(&self.bench.run(&["show", cert, "--json"]));
        assert_eq!(shown["certificate_id"], issued.renewal_id.as_str());

        expect(&self.bench.run(&["renew", cert, "--force"]), 0);
        assert_eq!((sent(&control, "/account"), sent(&control, "/order")), (0, 1));
        let mut orders = control.requests().into_iter().filter(|request| request.path.ends_with("/order"));
        assert_eq!(orders.next_back().unwrap().kid, Some(account));
        assert_eq!(control.orders().last().unwrap().replaces, Some(issued.renewal_id));
        imported
    }
}

/// What somebody has at the server already: an account, and a certificate for `example.com` and `*.example.com`.
struct Made {
    account: String,
    /// PEM.
    account_key: String,
    key: String,
    leaf: String,
    chain: String,
}

impl Made {
    fn new(there: &Move) -> Self {
        let bench = &there.bench;
        let livecert = bench.livecert.clone().at(&bench.testbed.folder().join("first"));
        let words = bench.words_at(&there.server, &["example.com", "*.example.com"], &[]);
        expect(&livecert.run(words).unwrap(), 0);
        let directory = there.server.directory();
        let account_key = livecert.run(["account", "export", "--server", &directory]).unwrap();
        expect(&account_key, 0);
        let file =
            |name: &str| read(&bench.testbed.folder().join("first/certs/example.com/current").join(name));
        Made {
            account: there.control().accounts()[0].url.clone(),
            account_key: account_key.stdout,
            key: file("privkey.pem"),
            leaf: file("cert.pem"),
            chain: file("chain.pem"),
        }
    }

    /// The account key, with what older tools write before it.
    fn old_account_key(&self) -> String {
        let parameters = piped(Command::new("openssl").args(["ecparam", "-name", "prime256v1"]), "");
        parameters + &piped(Command::new("openssl").args(["ec"]), &self.account_key)
    }
}

/// What a program makes of its input.
fn piped(command: &mut Command, input: &str) -> String {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// Writes a file below a folder, and the folders above it.
fn write(folder: &Path, below: &str, text: &str) {
    let path = folder.join(below);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// Every file of the store, but for the locks, which name who held them last.
fn state(bench: &Bench) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, locks) = (tree(&bench.testbed.home()), bench.testbed.home().join("locks"));
    files.retain(|(path, _)| !path.starts_with(&locks));
    files
}

/// Every file below a folder, with its content.
fn tree(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            files.extend(tree(&path));
        } else if kind.is_symlink() {
            files.push((
                path.clone(),
                std::fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
            ));
        } else {
            files.push((path.clone(), std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}
