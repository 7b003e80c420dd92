//! Rows for `COPY ... FROM STDIN`, in its text format and, where there are many, in its binary one. Knows no table.

use std::fmt::{Display, Write};

use domain::Timestamp;
use sqlx::PgConnection;

/// Bytes that are gathered before they are sent.
const FLUSH_AT: usize = 1 << 20;

pub(super) struct CopyRows {
    statement: &'static str,
    rows: String,
    at_start: bool,
}

impl CopyRows {
    /// `statement` is the whole `COPY` statement.
    pub(super) fn new(statement: &'static str) -> CopyRows {
        CopyRows { statement, rows: String::new(), at_start: true }
    }

    pub(super) fn text(&mut self, text: &str) {
        self.next();
        for letter in text.chars() {
            match letter {
                '\\' => self.rows.push_str("\\\\"),
                '\t' => self.rows.push_str("\\t"),
                '\n' => self.rows.push_str("\\n"),
                '\r' => self.rows.push_str("\\r"),
                letter => self.rows.push(letter),
            }
        }
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => {
                self.next();
                self.rows.push_str("\\N");
            }
        }
    }

    /// A number, or anything else without tabs, line ends and backslashes.
    pub(super) fn plain(&mut self, value: impl Display) {
        self.next();
        write!(self.rows, "{value}").expect("writing to memory cannot fail");
    }

    pub(super) fn moment(&mut self, moment: Timestamp) {
        self.plain(moment);
    }

    pub(super) fn end_row(&mut self) {
        self.rows.push('\n');
        self.at_start = true;
    }

    fn next(&mut self) {
        if !std::mem::replace(&mut self.at_start, false) {
            self.rows.push('\t');
        }
    }

    /// Sends what has been gathered, if it is much.
    pub(super) async fn flush_if_large(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.rows.len() >= FLUSH_AT { self.flush(connection).await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut copy = connection.copy_in_raw(self.statement).await?;
        copy.send(self.rows.as_bytes()).await?;
        copy.finish().await?;
        self.rows.clear();
        Ok(())
    }
}

/// Microseconds from 1970 to 2000, where Postgres begins to count.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Rows in the binary format: neither side has to write or read a number in digits.
pub(super) struct BinaryRows {
    statement: &'static str,
    columns: i16,
    rows: Vec<u8>,
}

impl BinaryRows {
    /// `statement` is the whole `COPY` statement of so many columns, with the format in it.
    pub(super) fn new(statement: &'static str, columns: i16) -> BinaryRows {
        BinaryRows { statement, columns, rows: vec![] }
    }

    pub(super) fn begin_row(&mut self) {
        if self.rows.is_empty() {
            self.rows.extend_from_slice(SIGNATURE);
        }
        self.rows.extend_from_slice(&self.columns.to_be_bytes());
    }

    pub(super) fn bigint(&mut self, value: i64) {
        self.value(&value.to_be_bytes());
    }

    pub(super) fn integer(&mut self, value: i32) {
        self.value(&value.to_be_bytes());
    }

    pub(super) fn smallint(&mut self, value: i16) {
        self.value(&value.to_be_bytes());
    }

    /// Text without NUL.
    pub(super) fn text(&mut self, text: &str) {
        self.value(text.as_bytes());
    }

    pub(super) fn optional(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.rows.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }

    pub(super) fn moment(&mut self, moment: Timestamp) {
        self.bigint(moment.as_micros().saturating_sub(EPOCH_MICROS));
    }

    fn value(&mut self, bytes: &[u8]) {
        let length = i32::try_from(bytes.len()).expect("a field of a statement is at most 64 kB");
        self.rows.extend_from_slice(&length.to_be_bytes());
        self.rows.extend_from_slice(bytes);
    }

    /// Sends what has been gathered, if it is much.
    pub(super) async fn flush_if_large(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.rows.len() >= FLUSH_AT { self.flush(connection).await } else { Ok(()) }
    }

    pub(super) async fn flush(&mut self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.rows.extend_from_slice(&TRAILER);
        let mut copy = connection.copy_in_raw(self.statement).await?;
        copy.send(self.rows.as_slice()).await?;
        copy.finish().await?;
        self.rows.clear();
        Ok(())
    }
}
