//! The integration tests: one binary, a module per noun, over real parts that it starts itself.

mod books;
mod event_catalogue;
mod projections;
mod sagas;
mod tidy;
