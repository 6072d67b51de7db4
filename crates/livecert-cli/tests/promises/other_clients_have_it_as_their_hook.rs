use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::{Bench, binary, document, expect};

/// A script as `docs/hooks.md` shows it; what points to the servers of the test comes through the words at its end.
pub(super) fn script(bench: &Bench, name: &str, text: &str) -> PathBuf {
    let dns = bench.testbed.simulator().dns_addrs()[0];
    let words = format!(
        "--plugin-arg GandiPAT=file:{} --plugin-arg GandiApiBaseUrl={} --authoritative {dns}",
        bench.token.display(),
        bench.testbed.simulator().api_base_url(),
    );
    let text = text.replace("livecert dns", &format!("{} dns", binary().display())).replace("WORDS", &words);
    let path = bench.testbed.folder().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

pub(super) fn client(bench: &Bench, program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LIVECERT_HOME", bench.testbed.home()).env("LIVECERT_CA_BUNDLE", bench.testbed.ca());
    command.env("REQUESTS_CA_BUNDLE", bench.testbed.ca()).env("LEGO_CA_CERTIFICATES", bench.testbed.ca());
    command.current_dir(bench.testbed.folder());
    command
}

#[track_caller]
pub(super) fn succeeds(command: &mut Command) {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
}

fn with_a_neighbour() -> Bench {
    // Old versions of certbot stumble over a nonce that is refused.
    let bench = Bench::counting();
    bench.testbed.gandi().add_value("example.com", "_acme-challenge", "a neighbour's", 1800);
    bench
}

#[test]
fn certbot() {
    let bench = with_a_neighbour();
    let before = bench.testbed.gandi().zone("example.com");
    let add = "#!/bin/sh\nexec livecert dns add \"_acme-challenge.$CERTBOT_DOMAIN\" \"$CERTBOT_VALIDATION\" WORDS\n";
    let auth = script(&bench, "auth", add);
    let cleanup = script(&bench, "cleanup", &add.replace("dns add", "dns remove"));
    let mut certbot = client(&bench, "certbot");
    certbot.args(["certonly", "--non-interactive", "--agree-tos", "-m", "you@example.com", "--manual"]);
    certbot.args(["--preferred-challenges", "dns", "-d", "example.com", "-d", "*.example.com"]);
    certbot.args(["--server", &bench.testbed.pebble().directory()]);
    certbot.arg("--manual-auth-hook").arg(auth).arg("--manual-cleanup-hook").arg(cleanup);
    for folder in ["config", "work", "logs"] {
        certbot.arg(format!("--{folder}-dir")).arg(bench.testbed.folder().join(folder));
    }
    succeeds(&mut certbot);
    assert!(bench.testbed.folder().join("config/live/example.com/fullchain.pem").exists());
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
    // A second look, because somebody else writes there too.
    expect(&bench.run(&["dns", "sweep"]), 0);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
}

#[test]
fn lego() {
    let bench = with_a_neighbour();
    let before = bench.testbed.gandi().zone("example.com");
    let text = "#!/bin/sh\ncase $1 in\n  present) exec livecert dns add \"$2\" \"$3\" WORDS ;;\n  \
                cleanup) exec livecert dns remove \"$2\" \"$3\" WORDS ;;\nesac\n";
    let hook = script(&bench, "hook", text);
    let dns = bench.testbed.simulator().dns_addrs()[0].to_string();
    let mut lego = client(&bench, "lego");
    lego.env("EXEC_PATH", hook).env("EXEC_SEQUENCE_INTERVAL", "1").args([
        "--accept-tos",
        "--email",
        "you@example.com",
        "--dns",
        "exec",
    ]);
    lego.args(["--dns.disable-cp", "--dns.resolvers", &dns, "--server", &bench.testbed.pebble().directory()]);
    lego.args(["--domains", "example.com", "--domains", "*.example.com", "--path"]);
    lego.arg(bench.testbed.folder().join("lego")).arg("run");
    succeeds(&mut lego);
    assert!(bench.testbed.folder().join("lego/certificates/example.com.crt").exists());
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
}

#[test]
fn and_what_they_forget_is_swept_after_an_hour() {
    let bench = with_a_neighbour();
    let before = bench.testbed.gandi().zone("example.com");
    let (api, dns) =
        (bench.testbed.simulator().api_base_url(), bench.testbed.simulator().dns_addrs()[0].to_string());
    let (token, api) = (format!("GandiPAT=file:{}", bench.token.display()), format!("GandiApiBaseUrl={api}"));
    let run = |words: &[&str]| {
        let more = ["--plugin-arg", &token, "--plugin-arg", &api, "--authoritative", &dns];
        bench.run(&[words, &more].concat())
    };
    // A value may begin with a hyphen.
    let added = run(&["dns", "add", "_acme-challenge.example.com.", "-a_value", "--json"]);
    expect(&added, 0);
    assert!(document(&added)["visible_after_ms"].is_u64(), "{}", added.stdout);
    assert_eq!(bench.txt("_acme-challenge").unwrap().1, ["\"a neighbour's\"", "\"-a_value\""]);

    let young = bench.run(&["dns", "sweep"]);
    expect(&young, 0);
    assert!(young.stdout.contains("another client uses it"), "{}", young.stdout);
    expect(&bench.run(&["renew"]), 0);
    assert_eq!(bench.txt("_acme-challenge").unwrap().1.len(), 2);
    let swept = bench.run(&["dns", "sweep", "--older-than", "1ms"]);
    expect(&swept, 0);
    assert!(swept.stdout.contains("Gone: _acme-challenge.example.com."), "{}", swept.stdout);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
    // It was not there any more, which is no failure.
    expect(&run(&["dns", "remove", "_acme-challenge.example.com", "-a_value"]), 0);

    expect(&run(&["dns", "add", "not a name", "value"]), 2);
    expect(&run(&["dns", "add", "_acme-challenge.example.com", "v\n"]), 2);
    let elsewhere = run(&["dns", "add", "_acme-challenge.example.edu", "value"]);
    expect(&elsewhere, 1);
    assert_eq!(bench.testbed.gandi().zone("example.com"), before);
}
