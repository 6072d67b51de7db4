//! What hooks are told: in variables, and the same as JSON.

use serde_json::{Value, json};

use crate::deploy::HookKind;
use crate::store::{CertName, CertificateRecord, Generation, PendingDeployment};

/// What a hook is told.
pub(in crate::certificate) trait HookFacts {
    /// The facts as environment variables.
    fn variables(&self) -> Vec<(String, String)>;
    /// The facts as a JSON object.
    fn document(&self) -> Value;
}

/// A variable of this name.
pub(super) fn variable(name: &str, value: impl ToString) -> (String, String) {
    (format!("LIVECERT_{name}"), value.to_string())
}

/// About one certificate that is to be made, or one that is there.
pub(super) struct Facts<'a> {
    cert: &'a CertName,
    names: &'a [String],
    server: &'a str,
    deployed: Option<(&'a Generation, &'a PendingDeployment)>,
}

impl<'a> Facts<'a> {
    /// Before there is one.
    pub(super) fn before(cert: &'a CertName, names: &'a [String], server: &'a str) -> Self {
        Facts { cert, names, server, deployed: None }
    }

    pub(super) fn of(
        cert: &'a CertName,
        record: &'a CertificateRecord,
        generation: &'a Generation,
        pending: &'a PendingDeployment,
    ) -> Self {
        let (names, server) = (&generation.info.names, generation.info.server.as_str());
        let names = if names.is_empty() { &record.names } else { names };
        Facts { cert, names, server, deployed: Some((generation, pending)) }
    }
}

impl HookFacts for Facts<'_> {
    fn variables(&self) -> Vec<(String, String)> {
        let mut all = vec![
            variable("CERT", self.cert),
            variable("NAMES", self.names.join(" ")),
            variable("SERVER", self.server),
        ];
        let Some((generation, pending)) = self.deployed else { return all };
        let info = &generation.info;
        all.extend([
            variable("GENERATION", generation.number),
            variable("FOLDER", generation.current.display()),
            variable("SERIAL", &info.serial),
            variable("NOT_BEFORE", info.not_before),
            variable("NOT_AFTER", info.not_after),
        ]);
        all.extend(pending.previous.map(|number| variable("PREVIOUS_GENERATION", number)));
        if pending.went_back {
            all.push(variable("ROLLBACK", 1));
        }
        let file = |(what, path): (&'static str, std::path::PathBuf)| {
            let what = if what == "privkey" { "key" } else { what };
            let name = what.replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_ascii_uppercase();
            variable(&format!("{name}_FILE"), path.display())
        };
        all.extend(generation.files().into_iter().map(file));
        all
    }

    fn document(&self) -> Value {
        let mut document = json!({"name": self.cert.as_str(), "names": self.names, "server": self.server});
        let Some((generation, pending)) = self.deployed else { return document };
        let info = &generation.info;
        let files = generation.files().into_iter().map(|(what, path)| (what.to_owned(), json!(path)));
        let more = json!({
            "generation": generation.number,
            "previous_generation": pending.previous,
            "folder": generation.current,
            "files": files.collect::<serde_json::Map<_, _>>(),
            "serial": info.serial,
            "issuer": info.issuer,
            "not_before": info.not_before,
            "not_after": info.not_after,
            "rollback": pending.went_back,
        });
        if let (Value::Object(document), Value::Object(more)) = (&mut document, more) {
            document.extend(more);
        }
        document
    }
}

/// About a run that has come to its end.
pub(super) struct EndFacts {
    /// The certificates that the command is run for.
    pub(super) certs: Vec<CertName>,
    /// Those of the run that have a new generation.
    pub(super) renewed: Vec<CertName>,
    /// Those of the run that failed.
    pub(super) failed: Vec<CertName>,
    /// What the documents of the renewed ones say.
    pub(super) documents: Vec<Value>,
    pub(super) went_back: bool,
}

impl HookFacts for EndFacts {
    fn variables(&self) -> Vec<(String, String)> {
        let list = |certs: &[CertName]| certs.iter().map(CertName::as_str).collect::<Vec<_>>().join(" ");
        let mut all = vec![
            variable("CERTS", list(&self.certs)),
            variable("RENEWED", list(&self.renewed)),
            variable("FAILED", list(&self.failed)),
        ];
        if self.went_back {
            all.push(variable("ROLLBACK", 1));
        }
        all
    }

    fn document(&self) -> Value {
        let list = |certs: &[CertName]| certs.iter().map(|cert| json!(cert.as_str())).collect::<Vec<_>>();
        json!({
            "certs": list(&self.certs),
            "renewed": self.documents,
            "failed": list(&self.failed),
            "rollback": self.went_back,
        })
    }
}

/// A document with the hook's kind in it.
pub(super) fn with_kind(kind: HookKind, mut document: Value) -> Value {
    document["hook"] = kind.word().into();
    document
}
