//! The inbox of channel webhooks: Postgres for every deployment, memory for tests and simulation.

mod memory;
mod postgres;

pub use memory::MemoryInbox;
pub use postgres::PostgresInbox;
