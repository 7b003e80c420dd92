//! The one binary: every role and every operator command.
fn main() {}
