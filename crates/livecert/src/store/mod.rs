//! The state folder: certificates in generations, accounts, locks. The store has heard of no network.
//!
//! ```text
//! HOME/
//!   sealing.key                               what sealed values are opened with (mode 0600), unless it is kept elsewhere
//!   sealing.json                              where that key is, and its id
//!   status.json                               what the renewal runs did
//!   servers.json                              names and settings of ACME servers, and the one in use
//!   limits/SERVER.jsonl                       what was asked of a server, for its rate limits
//!   accounts/SERVER/N/account.json            an account's URL and its sealed key
//!   accounts/SERVER/directory.json            where the server's directory said last that there are nonces
//!   certs/CERT/certificate.json               what the certificate is for, and how it is renewed
//!   certs/CERT/renewal.json                   when the CA wants it to be renewed
//!   certs/CERT/credential.json                when the credential ends, as it was said last
//!   certs/CERT/failures.json                  what went wrong since the last success, and when it is tried again
//!   certs/CERT/holds.json                     until when a CA does not want to be asked for it
//!   certs/CERT/deployment.json                which generation is deployed, and what is still to be done
//!   certs/CERT/generations/N/…                privkey.pem cert.pem chain.pem fullchain.pem generation.json
//!   certs/CERT/generations/N.partial/…        the key and the order that a run works on, was killed at, or a person goes on with
//!   certs/CERT/generations/N.old/…            an old generation that is being removed
//!   certs/CERT/current -> generations/N       swapped by one rename
//!   archive/CERT/…                            certificates that are not declared any more, whole
//!   plugins/PLUGIN.json                       what a plugin keeps for itself; secrets are sealed
//!   hooks/{pre,deploy,post,failure}/          commands for all certificates
//!   journal/CERT.json                         what a run published, or is about to; gone when it is removed
//!   rehearsal@CERT/{certs,accounts}/          what a rehearsal makes; gone when it ends
//!   locks/CERT.lock                           held while a certificate is worked on
//! ```
//!
//! A state file is JSON with a `version`, written to a temporary file, synced, renamed, and its folder synced. An older
//! version is read, and kept beside the new file (`certificate.json.v2`) when that is first written. What can be asked for again
//! at any time (`renewal.json`, `credential.json`) is not synced.

mod access;
mod account;
mod archive;
mod aside;
mod asked;
mod deployment;
mod directory;
mod draft;
mod error;
mod failure;
mod file;
mod file_system;
mod generation;
mod history;
mod hold;
mod journal;
mod layout;
mod lock;
mod output;
mod plugin;
mod record;
mod rehearsal;
mod removal;
mod renewal;
mod run;
mod sealing;
mod server;
mod snapshot;
mod sync;
#[cfg(test)]
mod version_tests;

pub use access::{Access, AccessError, Obstacle, cert_mode, key_mode};
pub use account::{AccountRecord, server_folder};
pub(crate) use asked::Unsynced;
pub use asked::{Asked, AskedFor, Exemption};
pub use deployment::{
    Deployed, DeploymentProblem, DeploymentRecord, DeploymentState, PendingDeployment, Return,
};
pub use draft::{Draft, PendingOrder};
pub use error::StoreError;
pub use failure::FailureRecord;
pub(crate) use failure::{LONGEST_WAIT, wait_after};
pub use file::replace as replace_file;
pub use file::{Staged, overwrite_secret, replace_secret, write_secret};
pub use generation::{Bundle, Generation, GenerationInfo};
pub use history::{FoundGeneration, KEEP_GENERATIONS};
pub use hold::{Hold, HoldScope};
pub use journal::{JournalFile, JournalName, JournalOrder, JournalRecord, Publication};
pub use layout::{CertName, CertNameError, Store};
pub use lock::{CertLock, Lock, LockHolder, introduce};
pub use output::{Output, OutputFile, OutputRecord};
pub use record::{CertificateRecord, ProofRecord, PropagationRecord, PublisherRecord, StoredArgument};
pub use rehearsal::RehearsalStore;
pub use renewal::{RenewalRecord, RenewalWindow};
pub use run::{CertificateRun, CredentialRecord, FinishedRun, RunRecord};
pub use sealing::{AllLocks, Rotation, SealedFile, SealingRecord};
pub use server::{ServerRecord, ServersRecord};
pub use snapshot::Snapshot;
