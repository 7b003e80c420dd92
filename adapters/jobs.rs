//! The board of jobs: in Postgres, beside the events, or in memory for tests and simulation.

mod memory;
mod postgres;

pub use memory::MemoryJobBoard;
pub use postgres::PostgresJobBoard;
