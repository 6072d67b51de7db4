//! The texts of the two units.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use super::{ON_CALENDAR, QuoteError, Scope, TimerRequest, UnitCredential, quote};

/// Where systemd makes the state folder itself.
const STATE: &str = "/var/lib/livecert";
/// What `ProtectHome=` hides.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
/// What `PrivateTmp=` hides.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];

/// Needs no privilege to be set, so that it is in units of users too.
const ANYWHERE: &str = "\
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@resources
SystemCallErrorNumber=EPERM
";

/// Root keeps what it takes to give files to other users and to listen at ports 80 and 443.
const SYSTEM: &str = "\
CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_NET_BIND_SERVICE
DevicePolicy=closed
KeyringMode=private
PrivateDevices=yes
PrivateMounts=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
";

/// `livecert.service`.
pub(super) fn service(request: &TimerRequest) -> Result<String, QuoteError> {
    let mut text = String::from(
        "[Unit]\n\
         Description=Renew the certificates that are due (livecert)\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=oneshot\n",
    );
    line(&mut text, "ExecStart", &command(request)?);
    line(&mut text, "TimeoutStartSec", "3h");
    for credential in &request.credentials {
        line(&mut text, setting(credential), &value(credential)?);
    }
    if request.scope == Scope::System {
        text.push_str(SYSTEM);
        let writable = writable(request)?;
        if request.home == Path::new(STATE) {
            line(&mut text, "StateDirectory", "livecert");
            // systemd sets it at each start: certificates that are for other users have to stay in their reach.
            line(&mut text, "StateDirectoryMode", "0711");
        }
        if !writable.is_empty() {
            line(&mut text, "ReadWritePaths", &writable.join(" "));
        }
        let hidden =
            |roots: &[&str]| !needed(request).any(|path| roots.iter().any(|root| path.starts_with(root)));
        line(&mut text, "ProtectHome", if hidden(&HOMES) { "yes" } else { "read-only" });
        line(&mut text, "PrivateTmp", if hidden(&TEMPORARY) { "yes" } else { "no" });
    }
    text.push_str(ANYWHERE);
    Ok(text)
}

/// `livecert.timer`.
pub(super) fn timer(request: &TimerRequest) -> Result<String, QuoteError> {
    let mut text = String::from(
        "[Unit]\n\
         Description=Renew the certificates that are due, several times a day (livecert)\n\
         \n\
         [Timer]\n",
    );
    let usual = [ON_CALENDAR.to_owned()];
    let times = if request.on_calendar.is_empty() { &usual[..] } else { &request.on_calendar };
    for time in times {
        line(&mut text, "OnCalendar", &quote::rest(Path::new(time))?);
    }
    line(&mut text, "RandomizedDelaySec", &format!("{}s", request.random_delay));
    text.push_str("Persistent=true\n\n[Install]\nWantedBy=timers.target\n");
    Ok(text)
}

fn command(request: &TimerRequest) -> Result<String, QuoteError> {
    // With the prefix, `$` has no meaning; inside the quotes it is still one.
    let mut words = vec![quote::word(&format!(":{}", quote::text(&request.program)?))?];
    words.extend(["--home".to_owned(), quote::path(&request.home)?]);
    if let Some(bundle) = &request.ca_bundle {
        words.extend(["--ca-bundle".to_owned(), quote::path(bundle)?]);
    }
    if let Some(config) = &request.config {
        words.extend(["--config".to_owned(), quote::path(config)?]);
    }
    words.push("renew".to_owned());
    Ok(words.join(" "))
}

fn setting(credential: &UnitCredential) -> &'static str {
    if credential.encrypted { "LoadCredentialEncrypted" } else { "LoadCredential" }
}

fn value(credential: &UnitCredential) -> Result<String, QuoteError> {
    Ok(format!("{}:{}", credential.name, quote::rest(&credential.path)?))
}

/// The folders that can be written. One that is missing keeps no renewal from running.
fn writable(request: &TimerRequest) -> Result<Vec<String>, QuoteError> {
    let home = (request.home != Path::new(STATE)).then_some(&request.home);
    let all = home.into_iter().chain(&request.writable);
    all.map(|path| quote::word(&format!("-{}", quote::text(path)?))).collect()
}

/// Every path that the service has to see.
fn needed(request: &TimerRequest) -> impl Iterator<Item = &PathBuf> {
    let given =
        [&request.program, &request.home].into_iter().chain(&request.ca_bundle).chain(&request.config);
    given.chain(&request.writable).chain(&request.readable)
}

fn line(text: &mut String, setting: &str, value: &str) {
    // A String takes whatever is written.
    let _ = writeln!(text, "{setting}={value}");
}
