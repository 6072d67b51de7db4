//! Keys and requests against OpenSSL, which nobody here wrote.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

/// Runs `openssl` in `folder`; its standard output.
fn openssl(folder: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn file(folder: &Path, name: &str) -> Vec<u8> {
    std::fs::read(folder.join(name)).unwrap()
}

/// What `genpkey` is told, and what comes of it.
const KINDS: [(&str, Option<KeyType>); 6] = [
    ("EC -pkeyopt ec_paramgen_curve:P-256", Some(KeyType::Ec256)),
    ("EC -pkeyopt ec_paramgen_curve:P-384", Some(KeyType::Ec384)),
    ("EC -pkeyopt ec_paramgen_curve:P-521", Some(KeyType::Ec521)),
    ("RSA -pkeyopt rsa_keygen_bits:2048", Some(KeyType::RSA_2048)),
    ("RSA -pkeyopt rsa_keygen_bits:2056", None),
    ("RSA -pkeyopt rsa_keygen_bits:3072", Some(KeyType::RSA_3072)),
];

/// `key.pem` of this kind in a new folder.
fn key_of(kind: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    openssl(folder.path(), &format!("genpkey -algorithm {kind} -out key.pem"));
    folder
}

fn jwk(pkcs1_or_point: &[(&str, &[u8])], kind: &str) -> String {
    let mut members = serde_json::Map::new();
    members.insert("kty".into(), kind.split(' ').next().unwrap().into());
    for (name, octets) in pkcs1_or_point {
        members.insert((*name).into(), URL_SAFE_NO_PAD.encode(octets).into());
    }
    if let Some((_, curve)) = kind.split_once(' ') {
        members.insert("crv".into(), curve.into());
    }
    serde_json::to_string(&members).unwrap()
}

#[test]
fn keys_of_openssl_read_in_every_form() {
    for (kind, expected) in KINDS {
        let folder = key_of(kind);
        let run = |arguments: &str| openssl(folder.path(), arguments);
        let public = run("pkey -in key.pem -pubout -outform DER");
        run("pkey -in key.pem -traditional -out old.pem");
        run("pkey -in key.pem -traditional -outform DER -out old.der");
        run("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
        for name in ["key.pem", "old.pem", "old.der", "key.der"] {
            let key = PrivateKey::read(&file(folder.path(), name)).unwrap();
            assert_eq!(key.public_key_info(), public, "{kind} {name}");
            assert_eq!(key.key_type(), expected);
            std::fs::write(folder.path().join("ours.pem"), key.pem().expose_secret()).unwrap();
            std::fs::write(folder.path().join("ours.der"), key.pkcs8_der().unwrap()).unwrap();
            assert_eq!(run("pkey -in ours.pem -pubout -outform DER"), public);
            assert_eq!(run("pkey -in ours.der -inform DER -pubout -outform DER"), public);
            assert!(!format!("{key:?}").contains("PRIVATE"));
        }
        run("pkey -in key.pem -aes256 -passout pass:secret -out locked.pem");
        run("pkey -in key.pem -traditional -aes256 -passout pass:secret -out lockedold.pem");
        run("pkcs8 -topk8 -in key.pem -passout pass:secret -outform DER -out locked.der");
        for name in ["locked.pem", "lockedold.pem", "locked.der"] {
            let read = PrivateKey::read(&file(folder.path(), name));
            assert!(matches!(read, Err(KeyError::Encrypted)), "{kind} {name}: {read:?}");
        }
    }
}

#[test]
fn jwks_read_and_are_checked() {
    for (curve, length, kind) in [("P-256", 32, KINDS[0]), ("P-384", 48, KINDS[1]), ("P-521", 66, KINDS[2])] {
        let folder = key_of(kind.0);
        let der = openssl(folder.path(), "pkey -in key.pem -traditional -outform DER");
        let public = openssl(folder.path(), "pkey -in key.pem -pubout -outform DER");
        let start = der.windows(2).position(|two| two == [4, length as u8]).unwrap() + 2;
        let (x, y) = public[public.len() - 2 * length..].split_at(length);
        let d = &der[start..start + length];
        let kind_and_curve = format!("EC {curve}");
        let key = PrivateKey::read(jwk(&[("x", x), ("y", y), ("d", d)], &kind_and_curve).as_bytes()).unwrap();
        assert_eq!(key.public_key_info(), public);
        assert_eq!(key.key_type(), kind.1);
        let other = PrivateKey::read(jwk(&[("x", y), ("y", x), ("d", d)], &kind_and_curve).as_bytes());
        assert!(matches!(other, Err(KeyError::Inconsistent)));
        let public = PrivateKey::read(jwk(&[("x", x), ("y", y)], &kind_and_curve).as_bytes());
        assert!(matches!(public, Err(KeyError::NotAPrivateKey(_))));
    }
    let folder = key_of(KINDS[3].0);
    let der = openssl(folder.path(), "pkey -in key.pem -traditional -outform DER");
    let numbers: Vec<Vec<u8>> = yasna::parse_der(&der, |reader| {
        reader.collect_sequence_of(|reader| Ok(reader.read_bigint_bytes()?.0))
    })
    .unwrap();
    let names = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let members: Vec<_> = names.into_iter().zip(numbers[1..].iter().map(Vec::as_slice)).collect();
    let key = PrivateKey::read(jwk(&members, "RSA").as_bytes()).unwrap();
    assert_eq!(key.public_key_info(), openssl(folder.path(), "pkey -in key.pem -pubout -outform DER"));
    let mut wrong = members.clone();
    wrong[2].1 = members[3].1;
    assert!(matches!(PrivateKey::read(jwk(&wrong, "RSA").as_bytes()), Err(KeyError::Inconsistent)));
}

#[test]
fn what_is_no_usable_key_is_named() {
    let folder = key_of(KINDS[0].0);
    let run = |arguments: &str| openssl(folder.path(), arguments);
    let read = |name: &str| PrivateKey::read(&file(folder.path(), name)).unwrap_err();
    run("pkey -in key.pem -pubout -out public.pem");
    run("req -x509 -key key.pem -subj /CN=a.example -out certificate.pem");
    run("req -new -key key.pem -subj /CN=a.example -out request.pem");
    for name in ["public.pem", "certificate.pem", "request.pem"] {
        assert!(matches!(read(name), KeyError::NotAPrivateKey(_)), "{name}");
    }
    run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out short.pem");
    assert!(matches!(read("short.pem"), KeyError::RsaSize));
    run("genpkey -algorithm ED25519 -out edwards.pem");
    assert!(matches!(read("edwards.pem"), KeyError::UnsupportedKind));
    run("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out coin.pem");
    assert!(matches!(read("coin.pem"), KeyError::UnsupportedKind));
    run("ec -in key.pem -no_public -out bare.pem");
    assert!(matches!(read("bare.pem"), KeyError::NoPublicHalf));
    run("ec -in bare.pem -conv_form uncompressed -out whole.pem");
    assert!(PrivateKey::read(&file(folder.path(), "whole.pem")).is_ok());
    run("ecparam -name prime256v1 -genkey -out parameters.pem");
    assert!(PrivateKey::read(&file(folder.path(), "parameters.pem")).is_ok());
    let key = file(folder.path(), "key.pem");
    assert!(matches!(PrivateKey::read(&[key.clone(), key].concat()), Err(KeyError::Several)));
    assert!(matches!(PrivateKey::read(&[0; 70_000]), Err(KeyError::TooLarge)));
}

#[test]
fn openssl_verifies_our_requests_and_we_read_them_back() {
    let options = CsrOptions {
        dns: vec!["example.com".into(), "*.example.com".into()],
        ip: vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()],
        common_name: Some("example.com".into()),
        must_staple: true,
    };
    let plain = CsrOptions::for_dns(["example.com"]);
    let odd = KeyType::Rsa(RsaBits::new(2176).unwrap());
    // RSA with 4096 bits takes seconds, and has the code of 3072 bits.
    for kind in KeyType::USUAL.into_iter().chain([odd]).filter(|kind| *kind != KeyType::RSA_4096) {
        let key = PrivateKey::generate(kind).unwrap();
        assert_eq!(key.key_type(), Some(kind));
        let folder = TempDir::new().unwrap();
        let der = certificate_request(&key, &options).unwrap();
        std::fs::write(folder.path().join("request.der"), &der).unwrap();
        let text = openssl(folder.path(), "req -verify -noout -text -inform DER -in request.der");
        let text = String::from_utf8(text).unwrap();
        for part in [
            "Subject: CN = example.com",
            "DNS:example.com, DNS:*.example.com, IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:7",
            "status_request",
        ] {
            assert!(text.contains(part), "{kind}: {part} in {text}");
        }
        let read = ForeignRequest::read(&der).unwrap();
        assert_eq!((read.dns_names(), read.ip_addresses()), (&options.dns[..], &options.ip[..]));
        assert!(read.must_staple());
        assert_eq!(read.public_key_info(), key.public_key_info());
        assert_eq!((read.key_type(), read.der()), (Some(kind), &der[..]));

        let der = certificate_request(&key, &plain).unwrap();
        std::fs::write(folder.path().join("request.der"), &der).unwrap();
        let text = openssl(folder.path(), "req -verify -noout -text -inform DER -in request.der");
        assert!(String::from_utf8(text).unwrap().contains("Subject: \n"));
        assert!(!ForeignRequest::read(&der).unwrap().must_staple());
    }
}

#[test]
fn requests_of_openssl_read_whatever_signs_them() {
    let ask = "-addext subjectAltName=DNS:WWW.example.com,IP:2001:db8::1 -addext tlsfeature=status_request";
    for (kind, expected) in KINDS {
        let folder = key_of(kind);
        let digests: &[&str] = match expected {
            Some(KeyType::Ec256 | KeyType::Ec384) => &["sha256", "sha384"],
            _ => &["sha256", "sha384", "sha512"],
        };
        for digest in digests {
            let request = format!("req -new -key key.pem -{digest} -subj /CN=example.com {ask} -text");
            let mut text = openssl(folder.path(), &request);
            text.splice(0..0, *b"Somebody's request, sent by mail:\r\n");
            let read = ForeignRequest::read(&text).unwrap();
            assert_eq!(read.dns_names(), ["www.example.com", "example.com"], "{kind} {digest}");
            assert_eq!(read.ip_addresses(), ["2001:db8::1".parse::<std::net::IpAddr>().unwrap()]);
            assert!(read.must_staple());
            assert_eq!(read.key_type(), expected);
            let new = String::from_utf8(text).unwrap().replace(" CERTIFICATE REQ", " NEW CERTIFICATE REQ");
            assert_eq!(ForeignRequest::read(format!("0: {new}").as_bytes()).unwrap(), read);
            // The last octet is the end of the signature.
            let mut der = read.der().to_vec();
            *der.last_mut().unwrap() ^= 1;
            assert!(matches!(ForeignRequest::read(&der), Err(RequestError::Signature)), "{kind} {digest}");
        }
    }
}

#[test]
fn what_is_no_usable_request_is_named() {
    let folder = key_of(KINDS[0].0);
    let run = |arguments: &str| openssl(folder.path(), arguments);
    let request = |more: &str| ForeignRequest::read(&run(&format!("req -new -key key.pem {more}")));
    assert!(matches!(request("-subj /O=Company"), Err(RequestError::NoNames)));
    assert!(matches!(request("-subj /CN=Company"), Err(RequestError::NoNames)));
    assert_eq!(request("-subj /CN=192.0.2.1").unwrap().ip_addresses().len(), 1);
    let mail = request("-subj /CN=a.example -addext subjectAltName=email:a@example.com");
    assert!(matches!(mail, Err(RequestError::NameKind("a mail address"))));
    let certificate = run("req -x509 -key key.pem -subj /CN=a.example");
    assert!(matches!(ForeignRequest::read(&certificate), Err(RequestError::SomethingElse("a certificate"))));
    let key = file(folder.path(), "key.pem");
    assert!(matches!(ForeignRequest::read(&key), Err(RequestError::SomethingElse("a private key"))));
    let key = PrivateKey::read(&key).unwrap().pkcs8_der().unwrap();
    assert!(matches!(ForeignRequest::read(&key), Err(RequestError::SomethingElse("a private key"))));
    run("pkey -in key.pem -aes256 -passout pass:secret -out locked.pem");
    let locked = ForeignRequest::read(&file(folder.path(), "locked.pem"));
    assert!(matches!(locked, Err(RequestError::SomethingElse("a private key"))));
    run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem");
    assert!(matches!(request("-subj /CN=a.example"), Err(RequestError::Unsupported(_))));
    run("genpkey -algorithm ED25519 -out key.pem");
    assert!(matches!(request("-subj /CN=a.example"), Err(RequestError::Unsupported(_))));
    assert!(matches!(ForeignRequest::read(b"hello"), Err(RequestError::NotARequest)));
    assert!(matches!(ForeignRequest::read(&[0; 300_000]), Err(RequestError::TooLarge)));
}

#[test]
fn names_that_cannot_stand_in_a_request_are_refused() {
    let key = PrivateKey::generate(KeyType::Ec256).unwrap();
    for name in ["", "a b.example", "münchen.example"] {
        let made = certificate_request(&key, &CsrOptions::for_dns([name]));
        assert!(matches!(made, Err(KeyError::Name(_))), "{name}");
    }
    let long = CsrOptions { common_name: Some("a".repeat(65)), ..CsrOptions::for_dns(["a.example"]) };
    assert!(matches!(certificate_request(&key, &long), Err(KeyError::Name(_))));
}

/// Valid inputs of all forms, to be damaged.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    SAMPLES.get_or_init(|| {
        let mut samples = Vec::new();
        for kind in [KeyType::Ec256, KeyType::Ec521, KeyType::RSA_2048] {
            let key = PrivateKey::generate(kind).unwrap();
            samples.push(key.pkcs8_der().unwrap().to_vec());
            samples.push(key.pem().expose_secret().into());
            let options = CsrOptions { must_staple: true, ..CsrOptions::for_dns(["a.example"]) };
            samples.push(certificate_request(&key, &options).unwrap());
        }
        samples.push(jwk(&[("x", &[1; 32]), ("y", &[2; 32]), ("d", &[3; 32])], "EC P-256").into_bytes());
        samples
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_input_makes_a_panic(input in prop::collection::vec(any::<u8>(), 0..300), der in any::<bool>()) {
        let mut input = input;
        if der && !input.is_empty() {
            input[0] = 0x30;
        }
        let _ = PrivateKey::read(&input);
        let _ = ForeignRequest::read(&input);
    }

    #[test]
    fn no_damage_makes_a_panic_or_another_key(
        which in 0_usize..10,
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        cut in any::<bool>(),
    ) {
        let mut input = samples()[which].clone();
        let at = at.index(input.len());
        if cut { input.truncate(at) } else { input[at] = octet }
        if let Ok(key) = PrivateKey::read(&input) {
            let again = PrivateKey::from_pem(key.pem()).unwrap();
            prop_assert_eq!(again.public_key_info(), key.public_key_info());
        }
        if let Ok(read) = ForeignRequest::read(&input) && input.first() == Some(&0x30) && !cut {
            prop_assert_eq!(read.der(), &input[..]);
        }
    }
}
