use super::*;
use crate::certificate::settings::Settings;
use crate::certificate::{PerName, PublisherRequest, parse_names};
use crate::store::{GenerationInfo, StoredArgument};

const FILE: &str = "/etc/livecert/livecert.toml";

fn declared(names: &[&str], change: impl FnOnce(&mut IssueRequest)) -> Declared {
    let mut request = IssueRequest {
        names: parse_names(names.iter().copied()).unwrap(),
        servers: vec!["https://acme.example/directory".parse().unwrap()],
        plugin: PerName::all(Some("gandi".parse().unwrap())),
        declared_in: Some(FILE.into()),
        ..IssueRequest::default()
    };
    change(&mut request);
    let cert = request.cert_name.clone().unwrap_or_else(|| CertName::from(&request.names[0]));
    Declared { cert, request: Ok(request) }
}

fn gandi(arguments: &[String]) -> PublisherRequest {
    PublisherRequest::parse(&["gandi".parse().unwrap()], &[], arguments, &[]).unwrap()
}

/// A store with what `apply` has made of these.
fn store_of(all: &[Declared]) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for Declared { cert, request } in all {
        let settings = Settings::new(request.as_ref().unwrap(), None).unwrap();
        let mut arguments = std::collections::BTreeMap::new();
        for publisher in &settings.proofs.publishers {
            let stored = |(name, source): (&&'static str, &crate::plugin::ArgumentSource)| {
                ((*name).to_owned(), StoredArgument::Secret { source: source.place(), sealed: None })
            };
            arguments.insert(publisher.name.clone(), publisher.arguments.iter().map(stored).collect());
        }
        let record = settings.record(&arguments, &crate::store::OutputRecord::default());
        store.save_record(cert, &record).unwrap();
        let generation = store.cert_folder(cert).join("generations/1");
        std::fs::create_dir_all(&generation).unwrap();
        let now = jiff::Timestamp::now();
        let end = now + jiff::SignedDuration::from_hours(1);
        let info = GenerationInfo::new(record.names, "01".into(), "CA".into(), (now, end), record.server);
        std::fs::write(generation.join("generation.json"), serde_json::to_string(&info).unwrap()).unwrap();
        std::os::unix::fs::symlink("generations/1", store.cert_folder(cert).join("current")).unwrap();
    }
    (folder, store)
}

fn steps(store: &Store, all: Vec<Declared>) -> Vec<(String, &'static str, String)> {
    let word = |one: &Intention| match &one.step {
        Step::Keep => "keep",
        Step::Issue(_) => "issue",
        Step::Reissue(_) => "reissue",
        Step::Change(_) => "change",
        Step::Archive => "archive",
        Step::Refuse(_) => "refuse",
    };
    let all = intentions(store, ApplyRequest::new(FILE.into(), all)).unwrap();
    all.iter().map(|one| (one.cert.to_string(), word(one), one.why.join(", "))).collect()
}

fn one(store: &Store, all: Declared) -> (&'static str, String) {
    let mut steps = steps(store, vec![all]);
    assert_eq!(steps.len(), 1, "{steps:?}");
    let (_, step, why) = steps.remove(0);
    (step, why)
}

#[test]
fn each_difference_has_its_step_and_its_reason() {
    let plain = || declared(&["example.com", "www.example.com"], |_| ());
    let (_folder, store) = store_of(&[plain()]);
    assert_eq!(one(&store, plain()), ("keep", String::new()));
    // Names have no order, and the first one at the beginning stays the certificate's name.
    let turned = declared(&["www.example.com", "example.com"], |_| ());
    assert_eq!(steps(&store, vec![turned]), [("example.com".into(), "keep", String::new())]);
    let more = declared(&["example.com", "mail.example.com"], |_| ());
    let why = "names (+mail.example.com, -www.example.com)";
    assert_eq!(one(&store, more), ("reissue", why.into()));
    let changed =
        |change: fn(&mut IssueRequest)| one(&store, declared(&["example.com", "www.example.com"], change));
    assert_eq!(
        changed(|request| request.key_type = Some("rsa-2048".parse().unwrap())),
        ("reissue", "key type (ec-256 -> rsa-2048)".into())
    );
    assert_eq!(changed(|request| request.profile = Some("shortlived".into())), ("reissue", "profile".into()));
    assert_eq!(
        changed(|request| request.deployment.deploy_hook = Some("true".into())),
        ("change", "deployment.deploy hook".into())
    );
    assert_eq!(changed(|request| request.output.group = Some("0".into())), ("change", "files".into()));
    let with_token = changed(|request| {
        let pat = ["GandiPAT=file:/etc/pat".to_owned()];
        request.publishers = gandi(&pat);
    });
    assert_eq!(with_token, ("change", "plugin arguments".into()));
    assert_eq!(steps(&store, Vec::new())[0].1, "archive");
}

