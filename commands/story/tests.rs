//! Money followed by first in, first out: tables of what came in and what went out.

use domain::merchant_account::{
    AdjustmentCredited, Credit, Drawn, Event, Holder, ReleaseCause, ReserveReleased, SettlementClosed,
    SettlementReleased, Window, WithdrawalFailed, WithdrawalHeld, WithdrawalReleased,
};
use domain::{Account, AdjustmentId, Currency, MerchantId, SettlementId, Timestamp, WithdrawalId};
use uuid::Uuid;

use super::trail::Settlements;
use super::{Available, Mover, Portion};
use crate::ports::pending_activity::BatchPart;

fn at() -> Timestamp {
    Timestamp::default()
}

fn holder() -> Holder {
    Holder { merchant_id: MerchantId::from_uuid(Uuid::from_u128(7)), currency: Currency::USD }
}

fn set(n: u128) -> SettlementId {
    SettlementId::from_uuid(Uuid::from_u128(n))
}

fn wd(n: u128) -> WithdrawalId {
    WithdrawalId::from_uuid(Uuid::from_u128(n))
}

fn adjusted(n: u128, amount: i64) -> Event {
    let Holder { merchant_id, currency } = holder();
    Event::AdjustmentCredited(AdjustmentCredited {
        adjustment_id: AdjustmentId::from_uuid(Uuid::from_u128(n)),
        merchant_id,
        currency,
        counter: Account::EquityOwner,
        amount,
        credit: Credit { repaid: 0, available: amount },
        adjusted_at: at(),
    })
}

fn released(n: u128, repaid: i64, reserved: i64, available: i64) -> Event {
    let Holder { merchant_id, currency } = holder();
    Event::SettlementReleased(SettlementReleased {
        settlement_id: set(n),
        merchant_id,
        currency,
        amount: repaid + reserved + available,
        repaid,
        reserved,
        reserve_due: None,
        available,
        released_at: at(),
    })
}

fn reserve_released(n: u128, amount: i64) -> Event {
    let Holder { merchant_id, currency } = holder();
    let credit = Credit { repaid: 0, available: amount };
    let settlement_id = set(n);
    Event::ReserveReleased(ReserveReleased { settlement_id, merchant_id, currency, amount, credit, released_at: at() })
}

fn held(n: u128, amount: i64, fee: i64) -> Event {
    let Holder { merchant_id, currency } = holder();
    Event::WithdrawalHeld(WithdrawalHeld { withdrawal_id: wd(n), merchant_id, currency, amount, fee, held_at: at() })
}

fn cancelled(n: u128, amount: i64, fee: i64) -> Event {
    let Holder { merchant_id, currency } = holder();
    Event::WithdrawalReleased(WithdrawalReleased {
        withdrawal_id: wd(n),
        merchant_id,
        currency,
        amount,
        fee,
        cause: ReleaseCause::Cancelled,
        credit: Credit { repaid: 0, available: amount + fee },
        released_at: at(),
    })
}

/// The fee stays with us.
fn failed(n: u128, amount: i64) -> Event {
    let Holder { merchant_id, currency } = holder();
    Event::WithdrawalFailed(WithdrawalFailed {
        withdrawal_id: wd(n),
        merchant_id,
        currency,
        bank: "sandbox".parse().expect("a name"),
        amount,
        fee_returned: 0,
        credit: Credit { repaid: 0, available: amount },
        failed_at: at(),
    })
}

fn to(withdrawals: &[(u128, i64)]) -> Vec<Portion> {
    withdrawals.iter().map(|(n, amount)| Portion { mover: Mover::Withdrawal(wd(*n)), amount: *amount }).collect()
}

