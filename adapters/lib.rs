//! The outside world, one file or folder for each thing outside.

pub mod sandbox_provider;
