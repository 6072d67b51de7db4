//! The whole protocol without a network: requests signed here, answers looked at here.

mod accounts;
mod certificates;
mod orders;
mod signatures;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use p521::ecdsa::signature::Signer as _;
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PublicKeyData};
use ring::hmac;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    KeyPair as _,
};
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

use hyper::HeaderMap;

use super::*;
use crate::behaviour::{Contacts, Finalize, NewOrder, RetryAfter, WrongCertificate};
use crate::jwk::decode;
use crate::state::{Authorization, RenewalWindow};

const BASE: &str = "https://localhost:14000";

enum Pair {
    Ring(&'static str, EcdsaKeyPair),
    P521(p521::ecdsa::SigningKey),
}

/// An account key.
struct Key(Pair);

impl Key {
    fn ring(name: &'static str, algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Key(Pair::Ring(name, EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap()))
    }

    fn p256() -> Self {
        Self::ring("P-256", &ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    fn p384() -> Self {
        Self::ring("P-384", &ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    fn p521() -> Self {
        let mut scalar = [7; 66];
        scalar[0] = 0;
        Key(Pair::P521(p521::ecdsa::SigningKey::from_slice(&scalar).unwrap()))
    }

    fn alg(&self) -> &'static str {
        match &self.0 {
            Pair::Ring("P-256", _) => "ES256",
            Pair::Ring(..) => "ES384",
            Pair::P521(_) => "ES512",
        }
    }

    fn jwk(&self) -> Value {
        let (curve, point) = match &self.0 {
            Pair::Ring(curve, pair) => (*curve, pair.public_key().as_ref().to_vec()),
            Pair::P521(key) => ("P-521", key.verifying_key().to_sec1_point(false).as_bytes().to_vec()),
        };
        let (x, y) = point[1..].split_at(point.len() / 2);
        json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
    }

    fn sign(&self, message: &str) -> Vec<u8> {
        match &self.0 {
            Pair::Ring(_, pair) => {
                pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
            }
            Pair::P521(key) => {
                let signature: p521::ecdsa::Signature = key.sign(message.as_bytes());
                signature.to_bytes().to_vec()
            }
        }
    }

    fn jws(&self, header: &Value, payload: &str) -> Value {
        let (protected, payload) = (encode(header.to_string()), encode(payload));
        let signature = self.sign(&format!("{protected}.{payload}"));
        json!({"protected": protected, "payload": payload, "signature": encode(signature)})
    }
}

/// A server, and a client with an account.
struct Bench {
    world: World,
    key: Key,
    kid: String,
}

fn world() -> World {
    World {
        behaviour: Behaviour::default(),
        ca: Ca::new("test", 2).unwrap(),
        targets: Targets::default(),
        external_accounts: BTreeMap::new(),
        nonces: HashSet::new(),
        accounts: Vec::new(),
        authorizations: Vec::new(),
        orders: Vec::new(),
        certificates: Vec::new(),
    }
}

fn header<'a>(reply: &'a Reply, name: &str) -> Option<&'a str> {
    reply.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.as_str())
}

fn body(reply: &Reply) -> Value {
    serde_json::from_str(&reply.body).unwrap()
}

#[track_caller]
fn refused(reply: &Reply, status: u16, kind: &str) {
    assert_eq!((reply.status, reply.problem.as_deref()), (status, Some(kind)), "{}", reply.body);
    assert_eq!(body(reply)["type"], format!("urn:ietf:params:acme:error:{kind}"));
    assert_eq!(header(reply, "content-type"), Some("application/problem+json"));
    assert!(header(reply, "replay-nonce").is_some());
}

impl Bench {
    fn with_key(key: Key) -> Self {
        let mut bench = Bench { world: world(), key, kid: String::new() };
        let reply =
            bench.register(json!({"termsOfServiceAgreed": true, "contact": ["mailto:a@example.com"]}));
        assert_eq!(reply.status, 201, "{}", reply.body);
        header(&reply, "location").unwrap().clone_into(&mut bench.kid);
        bench
    }

    fn new() -> Self {
        Self::with_key(Key::p256())
    }

    fn send(&mut self, method: Method, url: &str, body: &Value) -> Outcome {
        let rest = url.strip_prefix(BASE).unwrap();
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/jose+json".parse().unwrap());
        self.world.answer(&Request {
            method,
            base: BASE.to_owned(),
            path: path.to_owned(),
            query: query.map(str::to_owned),
            headers,
            body: body.to_string().into(),
        })
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, &format!("{BASE}{path}"), &Value::Null).reply
    }

    fn header(&mut self, url: &str) -> Value {
        json!({"alg": self.key.alg(), "nonce": self.world.nonce(), "url": url, "kid": self.kid})
    }

    fn register(&mut self, payload: Value) -> Reply {
        let url = format!("{BASE}/account");
        let header =
            json!({"alg": self.key.alg(), "nonce": self.world.nonce(), "url": url, "jwk": self.key.jwk()});
        let jws = self.key.jws(&header, &payload.to_string());
        self.send(Method::POST, &url, &jws).reply
    }

    fn outcome(&mut self, url: &str, payload: &str) -> Outcome {
        let header = self.header(url);
        let jws = self.key.jws(&header, payload);
        self.send(Method::POST, url, &jws)
    }

    fn post(&mut self, url: &str, payload: Value) -> Reply {
        self.outcome(url, &payload.to_string()).reply
    }

    fn post_to(&mut self, path: &str, payload: Value) -> Reply {
        self.post(&format!("{BASE}{path}"), payload)
    }

    fn look(&mut self, url: &str) -> Reply {
        self.outcome(url, "").reply
    }

    fn order(&mut self, names: &[&str], more: &[(&str, Value)]) -> Reply {
        let kind = |name: &str| if name.parse::<std::net::IpAddr>().is_ok() { "ip" } else { "dns" };
        let identifiers: Vec<Value> =
            names.iter().map(|name| json!({"type": kind(name), "value": name})).collect();
        let mut payload = json!({"identifiers": identifiers});
        for (member, value) in more {
            payload[member] = value.clone();
        }
        self.post_to("/order", payload)
    }

    /// Answers the first challenge of each authorization of an order, as if the validations had ended well.
    fn authorize(&mut self, order: &Value) {
        for url in order["authorizations"].as_array().unwrap() {
            let authorization = body(&self.look(url.as_str().unwrap()));
            let challenge = authorization["challenges"][0]["url"].as_str().unwrap().to_owned();
            let outcome = self.outcome(&challenge, "{}");
            assert_eq!(body(&outcome.reply)["status"], "processing");
            self.world.validated(&outcome.started.unwrap(), Ok(()));
        }
    }

    fn finalize(&mut self, order: &Value, csr: &[u8]) -> Reply {
        self.post(order["finalize"].as_str().unwrap(), json!({"csr": encode(csr)}))
    }

    /// A certificate for these names: the last part of its URL, and its key.
    fn issue(&mut self, names: &[&str], more: &[(&str, Value)]) -> (String, KeyPair) {
        let reply = self.order(names, more);
        assert_eq!(reply.status, 201, "{}", reply.body);
        let order = body(&reply);
        self.authorize(&order);
        let key = KeyPair::generate().unwrap();
        let done = body(&self.finalize(&order, &csr(names, &key)));
        assert_eq!(done["status"], "valid", "{done}");
        (done["certificate"].as_str().unwrap().to_owned(), key)
    }
}

fn csr(names: &[&str], key: &KeyPair) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(key).unwrap().der().to_vec()
}