#[test]
fn what_came_in_first_leaves_first() {
    let rows: [(&str, Vec<Event>, Vec<Portion>, i64); 8] = [
        ("nothing left", vec![released(1, 0, 0, 100)], to(&[]), 100),
        ("a part left", vec![released(1, 0, 0, 100), held(1, 60, 0)], to(&[(1, 60)]), 40),
        (
            "two took it, the second of the next money too",
            vec![released(1, 0, 0, 100), released(2, 0, 0, 50), held(1, 60, 0), held(2, 90, 0)],
            to(&[(1, 60), (2, 40)]),
            0,
        ),
        (
            "older money leaves before it",
            vec![adjusted(9, 70), released(1, 0, 0, 100), held(1, 100, 0)],
            to(&[(1, 30)]),
            70,
        ),
        ("the fee left as well", vec![released(1, 0, 0, 100), held(1, 60, 5)], to(&[(1, 65)]), 35),
        (
            "what was cancelled was never gone",
            vec![released(1, 0, 0, 100), held(1, 60, 5), cancelled(1, 60, 5), held(2, 20, 0)],
            to(&[(2, 20)]),
            80,
        ),
        (
            "what failed cost its fee",
            vec![released(1, 0, 0, 100), held(1, 60, 5), failed(1, 60), held(2, 20, 0)],
            to(&[(1, 5), (2, 20)]),
            75,
        ),
        (
            "the reserve is another flow",
            vec![released(1, 0, 10, 100), reserve_released(1, 10), held(1, 110, 0)],
            to(&[(1, 100)]),
            0,
        ),
    ];
    for (what, events, expected, left) in rows {
        let flow = Available::of(&events).flow_of(Mover::Settlement(set(1)), 0..100).expect("it was released");
        assert_eq!((flow.to, flow.left), (expected, left), "{what}");
    }
}

#[test]
fn a_withdrawal_is_made_of_what_was_there_first() {
    let events = [released(1, 0, 0, 30), held(1, 20, 0), released(2, 0, 0, 50), held(2, 40, 0)];
    let available = Available::of(&events);
    let sources: Vec<(Mover, i64)> = available.made_of(wd(2)).iter().map(|flow| (flow.from, flow.amount)).collect();
    assert_eq!(sources, [(Mover::Settlement(set(1)), 10), (Mover::Settlement(set(2)), 30)]);
    assert_eq!(available.made_of(wd(3)), []);
}

/// Seven payments of uneven amounts, one refund of an older payment, a release in three parts: whatever the shares, they
/// add up to the parts, and each part's slices lie end to end.
#[test]
fn the_shares_of_all_payments_add_up_to_the_parts() {
    let brought = [1_i64, 3, 333, 10, 9_999, 7, 100];
    let total: i64 = brought.iter().sum();
    let net = total - 777;
    let (repaid, reserved) = (11, 512);
    let available = net - repaid - reserved;
    let Holder { merchant_id, currency } = holder();
    let batch = SettlementClosed {
        settlement_id: set(1),
        merchant_id,
        currency,
        window: Window { from: 0, to: 100, cut_off_at: at() },
        net,
        gross_captured: total,
        items: 8,
        items_digest: String::new(),
        drawn: Drawn::default(),
        reserve: Default::default(),
        closed_at: at(),
    };
    let events = [
        Event::SettlementClosed(batch.clone()),
        released(1, repaid, reserved, available),
        reserve_released(1, reserved),
        held(1, available / 2, 0),
        held(2, available / 3, 0),
    ];
    let settlements = Settlements::of(&events);
    let mut before = 0;
    let (mut sums, mut withdrawn) = ([0; 4], 0);
    for net in brought {
        let part = BatchPart { net, before, total: total.into() };
        before += i128::from(net);
        let share = settlements.share(&batch, part);
        let parts = share.released.expect("it is released");
        for (sum, part) in sums.iter_mut().zip([parts.repaid, parts.reserved, parts.available, parts.elsewhere]) {
            *sum += part;
        }
        withdrawn += share.flows.iter().flat_map(|flow| &flow.to).map(|portion| portion.amount).sum::<i64>();
    }
    assert_eq!(sums, [repaid, reserved, available, 777]);
    assert_eq!(withdrawn, available / 2 + available / 3);
}

#[test]
fn what_took_money_out_of_a_batch_leads_nowhere() {
    let Event::SettlementReleased(release) = released(1, 0, 0, 90) else { return };
    let batch = SettlementClosed {
        settlement_id: set(1),
        merchant_id: release.merchant_id,
        currency: release.currency,
        window: Window { from: 0, to: 100, cut_off_at: at() },
        net: 90,
        gross_captured: 100,
        items: 2,
        items_digest: String::new(),
        drawn: Drawn::default(),
        reserve: Default::default(),
        closed_at: at(),
    };
    let events = [Event::SettlementClosed(batch.clone()), Event::SettlementReleased(release)];
    let share = Settlements::of(&events).share(&batch, BatchPart { net: -10, before: 0, total: 100 });
    assert_eq!((share.brought, share.released, share.flows), (-10, None, vec![]));
}
