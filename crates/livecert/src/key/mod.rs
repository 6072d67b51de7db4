//! Keys of certificates, and requests (CSRs) for them.

mod csr;
mod private_key;

pub use csr::certificate_request;
pub use private_key::{KeyError, KeyType, PrivateKey};
