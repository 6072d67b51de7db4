//! Keys that other programs have written: `openssl` 3.0 the PEM files, certbot's library (josepy) the JWKs. The
//! thumbprints are josepy's, too (but for the RSA key of 2176 bits, whose numbers are those that openssl shows). All of
//! them were made for these tests.

use livecert_acme::{AccountKey, AccountKeyType, KeyError};

use crate::script::{account_at, new_order, order, server};

const KINDS: [(AccountKeyType, &str, [&str; 3]); 5] = [
    (
        AccountKeyType::EcdsaP256,
        "S7-fbkf0EsM0ugtKalKJv3FlRlT71gnsm767yKgtWXQ",
        [
            include_str!("keys/p256.pkcs8.pem"),
            include_str!("keys/p256.sec1.pem"),
            include_str!("keys/p256.jwk.json"),
        ],
    ),
    (
        AccountKeyType::EcdsaP384,
        "huayLxD61RHtUrFXDbB8UNqnQ3W2GasXYYAjgOpEp9U",
        [
            include_str!("keys/p384.pkcs8.pem"),
            include_str!("keys/p384.sec1.pem"),
            include_str!("keys/p384.jwk.json"),
        ],
    ),
    (
        AccountKeyType::EcdsaP521,
        "oSyqx7RFfCe9bUJeuhfqCaHXSKA2C-8zmg1MWQEbw9c",
        [
            include_str!("keys/p521.pkcs8.pem"),
            include_str!("keys/p521.sec1.pem"),
            include_str!("keys/p521.jwk.json"),
        ],
    ),
    (
        AccountKeyType::Rsa { bits: 2048 },
        "RZMPa4QyiwIvheVUd9Jk9lXA413V_tIfMdRZFdTIYwQ",
        [
            include_str!("keys/rsa2048.pkcs8.pem"),
            include_str!("keys/rsa2048.pkcs1.pem"),
            include_str!("keys/rsa2048.jwk.json"),
        ],
    ),
    // A length that `ring` does not sign with.
    (
        AccountKeyType::Rsa { bits: 2176 },
        "DylknUdMtcsD580V2eculEfgGnRvu_dp3RAPNcYx9Sw",
        [
            include_str!("keys/rsa2176.pkcs8.pem"),
            include_str!("keys/rsa2176.pkcs1.pem"),
            include_str!("keys/rsa2176.jwk.json"),
        ],
    ),
];

fn all() -> impl Iterator<Item = (AccountKeyType, &'static str, AccountKey)> {
    KINDS.into_iter().flat_map(|(kind, thumbprint, [pkcs8, older, jwk])| {
        let pem = |text| AccountKey::from_pem(text).unwrap();
        [pem(pkcs8), pem(older), AccountKey::from_jwk(jwk).unwrap()].map(|key| (kind, thumbprint, key))
    })
}

#[test]
fn each_form_of_a_key_is_the_same_key() {
    for (kind, thumbprint, key) in all() {
        assert_eq!((key.key_type(), key.thumbprint().as_str()), (kind, thumbprint));
        for again in [AccountKey::from_pem(&key.to_pem()), AccountKey::from_pkcs8_der(&key.to_pkcs8_der())] {
            assert_eq!(again.unwrap().thumbprint(), thumbprint);
        }
    }
}

#[test]
fn what_is_written_is_what_openssl_writes() {
    for (_, _, [pkcs8, older, _]) in KINDS {
        assert_eq!(AccountKey::from_pem(older).unwrap().to_pem().as_str(), pkcs8);
    }
}

#[test]
fn text_around_a_key_is_passed_over() {
    let text = format!("Key Attributes: <none>\r\n{}\nmore", KINDS[0].2[0].replace('\n', "\r\n"));
    assert_eq!(AccountKey::from_pem(&text).unwrap().thumbprint(), KINDS[0].1);
    let padded = KINDS[0].2[2].replace("XY\"", "XY==\"");
    assert_eq!(AccountKey::from_jwk(&padded).unwrap().thumbprint(), KINDS[0].1);
}

