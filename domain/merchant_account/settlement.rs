//! Batches: closing a window of `pending`, releasing it, and the reserve lots that it leaves behind.

use std::time::Duration;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::event::{Event, ReserveReleased, SettlementClosed, SettlementReleased};
use super::{Batch, CloseSettlement, Drawn, Holder, MerchantAccountRejection, ReserveLot, ReservePlan, State};
use crate::money::AMOUNT_MAX;
use crate::{SettlementId, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn close(
    state: &State,
    holder: Holder,
    close: CloseSettlement,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let window = close.window;
    if state.last_window.is_some_and(|last| (last.from, last.to) == (window.from, window.to)) {
        return Ok(vec![]);
    }
    if window.from != state.cut_off() {
        return Err(MerchantAccountRejection::WindowClosed);
    }
    if window.to <= window.from {
        return Err(MerchantAccountRejection::WindowEmpty);
    }
    if !(Decimal::ZERO..=Decimal::ONE).contains(&close.reserve.rate) {
        return Err(MerchantAccountRejection::InvalidRate);
    }
    let net = in_range(close.net)?;
    let gross_captured = in_range(close.gross_captured)?;
    if gross_captured < 0 {
        return Err(MerchantAccountRejection::AmountOutOfRange);
    }
    let drawn = if net < 0 { state.draw(-net)? } else { Drawn::default() };

    Ok(vec![Event::SettlementClosed(SettlementClosed {
        settlement_id: SettlementId::of_window(holder.merchant_id, holder.currency.code(), window.from),
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        window,
        net,
        gross_captured,
        items: close.items,
        items_digest: close.items_digest,
        drawn,
        reserve: close.reserve,
        closed_at: at,
    })])
}

fn in_range(sum: i128) -> Result<i64, MerchantAccountRejection> {
    let sum = i64::try_from(sum).ok().filter(|sum| (-AMOUNT_MAX..=AMOUNT_MAX).contains(sum));
    sum.ok_or(MerchantAccountRejection::AmountOutOfRange)
}

/// A batch that is not waiting was released before: it is entered here in the same entry that makes it known.
pub(super) fn release(
    state: &State,
    holder: Holder,
    settlement_id: SettlementId,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let Some(batch) = state.batch(settlement_id) else { return Ok(vec![]) };
    let repaid = batch.amount.min(state.receivable);
    let reserved = withheld(batch.reserve, batch.gross_captured).min(batch.amount - repaid);
    let available = batch.amount - repaid - reserved;
    state.available.checked_add(available).ok_or(MerchantAccountRejection::BalanceOutOfRange)?;

    Ok(vec![Event::SettlementReleased(SettlementReleased {
        settlement_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        amount: batch.amount,
        repaid,
        reserved,
        reserve_due: (reserved > 0).then(|| at.plus(DAY.saturating_mul(batch.reserve.days))),
        available,
        released_at: at,
    })])
}

/// `floor(rate x gross)` minor units.
fn withheld(plan: ReservePlan, gross_captured: i64) -> i64 {
    Decimal::from(gross_captured).saturating_mul(plan.rate).floor().to_i64().unwrap_or(gross_captured)
}

pub(super) fn release_reserve(
    state: &State,
    holder: Holder,
    settlement_id: SettlementId,
    at: Timestamp,
) -> Result<Vec<Event>, MerchantAccountRejection> {
    let Some(lot) = state.lot(settlement_id).filter(|lot| lot.due <= at) else { return Ok(vec![]) };
    let credit = state.credit(lot.amount)?;

    Ok(vec![Event::ReserveReleased(ReserveReleased {
        settlement_id,
        merchant_id: holder.merchant_id,
        currency: holder.currency,
        amount: lot.amount,
        credit,
        released_at: at,
    })])
}

pub(super) fn evolve_closed(state: &mut State, closed: &SettlementClosed) {
    state.last_window = Some(closed.window);
    state.take_draw(&closed.drawn);
    if closed.net > 0 {
        state.batches.push(Batch {
            settlement_id: closed.settlement_id,
            amount: closed.net,
            gross_captured: closed.gross_captured,
            reserve: closed.reserve,
        });
    }
}

pub(super) fn evolve_released(state: &mut State, released: &SettlementReleased) {
    state.batches.retain(|batch| batch.settlement_id != released.settlement_id);
    state.receivable -= released.repaid;
    state.available += released.available;
    if let Some(due) = released.reserve_due {
        state.lots.push(ReserveLot { settlement_id: released.settlement_id, amount: released.reserved, due });
        state.lots.sort_by_key(|lot| (lot.due, lot.settlement_id));
    }
}

pub(super) fn evolve_reserve_released(state: &mut State, released: &ReserveReleased) {
    state.lots.retain(|lot| lot.settlement_id != released.settlement_id);
    state.take_credit(released.credit);
}
