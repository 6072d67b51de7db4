//! Doors to parts that have no public way in, for `cargo bench` in this repository: no part of the API.

use crate::{txt, zone};

/// The values of an rrset with ours among them.
#[must_use]
pub fn merged(existing: &[String], texts: &[String]) -> Vec<String> {
    txt::merged(existing, texts)
}

/// The names that may be the zone of a name, in the order in which they are asked for.
#[must_use]
pub fn candidates(name: &str, likely_apex: Option<&str>) -> Vec<String> {
    zone::candidates(name, likely_apex)
}
