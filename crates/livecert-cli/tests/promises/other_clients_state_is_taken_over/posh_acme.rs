use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks_exact(2).map(pair).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// The account key as Posh-ACME keeps it, taken apart by OpenSSL.
fn jwk(pem: &str) -> Value {
    let text = piped(Command::new("openssl").args(["ec", "-text", "-noout"]), pem);
    let part = |begin: &str, end: &str| {
        let rest = text.split_once(begin).unwrap().1;
        octets(rest.split_once(end).unwrap().0)
    };
    let (secret, point) = (part("priv:", "pub:"), part("pub:", "ASN1"));
    let base64 = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    // OpenSSL may put a zero in front.
    let secret = &secret[secret.len() - 32..];
    json!({"kty": "EC", "crv": "P-256", "d": base64(secret), "x": base64(&point[1..33]), "y": base64(&point[33..])})
}

/// What `ConvertFrom-SecureString -Key` writes, encrypted by OpenSSL.
fn sealed(text: &str, key: &[u8]) -> String {
    let iv = [7; 16];
    let words = ["enc", "-aes-256-cbc", "-base64", "-A", "-K", &hex(key), "-iv", &hex(&iv)];
    let text = String::from_utf8(utf16(text)).unwrap();
    let cipher = STANDARD.decode(piped(Command::new("openssl").args(words), &text)).unwrap();
    let inner = format!("2|{}|{}", STANDARD.encode(iv), hex(&cipher));
    format!("76492d1116743f0423413b16050a5345{}", STANDARD.encode(utf16(&inner)))
}

/// The folder as Posh-ACME writes it.
fn posh_acme(there: &Move, made: &Made, sskey: &Value, arguments: &Value) {
    let root = &there.folder;
    write(root, "current-server.txt", &there.server.directory());
    write(
        root,
        "localhost/dir.json",
        &json!({"location": there.server.directory(), "DisableARI": false}).to_string(),
    );
    let account = json!({
        "status": "valid", "contact": "mailto:you@example.com", "location": made.account, "alg": "ES256",
        "key": jwk(&made.account_key), "KeyLength": "ec-256", "sskey": sskey,
    });
    // Windows PowerShell writes a byte order mark.
    write(root, "localhost/1/acct.json", &format!("\u{feff}{account}"));
    let order = json!({
        "status": "valid", "MainDomain": "example.com", "SANs": ["*.example.com"], "KeyLength": "ec-256",
        "CertExpires": "2031-01-01T00:00:00Z", "Plugin": ["Gandi", "Gandi"], "DnsAlias": null, "DnsSleep": 120,
        "ValidationTimeout": 60, "PfxPassB64U": "c2VjcmV0", "AlwaysNewKey": false, "LifetimeDays": 0,
        "OCSPMustStaple": false, "UseSerialValidation": true, "PreferredChain": "", "Subject": null, "profile": null,
    });
    let below = "localhost/1/example.com";
    write(root, &format!("{below}/order.json"), &order.to_string());
    write(root, &format!("{below}/pluginargs.json"), &arguments.to_string());
    let key = piped(Command::new("openssl").args(["ec"]), &made.key);
    write(root, &format!("{below}/cert.key"), &key);
    write(root, &format!("{below}/cert.cer"), &made.leaf);
    write(root, &format!("{below}/chain0.cer"), &made.chain);
    write(root, &format!("{below}/chain.cer"), &made.chain);
}

#[test]
fn posh_acme_goes_on() {
    let there = Move::new();
    let made = Made::new(&there);
    let key: Vec<u8> = (0..32).collect();
    let arguments = json!({"GandiPAT": {"origType": "securestring", "value": sealed(PAT, &key)}});
    posh_acme(&there, &made, &URL_SAFE_NO_PAD.encode(&key).into(), &arguments);
    let imported = there.goes_on("posh-acme", "example.com", &[]);
    let one = &imported["certificates"][0];
    assert!(one["plugin_args"]["GandiPAT"].as_str().unwrap().ends_with("pluginargs.json (sealed)"), "{one}");
    assert!(one["notes"].to_string().contains("password"), "{one}");
    assert_eq!(imported["accounts"][0]["contact"], json!(["you@example.com"]));
    assert!(read(&there.bench.cert("example.com").join("certificate.json")).contains("\"serial\": true"));
}

#[test]
fn secrets_are_opened_where_that_can_be_done() {
    let there = Move::new();
    let made = Made::new(&there);
    let secure = |value: &str| json!({"origType": "securestring", "value": value});
    let dpapi = "01000000d08c9ddf0115d1118c7a00c04fc297eb0100";
    let sealed = sealed(PAT, &[3; 32]);
    for (sskey, arguments, parameter, note) in [
        (Value::Null, json!({"GandiPAT": secure(&hex(&utf16(PAT)))}), Some("GandiPAT"), ""),
        (Value::Null, json!({"GandiToken": secure(&hex(&utf16("an-old-key")))}), Some("GandiToken"), ""),
        (Value::Null, json!({"GandiTokenInsecure": "an-old-key"}), Some("GandiToken"), ""),
        (Value::Null, json!({"GandiPAT": secure(dpapi)}), None, "one user of one machine"),
        (Value::Null, json!({"GandiPAT": secure(&sealed)}), None, "its key is not there"),
        ("VAULT".into(), json!({"GandiPAT": secure(&sealed)}), None, "vault"),
        (URL_SAFE_NO_PAD.encode([4; 32]).into(), json!({"GandiPAT": secure(&sealed)}), None, "another key"),
    ] {
        posh_acme(&there, &made, &sskey, &arguments);
        let plan = there.import("posh-acme", &["--plan"]);
        expect(&plan, 0);
        let one = &document(&plan)["certificates"][0];
        assert_eq!(one["plugin"], "gandi");
        let found = one["plugin_args"].as_object().unwrap().keys().next().map(String::as_str);
        assert_eq!(found, parameter, "{one}");
        assert!(one["notes"].to_string().contains(note), "{note}: {one}");
        assert_eq!(
            one["notes"].to_string().contains("no credential for Gandi"),
            parameter.is_none(),
            "{one}"
        );
    }
}
