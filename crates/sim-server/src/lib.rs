//! What `livedns-sim` and `acme-sim` have in common: a test CA, HTTPS on a free port (HTTP/1.1 and HTTP/2), a control
//! endpoint, faults on order, the log of requests, and a program around all that. What they simulate is not here.

mod control;
mod faults;
mod listener;
pub mod pki;
pub mod program;
mod request_log;

pub use control::{apply, start_control};
pub use faults::{FaultRule, Faults};
pub use listener::{Body, Cut, Error, HTTP_VERSIONS, MAX_BODY, listen, respond, serve, tls};
pub use request_log::RequestLog;
