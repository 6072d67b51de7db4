//! A careful client of Gandi's LiveDNS API v5.
//!
//! LiveDNS has no compare-and-swap: whoever writes an rrset replaces all of it. This client therefore creates
//! with `POST` (which refuses to overwrite), merges what is there with what is wanted, reads back what it wrote,
//! repairs what a concurrent writer undid, and deletes an rrset only after a read that shows nothing but its own
//! values. An answer that is not understood is an error, never "nothing there".
//!
//! ```no_run
//! # async fn example(http: reqwest::Client, token: secrecy::SecretString) -> Result<(), gandi_livedns::Error> {
//! use gandi_livedns::{Client, Credential, Options};
//!
//! let credential = Credential::new_personal_access_token(&token)?;
//! let client = Client::new(http, credential, Options::default())?;
//! let name = "_acme-challenge.www.example.com";
//! let zone = client.find_zone(name, None).await?;
//! let values = ["a value".to_owned()];
//! client.add_txt(&zone, name, &values).await?;
//! client.remove_txt(&zone, name, &values).await?;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod change;
mod client;
mod credential;
mod error;
mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod name;
mod options;
mod pace;
mod refusal;
mod retry;
mod rrset;
mod throttle;
mod token;
pub mod txt;
mod zone;

#[cfg(test)]
mod change_tests;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod script;

pub use change::{AddOutcome, Added, RemoveOutcome, Removed};
pub use client::Client;
pub use credential::{Credential, CredentialError, CredentialFacts, CredentialKind, CredentialShape};
pub use error::{Error, NetworkKind};
pub use name::{RecordType, RelativeName};
pub use options::{DEFAULT_BASE_URL, LEGACY_HOST, Options, SharingId, Ttl};
pub use refusal::{FieldError, NotFoundKind, Refusal};
pub use rrset::{Created, Rrset};
pub use token::{NEEDED_SCOPE, NewToken, TokenInfo};
pub use zone::Zone;
