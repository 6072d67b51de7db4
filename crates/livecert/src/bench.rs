//! Doors to parts that have no public way in, for `cargo bench` in this repository: no part of the API.

use crate::certificate::Service;
use crate::store::CertName;

/// Looks at the certificates and plans a renewal run of them, by force or not: how many would be worked on.
pub fn planned(service: &Service, certs: &[CertName], force: bool) -> usize {
    service.planned(certs, force)
}
