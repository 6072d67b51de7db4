//! The protocol against servers that misbehave, scripted answer by answer.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod account;
mod ahead;
mod certificate;
mod futures;
mod keys;
mod order;
mod requests;
mod roll_over;
mod script;
mod server;
mod signed;
