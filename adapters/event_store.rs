//! The event stores: two homes of one log. Both decide commands through `batch`, so they cannot disagree on what
//! a command comes to; they differ only in how a decided batch becomes durable.

pub mod batch;
pub mod memory;
pub mod postgres;

pub use memory::MemoryEventStore;
pub use postgres::{PostgresEventStore, PostgresOptions};
