//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

mod event_catalogue;
mod sagas;
mod tidy;
