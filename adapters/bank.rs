//! Banks: the messages that they speak, the folders over which messages go, and a bank to play with.

pub mod folder;
pub mod iso20022;
mod mailbox;
pub mod sandbox;
#[cfg(test)]
mod tests;

pub use folder::{FolderBank, FolderBankConfig};
pub use sandbox::{SandboxBank, SandboxBankConfig};
