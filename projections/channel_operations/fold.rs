//! How events become movements with a counterparty, and how a batch of them is written.

use std::collections::{BTreeSet, HashMap};

use commands::ports::RecordedEvent;
use domain::payment::{DisputeMoney, RefundSucceeded};
use domain::reconciliation::{Amounts, Counterparty, Kind, Operation};
use domain::{Currency, Timestamp, channel_account, merchant_account, payment};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use super::read;
use crate::ApplyError;
use crate::database::{parsed, to_sql};

/// A movement by its counterparty, our id, its kind, and which part it is of what comes in parts: the first is 1.
pub(crate) type Key = (Counterparty, String, Kind, u16);
pub(crate) type Operations = HashMap<Key, Operation>;

/// What an event of one of the categories tells.
pub(crate) enum Facts<'a> {
    Payment(&'a payment::Event),
    Channel(&'a channel_account::Event),
    Merchant(&'a merchant_account::Event),
}

pub(crate) fn read_facts(event: &RecordedEvent) -> Result<Facts<'_>, ApplyError> {
    Ok(match event.stream.category.as_ref() {
        "payment" => Facts::Payment(event.decoded()?),
        "channel_account" => Facts::Channel(event.decoded()?),
        _ => Facts::Merchant(event.decoded()?),
    })
}

pub(super) async fn apply(connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
    let facts = events.iter().map(|event| Ok((*event, read_facts(event)?))).collect::<Result<Vec<_>, ApplyError>>()?;
    let touched: BTreeSet<(Counterparty, String)> = facts.iter().filter_map(|(_, facts)| continued(facts)).collect();
    let mut operations = load(connection, &touched).await?;
    for (event, facts) in &facts {
        fold(&mut operations, event, facts);
    }
    store(connection, &operations).await?;
    Ok(())
}

/// The counterparty and our id of the movement that an event adds to, if it begins none.
fn continued(facts: &Facts<'_>) -> Option<(Counterparty, String)> {
    let Facts::Payment(event) = facts else { return None };
    let (channel, object) = match event {
        payment::Event::FeeTruedUp(trued_up) => (&trued_up.channel, trued_up.payment_id.to_string()),
        payment::Event::RefundReversed(reversed) => (&reversed.channel, reversed.refund_id.to_string()),
        payment::Event::DisputeAdjusted(adjusted) => (&adjusted.money.channel, adjusted.money.dispute_id.to_string()),
        payment::Event::DisputeClosed(closed) => (&closed.money.channel, closed.money.dispute_id.to_string()),
        payment::Event::DisputeReopened(reopened) => (&reopened.money.channel, reopened.money.dispute_id.to_string()),
        _ => return None,
    };
    Some((Counterparty::Channel(channel.clone()), object))
}

/// One event further. What an event adds to a movement that is not known is left out: nothing here decides anything.
pub(crate) fn fold(operations: &mut Operations, event: &RecordedEvent, facts: &Facts) {
    match facts {
        Facts::Payment(told) => of_payment(operations, event, told),
        Facts::Channel(channel_account::Event::PayoutReceived(payout)) => {
            let moved = |gross| Moved::of(payout.currency, gross, payout.paid_at).named(&payout.payout);
            let here = Counterparty::Bank(payout.bank.clone());
            let there = Counterparty::Channel(payout.channel.clone());
            let at_bank = format!("{}:{}", payout.channel, payout.payout);
            begin(operations, event, (there, payout.payout.clone(), Kind::Payout, 1), moved(-payout.amount));
            begin(operations, event, (here, at_bank, Kind::Transfer, 1), moved(payout.amount));
        }
        Facts::Channel(_) => {}
        Facts::Merchant(told) => of_merchant(operations, event, told),
    }
}

fn of_merchant(operations: &mut Operations, event: &RecordedEvent, told: &merchant_account::Event) {
    let (bank, withdrawal, kind, part, moved) = match told {
        merchant_account::Event::WithdrawalPaid(paid) => {
            let moved = Moved::of(paid.currency, -paid.amount, paid.paid_at);
            (&paid.bank, paid.withdrawal_id, Kind::Withdrawal, 1, moved)
        }
        merchant_account::Event::WithdrawalPaidLate(paid) => {
            let moved = Moved::of(paid.currency, -paid.amount, paid.paid_at);
            (&paid.bank, paid.withdrawal_id, Kind::Withdrawal, 1, moved)
        }
        merchant_account::Event::WithdrawalReturned(back) => {
            let moved = Moved::of(back.currency, back.amount - back.bank_fee, back.returned_at);
            (&back.bank, back.withdrawal_id, Kind::WithdrawalReturn, 1, moved)
        }
        merchant_account::Event::WithdrawalReturnContinued(more) => {
            let moved = Moved::of(more.currency, more.amount, more.returned_at);
            (&more.bank, more.withdrawal_id, Kind::WithdrawalReturn, more.part, moved)
        }
        _ => return,
    };
    begin(operations, event, (Counterparty::Bank(bank.clone()), withdrawal.to_string(), kind, part), moved);
}

fn of_payment(operations: &mut Operations, event: &RecordedEvent, told: &payment::Event) {
    match told {
        payment::Event::Captured(captured) => {
            let key =
                (Counterparty::Channel(captured.channel.clone()), captured.payment_id.to_string(), Kind::Charge, 1);
            let moved = Moved::of(captured.currency, captured.amount, captured.captured_at);
            let is_estimate = matches!(captured.channel_fee, payment::ChannelFee::Estimated(_));
            let moved = Moved { fee: captured.channel_fee.amount(), is_estimate, ..moved };
            begin(operations, event, key, moved.named(&captured.channel_reference));
        }
        payment::Event::FeeTruedUp(trued_up) => {
            let key =
                (Counterparty::Channel(trued_up.channel.clone()), trued_up.payment_id.to_string(), Kind::Charge, 1);
            if let Some(charge) = operations.get_mut(&key) {
                (charge.amounts.fee, charge.fee_is_estimate) = (trued_up.actual, false);
            }
        }
        payment::Event::RefundSucceeded(refund) | payment::Event::RefundSucceededLate(refund) => {
            refunded(operations, event, refund);
        }
        payment::Event::RefundReversed(back) => {
            let (channel, refund) = (Counterparty::Channel(back.channel.clone()), back.refund_id.to_string());
            let moved =
                Moved { fee: back.channel_fee_returned, ..Moved::of(back.currency, back.amount, event.effective_at) };
            let moved = moved.named_as(operations, (channel.clone(), refund.clone(), Kind::Refund, 1));
            begin(operations, event, (channel, refund, Kind::RefundFailure, 1), moved);
        }
        payment::Event::DisputeOpened(opened) => {
            let moved = Moved { fee: opened.fee, ..Moved::of(opened.money.currency, -opened.amount, opened.opened_at) };
            begin(operations, event, dispute_key(&opened.money, Kind::Dispute), moved.named(&opened.channel_reference));
        }
        payment::Event::DisputeAdjusted(adjusted) => {
            if let Some(dispute) = operations.get_mut(&dispute_key(&adjusted.money, Kind::Dispute)) {
                dispute.amounts.gross = dispute.amounts.gross.saturating_sub(adjusted.amount);
                dispute.amounts.fee = dispute.amounts.fee.saturating_add(adjusted.fee);
            }
        }
        payment::Event::DisputeClosed(closed) => {
            let moved =
                Moved { fee: -closed.fee_returned, ..Moved::of(closed.money.currency, closed.won, closed.closed_at) };
            let moved = moved.named_as(operations, dispute_key(&closed.money, Kind::Dispute));
            begin(operations, event, dispute_key(&closed.money, Kind::DisputeReversal), moved);
        }
        payment::Event::DisputeReopened(reopened) => {
            if let Some(reversal) = operations.get_mut(&dispute_key(&reopened.money, Kind::DisputeReversal)) {
                (reversal.amounts.gross, reversal.amounts.fee) = (0, 0);
            }
        }
        _ => {}
    }
}

fn refunded(operations: &mut Operations, event: &RecordedEvent, refund: &RefundSucceeded) {
    let key = (Counterparty::Channel(refund.channel.clone()), refund.refund_id.to_string(), Kind::Refund, 1);
    let moved = Moved::of(refund.currency, -refund.amount, event.effective_at);
    let moved = Moved { fee: -refund.channel_fee_returned, ..moved };
    begin(operations, event, key, moved.named(&refund.channel_reference));
}

fn dispute_key(money: &DisputeMoney, kind: Kind) -> Key {
    (Counterparty::Channel(money.channel.clone()), money.dispute_id.to_string(), kind, 1)
}

/// A movement as an event tells it. Minor units.
struct Moved {
    currency: Currency,
    gross: i64,
    fee: i64,
    is_estimate: bool,
    reference: Option<String>,
    at: Timestamp,
}

impl Moved {
    fn of(currency: Currency, gross: i64, at: Timestamp) -> Moved {
        Moved { currency, gross, fee: 0, is_estimate: false, reference: None, at }
    }

    fn named(self, reference: &str) -> Moved {
        Moved { reference: Some(reference.to_owned()), ..self }
    }

    /// Under the same reference as the movement that it takes back.
    fn named_as(self, operations: &Operations, key: Key) -> Moved {
        Moved { reference: operations.get(&key).and_then(|operation| operation.reference.clone()), ..self }
    }
}

fn begin(operations: &mut Operations, event: &RecordedEvent, key: Key, moved: Moved) {
    let operation = Operation {
        position: event.position,
        kind: key.2,
        object: key.1.clone(),
        reference: moved.reference,
        amounts: Amounts { currency: moved.currency, gross: moved.gross, fee: moved.fee },
        fee_is_estimate: moved.is_estimate,
        occurred_at: moved.at,
        is_taken: false,
    };
    operations.insert(key, operation);
}

async fn load(
    connection: &mut PgConnection,
    touched: &BTreeSet<(Counterparty, String)>,
) -> Result<Operations, sqlx::Error> {
    if touched.is_empty() {
        return Ok(Operations::new());
    }
    let rows = sqlx::query(
        "SELECT o.* FROM unnest($1::text[], $2::text[]) AS touched (counterparty, object)
           JOIN channel_operations AS o USING (counterparty, object)",
    )
    .bind(touched.iter().map(|(counterparty, _)| counterparty.to_string()).collect::<Vec<_>>())
    .bind(touched.iter().map(|(_, object)| object.clone()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(entry).collect()
}

pub(super) fn entry(row: &PgRow) -> Result<(Key, Operation), sqlx::Error> {
    let operation = read(row)?;
    let part = u16::try_from(row.try_get::<i16, _>("part")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(((parsed(row, "counterparty")?, operation.object.clone(), operation.kind, part), operation))
}

async fn store(connection: &mut PgConnection, operations: &Operations) -> Result<(), sqlx::Error> {
    type Rows<'r> = [(&'r Key, &'r Operation)];
    fn column<'r, T>(rows: &Rows<'r>, of: impl Fn(&'r Key, &'r Operation) -> T) -> Vec<T> {
        rows.iter().map(|(key, operation)| of(key, operation)).collect()
    }
    if operations.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<(&Key, &Operation)> = operations.iter().collect();
    rows.sort_unstable_by_key(|(_, operation)| operation.position);
    sqlx::query(
        "INSERT INTO channel_operations
             (counterparty, object, kind, part, position, reference, currency, gross, fee, fee_is_estimate, occurred_at)
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::bigint[], $6::text[], $7::text[],
                              $8::bigint[], $9::bigint[], $10::boolean[], $11::timestamptz[])
         ON CONFLICT (counterparty, object, kind, part) DO UPDATE
            SET position = excluded.position, reference = excluded.reference, currency = excluded.currency,
                gross = excluded.gross, fee = excluded.fee, fee_is_estimate = excluded.fee_is_estimate,
                occurred_at = excluded.occurred_at",
    )
    .bind(column(&rows, |key, _| key.0.to_string()))
    .bind(column(&rows, |key, _| key.1.as_str()))
    .bind(column(&rows, |key, _| key.2.as_str()))
    .bind(column(&rows, |key, _| i16::try_from(key.3).unwrap_or(i16::MAX)))
    .bind(column(&rows, |_, operation| to_sql(operation.position)))
    .bind(column(&rows, |_, operation| operation.reference.as_deref()))
    .bind(column(&rows, |_, operation| operation.amounts.currency.code()))
    .bind(column(&rows, |_, operation| operation.amounts.gross))
    .bind(column(&rows, |_, operation| operation.amounts.fee))
    .bind(column(&rows, |_, operation| operation.fee_is_estimate))
    .bind(column(&rows, |_, operation| operation.occurred_at.to_datetime()))
    .execute(connection)
    .await?;
    Ok(())
}
