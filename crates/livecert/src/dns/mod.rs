//! DNS as a client of certificates needs it: who answers for a name, and do all of them show what was published.
//!
//! Servers are asked one by one, by address, without recursion and without a cache: that is what tells the state of
//! the world from somebody's memory of it. See `docs/decisions/0003-dns-client-on-hickory-proto.md`.

mod authority;
mod caa;
mod exchange;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
mod https;
mod known;
mod pattern;
mod propagation;
mod resolver;

pub use authority::{Authority, AuthorityError, Located, Locator, NameServer};
pub use caa::{CaaApplicant, CaaError, CaaRecord, CaaSet, CaaView};
pub use exchange::{DnsError, ask};
pub use pattern::{NamePattern, NamePatternError};
pub use propagation::{
    Expected, Lacking, Patience, PropagationError, ServerView, Watch, WatchedServer, look, watch,
    watch_resolvers,
};
pub use resolver::{Health, ResolveError, Resolver, ResolverAddress, ResolverAddressError};
