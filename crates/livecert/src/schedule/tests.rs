use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::secret::KeyMaterial;
use crate::store::{CertificateRecord, Rotation, SealingRecord, Store, StoredArgument};

fn request() -> TimerRequest {
    TimerRequest {
        program: "/usr/bin/livecert".into(),
        home: "/var/lib/livecert".into(),
        ca_bundle: None,
        config: None,
        scope: Scope::System,
        on_calendar: Vec::new(),
        random_delay: 3600,
        writable: Vec::new(),
        credentials: Vec::new(),
        readable: Vec::new(),
    }
}

fn service(request: &TimerRequest) -> String {
    let [service, _] = units(request, Path::new("/units")).unwrap();
    service.text
}

/// Whether the text has these lines, whole.
#[track_caller]
fn has(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|other| other == *line), "'{line}' is not in\n{text}");
    }
}

#[test]
fn the_usual_units() {
    let [service, timer] = units(&request(), Path::new("/units")).unwrap();
    has(
        &service.text,
        &[
            "ExecStart=:/usr/bin/livecert --home /var/lib/livecert renew",
            "StateDirectory=livecert",
            "ProtectHome=yes",
            "PrivateTmp=yes",
            "ProtectSystem=strict",
        ],
    );
    assert!(!service.text.contains("ReadWritePaths"), "{}", service.text);
    has(&timer.text, &["OnCalendar=*-*-* 00/4:00:00", "RandomizedDelaySec=3600s", "Persistent=true"]);
}

#[test]
fn whatever_is_given_is_in_them() {
    let mut request = request();
    request.program = "/opt/a b/livecert".into();
    request.home = "/srv/50%".into();
    request.ca_bundle = Some("/etc/$ca".into());
    request.config = Some("/etc/livecert.toml".into());
    request.writable = vec!["/etc/haproxy/certs".into()];
    request.credentials =
        ["pat=/etc/a b/50%", "key=encrypted:/etc/key"].map(|text| text.parse().unwrap()).into();
    request.on_calendar = vec!["daily".into(), "Mon 04:00".into()];
    let text = service(&request);
    has(
        &text,
        &[
            "ExecStart=\":/opt/a b/livecert\" --home \"/srv/50%%\" --ca-bundle \"/etc/$ca\" --config /etc/livecert.toml renew",
            "ReadWritePaths=\"-/srv/50%%\" -/etc/haproxy/certs",
            "LoadCredential=pat:/etc/a b/50%%",
            "LoadCredentialEncrypted=key:/etc/key",
        ],
    );
    assert!(!text.contains("StateDirectory"), "{text}");
    let [_, timer] = units(&request, Path::new("/units")).unwrap();
    has(&timer.text, &["OnCalendar=daily", "OnCalendar=Mon 04:00"]);
}

#[test]
fn nothing_hides_what_is_needed() {
    let mut request = request();
    request.readable = vec!["/home/me/gandi.pat".into()];
    has(&service(&request), &["ProtectHome=read-only", "PrivateTmp=yes"]);
    request.readable = vec!["/var/tmp/x".into(), "/homes/x".into()];
    has(&service(&request), &["ProtectHome=yes", "PrivateTmp=no"]);
    request.scope = Scope::User;
    let text = service(&request);
    has(&text, &["NoNewPrivileges=yes", "UMask=0077"]);
    assert!(!text.contains("Protect") && !text.contains("Capability"), "a user cannot have that:\n{text}");
}

#[test]
fn credentials_that_are_none_are_refused() {
    for wrong in ["pat", "pat=", "pat=relative", "=/etc/x", "a/b=/etc/x", "..=/etc/x", "a b=/etc/x"] {
        assert!(matches!(wrong.parse::<UnitCredential>(), Err(ScheduleError::Credential(_))), "{wrong}");
    }
    let mut request = request();
    request.credentials = vec!["pat=/etc/two\nlines".parse().unwrap()];
    assert!(matches!(units(&request, Path::new("/units")), Err(ScheduleError::Quote(_))));
    for program in ["/usr/bin/\"livecert\"", "/it's/livecert", "/a\\b/livecert"] {
        request.program = program.into();
        assert!(matches!(units(&request, Path::new("/units")), Err(ScheduleError::Program(_))));
    }
}

/// A service manager that writes down what it is told, and fails at what is in the file `broken`.
fn manager(folder: &Path, scope: Scope) -> Manager {
    let program = folder.join("systemctl");
    let (log, broken) = (folder.join("log"), folder.join("broken"));
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\nif grep -qsx -- \"$1\" '{}'; then echo no such luck >&2; exit 1; fi\n\
         echo UnitFileState=enabled\necho ActiveState=active\necho 'NextElapseUSecRealtime=Thu 12:00'\necho LastTriggerUSec=\n",
        log.display(),
        broken.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Manager::at(program, scope)
}

fn told(folder: &Path) -> Vec<String> {
    let log = folder.join("log");
    let told = std::fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect();
    let _ = std::fs::remove_file(log);
    told
}