#[test]
fn what_is_no_account_key_is_refused_with_the_reason() {
    let pem = |text| AccountKey::from_pem(text).unwrap_err();
    assert!(matches!(pem(include_str!("keys/p256.encrypted.pem")), KeyError::Encrypted));
    assert!(matches!(pem(include_str!("keys/p256-without-public.sec1.pem")), KeyError::NoPublicPart));
    for text in [include_str!("keys/rsa1024.pkcs8.pem"), include_str!("keys/ed25519.pkcs8.pem"), "", "no key"]
    {
        assert!(matches!(pem(text), KeyError::Unreadable), "{text}");
    }
    // The larger curve's public part can be computed here.
    let whole = AccountKey::from_pem(include_str!("keys/p521-without-public.sec1.pem")).unwrap();
    assert_eq!(whole.thumbprint(), KINDS[2].1);

    let mut other_point: serde_json::Value = serde_json::from_str(KINDS[2].2[2]).unwrap();
    other_point["x"] = other_point["y"].clone();
    let other_point = AccountKey::from_jwk(&other_point.to_string());
    assert!(matches!(other_point, Err(KeyError::Unreadable)));

    let [p256, p384] = [KINDS[0].2[2], KINDS[1].2[2]].map(|jwk| serde_json::from_str(jwk).unwrap());
    let mut mixed: serde_json::Value = p256;
    let other: serde_json::Value = p384;
    mixed["d"] = other["d"].clone();
    for text in
        [mixed.to_string().as_str(), "{}", "7", r#"{"kty":"oct","k":"AA"}"#, r#"{"kty":"RSA","n":"AQ"}"#]
    {
        assert!(matches!(AccountKey::from_jwk(text), Err(KeyError::Unreadable)), "{text}");
    }
    assert!(matches!(AccountKey::from_pkcs8_der(b"no key"), Err(KeyError::Unreadable)));
}

#[tokio::test]
async fn each_type_of_key_signs_what_servers_can_check() {
    for (_, _, key) in all() {
        let (script, known) = account_at(crate::script::DIRECTORY).await;
        let account = known.server().account(key.clone(), known.url().clone());
        script.then(201, &[("location", "https://ca/order/1")], &order("pending"));
        account.new_order(&new_order()).await.unwrap();
        let signed = script.signed().remove(0);
        assert_eq!(signed.header["alg"], key.algorithm());
        assert!(signed.is_signed_by(&key.jwk()), "{key:?}");
        assert!(signed.header["kid"] == "https://ca/account/1" && signed.header.get("jwk").is_none());

        let (script, server) = server(crate::script::DIRECTORY).await;
        script.then(200, &[("location", "https://ca/account/1")], "{}");
        server.find_account(key.clone()).await.unwrap();
        let signed = script.signed().remove(0);
        assert!(signed.header["jwk"] == key.jwk() && signed.is_signed_by(&key.jwk()));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_or_bytes_make_a_panic(
        at in 0_usize..3000,
        byte: u8,
        text in "\\PC{0,80}",
        kind in 0_usize..5,
    ) {
        let _ = AccountKey::from_pem(&text);
        let _ = AccountKey::from_jwk(&text);
        let [pkcs8, _, jwk] = KINDS[kind].2;
        let mut der = AccountKey::from_pem(pkcs8).unwrap().to_pkcs8_der();
        let index = at % der.len();
        der[index] = byte;
        let _ = AccountKey::from_pkcs8_der(&der);
        let _ = AccountKey::from_pkcs8_der(&der[..index]);
        let mut damaged = jwk.as_bytes().to_vec();
        damaged[at % jwk.len()] = byte;
        let _ = AccountKey::from_jwk(&String::from_utf8_lossy(&damaged));
    }
}
