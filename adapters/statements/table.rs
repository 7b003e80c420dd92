//! What the formats with separated values share: a line of headings somewhere, and a line below it for each movement.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufRead;

use commands::ports::statements::BadLine;
use domain::reconciliation::Line;

use super::records::{Fields, Record, Records};
use super::values::text;
use super::{Closing, Found, Take, Unreadable};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One format: what its lines mean.
pub(super) trait Table {
    /// What stands between fields; told by the first line where a format does not fix it.
    fn delimiter(&self, _first: &[u8]) -> u8 {
        b','
    }

    fn row(&mut self, number: u32, fields: &Fields) -> Row;

    /// What is missing once the file has ended.
    fn end(&self) -> Result<(), &'static str>;

    /// The balances that the file told.
    fn closings(&mut self) -> Vec<Closing> {
        vec![]
    }
}

pub(super) enum Row {
    /// Tells no movement.
    Skipped,
    Line(Line),
    Bad(&'static str),
    /// The file is not of this format.
    Unreadable(String),
}

/// A line, or why it is none.
impl From<Result<Line, &'static str>> for Row {
    fn from(line: Result<Line, &'static str>) -> Row {
        line.map_or_else(Row::Bad, Row::Line)
    }
}

pub(super) fn read(mut file: impl BufRead, table: &mut dyn Table, take: Take<'_>) -> Result<(), Unreadable> {
    let io = |error: std::io::Error| Unreadable::Io(error.to_string());
    if file.fill_buf().map_err(io)?.starts_with(BYTE_ORDER_MARK) {
        file.read_exact(&mut [0; BYTE_ORDER_MARK.len()]).map_err(io)?;
    }
    let (mut records, mut fields, mut delimiter) = (Records::new(file), Fields::default(), None);
    while let Some(record) = records.next().map_err(io)? {
        let (number, row) = match record {
            Record::Bad(number, reason) => (number, Row::Bad(reason)),
            Record::Read(_, bytes) if bytes.iter().all(u8::is_ascii_whitespace) => continue,
            Record::Read(number, bytes) => {
                let delimiter = *delimiter.get_or_insert_with(|| table.delimiter(&bytes));
                fields.split(&bytes, delimiter);
                (number, table.row(number, &fields))
            }
        };
        let found = match row {
            Row::Skipped => continue,
            Row::Line(line) => Found::Line(line),
            Row::Bad(reason) => Found::Bad(BadLine { number, reason: reason.to_owned() }),
            Row::Unreadable(reason) => return Err(Unreadable::Malformed(reason)),
        };
        if !take(found) {
            return Err(Unreadable::GivenUp);
        }
    }
    table.end().map_err(|reason| Unreadable::Malformed(reason.to_owned()))?;
    let is_wanted = table.closings().into_iter().map(Found::Closing).all(take);
    if is_wanted { Ok(()) } else { Err(Unreadable::GivenUp) }
}

/// Where each heading stands.
#[derive(Debug, Default)]
pub(super) struct Headings(HashMap<String, usize>);

impl Headings {
    pub(super) fn of(fields: &Fields) -> Headings {
        let heading = |(index, field): (usize, &[u8])| (normal(&text(field)), index);
        Headings(fields.iter().enumerate().map(heading).collect())
    }

    pub(super) fn find(&self, heading: &str) -> Option<usize> {
        self.0.get(&normal(heading)).copied()
    }

    /// The first of these headings that stands there.
    pub(super) fn any(&self, headings: &[&str]) -> Option<usize> {
        headings.iter().find_map(|heading| self.find(heading))
    }

    pub(super) fn required(&self, headings: &[&str]) -> Result<usize, String> {
        self.any(headings).ok_or_else(|| format!("the file has no column {}", headings.join(" or ")))
    }
}

/// Lower case, one blank at a time.
fn normal(heading: &str) -> String {
    heading.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The field under a heading; empty where there is none.
pub(super) fn field(fields: &Fields, index: Option<usize>) -> Cow<'_, str> {
    index.and_then(|index| fields.get(index)).map_or(Cow::Borrowed(""), text)
}
