//! A machine for one page: a network in which the hosts of the internet are servers of ours, and a root folder in which
//! `/etc`, `/var`, `/usr/local/bin` and the home folder are in memory and the page's own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testbed::sim::Rrset;
use testbed::{GANDI_HOSTS, Options, Outcome, PAT, PebbleOptions, Testbed};

use crate::page::{Step, StepKind, is_shown};

/// The hosts of the public CAs, in two parts: those that every run has at Pebble, and those at our own server, which can
/// do more and wants external accounts. `LE_PROD` changes sides where a page says so.
const LETS_ENCRYPT: &str = "acme-v02.api.letsencrypt.org";
const LETS_ENCRYPT_STAGING: &str = "acme-staging-v02.api.letsencrypt.org";
const OTHERS: [&str; 5] = [
    "acme.zerossl.com",
    "dv.acme-v02.api.pki.goog",
    "dv.acme-v02.test-api.pki.goog",
    "acme.ssl.com",
    "acme-api.actalis.com",
];
/// An ACME server in somebody's own network.
const PRIVATE: &str = "ca.example.com";
/// The zones that pages are about.
const ZONES: [&str; 4] = ["example.com", "example.org", "example.net", "example.info"];
/// Names with a web server, a mail server, … at this machine.
const HOSTS: [&str; 6] = ["@", "www", "mail", "imap", "shop", "api"];

/// What a page may call that cannot do its work here. Each stands for itself: it does nothing, and succeeds.
const STAND_INS: [(&str, &str); 4] = [
    ("systemctl", "no systemd runs in here"),
    ("apachectl", "no Apache runs in here"),
    ("mail", "there is no mail"),
    ("docker", "no containers in here"),
];

/// Users and groups that servers have. All of them are root: in a user namespace there is nobody else.
const USERS: [&str; 3] = ["postgres", "www-data", "haproxy"];
const GROUPS: [&str; 3] = ["ssl-cert", "www-data", "postgres"];

/// Copies what a page may write, and puts it in its place. Words: the folder, the program.
const ROOT: &str = r#"
    mkdir "$0/home" "$0/etc"
    cp -a /etc/. "$0/etc" 2>/dev/null || true
    mount --bind "$0/etc" /etc
    mount -t tmpfs livecert /var
    mkdir -p /var/lib /var/log /var/tmp /var/www/html /var/lib/nginx /var/log/nginx
    mount -t tmpfs livecert /usr/local/bin
    touch /usr/local/bin/livecert
    mount --bind "$1" /usr/local/bin/livecert
    mkdir -p /etc/ssl/certs /etc/livecert
    cat "$2" >> /etc/ssl/certs/ca-certificates.crt"#;

/// Longest time of one step; nothing here waits for a clock.
const LIMIT: &str = "120";

pub(crate) struct Sandbox {
    testbed: Testbed,
    _own_ca: testbed::AcmeSim,
    home: PathBuf,
}

impl Sandbox {
    /// Starts all of it, in a network of its own.
    pub(crate) fn start(binary: &Path, own_ca: bool) -> Self {
        let hosts: Vec<String> = [LETS_ENCRYPT, LETS_ENCRYPT_STAGING, PRIVATE]
            .iter()
            .chain(&OTHERS)
            .chain(&GANDI_HOSTS)
            .map(|&host| host.to_owned())
            .collect();
        let testbed = Testbed::start(&Options {
            zones: ZONES.map(str::to_owned).to_vec(),
            dns_listen: vec![([127, 0, 0, 1], 53).into()],
            pebble: PebbleOptions {
                // certbot gives up when two nonces are refused in a row.
                nonce_reject: 0,
                proof_ports: Some((80, 443)),
                alternate_roots: 1,
                validity: Some(90 * 86_400),
                ..PebbleOptions::default()
            },
            hosts,
            ..Options::default()
        })
        .expect("servers for a page");
        let folder = testbed.folder();
        let paths = [folder, binary, &testbed.ca()].map(Path::to_owned);
        let done = Command::new("sh").args(["-ec", ROOT]).args(paths).output().expect("a shell");
        assert!(done.status.success(), "a root of its own: {}", String::from_utf8_lossy(&done.stderr));

        let sim = testbed.acme_sim_with("acme-sim", |config| {
            config.targets.http = Some(([127, 0, 0, 1], 80).into());
            config.targets.tls = Some(([127, 0, 0, 1], 443).into());
            config.behaviour.new_authz = true;
            let account = testbed::Pebble::external_account();
            config.external_accounts = [(account.kid, account.hmac_key)].into();
        });
        let sim = sim.expect("an ACME server of our own");
        let pebble = testbed.pebble().directory();
        let mut at_sim = OTHERS.to_vec();
        let mut at_pebble = vec![LETS_ENCRYPT_STAGING, PRIVATE];
        if own_ca {
            at_sim.push(LETS_ENCRYPT)
        } else {
            at_pebble.push(LETS_ENCRYPT)
        }
        testbed.lead_to_ca(&at_pebble, [192, 0, 2, 201].into(), &pebble).expect("the CA's hosts");
        testbed.lead_to_ca(&at_sim, [192, 0, 2, 202].into(), &sim.directory()).expect("the other CAs' hosts");
        testbed.lead_to_gandi([192, 0, 2, 203].into()).expect("the hosts of Gandi");

        let home = folder.join("home");
        let sandbox = Sandbox { home, _own_ca: sim, testbed };
        sandbox.furnish();
        sandbox
    }

