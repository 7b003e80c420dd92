//! What the binary is made of, as a library, so that tests put the same parts together.

pub mod archive;
pub mod bank;
pub mod cli;
pub mod config_file;
pub mod database;
pub mod dev;
pub mod events;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod master_key;
pub mod merchants;
pub mod operator;
pub mod output;
pub mod projections;
pub mod readiness;
pub mod reconcile;
pub mod sagas;
pub mod sandbox;
pub mod serve;
pub mod signals;
pub mod story;
pub mod telemetry;
pub mod verify;
