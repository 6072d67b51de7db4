use std::path::Path;
use std::process::{Command, Output};

use super::{Bench, document, expect, read, says};

const PASSWORD: &str = "canary-pfx-0123456789-canary";

fn run(folder: &Path, program: &str, words: &[&str]) -> Output {
    Command::new(program).current_dir(folder).args(words).env("PASSWORD", PASSWORD).output().unwrap()
}

/// Opens a PFX file with OpenSSL; the PEM texts in it.
#[track_caller]
fn opened(folder: &Path, file: &str) -> String {
    let output = run(folder, "openssl", &["pkcs12", "-in", file, "-passin", "env:PASSWORD", "-nodes"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The DER of the first PEM text of this label.
#[track_caller]
fn der(pem: &str) -> Vec<u8> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).unwrap();
    pem.contents
}

#[test]
fn pfx_bundle_and_der_are_beside_the_pem_files_and_made_again_at_a_renewal() {
    let bench = Bench::new();
    let password = bench.testbed.secret_file("pfx", PASSWORD).unwrap();
    let source = format!("file:{}", password.display());
    let more = ["--pfx-password", &source, "--format", "bundle,der", "--key-type", "rsa-2048", "-vv"];
    let issued = bench.issue(&["www.example.com"], &more);
    expect(&issued, 0);
    let renewed = bench.run(&["renew", "--force", "--json", "-vv"]);
    expect(&renewed, 0);

    let files = document(&bench.run(&["files", "www.example.com", "--json"]));
    for (what, name) in [
        ("bundle", "bundle.pem"),
        ("pfx", "cert.pfx"),
        ("pfx_fullchain", "fullchain.pfx"),
        ("der", "cert.der"),
        ("der_privkey", "privkey.der"),
    ] {
        assert!(files[what].as_str().unwrap().ends_with(name), "{files}");
    }
    let current = bench.cert("www.example.com").join("current");
    let (key, leaf) = (read(&current.join("privkey.pem")), read(&current.join("cert.pem")));
    assert_eq!(read(&current.join("bundle.pem")), format!("{key}{}", read(&current.join("fullchain.pem"))));
    assert_eq!(std::fs::read(current.join("cert.der")).unwrap(), der(&leaf));
    assert_eq!(std::fs::read(current.join("privkey.der")).unwrap(), der(&key));
    let (alone, full) = (opened(&current, "cert.pfx"), opened(&current, "fullchain.pfx"));
    for (text, certificates) in [(&alone, 1), (&full, 2)] {
        assert!(text.contains(key.trim()) && text.contains(leaf.trim()), "{text}");
        assert!(text.contains("friendlyName: www.example.com"), "{text}");
        assert_eq!(text.matches("BEGIN CERTIFICATE").count(), certificates);
    }
    let keytool =
        ["-J-XX:TieredStopAtLevel=1", "-list", "-keystore", "fullchain.pfx", "-storepass:env", "PASSWORD"];
    let listed = run(&current, "keytool", &keytool);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("www.example.com,"), "{listed:?}");

    // The password is in no file and no output.
    let show = bench.run(&["show", "www.example.com"]);
    says(&show, &[&source]);
    for outcome in [&issued, &renewed, &show] {
        assert!(!format!("{outcome:?}").contains(PASSWORD), "{outcome:?}");
    }
    let home = bench.testbed.home();
    let found = run(&home, "grep", &["-rl", PASSWORD, "."]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

#[test]
fn a_password_that_nobody_gives_again_is_sealed() {
    let bench = Bench::new();
    let livecert = bench.testbed.livecert(&super::binary()).env("PFX", PASSWORD);
    let words =
        bench.words(&["www.example.com"], &["--pfx-password", "env:PFX", "--pfx-encryption", "legacy"]);
    expect(&livecert.run(words).unwrap(), 0);
    expect(&bench.run(&["renew", "--force"]), 0);
    let current = bench.cert("www.example.com").join("current");
    assert!(opened(&current, "cert.pfx").contains("PRIVATE KEY"));
    let info = ["pkcs12", "-in", "cert.pfx", "-passin", "env:PASSWORD", "-info", "-noout"];
    let info = run(&current, "openssl", &info);
    assert!(
        String::from_utf8_lossy(&info.stderr).contains("3DES")
            || String::from_utf8_lossy(&info.stderr).contains("3-KeyTripleDES"),
        "{info:?}"
    );
    says(&bench.run(&["show", "www.example.com"]), &["env:PFX (sealed)", "legacy"]);
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_done() {
    let bench = Bench::new();
    let empty = bench.testbed.folder().join("umlaut");
    std::fs::write(&empty, "pässword\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&empty, std::fs::Permissions::from_mode(0o600)).unwrap();
    let umlaut = format!("file:{}", empty.display());
    let folder = bench.testbed.folder();
    let request = [
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "own.key",
        "-out",
        "own.csr",
        "-subj",
        "/",
        "-addext",
        "subjectAltName=DNS:www.example.com",
    ];
    assert!(run(folder, "openssl", &request).status.success());
    let csr = folder.join("own.csr");
    let csr = csr.to_str().unwrap();
    for (more, part) in [
        (vec!["--pfx-password", PASSWORD], "--pfx-password=file:PATH"),
        (vec!["--pfx-password", &umlaut], "printable ASCII"),
        (vec!["--pfx-encryption", "rc2"], "modern and legacy"),
        (vec!["--format", "pfx"], "--pfx-password SOURCE"),
        (vec!["--format", "jks"], "Java reads PFX files"),
        (vec!["--csr", csr, "--format", "bundle"], "the key stays with you"),
        (vec!["--csr", csr, "--pfx-password", "env:PFX"], "the key stays with you"),
    ] {
        let refused = bench.issue(&["www.example.com"], &more);
        expect(&refused, 2);
        says(&refused, &[part]);
        assert!(!refused.stderr.contains(PASSWORD), "{}", refused.stderr);
    }
    assert_eq!(bench.testbed.pebble().requests().len(), 0);
    // The certificate of one's own request has its DER form all the same.
    expect(&bench.issue(&["www.example.com"], &["--csr", csr, "--format", "der"]), 0);
    let files = document(&bench.run(&["files", "www.example.com", "--json"]));
    assert!(files["der"].is_string() && files["der_privkey"].is_null() && files["privkey"].is_null());
}
