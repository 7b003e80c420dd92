//! How events become lines of statements, a handful of statements to the database for a whole batch.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use commands::ports::RecordedEvent;
use domain::merchant_account::{self, MerchantAccount};
use domain::{Account, BalancedEntry, Currency, Decider, Leg, MerchantId, Side};
use sqlx::PgConnection;

use super::Movement;
use crate::ApplyError;
use crate::books::entry_of;
use crate::database::{parsed, sum_of, sum_to_sql, to_sql};

/// What each merchant has, in minor units.
pub(crate) type Balances = HashMap<(MerchantId, Currency), i128>;

pub(super) async fn apply(connection: &mut PgConnection, events: &[&RecordedEvent]) -> Result<(), ApplyError> {
    let mut posted = vec![];
    for event in events {
        if let Some(entry) = entry_of(event)? {
            posted.push((*event, entry));
        }
    }
    let mut balances = balances_of(connection, &posted).await?;
    let lines: Vec<Movement> = posted.iter().flat_map(|(event, entry)| lines_of(event, entry, &mut balances)).collect();
    store(connection, &lines).await?;
    Ok(())
}

/// The lines of one event, a merchant and currency each, and the balances behind it.
pub(crate) fn lines_of(event: &RecordedEvent, entry: &BalancedEntry, balances: &mut Balances) -> Vec<Movement> {
    let mut changes: BTreeMap<(MerchantId, Currency), i128> = BTreeMap::new();
    for leg in entry.legs() {
        if let Some(merchant) = owner(leg) {
            let amount = i128::from(leg.amount);
            *changes.entry((merchant, leg.currency)).or_default() += match leg.side {
                Side::Credit => amount,
                Side::Debit => -amount,
            };
        }
    }
    let moved = changes.into_iter().filter(|(_, amount)| *amount != 0);
    moved
        .map(|((merchant_id, currency), amount)| {
            let balance = balances.entry((merchant_id, currency)).or_default();
            *balance += amount;
            Movement {
                merchant_id,
                currency,
                position: event.position,
                event_type: event.event_type.clone(),
                object: object_of(event, entry),
                amount,
                balance: *balance,
                recorded_at: event.recorded_at,
                effective_at: event.effective_at,
            }
        })
        .collect()
}

/// Whose money the leg moves. An authorisation is no money yet.
fn owner(leg: &Leg) -> Option<MerchantId> {
    match leg.account {
        Account::MemoAuthorized(..) => None,
        _ => leg.account.merchant(),
    }
}

/// What a merchant's account says that its event is about; of another stream, the object whose own account is touched,
/// else the stream's.
fn object_of(event: &RecordedEvent, entry: &BalancedEntry) -> String {
    if event.stream.category == MerchantAccount::CATEGORY
        && let Ok(event) = event.decoded::<merchant_account::Event>()
    {
        return event.subject();
    }
    let touched = entry.legs().iter().find_map(|leg| match &leg.account {
        Account::MerchantRefundHold(_, refund) => Some(refund.to_string()),
        Account::MerchantDisputeHold(_, dispute) => Some(dispute.to_string()),
        _ => None,
    });
    touched.unwrap_or_else(|| event.stream.id.clone())
}

async fn balances_of(
    connection: &mut PgConnection,
    posted: &[(&RecordedEvent, BalancedEntry)],
) -> Result<Balances, sqlx::Error> {
    let legs = posted.iter().flat_map(|(_, entry)| entry.legs());
    let touched: BTreeSet<_> = legs.filter_map(|leg| Some((owner(leg)?, leg.currency))).collect();
    let rows = sqlx::query(
        "SELECT touched.merchant, touched.currency, last.balance::text
           FROM unnest($1::text[], $2::text[]) AS touched (merchant, currency),
                LATERAL (SELECT balance FROM movements AS m
                          WHERE m.merchant_id = touched.merchant AND m.currency = touched.currency
                          ORDER BY position DESC LIMIT 1) AS last",
    )
    .bind(touched.iter().map(|(merchant, _)| merchant.to_string()).collect::<Vec<_>>())
    .bind(touched.iter().map(|(_, currency)| currency.to_string()).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(((parsed(row, "merchant")?, parsed(row, "currency")?), sum_of(row, "balance")?))).collect()
}

async fn store(connection: &mut PgConnection, lines: &[Movement]) -> Result<(), sqlx::Error> {
    fn column<T>(lines: &[Movement], of: impl Fn(&Movement) -> T) -> Vec<T> {
        lines.iter().map(of).collect()
    }
    if lines.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO movements
         SELECT merchant, currency, position, type, object, amount::numeric, balance::numeric, recorded, effective
           FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                       $8::timestamptz[], $9::timestamptz[])
             AS t (merchant, currency, position, type, object, amount, balance, recorded, effective)",
    )
    .bind(column(lines, |line| line.merchant_id.to_string()))
    .bind(column(lines, |line| line.currency.to_string()))
    .bind(column(lines, |line| to_sql(line.position)))
    .bind(column(lines, |line| line.event_type.clone()))
    .bind(column(lines, |line| line.object.clone()))
    .bind(column(lines, |line| sum_to_sql(line.amount)))
    .bind(column(lines, |line| sum_to_sql(line.balance)))
    .bind(column(lines, |line| line.recorded_at.to_datetime()))
    .bind(column(lines, |line| line.effective_at.to_datetime()))
    .execute(connection)
    .await?;
    Ok(())
}
