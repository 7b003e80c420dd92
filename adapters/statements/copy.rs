//! Rows for `COPY ... FROM STDIN` in its text format. Knows no table.

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
