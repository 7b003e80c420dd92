//! Stripe's itemised payout reconciliation (`payout_reconciliation.itemized.*`): amounts in major units, times in UTC.
//! Source: <https://docs.stripe.com/reports/report-types/payout-reconciliation>,
//! <https://docs.stripe.com/reports/reporting-categories>.

use domain::reconciliation::{Amounts, Kind, Line};

use super::records::Fields;
use super::table::{Headings, Row, Table, field};
use super::values::{currency, minor_of_major, moment, own_reference, reference};

#[derive(Default)]
pub(super) struct StripePayout {
    columns: Option<Columns>,
}

struct Columns {
    created: usize,
    currency: usize,
    gross: usize,
    fee: usize,
    net: usize,
    category: usize,
    source: usize,
    intent: Option<usize>,
    payment_id: Option<usize>,
    refund_id: Option<usize>,
}

impl Columns {
    fn of(headings: &Headings) -> Result<Columns, String> {
        Ok(Columns {
            created: headings.required(&["created_utc", "created"])?,
            currency: headings.required(&["currency"])?,
            gross: headings.required(&["gross"])?,
            fee: headings.required(&["fee"])?,
            net: headings.required(&["net"])?,
            category: headings.required(&["reporting_category"])?,
            source: headings.required(&["source_id", "charge_id"])?,
            intent: headings.find("payment_intent_id"),
            payment_id: headings.find("payment_metadata[payment_id]"),
            refund_id: headings.find("refund_metadata[refund_id]"),
        })
    }

    fn line(&self, number: u32, fields: &Fields) -> Result<Line, &'static str> {
        let of = |index| field(fields, Some(index));
        let currency = currency(&of(self.currency))?;
        let amount = |index| minor_of_major(&of(index), currency);
        let amounts = Amounts { currency, gross: amount(self.gross)?, fee: amount(self.fee)? };
        if amounts.net() != i128::from(amount(self.net)?) {
            return Err("net is not gross less fee");
        }
        let kind = kind_of(&of(self.category));
        // We know a charge by its intent, and everything else by itself.
        let intent = field(fields, self.intent).into_owned();
        let named = if kind == Kind::Charge && !intent.is_empty() { intent } else { of(self.source).into_owned() };
        let ours = match kind {
            Kind::Charge => field(fields, self.payment_id),
            Kind::Refund | Kind::RefundFailure => field(fields, self.refund_id),
            _ => "".into(),
        };
        Ok(Line {
            number,
            kind,
            reference: reference(&named)?,
            own_reference: own_reference(&ours),
            amounts,
            occurred_at: moment(&of(self.created), 0)?,
        })
    }
}

fn kind_of(category: &str) -> Kind {
    match category {
        "charge" => Kind::Charge,
        "refund" => Kind::Refund,
        "refund_failure" => Kind::RefundFailure,
        "dispute" => Kind::Dispute,
        "dispute_reversal" => Kind::DisputeReversal,
        "fee" | "network_cost" | "tax" => Kind::Fee,
        "payout" | "payout_reversal" => Kind::Payout,
        _ => Kind::Adjustment,
    }
}

impl Table for StripePayout {
    fn row(&mut self, number: u32, fields: &Fields) -> Row {
        match &self.columns {
            Some(columns) => columns.line(number, fields).into(),
            None => match Columns::of(&Headings::of(fields)) {
                Ok(columns) => {
                    self.columns = Some(columns);
                    Row::Skipped
                }
                Err(reason) => Row::Unreadable(reason),
            },
        }
    }

    fn end(&self) -> Result<(), &'static str> {
        self.columns.as_ref().map(|_| ()).ok_or("the file is empty")
    }
}
