//! The read model `payments`: a row for each payment.

use domain::payment::{Payment, PaymentStatus, State};
use domain::{Currency, MerchantId, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::database::damaged;
use crate::streams::{Columns, FixedTerms, Listed, StreamRow, stream_read_model};
use crate::{ReadError, Snapshot, StatusText};

stream_read_model! {
    /// Payments by their ids.
    Payments of Payment, "payments" version 4
}

pub type PaymentRow = StreamRow<State>;

impl Listed for State {
    fn columns(&self) -> Option<Columns> {
        let record = self.record()?;
        let terms = &record.terms;
        Some(Columns {
            id: terms.payment_id.to_string(),
            merchant_id: Some(terms.merchant_id),
            order_no: Some(terms.order_no.clone()),
            status: record.status().as_str(),
            currency: Some(terms.currency),
            amount: Some(terms.amount),
            channel: Some(terms.channel.clone()),
            created_at: terms.created_at,
        })
    }
}

impl FixedTerms for State {}

impl StatusText for PaymentStatus {
    fn as_str(&self) -> &'static str {
        PaymentStatus::as_str(self)
    }
}

/// What the merchant's payments that were created at `since` or later have captured, by currency, in minor units.
pub async fn captured_since(
    view: &mut Snapshot,
    merchant_id: MerchantId,
    since: Timestamp,
) -> Result<Vec<(Currency, i128)>, ReadError> {
    let rows = sqlx::query(
        "SELECT currency, sum((state #>> '{Exists,phase,Captured,amount}')::numeric)::text AS volume
           FROM payments
          WHERE merchant_id = $1 AND status = 'succeeded' AND created_at >= $2
          GROUP BY currency ORDER BY currency",
    )
    .bind(merchant_id.to_string())
    .bind(since.to_datetime())
    .fetch_all(view.connection())
    .await?;
    let volume = |row: &PgRow| {
        let (currency, volume): (&str, &str) = (row.try_get("currency")?, row.try_get("volume")?);
        let read = currency.parse().ok().zip(volume.parse().ok());
        read.ok_or_else(|| damaged(format!("{volume} {currency} is no volume")))
    };
    Ok(rows.iter().map(volume).collect::<Result<_, sqlx::Error>>()?)
}

#[cfg(test)]
mod tests {
    use domain::Decider;
    use domain::payment::Event;

    use super::*;

    /// The folded payment is stored as its type writes it. Where that changes, rows of before can no longer be read, or
    /// say less: raise the version of [`Payments`], so that they are folded anew.
    #[test]
    fn a_stored_payment_looks_as_this_version_says() {
        let log = r#"[
            {"payment.created":{"payment_id":"pay_00000000000000000000000001",
                "merchant_id":"mer_00000000000000000000000001","order_no":"A-1","amount":10000,"currency":"USD",
                "channel":"sandbox","method":"card",
                "pricing":{"model":"cost_plus","markup_rate":"0.008","refund_fee_policy":"retain"},
                "expected_channel_fee_rate":"0.01","sealed":{"key":"k","nonce":"n","data":"d"},
                "created_at":"2026-11-20T00:00:00Z","expires_at":"2026-11-20T00:30:00Z"}},
            {"payment.captured":{"payment_id":"pay_00000000000000000000000001",
                "merchant_id":"mer_00000000000000000000000001","channel":"sandbox","channel_reference":"ch_1",
                "amount":10000,"currency":"USD","channel_fee":{"known":100},"markup":80,"pricing_model":"cost_plus",
                "captured_at":"2026-11-20T00:00:01Z"}},
            {"payment.refund_requested":{"refund_id":"re_00000000000000000000000001",
                "payment_id":"pay_00000000000000000000000001","merchant_id":"mer_00000000000000000000000001",
                "channel":"sandbox","amount":4000,"currency":"USD","cause":"merchant","reason":null,
                "requested_at":"2026-11-20T00:00:02Z"}}
        ]"#;
        let events: Vec<Event> = serde_json::from_str(log).unwrap();
        let state = serde_json::to_value(events.iter().fold(State::default(), Payment::evolve)).unwrap();
        let fields: Vec<&str> = state["Exists"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, ["channel_reference", "phase", "terms"]);
        let captured = serde_json::json!({
            "amount": 10000, "channel_fee": {"known": 100}, "markup": 80, "markup_returned": 0,
            "channel_fee_returned": 0, "captured_at": "2026-11-20T00:00:01.000000Z",
            "refunds": [{
                "refund_id": "re_00000000000000000000000001", "amount": 4000, "cause": "merchant", "reason": null,
                "requested_at": "2026-11-20T00:00:02.000000Z", "channel_reference": null, "status": "Due",
            }],
            "disputes": [], "over_returned": 0,
        });
        assert_eq!(state["Exists"]["phase"]["Captured"], captured);
    }
}
