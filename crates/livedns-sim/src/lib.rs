//! A simulator of Gandi's LiveDNS: the HTTPS API and authoritative DNS (UDP and TCP) over the same zones, so that a
//! real ACME server resolves what the API wrote.
//!
//! It is as strict as the real service is known to be, and nastier where sources differ: each such point is a switch
//! in [`Behaviour`]. Tests run it in their own process through [`Simulator::start`]; `livedns-sim` is the program.

mod api;
mod auth;
mod behaviour;
mod config;
mod control;
mod dns;
mod faults;
mod http_server;
mod log;
mod records;
mod reply;
mod simulator;
mod state;

pub use behaviour::{
    Behaviour, BesideCname, EmptyList, Json, Legacy, MissingRrset, Organisation, OtherCase, Patch, Refusal,
    RetryAfter, Superfluous,
};
pub use config::{ApiKeyConfig, Config, TokenConfig, ZoneConfig};
pub use control::Control;
pub use faults::{Fault, FaultRule};
pub use log::{DnsQuery, RequestRecord};
pub use sim_server::{Error, pki};
pub use simulator::Simulator;
pub use state::Rrset;