#[test]
fn they_are_written_enabled_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (at, manager) = (folder.path().join("units"), manager(folder.path(), Scope::System));
    let written = units(&request(), &at).unwrap();
    assert!(written.iter().all(|unit| unit.state().unwrap() == UnitState::Missing));
    install(&written, false, Some(&manager)).unwrap();
    assert_eq!(told(folder.path()), ["daemon-reload", "enable --now livecert.timer"]);
    assert!(
        written.iter().all(|unit| unit.state().unwrap() == UnitState::Ours && unit.is_current().unwrap())
    );
    let mode = std::fs::metadata(&written[0].path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o644);
    let status = manager.status().unwrap();
    assert_eq!((status.enabled.as_deref(), status.next.as_deref()), (Some("enabled"), Some("Thu 12:00")));
    assert_eq!(status.last, None);
    told(folder.path());

    // Other wishes take the place of what we wrote.
    let mut other = request();
    other.on_calendar = vec!["hourly".into()];
    install(&units(&other, &at).unwrap(), false, None).unwrap();
    assert!(!written[1].is_current().unwrap());

    let removed = remove(&at, false, Some(&manager)).unwrap();
    assert_eq!(removed, written.map(|unit| unit.path));
    assert_eq!(told(folder.path()), ["disable --now livecert.timer", "daemon-reload"]);
    assert_eq!(units_on_disk(&at).unwrap(), []);
    // A service whose timer is gone.
    units(&request(), &at).unwrap()[0].write().unwrap();
    assert_eq!(remove(&at, false, Some(&manager)).unwrap().len(), 1);
    assert_eq!(told(folder.path()), ["daemon-reload"]);
    assert_eq!(remove(&at, false, Some(&manager)).unwrap(), [""; 0].map(PathBuf::from));
    assert_eq!(told(folder.path()), [""; 0]);
}

#[test]
fn what_somebody_changed_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (at, manager) = (folder.path().join("units"), manager(folder.path(), Scope::System));
    let written = units(&request(), &at).unwrap();
    install(&written, false, None).unwrap();
    let changed = written[1].text.replace("00/4", "00/2");
    std::fs::write(&written[1].path, &changed).unwrap();
    assert_eq!(written[1].state().unwrap(), UnitState::Changed);
    std::fs::remove_file(&written[0].path).unwrap();
    for refused in [install(&written, false, Some(&manager)), remove(&at, false, Some(&manager)).map(drop)] {
        assert!(matches!(refused, Err(ScheduleError::NotOurs { foreign: false, .. })), "{refused:?}");
    }
    assert_eq!(std::fs::read_to_string(&written[1].path).unwrap(), changed);
    // Not even the other one is written.
    assert_eq!(written[0].state().unwrap(), UnitState::Missing);
    assert_eq!(told(folder.path()), [""; 0]);

    std::fs::write(&written[0].path, "[Service]\nExecStart=/bin/mine\n").unwrap();
    let refused = install(&written, false, Some(&manager));
    assert!(matches!(refused, Err(ScheduleError::NotOurs { foreign: true, .. })));
    install(&written, true, Some(&manager)).unwrap();
    assert!(written.iter().all(|unit| unit.is_current().unwrap()));
}

#[test]
fn a_manager_that_fails_is_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let manager = manager(folder.path(), Scope::User);
    std::fs::write(folder.path().join("broken"), "--user\n").unwrap();
    let error = install(&units(&request(), folder.path()).unwrap(), false, Some(&manager)).unwrap_err();
    assert_eq!(error.to_string(), "`systemctl --user daemon-reload` failed: no such luck");
    assert_eq!(told(folder.path()), ["--user daemon-reload"]);
}

#[test]
fn sources_are_found_wherever_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut record = CertificateRecord::example();
    let secret = |source: &str| StoredArgument::Secret { source: source.into(), sealed: None };
    record.plugin_args.insert("GandiPAT".into(), secret("systemd-cred:gandi"));
    record.plugin_args.insert("Other".into(), secret("file:/etc/other"));
    for cert in ["a.example", "b.example"] {
        store.save_record(&cert.parse().unwrap(), &record).unwrap();
    }
    let mut web = CertificateRecord::new(vec!["c.example".into()], record.server.clone(), "webroot".into());
    web.plugin_args.insert("WRPath".into(), StoredArgument::Plain("/var/www/c:/home/me/www".into()));
    store.save_record(&"c.example".parse().unwrap(), &web).unwrap();
    let old = KeyMaterial::generate().unwrap();
    let mut key = SealingRecord::new("file:/root/sealing.key".into(), old.id());
    let previous = old.seal(SealingRecord::PREVIOUS, b"old").unwrap();
    key.rotation = Some(Rotation { to: "systemd-cred:sealing".into(), key: "new".into(), previous });
    store.save_sealing_record(&key).unwrap();
    let sources = named_sources(&store).unwrap();
    let pairs = |pairs: &[(&str, &str)]| -> Vec<_> {
        pairs.iter().map(|(name, user)| ((*name).to_owned(), (*user).to_owned())).collect()
    };
    assert_eq!(sources.credentials, pairs(&[("sealing", "the new sealing key"), ("gandi", "a.example")]));
    assert_eq!(sources.files, ["/root/sealing.key", "/etc/other", "/etc/other"].map(PathBuf::from));
    assert_eq!(sources.webroots, ["/home/me/www", "/var/www/c"].map(PathBuf::from));
    // The key is seen, and the folder of the web server can be written.
    let mut request = request();
    request.readable = vec!["/root/sealing.key".into()];
    request.writable = vec!["/var/www/c".into()];
    has(&service(&request), &["ProtectHome=read-only", "ReadWritePaths=-/var/www/c"]);

    store.save_sealing_record(&SealingRecord::new("keyring:livecert/key".into(), "id".into())).unwrap();
    let sources = named_sources(&store).unwrap();
    assert_eq!(sources.keyring, pairs(&[("keyring:livecert/key", "the sealing key")]));
}
