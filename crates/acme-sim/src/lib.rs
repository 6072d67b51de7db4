//! A small, strict ACME server for tests: RFC 8555 with RFC 8738 (IP addresses), RFC 9773 (ARI), profiles,
//! dns-account-01 and dns-persist-01. It looks at real DNS, HTTP and TLS servers, at the addresses it is given.
//!
//! What servers in the world do differently is a switch in [`Behaviour`], which tests set while it runs through
//! [`Control`]. It stands beside Pebble: that shows that a client works with somebody else's server, this one what a
//! client does on bad days. Tests run it in their own process through [`AcmeSim::start`]; `acme-sim` is the program.

mod api;
mod behaviour;
mod ca;
mod config;
mod control;
mod csr;
mod faults;
mod http_server;
mod jwk;
mod jws;
mod log;
mod problem;
mod server;
mod state;
mod validation;

pub use behaviour::{Behaviour, Contacts, Finalize, NewOrder, Profile, RetryAfter, WrongCertificate};
pub use config::{Config, Targets};
pub use control::Control;
pub use faults::{Fault, FaultRule};
pub use log::RequestRecord;
pub use server::{AcmeSim, Error};
pub use state::{
    Account, Authorization, Challenge, Identifier, IssuedCertificate, Order, RenewalWindow, Status,
};
