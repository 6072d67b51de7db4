//! PKCS#12 files against OpenSSL and Java, which nobody here wrote.

use std::path::Path;
use std::process::{Command, Output};

use secrecy::{ExposeSecret, SecretString};
use tempfile::TempDir;

use super::*;

const PASSWORD: &str = "a pass-phrase of 32 characters !";

/// A folder with `x.pfx` (certificate, its issuer and the key), `cert.pem` and `key.pem`.
struct Made {
    folder: TempDir,
    public_key: Vec<u8>,
}

fn run(folder: &Path, program: &str, arguments: &[&str]) -> Output {
    Command::new(program).current_dir(folder).args(arguments).env("PASSWORD", PASSWORD).output().unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    format!("{out}\n{err}")
}

fn make(kind: KeyType, encryption: Pkcs12Encryption) -> Made {
    let folder = TempDir::new().unwrap();
    let key = PrivateKey::generate(kind).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.pem().expose_secret()).unwrap();
    let certificates = ["leaf.example", "issuer.example"].map(|name| {
        let subject = format!("/CN={name}");
        let words = ["req", "-new", "-x509", "-key", "key.pem", "-subj", &subject, "-outform", "DER"];
        run(folder.path(), "openssl", &words).stdout
    });
    let content = Pkcs12 { key: &key, certificates: &certificates, friendly_name: "leaf.example" };
    let sealed = content.seal(&SecretString::from(PASSWORD), encryption).unwrap();
    std::fs::write(folder.path().join("x.pfx"), sealed).unwrap();
    Made { folder, public_key: key.public_key_info() }
}

const KINDS: [KeyType; 4] = [KeyType::Ec256, KeyType::Ec384, KeyType::Ec521, KeyType::RSA_2048];

#[test]
fn openssl_opens_them_and_finds_the_same_key() {
    for kind in KINDS {
        for (encryption, facts) in [
            (
                Pkcs12Encryption::Modern,
                [
                    "MAC: sha256, Iteration 50000",
                    "PBES2, PBKDF2, AES-256-CBC, Iteration 50000, PRF hmacWithSHA256",
                    "Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 50000, PRF hmacWithSHA256",
                ],
            ),
            (
                Pkcs12Encryption::Legacy,
                [
                    "MAC: sha1, Iteration 2048",
                    "PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048",
                    "Shrouded Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048",
                ],
            ),
        ] {
            let made = make(kind, encryption);
            let openssl = |words: &[&str]| run(made.folder.path(), "openssl", words);
            let open = ["pkcs12", "-in", "x.pfx", "-passin", "env:PASSWORD", "-nodes"];
            let all = text(&openssl(&[&open[..], &["-info", "-out", "all.pem"]].concat()));
            facts.iter().for_each(|fact| assert!(all.contains(fact), "{kind} {encryption}: {fact}: {all}"));
            assert_eq!(
                openssl(&["pkey", "-in", "all.pem", "-pubout", "-outform", "DER"]).stdout,
                made.public_key
            );
            let written = std::fs::read_to_string(made.folder.path().join("all.pem")).unwrap();
            assert_eq!(written.matches("BEGIN CERTIFICATE").count(), 2);
            assert_eq!(written.matches("friendlyName: leaf.example").count(), 2);
            assert_eq!(written.matches("localKeyID").count(), 2);
            let wrong = openssl(&["pkcs12", "-in", "x.pfx", "-passin", "pass:wrong", "-nodes"]);
            assert!(!wrong.status.success());
        }
    }
}

#[test]
fn java_opens_them_and_gives_the_same_key_back() {
    // Most of what Java takes is its start.
    let keytool = |made: &Made, words: &[&str]| {
        run(made.folder.path(), "keytool", &[&["-J-XX:TieredStopAtLevel=1"], words].concat())
    };
    for (kind, encryption) in [
        (KeyType::Ec256, Pkcs12Encryption::Modern),
        (KeyType::Ec256, Pkcs12Encryption::Legacy),
        (KeyType::RSA_2048, Pkcs12Encryption::Modern),
        (KeyType::RSA_2048, Pkcs12Encryption::Legacy),
    ] {
        let made = make(kind, encryption);
        // What it reads it can write again: the key was opened too.
        let words = "-importkeystore -srckeystore x.pfx -destkeystore out.p12 -deststoretype PKCS12 \
                     -srcstorepass:env PASSWORD -deststorepass:env PASSWORD";
        text(&keytool(&made, &words.split_whitespace().collect::<Vec<_>>()));
        let open = ["pkcs12", "-in", "out.p12", "-passin", "env:PASSWORD", "-nodes", "-out", "all.pem"];
        text(&run(made.folder.path(), "openssl", &open));
        let public = ["pkey", "-in", "all.pem", "-pubout", "-outform", "DER"];
        assert_eq!(run(made.folder.path(), "openssl", &public).stdout, made.public_key);
    }
    let made = make(KeyType::Ec256, Pkcs12Encryption::Modern);
    let listed = text(&keytool(&made, &["-list", "-v", "-keystore", "x.pfx", "-storepass:env", "PASSWORD"]));
    for fact in ["Keystore type: PKCS12", "Alias name: leaf.example", "PrivateKeyEntry", "CN=leaf.example"] {
        assert!(listed.contains(fact), "{fact}: {listed}");
    }
    let wrong = keytool(&made, &["-list", "-keystore", "x.pfx", "-storepass", "wrong!"]);
    assert!(!wrong.status.success());
}

#[test]
fn passwords_that_programs_read_in_different_ways_are_refused() {
    let key = PrivateKey::generate(KeyType::Ec256).unwrap();
    let content = Pkcs12 { key: &key, certificates: &[], friendly_name: "x" };
    let seal = |password: &str| content.seal(&SecretString::from(password), Pkcs12Encryption::Modern);
    assert!(matches!(seal(""), Err(KeyError::Pkcs12(Pkcs12Error::EmptyPassword))));
    assert!(matches!(seal("pässword"), Err(KeyError::Pkcs12(Pkcs12Error::PasswordNotAscii))));
    assert!(matches!(seal("a\nb"), Err(KeyError::Pkcs12(Pkcs12Error::PasswordNotAscii))));
    assert!(seal("x").is_ok());
    for word in ["modern", "legacy"] {
        assert_eq!(word.parse::<Pkcs12Encryption>().unwrap().to_string(), word);
    }
    assert!(matches!("rc2".parse::<Pkcs12Encryption>(), Err(Pkcs12Error::UnknownEncryption(_))));
}
