//! What of a request a handler sees: strictly parsed bodies, queries and paths, or a problem that names the fault.

pub mod fields;
pub mod json;
pub mod path;
pub mod prefer;
pub mod query;
pub mod tree;

pub use json::Json;
pub use path::Named;
pub use prefer::Wait;
pub use query::{Params, Parsed};
