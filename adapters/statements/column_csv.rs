//! A table of anybody's, with a map that says which column is what. Amounts are major units with a sign of what they do
//! to the balance; times are UTC unless they say otherwise.

use std::collections::BTreeMap;

use commands::ports::statements::{ColumnMap, CsvField};
use domain::reconciliation::{Amounts, Kind, Line};
use domain::{Currency, Timestamp};

use super::Closing;
use super::records::Fields;
use super::table::{Headings, Row, Table, field};
use super::values::{currency, end_of, minor_of_major, moment, own_reference, reference};

pub(super) struct ColumnCsv {
    map: ColumnMap,
    columns: Option<Columns>,
    /// By currency, what was there behind the newest line.
    closings: BTreeMap<Currency, (Timestamp, Closing)>,
}

struct Columns {
    reference: Option<usize>,
    own_reference: Option<usize>,
    kind: Option<usize>,
    gross: usize,
    fee: Option<usize>,
    net: Option<usize>,
    currency: usize,
    date: usize,
    balance: Option<usize>,
}

impl ColumnCsv {
    pub(super) fn new(map: ColumnMap) -> ColumnCsv {
        ColumnCsv { map, columns: None, closings: BTreeMap::new() }
    }

    fn columns(&self, headings: &Headings) -> Result<Columns, String> {
        let named = |wanted: CsvField| self.map.columns.iter().find(|(field, _)| *field == wanted);
        let heading = |wanted: CsvField| named(wanted).map_or(wanted.as_str(), |(_, heading)| heading.as_str());
        let optional = |wanted| match (headings.find(heading(wanted)), named(wanted)) {
            (None, Some((_, heading))) => Err(format!("the file has no column {heading}")),
            (found, _) => Ok(found),
        };
        let required = |wanted| headings.required(&[heading(wanted)]);
        Ok(Columns {
            reference: optional(CsvField::Reference)?,
            own_reference: optional(CsvField::OwnReference)?,
            kind: optional(CsvField::Kind)?,
            gross: required(CsvField::Gross)?,
            fee: optional(CsvField::Fee)?,
            net: optional(CsvField::Net)?,
            currency: required(CsvField::Currency)?,
            date: required(CsvField::Date)?,
            balance: optional(CsvField::Balance)?,
        })
    }
}

impl Columns {
    /// What was there behind the line, where the table tells it.
    fn closing(&self, line: &Line, fields: &Fields) -> Result<Option<Closing>, &'static str> {
        let (told, currency) = (field(fields, self.balance), line.amounts.currency);
        if told.is_empty() {
            return Ok(None);
        }
        let before = end_of(&field(fields, Some(self.date)), 0)?;
        Ok(Some(Closing { currency, amount: minor_of_major(&told, currency)?, before }))
    }

    fn line(&self, number: u32, fields: &Fields) -> Result<Line, &'static str> {
        let of = |index| field(fields, Some(index));
        let currency = currency(&of(self.currency))?;
        let optional = |index| match field(fields, index).as_ref() {
            "" => Ok(None),
            told => minor_of_major(told, currency).map(Some),
        };
        let gross = minor_of_major(&of(self.gross), currency)?;
        let (fee, net) = (optional(self.fee)?, optional(self.net)?);
        let amounts = Amounts { currency, gross, fee: fee.or(net.map(|net| gross - net)).unwrap_or(0) };
        if net.is_some_and(|net| i128::from(net) != amounts.net()) {
            return Err("net is not gross less fee");
        }
        let kind = match field(fields, self.kind).as_ref() {
            "" if gross < 0 => Kind::Refund,
            "" => Kind::Charge,
            told => told.parse().map_err(|_| "the kind is none of those that are known")?,
        };
        let named = field(fields, self.reference);
        let ours = own_reference(&field(fields, self.own_reference)).or_else(|| own_reference(&named));
        Ok(Line {
            number,
            kind,
            reference: reference(&named)?.filter(|named| Some(named) != ours.as_ref()),
            own_reference: ours,
            amounts,
            occurred_at: moment(&of(self.date), 0)?,
        })
    }
}

impl ColumnCsv {
    fn movement(&mut self, number: u32, fields: &Fields) -> Option<Row> {
        let columns = self.columns.as_ref()?;
        let line = columns.line(number, fields);
        let closing = line.as_ref().map_err(|reason| *reason).and_then(|line| columns.closing(line, fields));
        Some(match (line, closing) {
            (Ok(line), Ok(closing)) => {
                let known = self.closings.get(&line.amounts.currency);
                // Of lines of the same moment, the one further down is the newer one.
                if known.is_none_or(|(at, _)| *at <= line.occurred_at) {
                    self.closings.extend(closing.map(|closing| (closing.currency, (line.occurred_at, closing))));
                }
                Row::Line(line)
            }
            (Err(reason), _) | (_, Err(reason)) => Row::Bad(reason),
        })
    }
}

impl Table for ColumnCsv {
    /// Of the usual ones, that which the headings have most of.
    fn delimiter(&self, first: &[u8]) -> u8 {
        let count = |delimiter: &u8| first.iter().filter(|byte| *byte == delimiter).count();
        [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
    }

    fn row(&mut self, number: u32, fields: &Fields) -> Row {
        match self.movement(number, fields) {
            Some(row) => row,
            None => match self.columns(&Headings::of(fields)) {
                Ok(columns) => {
                    self.columns = Some(columns);
                    Row::Skipped
                }
                Err(reason) => Row::Unreadable(reason),
            },
        }
    }

    fn closings(&mut self) -> Vec<Closing> {
        std::mem::take(&mut self.closings).into_values().map(|(_, closing)| closing).collect()
    }

    fn end(&self) -> Result<(), &'static str> {
        self.columns.as_ref().map(|_| ()).ok_or("the file is empty")
    }
}
