//! The jobs that go by the clock: the board's contract, the scheduler on several nodes, and what operators see.

#![allow(clippy::unwrap_used)]

mod board;
mod operating;
mod scheduler;
