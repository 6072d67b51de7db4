//! A store with certificates in every state, at a moment of its own: what screens and pages are drawn from in tests.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use livecert::certificate::{StatusReport, StatusRequest, status};
use livecert::store::{
    CertName, CertificateRecord, CertificateRun, CredentialRecord, FinishedRun, GenerationInfo, RunRecord,
    Store,
};
use serde_json::json;

/// Words of a server that would like to be more than words.
pub(crate) const HOSTILE: &str =
    "</td><script>fetch('http://evil.example/')</script><img src=http://evil.example/x>\u{1b}[2J & \"more\"";

/// The moment that all is seen at.
pub(crate) fn now() -> Timestamp {
    "2026-03-10T09:00:00Z".parse().unwrap()
}

fn days(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(24 * days)
}

/// A store below `home`.
pub(crate) fn fill(home: &Path) -> Store {
    let store = Store::open(home).unwrap();
    certificate(
        &store,
        "www.example.com",
        &["www.example.com", "example.com", "api.example.com", "img.example.com", "cdn.example.com"],
        Some((90, 71)),
        Some(200),
    );
    certificate(&store, "mail.example.org", &["mail.example.org"], Some((90, 26)), Some(12));
    certificate(&store, "!.shop.example.net", &["*.shop.example.net"], Some((90, 19)), Some(12));
    certificate(&store, "xn--bcher-kva.example", &["xn--bcher-kva.example"], Some((6, 5)), None);
    certificate(&store, "old.example.com", &["old.example.com"], Some((90, -3)), Some(200));
    certificate(
        &store,
        "a-service-with-a-rather-long-name.of-a-team.in-a-department.example.com",
        &["a.example.com"],
        Some((45, 40)),
        Some(200),
    );
    certificate(&store, "new.example.com", &["new.example.com"], None, None);
    failures(
        home,
        "!.shop.example.net",
        3,
        "gandi-unauthorized",
        "the plugin 'gandi' cannot publish the proofs: LiveDNS does not take the token (401 Unauthorized)",
    );
    failures(home, "old.example.com", 12, "refused", HOSTILE);
    let deployment = json!({"version": 1, "post_owed": true});
    std::fs::write(home.join("certs/mail.example.org/deployment.json"), deployment.to_string()).unwrap();
    let (began, finished) =
        (now() - SignedDuration::from_hours(5), now() - SignedDuration::from_secs(5 * 3600 - 42));
    let mut run = RunRecord::new(Some(FinishedRun { began, finished, renewed: 1, not_due: 3, failed: 2 }));
    for (name, result, kind) in [
        ("www.example.com", "not-due", None),
        ("mail.example.org", "renewed", None),
        ("old.example.com", "failed", Some("refused")),
    ] {
        let error = kind.map(|_| HOSTILE.to_owned());
        let kind = kind.map(str::to_owned);
        let one = CertificateRun {
            at: finished,
            result: result.into(),
            kind,
            error,
            not_after: None,
            renew_at: None,
        };
        run.certificates.insert(name.into(), one);
    }
    store.save_run(&run).unwrap();
    store
}

/// Everything as it stands then.
pub(crate) fn report(store: &Store) -> StatusReport {
    status(store, &StatusRequest::default(), now()).unwrap()
}

/// A certificate that lives so many days and has so many left, with a token that has so many left.
fn certificate(store: &Store, name: &str, names: &[&str], life: Option<(i64, i64)>, token: Option<i64>) {
    let cert: CertName = name.parse().unwrap();
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let record =
        CertificateRecord::new(names.clone(), "https://acme.example/directory".into(), "gandi".into());
    store.save_record(&cert, &record).unwrap();
    if let Some(left) = token {
        let end = CredentialRecord::new("personal access token", days(left));
        store.save_credential_end(&cert, &end).unwrap();
    }
    let Some((life, left)) = life else { return };
    let validity = (days(left - life), days(left));
    let mut info = GenerationInfo::new(names, "03ab".into(), "Example CA".into(), validity, record.server);
    info.issued = validity.0;
    let folder = store.cert_folder(&cert).join("generations/1");
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"] {
        std::fs::write(folder.join(file), "PEM").unwrap();
    }
    std::fs::write(folder.join("generation.json"), serde_json::to_string(&info).unwrap()).unwrap();
    std::os::unix::fs::symlink("generations/1", store.cert_folder(&cert).join("current")).unwrap();
}

fn failures(home: &Path, cert: &str, count: u32, kind: &str, error: &str) {
    let record = json!({
        "version": 1, "count": count, "first": days(-2), "last": days(0), "kind": kind, "error": error,
        "next_try": days(1),
    });
    std::fs::write(home.join("certs").join(cert).join("failures.json"), record.to_string()).unwrap();
}
