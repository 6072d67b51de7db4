use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

use super::{Bench, binary, document, expect, says};

/// A user and a group that own nothing here; no test needs them to have a name.
const USER: u32 = 4711;
const GROUP: u32 = 4712;

/// Whether a process of this user and these groups can read the file.
fn reads(user: u32, groups: &[u32], path: &Path) -> bool {
    let (user, groups) = (user.to_string(), groups.iter().map(u32::to_string).collect::<Vec<_>>());
    let (group, groups) = (groups.first().map_or("65533", String::as_str), groups.join(","));
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", group]);
    match groups.as_str() {
        "" => command.arg("--clear-groups"),
        groups => command.args(["--groups", groups]),
    };
    command.arg("cat").arg(path).output().unwrap().status.success()
}

/// Owner, group and mode.
#[track_caller]
fn rights(path: &Path) -> (u32, u32, u32) {
    let metadata = path.metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
}

/// The testbed's own folder is for us alone, as somebody's home folder may be.
fn let_through(bench: &Bench, mode: u32) {
    std::fs::set_permissions(bench.testbed.folder(), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_group_reads_the_key_and_nobody_else_whatever_the_umask() {
    let bench = Bench::new();
    let_through(&bench, 0o711);
    let words = bench.words(&["www.example.com"], &["--group", "4712", "--format", "bundle"]);
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    for (umask, more) in [("000", ""), ("077", " --force")] {
        // The command as its own shell would start it.
        let script = format!("umask {umask}; exec '{}' {}{more}", binary().display(), words.join(" "));
        let mut command = bench.livecert.command([""; 0]);
        let environment: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command = Command::new("sh");
        command.arg("-c").arg(script).env_clear().envs(environment);
        expect(&command.output().unwrap().into(), 0);

        let (home, cert) = (bench.testbed.home(), bench.cert("www.example.com"));
        let current = cert.join("current");
        for file in ["privkey.pem", "bundle.pem"] {
            let path = current.join(file);
            assert_eq!(rights(&path), (0, GROUP, 0o640), "{file} with umask {umask}");
            assert!(reads(USER, &[GROUP], &path), "{file} with umask {umask}");
            assert!(!reads(USER, &[], &path) && !reads(USER, &[USER], &path), "{file} with umask {umask}");
        }
        assert_eq!(rights(&current.join("cert.pem")), (0, GROUP, 0o644));
        for folder in [&cert, &cert.join("generations"), &current] {
            assert_eq!(rights(folder), (0, GROUP, 0o750), "{}", folder.display());
        }
        for folder in [&home, &home.join("certs")] {
            assert_eq!(rights(folder).2, 0o711, "{}", folder.display());
        }
        for folder in ["accounts", "locks", "journal"].map(|folder| home.join(folder)) {
            assert!(!folder.exists() || rights(&folder).2 == 0o700, "{}", folder.display());
        }
        for file in [home.join("sealing.key"), cert.join("certificate.json"), current.join("generation.json")]
        {
            assert_eq!(rights(&file).2, 0o600, "{}", file.display());
            assert!(!reads(USER, &[GROUP], &file), "{}", file.display());
        }
    }
    // Nobody's any more, with a new certificate.
    expect(&bench.issue(&["www.example.com"], &["--group", "", "--format", "", "--force"]), 0);
    let home = bench.testbed.home();
    assert_eq!((rights(&home).2, rights(&home.join("certs")).2), (0o700, 0o700));
}

#[test]
fn a_user_owns_the_files_and_not_the_folders() {
    let bench = Bench::new();
    let_through(&bench, 0o711);
    let more = ["--owner", "4711", "--key-mode", "0400", "--cert-mode", "0440"];
    let issued = bench.issue(&["www.example.com"], &more);
    expect(&issued, 0);
    assert!(!issued.stderr.contains("cannot enter"), "{}", issued.stderr);
    expect(&bench.run(&["renew", "--force"]), 0);
    let cert = bench.cert("www.example.com");
    let (key, leaf) = (cert.join("current/privkey.pem"), cert.join("current/cert.pem"));
    assert_eq!((rights(&key).0, rights(&key).2, rights(&leaf).2), (USER, 0o400, 0o440));
    assert!(reads(USER, &[], &key) && !reads(USER + 1, &[], &key) && !reads(USER + 1, &[], &leaf));
    // Whoever may write a folder may replace what livecert trusts in it.
    for folder in [&cert, &cert.join("generations"), &cert.join("current")] {
        assert_eq!((rights(folder).0, rights(folder).2), (0, 0o711), "{}", folder.display());
    }
    says(&bench.run(&["show", "www.example.com"]), &["owner", "4711", "0400"]);

    // Back to ours alone.
    expect(&bench.run(&["set", "www.example.com", "--owner", "", "--key-mode", "", "--cert-mode", ""]), 0);
    assert_eq!((rights(&key).0, rights(&key).2, rights(&cert).2), (0, 0o600, 0o700));
    assert!(!reads(USER, &[], &key));
    assert_eq!(
        (rights(&bench.testbed.home()).2, rights(&bench.testbed.home().join("certs")).2),
        (0o700, 0o700)
    );
}

#[test]
fn a_folder_in_the_way_is_named_with_what_opens_it() {
    let bench = Bench::new();
    let_through(&bench, 0o700);
    let issued = bench.issue(&["www.example.com"], &["--owner", "nobody", "--group", "4712"]);
    expect(&issued, 0);
    let folder = bench.testbed.folder().canonicalize().unwrap();
    let next = format!("chmod o+x '{}'", folder.display());
    says(&issued, &["the user nobody cannot enter", "the group 4712 cannot enter", &next]);
    let key = bench.cert("www.example.com").join("current/privkey.pem");
    assert!(!reads(65534, &[], &key));
    assert!(Command::new("sh").args(["-c", &next]).status().unwrap().success());
    assert!(reads(65534, &[], &key) && reads(USER, &[GROUP], &key) && !reads(USER, &[], &key));
}

#[test]
fn what_cannot_be_is_refused_before_there_is_an_order() {
    let bench = Bench::new();
    let_through(&bench, 0o755);
    for (more, part) in [
        (["--owner", "no-such-user"], "no user 'no-such-user'"),
        (["--group", "no-such-group"], "no group 'no-such-group'"),
        (["--key-mode", "0644"], "--group GROUP"),
        (["--key-mode", "rw"], "octal"),
        (["--cert-mode", "0666"], "0644 is the most"),
    ] {
        let refused = bench.issue(&["www.example.com"], &more);
        expect(&refused, 2);
        says(&refused, &[part]);
        let json = bench.issue(&["www.example.com"], &[&more[..], &["--json"]].concat());
        assert_eq!(document(&json)["error"]["kind"], "access");
    }
    // Somebody who is not root can give files to a group of theirs, and to nobody else.
    let home = bench.testbed.folder().join("own-home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(USER), Some(USER)).unwrap();
    let token = bench.token.clone();
    std::os::unix::fs::chown(&token, Some(USER), None).unwrap();
    let livecert = bench.testbed.livecert(&binary()).at(&home);
    let run = |more: &[&str]| {
        let words = bench.words(&["www.example.com"], more);
        let inner = livecert.command(words);
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "4711", "--regid", "4711", "--groups", "4711,4712"]);
        command.arg(inner.get_program()).args(inner.get_args()).env_clear();
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
        testbed::Outcome::from(command.output().unwrap())
    };
    let refused = run(&["--owner", "4713"]);
    expect(&refused, 2);
    says(&refused, &["cannot be given to the user 4713", "run livecert as root"]);
    expect(&run(&["--group", "4714"]), 2);
    assert_eq!(bench.testbed.pebble().requests().len(), 0);
    expect(&run(&["--group", "4712"]), 0);
    let key = home.join("certs/www.example.com/current/privkey.pem");
    assert_eq!(rights(&key), (USER, GROUP, 0o640));
    assert!(reads(USER + 9, &[GROUP], &key));
}

#[test]
fn who_could_read_the_key_yesterday_cannot_today_not_even_after_a_rollback() {
    let bench = Bench::new();
    let_through(&bench, 0o711);
    let (before, group) = (GROUP, GROUP + 1);
    expect(&bench.issue(&["www.example.com"], &["--group", "4712", "--format", "der"]), 0);
    let cert = bench.cert("www.example.com");
    let key = |generation: &str| cert.join(generation).join("privkey.pem");
    assert!(reads(USER, &[before], &key("generations/1")));
    expect(&bench.run(&["set", "www.example.com", "--group", "4713", "--format", "bundle"]), 0);
    assert_eq!(rights(&cert.join("generations/1")), (0, 0, 0o700));
    for generation in ["generations/1", "generations/2"] {
        assert!(!reads(USER, &[before], &key(generation)), "{generation}");
    }
    // Where the rights are the same, nobody who is just reading is shut off.
    expect(&bench.run(&["renew", "--force"]), 0);
    assert!(reads(USER, &[group], &key("generations/2")) && !reads(USER, &[group], &key("generations/1")));

    expect(&bench.run(&["rollback", "www.example.com", "--to", "1"]), 0);
    assert_eq!(std::fs::read_link(cert.join("current")).unwrap(), Path::new("generations/1"));
    for file in ["privkey.pem", "bundle.pem"] {
        let path = cert.join("current").join(file);
        assert_eq!(rights(&path), (0, group, 0o640), "{file}");
        assert!(reads(USER, &[group], &path) && !reads(USER, &[before], &path), "{file}");
    }
    assert!(!cert.join("current/cert.der").exists() && !cert.join("current/privkey.der").exists());
    assert_eq!(rights(&cert.join("current/cert.pem")), (0, group, 0o644));
    assert_eq!(rights(&cert.join("current/generation.json")).2, 0o600);
    assert!(reads(USER, &[group], &key("generations/3")));
    let bundle = std::fs::read_to_string(cert.join("current/bundle.pem")).unwrap();
    let parts = ["privkey.pem", "fullchain.pem"].map(|file| cert.join("current").join(file));
    assert_eq!(bundle, parts.map(|part| std::fs::read_to_string(part).unwrap()).concat());

    // The last one that was for somebody else closes the ways when it goes.
    let home = bench.testbed.home();
    expect(&bench.issue(&["mail.example.com"], &[]), 0);
    expect(&bench.run(&["remove", "mail.example.com", "--force"]), 0);
    assert_eq!((rights(&home).2, rights(&home.join("certs")).2), (0o711, 0o711));
    expect(&bench.run(&["remove", "www.example.com", "--force"]), 0);
    assert_eq!((rights(&home).2, rights(&home.join("certs")).2), (0o700, 0o700));
}

#[test]
fn what_is_gone_back_to_by_itself_has_the_rights_of_today_too() {
    let bench = Bench::new();
    let_through(&bench, 0o711);
    let broken = bench.testbed.folder().join("broken");
    let hook = format!("test ! -e '{}'", broken.display());
    expect(&bench.issue(&["www.example.com"], &["--deploy-hook", &hook, "--rollback-on-failure"]), 0);
    std::fs::write(&broken, "").unwrap();
    let set = bench.run(&["set", "www.example.com", "--group", "4712", "--format", "bundle"]);
    expect(&set, 1);
    let cert = bench.cert("www.example.com");
    assert_eq!(std::fs::read_link(cert.join("current")).unwrap(), Path::new("generations/1"));
    for file in ["privkey.pem", "bundle.pem"] {
        assert_eq!(rights(&cert.join("current").join(file)), (0, GROUP, 0o640), "{file}");
    }
    // Forth again, when it is well.
    std::fs::remove_file(&broken).unwrap();
    expect(&bench.run(&["renew", "www.example.com"]), 0);
    assert_eq!(std::fs::read_link(cert.join("current")).unwrap(), Path::new("generations/2"));
    assert!(reads(USER, &[GROUP], &cert.join("current/privkey.pem")));
}
