//! Certificates: download with alternate chains (RFC 8555 §7.4.2), and revocation (§7.6).

use serde_json::Value;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Reply, Request, Signed, World};
use crate::ca::pem;
use crate::jwk::decode;
use crate::problem::Problem;
use crate::state::Status;

impl World {
    pub(super) fn certificate(
        &self,
        request: &Request,
        id: &str,
        chain: usize,
        signed: &Signed,
    ) -> Result<Reply, Problem> {
        signed.as_get()?;
        let certificate = self.certificates.iter().find(|certificate| certificate.id == id);
        let certificate = certificate.ok_or_else(|| Problem::not_found("certificate"))?;
        if certificate.account != signed.account()? {
            return Err(Problem::unauthorized("this is another account's certificate"));
        }
        let intermediate = self.ca.intermediate(chain).ok_or_else(|| Problem::not_found("chain"))?;
        let mut reply = Reply::empty(200).header("content-type", "application/pem-certificate-chain");
        reply.body = pem(&certificate.der) + &intermediate;
        if self.behaviour.alternates {
            for other in (0..self.ca.chains()).filter(|&other| other != chain) {
                let url = format!("{}/certificate/{id}/{other}", request.base);
                reply = reply.header("link", format!("<{url}>;rel=\"alternate\""));
            }
        }
        Ok(reply)
    }

    pub(super) fn revoke(&mut self, signed: &Signed) -> Result<Reply, Problem> {
        let der = signed.payload.get("certificate").and_then(Value::as_str).and_then(decode);
        let der = der.ok_or_else(|| Problem::malformed("there is no certificate in base64url"))?;
        let reason = match signed.payload.get("reason") {
            None => 0,
            // RFC 5280 §5.3.1; 2 and 6 are for other certificates, 7 is not used, 8 is for delta CRLs.
            Some(reason) => match reason.as_u64().and_then(|reason| u8::try_from(reason).ok()) {
                Some(reason @ (0 | 1 | 3 | 4 | 5 | 9)) => reason,
                _ => {
                    let detail = format!("the reason {reason} is not one of 0, 1, 3, 4, 5 and 9");
                    return Err(Problem::new(400, "badRevocationReason", detail));
                }
            },
        };
        let position = self.certificates.iter().position(|certificate| certificate.der == der);
        let position = position.ok_or_else(|| Problem::not_found("certificate"))?;
        let allowed = match &signed.account {
            Some(account) => {
                self.certificates[position].account == *account
                    || self.holds_all(account, &self.certificates[position].identifiers)
            }
            None => {
                let (_, parsed) = X509Certificate::from_der(&der)
                    .map_err(|_| Problem::malformed("it is not a certificate in DER"))?;
                signed.key.is_of(parsed.public_key())
            }
        };
        if !allowed {
            return Err(Problem::unauthorized("neither the account nor the key may revoke this certificate"));
        }
        let certificate = &mut self.certificates[position];
        if certificate.revoked.is_some() {
            return Err(Problem::new(400, "alreadyRevoked", "the certificate has been revoked already"));
        }
        certificate.revoked = Some(reason);
        Ok(Reply::empty(200))
    }

    /// RFC 8555 §7.6: an account with authorizations for all of its identifiers may revoke a certificate as well.
    fn holds_all(&self, account: &str, identifiers: &[crate::Identifier]) -> bool {
        identifiers.iter().all(|identifier| {
            let value = identifier.value.strip_prefix("*.").unwrap_or(&identifier.value);
            self.authorizations.iter().any(|authorization| {
                authorization.account == account
                    && authorization.status == Status::Valid
                    && authorization.identifier.kind == identifier.kind
                    && authorization.identifier.value == value
                    && authorization.wildcard == identifier.value.starts_with("*.")
            })
        })
    }
}
