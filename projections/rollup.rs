//! Figures rolled up as events arrive: one row for each owner and day of UTC, which holds the day's totals and the same
//! figures by quarters of an hour as packed bytes. A batch rewrites the rows that it touches, one statement for all of
//! them; an answer adds up a few hundred rows, whatever time zone its days are of. What is counted is up to its users.
//!
//! Owners of few figures keep quarters only. Those that nearly every event adds to keep hours as well, so that days of
//! zones that differ from UTC by whole hours are read from a quarter of the cells.

mod days;
mod packing;
mod read;
mod sheet;
mod store;

pub use days::QUARTER;
pub(crate) use days::{Entry, Rollup};
pub(crate) use packing::{Packed, put, put_signed, put_text};
pub use read::TooMuch;
pub(crate) use read::{Owners, Scan, sum};
pub(crate) use sheet::{Key, Value, put_sparse, sparse};
pub(crate) use store::{add, stored};

/// The table `$table`, which [`add`] and [`sum`] are told by name.
macro_rules! rollup_table {
    ($table:literal) => {
        concat!(
            "CREATE TABLE ",
            $table,
            " (
                day      date             NOT NULL,
                -- Whose figures, or of what part of everybody's.
                owner    text COLLATE \"C\" NOT NULL,
                totals   bytea            NOT NULL,
                hours    bytea            NOT NULL,
                quarters bytea            NOT NULL,
                PRIMARY KEY (day, owner)
            ) WITH (fillfactor = 70);
            -- Packed already: compressing them again would cost time on every batch.
            ALTER TABLE ",
            $table,
            " ALTER totals SET STORAGE EXTERNAL, ALTER hours SET STORAGE EXTERNAL,
                ALTER quarters SET STORAGE EXTERNAL;"
        )
    };
}
pub(crate) use rollup_table;
