//! The messages of ISO 20022 that a withdrawal needs: `pain.001` out, `pain.002` and `camt.053` in. Both directions of
//! each, because the sandbox bank speaks the other side. Knows no folder and no ledger.

pub mod camt053;
pub mod pain001;
pub mod pain002;
#[cfg(test)]
mod tests;
mod text;
mod xml;

pub use text::{amount_text, end_to_end_id, expresses, withdrawal_of};

/// Why a message cannot be read. Carries no content of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub String);

/// Any message that a bank sends us.
#[derive(Debug, Clone, PartialEq)]
pub enum FromBank {
    Status(Vec<pain002::TransferStatus>),
    Statement(Vec<camt053::Entry>),
}

/// Reads a message of either kind, told apart by its namespace.
pub fn read(message: &str) -> Result<FromBank, Malformed> {
    let document = xml::parse(message)?;
    match document.message_kind()? {
        "pain.002" => Ok(FromBank::Status(pain002::of_document(&document)?)),
        "camt.053" => Ok(FromBank::Statement(camt053::of_document(&document)?)),
        other => Err(Malformed(format!("a message {other} is not expected from a bank"))),
    }
}
