//! Merchants over HTTP: what was agreed with them and what follows from it, and their limits.

mod agreed;
mod limits;
mod races;
