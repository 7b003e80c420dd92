//! The contract of the event store, run over every adapter, and what only Postgres can get wrong.
#![allow(clippy::unwrap_used)]

mod commits_cut;
mod contract;
mod cqrs_es;
mod fixture;
mod memory;
mod postgres;
