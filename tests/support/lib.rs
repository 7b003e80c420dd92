//! What the tests share: real parts started for them, and the waiting between them.

pub mod load;
pub mod manual_clock;
pub mod process;
pub mod scripted_channel;
pub mod wait;
