//! Challenges: what has to be shown, where, and when all the world can see it.

mod dns;

pub use dns::{
    ChallengeError, DnsSolver, Placement, Proof, PropagationMode, PropagationSettings, validation_name,
};
