//! A file in the making: rows become bytes, bytes become chunks, and the digest runs along. Never more than about one
//! chunk is in memory. Knows no table of rows.

use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::cell::{Cell, push_json_text};
use super::job::Claim;
use super::{Failure, Format, chunks};

/// A heading and how its value is taken from a row.
pub(super) type Column<R> = (&'static str, fn(&R) -> Cell);

pub(super) struct Sheet<'a> {
    pool: &'a PgPool,
    claim: &'a Claim,
    chunk_bytes: usize,
    buffer: Vec<u8>,
    digest: Sha256,
    rows: u64,
    /// Of the chunks that are stored.
    stored: u64,
}

/// What the whole file came to.
pub(super) struct Written {
    pub(super) digest: String,
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(pool: &'a PgPool, claim: &'a Claim, chunk_bytes: usize) -> Sheet<'a> {
        Sheet { pool, claim, chunk_bytes, buffer: vec![], digest: Sha256::new(), rows: 0, stored: 0 }
    }

    /// The line of headings, where the format has one.
    pub(super) fn begin<R>(&mut self, columns: &[Column<R>]) {
        if self.claim.format == Format::Csv {
            let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
            self.buffer.extend_from_slice(headings.join(",").as_bytes());
            self.buffer.extend_from_slice(b"\r\n");
        }
    }

    pub(super) async fn row<R>(&mut self, columns: &[Column<R>], row: &R) -> Result<(), Failure> {
        push_row(self.claim.format, columns, row, &mut self.buffer);
        self.rows += 1;
        if self.buffer.len() >= self.chunk_bytes { self.flush().await } else { Ok(()) }
    }

    pub(super) async fn end(mut self) -> Result<Written, Failure> {
        if !self.buffer.is_empty() {
            self.flush().await?;
        }
        Ok(Written { digest: hex::encode(self.digest.finalize()), rows: self.rows, bytes: self.stored })
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        self.digest.update(&self.buffer);
        chunks::append(self.pool, self.claim, self.stored, &self.buffer).await?;
        self.stored +=
            u64::try_from(self.buffer.len()).map_err(|_| Failure::Failed("a chunk without end".to_owned()))?;
        self.buffer.clear();
        Ok(())
    }
}

fn push_row<R>(format: Format, columns: &[Column<R>], row: &R, line: &mut Vec<u8>) {
    for (nth, (heading, value)) in columns.iter().enumerate() {
        match format {
            Format::Csv => {
                if nth > 0 {
                    line.push(b',');
                }
                value(row).push_csv(line);
            }
            Format::Ndjson => {
                line.push(if nth == 0 { b'{' } else { b',' });
                push_json_text(heading, line);
                line.push(b':');
                value(row).push_json(line);
            }
        }
    }
    line.extend_from_slice(match format {
        Format::Csv => b"\r\n",
        Format::Ndjson => b"}\n",
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_a_line_of_either_format() {
        let columns: &[Column<(&str, i64)>] =
            &[("name", |row| Cell::text(row.0)), ("amount", |row| Cell::number(row.1)), ("note", |_| Cell::Absent)];
        for (format, expected) in
            [(Format::Csv, "\"a,b\",-5,\r\n"), (Format::Ndjson, "{\"name\":\"a,b\",\"amount\":-5,\"note\":null}\n")]
        {
            let mut line = vec![];
            push_row(format, columns, &("a,b", -5), &mut line);
            assert_eq!(String::from_utf8(line).unwrap(), expected);
        }
    }
}
