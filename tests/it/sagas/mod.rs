//! The sagas over a provider that loses answers, a clock that is moved by hand, and nodes that die anywhere.

#![allow(clippy::unwrap_used)]

mod agenda;
mod crash;
mod disputes;
mod generic;
mod late_success;
mod measures;
mod nodes;
mod pre_auths;
mod scenarios;
mod settlements;
pub mod stage;
mod stories;
mod withdrawals;
