//! What the sandbox provider says of its payouts and their statements. Pure.

use commands::ports::channel::{Payout, PayoutsAnswer, StatementLine, StatementLineKind};
use domain::{Currency, Timestamp};
use serde::Deserialize;

use crate::channels::http::{Answer, Silence};

#[derive(Debug, Deserialize)]
struct PayoutBody {
    id: String,
    currency: Currency,
    amount: i64,
    created_at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct PayoutPage {
    data: Vec<PayoutBody>,
    next_after: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct LineBody {
    r#type: String,
    reference: String,
    amount: i64,
}

#[derive(Debug, Deserialize)]
struct StatementBody {
    lines: Vec<LineBody>,
    next_after: Option<u64>,
}

pub(super) fn payouts_answer(result: Result<Answer, Silence>) -> PayoutsAnswer {
    match read::<PayoutPage>(result) {
        Ok(page) => PayoutsAnswer::Page {
            payouts: page.data.into_iter().map(Payout::from).collect(),
            next: page.next_after.map(|after| after.to_string()),
        },
        Err(reason) => PayoutsAnswer::Unknown { reason },
    }
}

/// The lines of one page and where the next one begins, or why they are not known.
pub(super) fn statement_page(result: Result<Answer, Silence>) -> Result<(Vec<StatementLine>, Option<u64>), String> {
    let page = read::<StatementBody>(result)?;
    Ok((page.lines.into_iter().map(StatementLine::from).collect(), page.next_after))
}

fn read<T: serde::de::DeserializeOwned>(result: Result<Answer, Silence>) -> Result<T, String> {
    match result {
        Ok(answer) if answer.is_success() => answer.read().map_err(|silence| silence.to_string()),
        Ok(answer) => Err(format!("the channel answered {}", answer.status)),
        Err(silence) => Err(silence.to_string()),
    }
}

impl From<PayoutBody> for Payout {
    fn from(body: PayoutBody) -> Payout {
        Payout { reference: body.id, currency: body.currency, amount: body.amount, paid_at: body.created_at }
    }
}

impl From<LineBody> for StatementLine {
    fn from(body: LineBody) -> StatementLine {
        let kind = if body.r#type == "fee" { StatementLineKind::Fee } else { StatementLineKind::Movement };
        StatementLine { kind, reference: body.reference, amount: body.amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Result<Answer, Silence> {
        Ok(Answer { status, body: body.as_bytes().to_vec(), replayed: false })
    }

    #[test]
    fn payouts_are_read_or_unknown() {
        let body = r#"{"data":[{"id":"po_1","currency":"USD","amount":-5,"created_at":"2026-11-21T00:00:00.000Z"}],"next_after":1}"#;
        let payout = Payout {
            reference: "po_1".to_owned(),
            currency: Currency::USD,
            amount: -5,
            paid_at: "2026-11-21T00:00:00Z".parse().unwrap(),
        };
        let page = PayoutsAnswer::Page { payouts: vec![payout], next: Some("1".to_owned()) };
        assert_eq!(payouts_answer(answer(200, body)), page);
        for (status, body) in [(200, "{}"), (404, body), (200, &body.replace("USD", "usd"))] {
            assert!(matches!(payouts_answer(answer(status, body)), PayoutsAnswer::Unknown { .. }), "{body}");
        }
        assert!(matches!(payouts_answer(Err(Silence::TimedOut)), PayoutsAnswer::Unknown { .. }));
    }

    #[test]
    fn a_statement_tells_its_fees_apart() {
        let body = r#"{"lines":[{"type":"capture","reference":"pay_1","amount":100},{"type":"fee","reference":"pay_1","amount":-1}],"next_after":null}"#;
        let line = |kind, amount| StatementLine { kind, reference: "pay_1".to_owned(), amount };
        let lines = vec![line(StatementLineKind::Movement, 100), line(StatementLineKind::Fee, -1)];
        assert_eq!(statement_page(answer(200, body)), Ok((lines, None)));
        assert!(statement_page(answer(200, r#"{"lines":[{}]}"#)).is_err());
    }
}
