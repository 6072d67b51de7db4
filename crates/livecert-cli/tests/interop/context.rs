//! What a case has: a server with a gate in front, a state folder and a zone of its own.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustls::client::danger::ServerCertVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use testbed::sim::Rrset;
use testbed::{Exchange, Gate, Livecert, Outcome, PAT, Testbed};

use crate::server::{Kind, Server};

/// Why a case did not pass.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The server has no such thing; in its own words, or what its answers lack.
    NotOffered(String),
    /// What went wrong.
    Failed(String),
}

/// How a case ended.
pub(crate) type Verdict = Result<(), Obstacle>;

impl<E: std::error::Error> From<E> for Obstacle {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Obstacle::Failed(text)
    }
}

pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T, Obstacle> {
    Err(Obstacle::Failed(text.into()))
}

pub(crate) fn not_offered<T>(text: impl Into<String>) -> Result<T, Obstacle> {
    Err(Obstacle::NotOffered(text.into()))
}

/// What all cases of a server share.
pub(crate) struct Bench {
    pub(crate) kind: Kind,
    pub(crate) testbed: Testbed,
    pub(crate) server: Server,
    token: PathBuf,
    /// Held while proofs are shown at the server's ports for http-01 and tls-alpn-01: there is one of each.
    pub(crate) ports: Mutex<()>,
}

impl Bench {
    pub(crate) fn start(kind: Kind) -> Result<Self, testbed::Error> {
        let testbed = Testbed::start(&testbed::Options {
            dns_listen: vec![([127, 0, 0, 1], 53).into()],
            ..testbed::Options::default()
        })?;
        let server = kind.start(&testbed)?;
        let token = testbed.secret_file("gandi.pat", PAT)?;
        Ok(Bench { kind, testbed, server, token, ports: Mutex::new(()) })
    }
}

/// One case at one server.
pub(crate) struct Context<'a> {
    pub(crate) bench: &'a Bench,
    pub(crate) server: &'a Server,
    /// A zone that no other case uses.
    pub(crate) zone: String,
    /// The directory's URL, in front of the gate.
    pub(crate) directory: String,
    pub(crate) gate: Gate,
    home: PathBuf,
    livecert: Livecert,
}

impl<'a> Context<'a> {
    pub(crate) fn new(bench: &'a Bench, server: &'a Server, case: &str) -> Result<Self, testbed::Error> {
        let (gate, directory) = bench.testbed.gate_before(&server.directory())?;
        let zone = format!("{case}.example");
        bench.testbed.gandi().add_zone(&zone);
        let home = bench.testbed.folder().join(format!("home-{case}"));
        let binary = Path::new(env!("CARGO_BIN_EXE_livecert"));
        let livecert = bench.testbed.livecert(binary).at(&home);
        Ok(Context { bench, server, zone, directory, gate, home, livecert })
    }

    /// The words that name the server, and make an account there if need be.
    pub(crate) fn server_words(&self) -> Vec<String> {
        let words = ["--server", &self.directory, "--accept-tos", "--contact", "somebody@example.com"];
        words.map(str::to_owned).to_vec()
    }

    /// The words that name the plugin gandi, its parameters and the name servers.
    pub(crate) fn dns_words(&self) -> Vec<String> {
        let mut words = self.bench.testbed.dns_words();
        words.extend(["--plugin-arg".to_owned(), format!("GandiPAT=file:{}", self.bench.token.display())]);
        words
    }

    /// Runs livecert.
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Outcome, Obstacle> {
        Ok(self.livecert.run(words)?)
    }

    /// Starts livecert, and kills it when it waits for the answer to a request that has `word` in its path.
    pub(crate) fn kill_at(&self, word: &str, words: &[String]) -> Result<(), Obstacle> {
        self.gate.hold_at(word, testbed::Side::After);
        let mut child = self.livecert.spawn(words)?;
        let held = self.gate.until_held(&mut child)?;
        child.kill()?;
        child.wait()?;
        self.gate.open();
        if held { Ok(()) } else { failed(format!("it ended before a request to {word}")) }
    }

    /// Runs livecert, which has to end well.
    pub(crate) fn succeed<S: AsRef<std::ffi::OsStr>>(
        &self,
        words: impl IntoIterator<Item = S>,
    ) -> Result<Outcome, Obstacle> {
        let outcome = self.run(words)?;
        if outcome.status == Some(0) { Ok(outcome) } else { failed(last_words(&outcome)) }
    }

    /// Runs livecert with `--json`, and gives its document.
    pub(crate) fn document(&self, words: &[&str]) -> Result<Value, Obstacle> {
        let outcome = self.succeed(words.iter().copied().chain(["--json"]))?;
        Ok(serde_json::from_str(&outcome.stdout)?)
    }

    /// Issues with proofs in DNS: the certificate has to be right, and the zone as it was before.
    pub(crate) fn issue(&self, names: &[&str], more: &[&str]) -> Result<Issued, Obstacle> {
        let mut words = self.server_words();
        words.extend(self.dns_words());
        words.extend(more.iter().map(|&word| word.to_owned()));
        let before = self.bench.testbed.gandi().zone(&self.zone);
        let issued = self.issue_with(names, words)?;
        if self.bench.testbed.gandi().zone(&self.zone) == before {
            Ok(issued)
        } else {
            failed("something is left in the zone")
        }
    }