    /// What is there before a page begins.
    fn furnish(&self) {
        for (name, _) in STAND_INS {
            write(&Path::new("/usr/local/bin").join(name), 0o755, "#!/bin/sh\nexit 0\n");
        }
        write(Path::new("/usr/local/bin/sudo"), 0o755, "#!/bin/sh\nexec \"$@\"\n");
        // At the terminal sits somebody who writes the token into whatever is opened.
        write(Path::new("/usr/local/bin/editor"), 0o755, &format!("#!/bin/sh\necho {PAT} > \"$1\"\n"));
        write(Path::new("/etc/livecert/gandi.pat"), 0o600, &format!("{PAT}\n"));
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let without = |text: String, names: &[&str]| -> String {
            let other = |line: &&str| !names.iter().any(|name| line.starts_with(&format!("{name}:")));
            text.lines().filter(other).map(|line| format!("{line}\n")).collect()
        };
        let users = USERS.map(|name| format!("{name}:x:0:0::/:/bin/sh\n")).concat();
        let groups = GROUPS.map(|name| format!("{name}:x:0:\n")).concat();
        write(Path::new("/etc/passwd"), 0o644, &(without(read("/etc/passwd"), &USERS) + &users));
        write(Path::new("/etc/group"), 0o644, &(without(read("/etc/group"), &GROUPS) + &groups));
        let control = self.testbed.gandi();
        for zone in ZONES {
            for host in HOSTS {
                let here = Rrset { ttl: 300, values: vec!["127.0.0.1".to_owned()] };
                control.set_rrset_long_ago(zone, host, "A", here);
            }
        }
    }

    /// Takes a step; what is wrong, if something is.
    pub(crate) fn take(&self, step: &Step) -> Result<(), String> {
        match &step.kind {
            StepKind::File { path, mode, text } => {
                let path = match path.strip_prefix("~") {
                    Ok(below) => self.home.join(below),
                    Err(_) => path.clone(),
                };
                write(&path, *mode, text);
                Ok(())
            }
            StepKind::Script { text, status } => {
                let outcome = self.shell(text);
                let ended = outcome.status == Some(*status);
                ended.then_some(()).ok_or_else(|| told(text, &outcome))
            }
            StepKind::Console { command, shown, status } => {
                let outcome = self.shell(&format!("exec 2>&1\n{command}"));
                if outcome.status != Some(*status) {
                    return Err(told(command, &outcome));
                }
                let same = is_shown(shown, &outcome.stdout);
                same.then_some(())
                    .ok_or_else(|| format!("the page shows\n{shown}but:\n{}", told(command, &outcome)))
            }
        }
    }

    fn shell(&self, text: &str) -> Outcome {
        let mut command = Command::new("timeout");
        command.args([LIMIT, "bash", "-e", "-o", "pipefail", "-c", text]).current_dir(&self.home);
        command
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("HOME", &self.home);
        command.env("FURNITURE", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/furniture"));
        // What a page exports for all that follows; Bash reads it, if it is there.
        command.env("BASH_ENV", self.home.join(".environment"));
        command.env("TZ", "UTC").env("LANG", "C.UTF-8").stdin(Stdio::null());
        command.output().expect("a shell").into()
    }
}

fn told(command: &str, outcome: &Outcome) -> String {
    let status = outcome.status.map_or("a signal".to_owned(), |status| status.to_string());
    format!("{command}\nended with {status}\n{}{}", outcome.stdout, outcome.stderr)
}

fn write(path: &Path, mode: u32, text: &str) {
    let folder = path.parent().expect("a folder");
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, text))
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)));
    written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
