//! PayPal's settlement report (STL): records told apart by their first field. `RH` and `FH` head the report and the file,
//! `SH` and `CH` a section and its columns, `SB` is a movement; `SF`, `SC`, `RF`, `RC` and `FF` are sums, counts and the
//! end. Amounts are minor units without a sign, beside `CR` or `DR`.
//! Source: <https://developer.paypal.com/docs/reports/sftp-reports/settlement-report/>.

use domain::reconciliation::{Amounts, Kind, Line};

use super::Closing;
use super::records::Fields;
use super::table::{Headings, Row, Table, field};
use super::values::{currency, end_of, minor, moment, own_reference, reference};

/// Where the fields of records without headings stand.
const SH_END: usize = 2;
const SF_CURRENCY: usize = 1;
const SF_ENDING_AVAILABLE: usize = 7;

#[derive(Default)]
pub(super) struct PaypalStl {
    has_head: bool,
    has_end: bool,
    columns: Option<Columns>,
    /// Movements of this section so far, the ones that cannot be read included.
    in_section: u64,
    /// When this section ends, as it is written.
    section_ends: String,
    closings: Vec<Closing>,
}

struct Columns {
    transaction: usize,
    invoice: Option<usize>,
    custom: Option<usize>,
    event_code: usize,
    initiated: usize,
    direction: usize,
    gross: usize,
    currency: usize,
    fee_direction: usize,
    fee: usize,
    fee_currency: Option<usize>,
}

impl Columns {
    fn of(headings: &Headings) -> Result<Columns, String> {
        Ok(Columns {
            transaction: headings.required(&["Transaction ID"])?,
            invoice: headings.find("Invoice ID"),
            custom: headings.find("Custom Field"),
            event_code: headings.required(&["Transaction Event Code"])?,
            initiated: headings.required(&["Transaction Initiation Date"])?,
            direction: headings.required(&["Transaction Debit or Credit"])?,
            gross: headings.required(&["Gross Transaction Amount"])?,
            currency: headings.required(&["Gross Transaction Currency"])?,
            fee_direction: headings.required(&["Fee Debit or Credit"])?,
            fee: headings.required(&["Fee Amount"])?,
            fee_currency: headings.find("Fee Currency"),
        })
    }

    fn line(&self, number: u32, fields: &Fields) -> Result<Line, &'static str> {
        let of = |index| field(fields, Some(index));
        let gross = signed(&of(self.direction), minor(&of(self.gross))?)?;
        let fee = match of(self.fee).as_ref() {
            "" => 0,
            // What is debited as a fee takes away from the gross amount.
            told => -signed(&of(self.fee_direction), minor(told)?)?,
        };
        let amounts = Amounts { currency: currency(&of(self.currency))?, gross, fee };
        let fee_currency = field(fields, self.fee_currency);
        if fee != 0 && !fee_currency.is_empty() && currency(&fee_currency)? != amounts.currency {
            return Err("the fee is in another currency than the amount");
        }
        let ours = [self.invoice, self.custom].into_iter().find_map(|index| own_reference(&field(fields, index)));
        Ok(Line {
            number,
            kind: kind_of(&of(self.event_code), gross),
            reference: reference(&of(self.transaction))?,
            own_reference: ours,
            amounts,
            occurred_at: moment(&of(self.initiated), 0)?,
        })
    }
}

fn signed(direction: &str, amount: i64) -> Result<i64, &'static str> {
    match direction {
        "CR" => Ok(amount),
        "DR" => Ok(-amount),
        _ => Err("an amount is neither CR nor DR"),
    }
}

/// By the event code: <https://developer.paypal.com/docs/reports/reference/tcodes/>.
fn kind_of(event_code: &str, gross: i64) -> Kind {
    match event_code {
        "T1107" => Kind::Refund,
        "T1106" | "T1110" | "T1201" => Kind::Dispute,
        "T1111" | "T1202" => Kind::DisputeReversal,
        code if code.starts_with("T00") && gross >= 0 => Kind::Charge,
        code if code.starts_with("T01") => Kind::Fee,
        code if code.starts_with("T04") => Kind::Payout,
        _ => Kind::Adjustment,
    }
}

impl PaypalStl {
    fn movement(&mut self, number: u32, fields: &Fields) -> Row {
        self.in_section += 1;
        match &self.columns {
            Some(columns) => columns.line(number, fields).into(),
            None => Row::Unreadable("a section has no line of headings".to_owned()),
        }
    }

    /// The section's sums: the last of them is what is available at its end.
    fn summed(&mut self, fields: &Fields) -> Row {
        let of = |index| field(fields, Some(index));
        let told = || -> Result<Option<Closing>, &'static str> {
            let (currency, available) = (currency(&of(SF_CURRENCY))?, of(SF_ENDING_AVAILABLE));
            if available.is_empty() || self.section_ends.is_empty() {
                return Ok(None);
            }
            Ok(Some(Closing { currency, amount: minor(&available)?, before: end_of(&self.section_ends, 0)? }))
        };
        match told() {
            Ok(closing) => {
                self.closings.extend(closing);
                Row::Skipped
            }
            Err(_) => Row::Bad("the section's sums cannot be read"),
        }
    }

    /// The section's own count of its movements.
    fn counted(&mut self, told: &str) -> Row {
        let counted = std::mem::take(&mut self.in_section);
        if told.parse() == Ok(counted) {
            Row::Skipped
        } else {
            Row::Bad("the section has another number of lines than it says")
        }
    }
}

impl Table for PaypalStl {
    fn row(&mut self, number: u32, fields: &Fields) -> Row {
        let record = field(fields, Some(0)).into_owned();
        if !self.has_head && record != "RH" {
            return Row::Unreadable("the report does not begin with RH".to_owned());
        }
        match record.as_str() {
            "RH" => {
                self.has_head = true;
                Row::Skipped
            }
            "CH" => match Columns::of(&Headings::of(fields)) {
                Ok(columns) => {
                    self.columns = Some(columns);
                    Row::Skipped
                }
                Err(reason) => Row::Unreadable(reason),
            },
            "SB" => self.movement(number, fields),
            "SC" => self.counted(&field(fields, Some(1))),
            "FF" => {
                self.has_end = true;
                Row::Skipped
            }
            "SH" => {
                self.section_ends = field(fields, Some(SH_END)).into_owned();
                Row::Skipped
            }
            "SF" => self.summed(fields),
            "FH" | "RF" | "RC" => Row::Skipped,
            _ => Row::Bad("the record is of no known kind"),
        }
    }

    fn closings(&mut self) -> Vec<Closing> {
        std::mem::take(&mut self.closings)
    }

    fn end(&self) -> Result<(), &'static str> {
        if self.has_end { Ok(()) } else { Err("the report breaks off: its last record, FF, is missing") }
    }
}
