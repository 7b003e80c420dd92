//! What the tests share: real parts started for them, and the waiting between them.

pub mod load;
pub mod process;
pub mod wait;
