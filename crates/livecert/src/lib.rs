//! **livecert**: publicly trusted certificates from any ACME server.
//!
//! This crate is the certificate service, a library that a program can embed; the command `livecert` is a thin
//! face over it. The way of the data is one direction:
//!
//! ```text
//! certificate ──▶ acme (crate livecert-acme)     directory, account, order, authorizations
//!     ├─────────▶ challenge ──▶ plugin ──▶ gandi-livedns
//!     │               └───────▶ dns              authority, propagation
//!     ├─────────▶ import                         the state of other clients
//!     ├─────────▶ key                            keys, CSR
//!     ├─────────▶ secret                         sources, sealing
//!     ├─────────▶ store                          generations, accounts, locks
//!     └─────────▶ deploy                         hooks
//! ```
//!
//! Start reading at [`certificate::Service::issue`].

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
pub mod certificate;
pub mod challenge;
pub mod deploy;
mod digest;
pub mod dns;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod import;
pub mod key;
pub mod network;
pub mod plugin;
pub mod process;
pub mod progress;
pub mod schedule;
pub mod secret;
pub mod store;
