//! Where calls to channels and banks are noted.

mod memory;
mod postgres;

pub use memory::MemoryChannelCalls;
pub use postgres::PostgresChannelCalls;
