//! The read models and what feeds them, on a real Postgres.

mod feeding;
mod lists;
mod positions;
mod rebuilding;
