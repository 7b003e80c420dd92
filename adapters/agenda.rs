//! Where the sagas' agenda is kept. Both pass one contract suite.

mod memory;
mod postgres;

pub use memory::MemoryAgenda;
pub use postgres::PostgresAgenda;
