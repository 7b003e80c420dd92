//! The directory of API keys: Postgres for every deployment, memory for tests and simulation.

mod memory;
mod postgres;

use commands::ports::Secret;
use sha2::{Digest, Sha256};

pub use memory::MemoryKeys;
pub use postgres::PostgresKeys;

/// What a bearer secret is looked up by. A plain hash is enough for 256 random bits: there is nothing to guess.
fn secret_hash(secret: &Secret) -> [u8; 32] {
    Sha256::digest(secret.expose().as_bytes()).into()
}
