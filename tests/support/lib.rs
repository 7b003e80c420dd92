//! What the tests stand on: real parts, started by the tests themselves and gone when they end, however they end; and
//! the waiting between them.

pub mod balancer;
pub mod channel_orders;
pub mod guard;
pub mod histories;
pub mod load;
pub mod localstripe;
pub mod manual_clock;
pub mod otlp;
pub mod paying_channel;
pub mod payment_year;
pub mod postgres;
pub mod postgres_proxy;
pub mod process;
pub mod read_models;
pub mod scripted_channel;
pub mod seeds;
pub mod tampered_log;
pub mod under_load;
pub mod wait;

pub use postgres::{TestDatabase, empty_test_database, private_cluster, test_database, volatile_test_database};
