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
mod external;
mod identifier;
mod json;
mod jws;
mod key;
mod nonce;
mod order;
mod poll;
mod problem;
mod renewal;
mod request;
mod retry;
mod revocation;
mod server;
mod transport;

pub use account::{Account, AccountInfo, AccountStatus, NewAccount, PreAuthorization};
pub use authorization::{Authorization, AuthorizationStatus};
pub use certificate::Certificate;
pub use challenge::{
    Challenge, ChallengeStatus, ChallengeType, KeyAuthorization, Token, TokenError, dns_account_label,
};
pub use directory::{Directory, Meta};
pub use error::{Error, ErrorClass};
pub use external::{ExternalAccount, ExternalAccountError, HmacAlgorithm};
pub use identifier::{Identifier, IpIdentifier};
pub use key::{AccountKey, AccountKeyType, KeyError};
pub use order::{NewOrder, Order, OrderStatus};
pub use poll::Poll;
pub use problem::{Problem, ProblemKind, Subproblem};
pub use renewal::{CertificateId, CertificateIdError, RenewalInfo};
pub use retry::RetryAfter;
pub use revocation::{RevocationReason, RevocationReasonError};
pub use server::Server;
#[cfg(feature = "reqwest")]
pub use transport::HttpTransport;
pub use transport::{Sending, Transport, TransportError};
