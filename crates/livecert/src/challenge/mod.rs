//! Challenges: what has to be shown, where, and when all the world can see it.

mod choice;
mod dns;
mod persist;
mod placement;
mod route;
mod solvers;
mod view;
mod web;

pub use choice::{ChallengeChoice, ChallengeChoiceError, ChallengeMismatch, is_in_dns, proof_kind};
pub use dns::{
    ChallengeError, DnsSolver, Proof, PropagationMode, PropagationSettings, account_validation_name,
    validation_name,
};
pub use persist::{Standing, StandingRecord, StandingRecordError, StandingWish, standing_name};
pub use placement::{Placed, Placement};
pub use route::{Route, Routes, Writer};
pub use solvers::Solvers;
pub use view::DnsView;
pub use web::{Shower, WebSolver};