    /// Issues with exactly these words.
    pub(crate) fn issue_with(&self, names: &[&str], words: Vec<String>) -> Result<Issued, Obstacle> {
        let names = names.iter().map(|&name| name.to_owned());
        let all: Vec<String> = ["issue".to_owned()].into_iter().chain(names.clone()).chain(words).collect();
        self.succeed(&all)?;
        let Some(first) = names.clone().next() else { return failed("no name") };
        let issued = self.issued(&first)?;
        issued.trusted(&self.server.roots(&self.bench.testbed)?, &names.collect::<Vec<_>>())?;
        Ok(issued)
    }

    /// What is in the store for a certificate.
    pub(crate) fn issued(&self, name: &str) -> Result<Issued, Obstacle> {
        let folder = self.home.join("certs").join(name.replace('*', "!")).join("current");
        let fullchain = std::fs::read_to_string(folder.join("fullchain.pem"))?;
        let chain = CertificateDer::pem_slice_iter(fullchain.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        Ok(Issued { folder, chain })
    }

    /// Lets a name lead to this machine.
    pub(crate) fn lead_here(&self, name: &str) {
        let zone = &self.zone;
        let relative = name.strip_suffix(zone.as_str()).unwrap_or_default().trim_end_matches('.');
        let relative = if relative.is_empty() { "@" } else { relative };
        let here = Rrset { ttl: 300, values: vec!["127.0.0.1".to_owned()] };
        self.bench.testbed.gandi().set_rrset(zone, relative, "A", Some(here));
    }

    /// The server's directory.
    pub(crate) fn server_directory(&self) -> Result<Value, Obstacle> {
        Ok(serde_json::from_str(&self.bench.testbed.fetch(&self.server.directory())?)?)
    }

    /// What the directory says under this name; that it says nothing means that it is not offered.
    pub(crate) fn offered(&self, pointer: &str) -> Result<Value, Obstacle> {
        match self.server_directory()?.pointer(pointer) {
            Some(value) if !value.is_null() => Ok(value.clone()),
            _ => not_offered(format!("the directory has no `{}`", pointer.trim_start_matches('/'))),
        }
    }

    /// The last refusal, in the server's words.
    pub(crate) fn refusal(&self) -> Option<String> {
        let told = |exchange: &Exchange| exchange.problem().filter(|text| !text.contains("badNonce"));
        self.gate.exchanges().iter().rev().find_map(told)
    }

    /// How many requests with this member in their payload were refused for their nonce, and so sent once more.
    pub(crate) fn refused_nonces(&self, member: &str) -> usize {
        let refused = |exchange: &&Exchange| {
            exchange.payload.as_ref().is_some_and(|payload| !payload[member].is_null())
                && exchange.problem().is_some_and(|words| words.contains("badNonce"))
        };
        self.gate.exchanges().iter().filter(refused).count()
    }

    /// The authorizations of all orders so far, in the order in which the server told of them.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        let of = |exchange: Exchange| {
            let urls = exchange.document?.get("authorizations")?.as_array()?.clone();
            Some(urls.iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>())
        };
        self.gate.exchanges().into_iter().filter_map(of).flatten().collect()
    }

    /// Payloads that were sent to an address that has this word in its path.
    pub(crate) fn sent(&self, path: &str) -> Vec<Value> {
        let there = |exchange: Exchange| exchange.payload.filter(|_| exchange.path.contains(path));
        self.gate.exchanges().into_iter().filter_map(there).collect()
    }
}

/// A certificate as it was issued.
pub(crate) struct Issued {
    pub(crate) folder: PathBuf,
    pub(crate) chain: Vec<CertificateDer<'static>>,
}

impl Issued {
    /// A TLS client that trusts only `roots` accepts it for all names.
    pub(crate) fn trusted(&self, roots: &[String], names: &[String]) -> Result<(), Obstacle> {
        let mut store = rustls::RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from_pem_slice(root.as_bytes())?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build()?;
        let Some((certificate, rest)) = self.chain.split_first() else { return failed("no certificate") };
        for name in names {
            let name = name.replace('*', "any");
            let server = ServerName::try_from(name.clone())?;
            if let Err(error) = verifier.verify_server_cert(certificate, rest, &server, &[], UnixTime::now())
            {
                return failed(format!("a TLS client refuses it for {name}: {error}"));
            }
        }
        Ok(())
    }

    /// The certificate itself, taken apart.
    pub(crate) fn look<T>(
        &self,
        ask: impl FnOnce(&x509_parser::certificate::X509Certificate<'_>) -> T,
    ) -> Result<T, Obstacle> {
        let Some(der) = self.chain.first() else { return failed("no certificate") };
        match x509_parser::parse_x509_certificate(der) {
            Ok((_, certificate)) => Ok(ask(&certificate)),
            Err(error) => failed(format!("the certificate cannot be read: {error}")),
        }
    }
}

/// What livecert said last, in a line.
fn last_words(outcome: &Outcome) -> String {
    // With `--json` the error is on stdout.
    let said: Vec<&str> = [&outcome.stderr, &outcome.stdout]
        .into_iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let begin = said.iter().rposition(|line| line.starts_with("error")).unwrap_or(0);
    let status = outcome.status.map_or_else(|| "a signal".to_owned(), |status| status.to_string());
    format!("exit status {status}: {}", said.get(begin..).unwrap_or_default().join(" "))
}
