//! Keys of certificates, requests (CSRs) for them, and PKCS#12 files with them.

mod csr;
mod encoding;
mod error;
mod foreign_request;
mod import;
mod key_type;
#[cfg(test)]
mod openssl_tests;
mod passphrase;
mod pkcs12;
#[cfg(test)]
mod pkcs12_tests;
mod private_key;

pub use csr::{CsrOptions, certificate_request};
pub use error::KeyError;
pub use foreign_request::{ForeignRequest, RequestError};
pub use key_type::{KeyType, RsaBits};
pub use pkcs12::{Pkcs12, Pkcs12Encryption, Pkcs12Error};
pub use private_key::PrivateKey;
