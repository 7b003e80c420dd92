//! The records of a file with separated values: a line each, or several where a quoted field goes on. A quote that is
//! never closed costs its own line alone, and no record grows beyond a bound.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};

/// Bytes of one line, and of a record.
const BYTES_MAX: usize = 64 * 1024;
/// Lines that a quoted field may go over.
const LINES_MAX: usize = 50;

pub(super) struct Records<R> {
    reader: R,
    /// Of the line read last.
    number: u32,
    /// Lines that were read ahead of an unclosed quote, and turned out not to belong to it.
    ahead: VecDeque<(u32, Vec<u8>)>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    /// The number of its first line, and its bytes without the end of the line.
    Read(u32, Vec<u8>),
    Bad(u32, &'static str),
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(reader: R) -> Records<R> {
        Records { reader, number: 0, ahead: VecDeque::new() }
    }

    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        let Some((number, mut record)) = self.line()? else { return Ok(None) };
        let Some(first) = record.as_mut() else {
            return Ok(Some(Record::Bad(number, "the line is longer than 64 kB")));
        };
        if !has_open_quote(first) {
            return Ok(Some(Record::Read(number, std::mem::take(first))));
        }
        let mut whole = std::mem::take(first);
        let mut read_ahead = vec![];
        while whole.len() < BYTES_MAX && read_ahead.len() < LINES_MAX {
            let Some((next, Some(line))) = self.line()? else { break };
            whole.push(b'\n');
            whole.extend_from_slice(&line);
            let closes = has_open_quote(&line);
            read_ahead.push((next, line));
            if closes {
                return Ok(Some(Record::Read(number, whole)));
            }
        }
        for line in read_ahead.into_iter().rev() {
            self.ahead.push_front(line);
        }
        Ok(Some(Record::Bad(number, "a quote is never closed")))
    }

    /// The next line; none of it if it is too long.
    fn line(&mut self) -> io::Result<Option<(u32, Option<Vec<u8>>)>> {
        if let Some((number, line)) = self.ahead.pop_front() {
            return Ok(Some((number, Some(line))));
        }
        let mut line = Vec::with_capacity(256);
        let bound = u64::try_from(BYTES_MAX + 1).unwrap_or(u64::MAX);
        let read = (&mut self.reader).take(bound).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let is_whole = line.last() == Some(&b'\n') || read <= BYTES_MAX;
        if !is_whole {
            self.reader.skip_until(b'\n')?;
            return Ok(Some((self.number, None)));
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(Some((self.number, Some(line))))
    }
}

fn has_open_quote(line: &[u8]) -> bool {
    line.iter().filter(|byte| **byte == b'"').count() % 2 == 1
}

/// A record's fields, unquoted.
#[derive(Default)]
pub(super) struct Fields {
    /// For this delimiter; building one costs more than splitting a record.
    reader: Option<(u8, csv_core::Reader)>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Fields {
    /// Splits a record at the delimiter. A field beyond the 1024th is left out.
    pub(super) fn split(&mut self, record: &[u8], delimiter: u8) {
        if self.reader.as_ref().is_none_or(|(known, _)| *known != delimiter) {
            self.reader = Some((delimiter, csv_core::ReaderBuilder::new().delimiter(delimiter).build()));
        }
        let Some((_, reader)) = &mut self.reader else { return };
        reader.reset();
        self.bytes.resize(record.len().max(1), 0);
        self.ends.resize(1_024, 0);
        let (_, _, written, ended) = reader.read_record(record, &mut self.bytes, &mut self.ends);
        // Nothing more comes: the end of the input ends the record.
        let (_, _, _, last) = reader.read_record(&[], &mut self.bytes[written..], &mut self.ends[ended..]);
        self.count = ended + last;
    }

    pub(super) fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends[..self.count].get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        self.bytes.get(start..end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).filter_map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<Record> {
        let mut records = Records::new(text.as_bytes());
        std::iter::from_fn(|| records.next().unwrap()).collect()
    }

    fn read(number: u32, text: &str) -> Record {
        Record::Read(number, text.as_bytes().to_vec())
    }

    #[test]
    fn a_record_is_a_line_or_goes_on_within_quotes() {
        assert_eq!(records("a,b\r\nc,d"), [read(1, "a,b"), read(2, "c,d")]);
        assert_eq!(records("a,\"x\ny\",b\nc"), [read(1, "a,\"x\ny\",b"), read(3, "c")]);
        assert_eq!(records("\n\na\n"), [read(1, ""), read(2, ""), read(3, "a")]);
        assert_eq!(records(""), []);
    }

    #[test]
    fn an_unclosed_quote_costs_its_own_line_alone() {
        let many = format!("a\n\"b\n{}", "c\n".repeat(200));
        let read_back = records(&many);
        assert_eq!(read_back.len(), 202);
        assert_eq!(read_back[..3], [read(1, "a"), Record::Bad(2, "a quote is never closed"), read(3, "c")]);
        assert_eq!(records("\"a\nb"), [Record::Bad(1, "a quote is never closed"), read(2, "b")]);
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let long = format!("{}\nb", "x".repeat(BYTES_MAX * 3));
        assert_eq!(records(&long), [Record::Bad(1, "the line is longer than 64 kB"), read(2, "b")]);
    }

    #[test]
    fn fields_are_unquoted() {
        let mut fields = Fields::default();
        for (record, expected) in [
            ("a,b", vec!["a", "b"]),
            ("\"a,1\",\"say \"\"hi\"\"\",", vec!["a,1", "say \"hi\"", ""]),
            ("", vec![]),
            ("a", vec!["a"]),
            ("\"x\ny\",z", vec!["x\ny", "z"]),
        ] {
            fields.split(record.as_bytes(), b',');
            let read: Vec<&str> = fields.iter().map(|field| std::str::from_utf8(field).unwrap()).collect();
            assert_eq!(read, expected, "{record}");
        }
    }
}
