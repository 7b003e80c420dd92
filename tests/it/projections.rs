//! The read models and what feeds them, on a real Postgres.

mod feeding;
mod figures;
mod lists;
mod parking;
mod past;
mod plans;
mod positions;
mod rebuilding;
mod shadow;
mod under_load;
