//! The ACME protocol (RFC 8555): typed all through, for many requests at once, without files and without DNS.
//!
//! The way in is [`Server::connect`]; an account ([`Server::create_account`], or [`Server::account`] for one that is
//! known already) makes orders. All handles are cheap to clone and share one pool of nonces, so any number of requests
//! of an account can be under way at once. Orders and authorizations are plain values.
//!
//! Futures can be dropped at any time. What was sent may still have taken effect then: orders, authorizations and
//! challenges can be taken up again by their URLs.

mod account;
mod authorization;
mod certificate;
mod challenge;
mod directory;
mod error;
mod identifier;
mod jws;
mod nonce;
mod order;
mod poll;
mod problem;
mod retry;
mod server;
mod transport;

pub use account::{Account, NewAccount};
pub use authorization::{Authorization, AuthorizationStatus};
pub use certificate::Certificate;
pub use challenge::{Challenge, ChallengeStatus, ChallengeType, KeyAuthorization, Token, TokenError};
pub use directory::{Directory, Meta};
pub use error::Error;
pub use identifier::Identifier;
pub use jws::{AccountKey, AccountKeyType, KeyError};
pub use order::{NewOrder, Order, OrderStatus};
pub use poll::Poll;
pub use problem::{Problem, ProblemKind, Subproblem};
pub use retry::RetryAfter;
pub use server::Server;
pub use transport::{HttpTransport, Sending, Transport, TransportError};
