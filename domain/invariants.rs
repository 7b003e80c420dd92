//! The numbered invariants.
