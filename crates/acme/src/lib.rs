//! The ACME protocol (RFC 8555 and its family): typed all through, for many requests at once, without files and
//! without DNS.
//!
//! The way in is [`Server::connect`]; an account ([`Server::create_account`], or [`Server::account`] for one that is
//! known already) makes orders. All handles are cheap to clone and share one pool of nonces, so any number of requests
//! of an account can be under way at once. Orders, authorizations and challenges are plain values.
//!
//! ```no_run
//! # async fn example(transport: std::sync::Arc<dyn livecert_acme::Transport>) -> Result<(), Box<dyn std::error::Error>> {
//! use livecert_acme::{AccountKey, AccountKeyType, Identifier, NewAccount, NewOrder, Server};
//!
//! let server = Server::connect(transport, "https://acme-staging-v02.api.letsencrypt.org/directory").await?;
//! let key = AccountKey::generate(AccountKeyType::EcdsaP256)?;
//! let new = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
//! let account = server.create_account(key, &new).await?;
//! let order = account.new_order(&NewOrder::new(vec![Identifier::dns("example.com")])).await?;
//! # Ok(()) }
//! ```
//!
//! The rest is in the README, and as a whole program in `examples/certificate.rs`.
//!
//! # What is done about failures
//!
//! - A nonce that is refused is replaced by that of the refusal (RFC 8555 §6.5).
//! - HTTP 429 and 503, and problems of the type `rateLimited`, are waited for as `Retry-After` says, half a minute in
//!   all; beyond that they are [`Error::RetryLater`], with the moment.
//! - After a connection that broke, requests are repeated which read or lead to the same state. Orders, authorizations
//!   made ahead, changes of keys and certificate requests are not: they may have taken effect.
//! - Whatever is refused comes in the server's words ([`Problem`]); [`Error::class`] sorts it.
//!
//! # Cancellation
//!
//! Futures can be dropped at any time. What was sent may still have taken effect then: orders, authorizations and
//! challenges can be taken up again by their URLs, accounts by their keys.
//!
//! # Features
//!
//! `reqwest` (on by default) brings `HttpTransport`; without it, bring a [`Transport`] of your own.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod account;
mod authorization;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod certificate;
mod challenge;
mod directory;
mod error;
mod external;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
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
pub use server::{Known, Server};
#[cfg(feature = "reqwest")]
pub use transport::HttpTransport;
pub use transport::{Sending, Transport, TransportError};
