//! Keys of certificates, and requests (CSRs) for them.

mod csr;
mod encoding;
mod error;
mod foreign_request;
mod import;
mod key_type;
#[cfg(test)]
mod openssl_tests;
mod private_key;

pub use csr::{CsrOptions, certificate_request};
pub use error::KeyError;
pub use foreign_request::{ForeignRequest, RequestError};
pub use key_type::{KeyType, RsaBits};
pub use private_key::PrivateKey;