#[test]
fn a_name_that_was_the_first_is_that_of_one_certificate() {
    let (_folder, store) = store_of(&[declared(&["old.example"], |_| ())]);
    let two = vec![
        declared(&["a.example", "old.example"], |_| ()),
        declared(&["b.example", "old.example"], |_| ()),
    ];
    let found = steps(&store, two);
    let found: Vec<_> = found.iter().map(|(cert, step, _)| (cert.as_str(), *step)).collect();
    assert_eq!(found, [("b.example", "issue"), ("old.example", "reissue")]);
}

#[test]
fn what_was_declared_and_is_left_out_is_the_default_again() {
    let full = || {
        declared(&["example.com"], |request| {
            request.deployment.deploy_hook = Some("true".into());
            request.keep_generations = Some(9);
            request.propagation.sleep = Some(std::time::Duration::from_secs(9));
            request.propagation.resolvers = vec!["192.0.2.1".parse().unwrap()];
        })
    };
    let (_folder, store) = store_of(&[full()]);
    assert_eq!(one(&store, full()).0, "keep");
    let (step, why) = one(&store, declared(&["example.com"], |_| ()));
    assert_eq!(step, "change");
    let all = ["deployment.deploy hook", "keep generations", "propagation.resolvers", "propagation.sleep"];
    assert_eq!(why, all.join(", "));
}

#[test]
fn a_credential_from_the_same_place_is_the_same() {
    let with = |place: &'static str| {
        declared(&["example.com"], |request| {
            let pat = [format!("GandiPAT={place}")];
            request.publishers = gandi(&pat);
        })
    };
    let (_folder, store) = store_of(&[with("env:PAT")]);
    assert_eq!(one(&store, with("env:PAT")).0, "keep");
    assert_eq!(one(&store, with("file:/etc/pat")).0, "change");
    // One that was found in the environment is found again.
    assert_eq!(one(&store, declared(&["example.com"], |_| ())).0, "keep");
}

#[test]
fn only_what_the_file_has_made_is_in_its_care() {
    let by_hand = |name: &str| declared(&[name], |request| request.declared_in = None);
    let elsewhere = declared(&["b.example"], |request| request.declared_in = Some("/other.toml".into()));
    let (_folder, store) =
        store_of(&[by_hand("a.example"), elsewhere, declared(&["c.example"], |_| ()), by_hand("d.example")]);
    let found = steps(&store, vec![declared(&["d.example"], |_| ()), declared(&["e.example"], |_| ())]);
    let found: Vec<_> = found.iter().map(|(cert, step, _)| (cert.as_str(), *step)).collect();
    assert_eq!(found, [("c.example", "archive"), ("d.example", "change"), ("e.example", "issue")]);
    let request = ApplyRequest {
        only: vec!["a.example".parse().unwrap()],
        ..ApplyRequest::new(FILE.into(), vec![declared(&["a.exampel"], |_| ())])
    };
    let error = intentions(&store, request).unwrap_err();
    assert!(
        matches!(&error, CertificateError::NotDeclared { similar: Some(name), .. } if name == "a.exampel")
    );
}

#[tokio::test]
async fn what_is_in_the_archive_is_taken_back_and_compared() {
    let plain = || declared(&["example.com"], |_| ());
    let (_folder, store) = store_of(&[plain()]);
    let name: CertName = "example.com".parse().unwrap();
    let lock = store.lock(&name, std::time::Duration::ZERO, |_| ()).await.unwrap();
    store.archive(&name, &lock).unwrap();
    assert_eq!(one(&store, plain()), ("keep", "in the archive".into()));
    let more = declared(&["example.com", "www.example.com"], |_| ());
    assert_eq!(one(&store, more), ("reissue", "in the archive, names (+www.example.com)".into()));
    assert_eq!(steps(&store, Vec::new()), []);
}
