//! The sandbox provider.

mod api;
mod book;
mod config;
mod connection;
mod desk;
mod faults;
mod journal;
mod money;
mod payouts;
mod render;
mod server;
mod tokens;
mod webhooks;

pub use config::SandboxConfig;
pub use journal::JournalError;
pub use server::{SandboxError, SandboxHandle, start};
pub use webhooks::{SIGNATURE_HEADER, sign};

#[cfg(test)]
mod tests;
