//! Given the actions so far, when an action comes, then these balances: as tables.

use uuid::Uuid;

use super::*;
use crate::invariants::{self, Books};
use crate::{DomainEvent, Rejection};

const DAY: i64 = 86_400_000_000;

fn holder() -> Holder {
    Holder { merchant_id: MerchantId::from_uuid(Uuid::from_u128(7)), currency: Currency::USD }
}

fn at(day: i64) -> Timestamp {
    Timestamp::from_micros(day * DAY)
}

fn batch(from: u64) -> SettlementId {
    SettlementId::of_window(holder().merchant_id, "USD", from)
}

fn wd(n: u128) -> WithdrawalId {
    WithdrawalId::from_uuid(Uuid::from_u128(n))
}

fn adjustment(n: u128) -> AdjustmentId {
    AdjustmentId::from_uuid(Uuid::from_u128(n))
}

fn bank() -> BankName {
    "sandbox".parse().unwrap()
}

/// A window of ten positions behind `from` with `net`, of which all was captured if it is above zero.
fn close(from: u64, net: i128) -> Action {
    close_with(from, net, net.max(0), ReservePlan::default())
}

fn close_with(from: u64, net: i128, gross_captured: i128, reserve: ReservePlan) -> Action {
    let window = Window { from, to: from + 10, cut_off_at: at(0) };
    Action::CloseSettlement(CloseSettlement {
        window,
        net,
        gross_captured,
        items: 1,
        items_digest: "0".repeat(64),
        reserve,
    })
}

/// 10 % for 90 days.
fn tenth() -> ReservePlan {
    ReservePlan { rate: Decimal::new(1, 1), days: 90 }
}

fn release(from: u64) -> Action {
    Action::ReleaseSettlement { settlement_id: batch(from) }
}

fn hold(n: u128, amount: i64, fee: i64, pending: i128) -> Action {
    Action::HoldWithdrawal(HoldWithdrawal { withdrawal_id: wd(n), amount, fee, pending })
}

fn send(n: u128) -> Action {
    Action::SendWithdrawal { withdrawal_id: wd(n), bank: bank() }
}

fn paid(n: u128) -> Action {
    Action::RecordWithdrawalPaid { withdrawal_id: wd(n) }
}

fn failed(n: u128, bank_fee: i64, return_fee: bool) -> Action {
    Action::RecordWithdrawalFailed(FailWithdrawal { withdrawal_id: wd(n), bank_fee, return_fee })
}

fn cancel(n: u128) -> Action {
    Action::ReleaseWithdrawal { withdrawal_id: wd(n), cause: ReleaseCause::Cancelled }
}

fn adjust(n: u128, amount: i64) -> Adjust {
    Adjust { adjustment_id: adjustment(n), counter: Account::BankCash(bank()), amount }
}

/// An account and the books of everything that happened to it.
#[derive(Default)]
pub(super) struct Ledger {
    pub state: State,
    pub books: Books,
}

impl Ledger {
    pub fn act(&mut self, action: Action, at: Timestamp) -> Result<Vec<Event>, MerchantAccountRejection> {
        let events = MerchantAccount::decide(&self.state, Command { holder: holder(), action, at })?;
        for event in &events {
            if let Some(entry) = event.postings() {
                self.books.post(entry.legs()).expect("entries balance");
            }
            self.state = MerchantAccount::evolve(std::mem::take(&mut self.state), event);
        }
        MerchantAccount::check(&self.state).expect("what must hold of every state");
        invariants::holds(&self.books, MerchantAccount::guarded(&self.state).into_iter()).expect("the books agree");
        self.books.available_balances().expect("nothing available is below zero");
        Ok(events)
    }

    fn held(&self, account: &Account) -> i128 {
        self.books.balance(account, Currency::USD)
    }

    /// Pending, available, reserved, owed.
    fn balances(&self) -> [i128; 4] {
        let merchant = holder().merchant_id;
        let reserved = self.state.lots.iter().map(|lot| i128::from(lot.amount)).sum();
        [
            self.held(&Account::MerchantPending(merchant)),
            self.held(&Account::MerchantAvailable(merchant)),
            reserved,
            self.held(&Account::MerchantReceivable(merchant)),
        ]
    }
}

/// Everything given on day 0 is accepted; then `when`, on `day`, ends in these balances or this rejection.
#[track_caller]
fn check(given: &[Action], day: i64, when: Action, then: Result<[i128; 4], MerchantAccountRejection>) {
    let mut ledger = Ledger::default();
    for action in given {
        ledger.act(action.clone(), at(0)).expect("given actions are accepted");
    }
    let acted = ledger.act(when.clone(), at(day));
    assert_eq!(acted.map(|_| ledger.balances()), then);
    if then.is_ok() {
        let repeated = ledger.act(when, at(day));
        assert_eq!(repeated, Ok(vec![]), "a repeat is no event");
    }
}

#[test]
fn a_withdrawal_comes_back_in_parts() {
    let mut ledger = Ledger::default();
    for action in [close(0, 1_000), release(0), hold(1, 600, 5, 0), send(1), paid(1), failed(1, 400, true)] {
        ledger.act(action, at(0)).unwrap();
    }
    let held = |ledger: &Ledger| {
        let [_, available, ..] = ledger.balances();
        (available, ledger.held(&Account::BankCash(bank())), ledger.held(&Account::ExpenseBankFee))
    };
    assert_eq!(held(&ledger), (1_000, -400, 400));
    let part =
        |before, amount| Action::ContinueReturn(ContinueReturn { withdrawal_id: wd(1), bank: bank(), before, amount });
    for (before, amount) in [(200, 401), (200, 0), (200, -1), (0, 100), (300, 100)] {
        assert_eq!(ledger.act(part(before, amount), at(1)), Err(MerchantAccountRejection::AmountOutOfRange));
    }
    assert_eq!(ledger.act(part(200, 300), at(1)).unwrap().len(), 1);
    assert_eq!(held(&ledger), (1_000, -100, 100), "the merchant has had it; the bank's fee becomes less");
    assert_eq!(ledger.act(part(200, 300), at(1)), Ok(vec![]), "told again");
    let Event::WithdrawalReturnContinued(last) = ledger.act(part(500, 100), at(1)).unwrap().remove(0) else { panic!() };
    assert_eq!((last.part, held(&ledger)), (3, (1_000, 0, 0)));
    assert_eq!(ledger.act(part(600, 1), at(1)), Err(MerchantAccountRejection::AmountOutOfRange));
    for given in [vec![], vec![paid(2)]] {
        let before = [vec![hold(2, 100, 0, 0), send(2)], given].concat();
        before.into_iter().for_each(|action| drop(ledger.act(action, at(1))));
        let early = ContinueReturn { withdrawal_id: wd(2), bank: bank(), before: 0, amount: 50 };
        assert_eq!(ledger.act(Action::ContinueReturn(early), at(1)), Err(MerchantAccountRejection::WithdrawalNotSent));
    }
}

#[test]
fn batches_close_and_are_released() {
    let plan = tenth();
    check(&[], 0, close(0, 900), Ok([-900, 0, 0, 0]));
    check(&[close(0, 900)], 0, release(0), Ok([-900, 900, 0, 0]));
    check(&[close(0, 0)], 0, close(10, 5), Ok([-5, 0, 0, 0]));
    // The reserve is reckoned of what was captured, and never more than what there is.
    check(&[close_with(0, 900, 1_009, plan)], 0, release(0), Ok([-900, 800, 100, 0]));
    check(&[close_with(0, 50, 1_000, plan)], 0, release(0), Ok([-50, 0, 50, 0]));
    check(&[close(0, -30), close_with(10, 100, 1_000, plan)], 0, release(10), Ok([-70, 0, 70, 0]));
    check(&[close(0, 900)], 0, release(10), Ok([-900, 0, 0, 0]));
}

#[test]
fn windows_follow_one_another() {
    check(&[], 0, close(1, 5), Err(MerchantAccountRejection::WindowClosed));
    check(&[close(0, 5), close(10, 5)], 0, close(0, 5), Err(MerchantAccountRejection::WindowClosed));
    check(&[close(0, 5)], 0, close(11, 5), Err(MerchantAccountRejection::WindowClosed));
    let reaching_to = |to: u64| {
        let Action::CloseSettlement(mut longer) = close(0, 5) else { unreachable!() };
        longer.window.to = to;
        Action::CloseSettlement(longer)
    };
    check(&[close(0, 5)], 0, reaching_to(11), Err(MerchantAccountRejection::WindowClosed));
    check(&[], 0, reaching_to(0), Err(MerchantAccountRejection::WindowEmpty));
    for net in [i128::from(crate::money::AMOUNT_MAX) + 1, i128::MIN, i128::MAX] {
        check(&[], 0, close(0, net), Err(MerchantAccountRejection::AmountOutOfRange));
    }
    let plan = ReservePlan { rate: Decimal::TWO, days: 1 };
    check(&[], 0, close_with(0, 1, 1, plan), Err(MerchantAccountRejection::InvalidRate));
}

#[test]
fn a_batch_below_zero_takes_available_then_lots_then_owes() {
    // 800 available, 100 in a lot.
    let given = [close_with(0, 900, 1_000, tenth()), release(0)];
    let table = [
        (-700, [-200, 100, 100, 0]),
        (-800, [-100, 0, 100, 0]),
        (-850, [-50, 0, 50, 0]),
        (-900, [0, 0, 0, 0]),
        (-1_000, [100, 0, 0, 100]),
    ];
    for (net, expected) in table {
        check(&given, 0, close(10, net), Ok(expected));
    }
    // What is owed is repaid before anything is available or reserved.
    let given = [close(0, -100), close_with(10, 90, 90, tenth())];
    check(&given, 0, release(10), Ok([10, 0, 0, 10]));
    let given = [close(0, -100), close_with(10, 300, 300, tenth())];
    check(&given, 0, release(10), Ok([-200, 170, 30, 0]));
}

#[test]
fn lots_are_drawn_soonest_due_first() {
    let plan = |days| ReservePlan { rate: Decimal::new(1, 1), days };
    let mut ledger = Ledger::default();
    for (from, days) in [(0, 90), (10, 30), (20, 60)] {
        ledger.act(close_with(from, 100, 1_000, plan(days)), at(0)).unwrap();
        ledger.act(release(from), at(0)).unwrap();
    }
    ledger.act(close(30, -150), at(0)).unwrap();
    let left: Vec<_> = ledger.state.lots.iter().map(|lot| (lot.settlement_id, lot.amount)).collect();
    assert_eq!(left, [(batch(20), 50), (batch(0), 100)]);
}

#[test]
fn a_lot_is_released_when_its_term_ends() {
    let given = [close_with(0, 900, 1_000, tenth()), release(0)];
    let release_lot = Action::ReleaseReserve { settlement_id: batch(0) };
    check(&given, 89, release_lot.clone(), Ok([-900, 800, 100, 0]));
    check(&given, 90, release_lot.clone(), Ok([-900, 900, 0, 0]));
    // Half of it was drawn before.
    let drawn = [given.to_vec(), vec![close(10, -850)]].concat();
    check(&drawn, 90, release_lot, Ok([-50, 50, 0, 0]));
}

#[test]
fn a_withdrawal_takes_what_is_available() {
    use MerchantAccountRejection::*;
    let given = [close(0, 100), release(0)];
    let table = [
        (hold(1, 98, 2, 0), Ok([-100, 0, 0, 0])),
        (hold(1, 99, 2, 0), Err(InsufficientBalance)),
        (hold(1, 98, 2, 50), Ok([-100, 0, 0, 0])),
        // What pending lacks is not there to be taken out.
        (hold(1, 98, 2, -1), Err(InsufficientBalance)),
        (hold(1, 48, 2, -50), Ok([-100, 50, 0, 0])),
        (hold(1, 0, 2, 0), Err(AmountOutOfRange)),
        (hold(1, 1, -1, 0), Err(AmountOutOfRange)),
        (hold(1, i64::MAX, 0, 0), Err(AmountOutOfRange)),
        (cancel(1), Err(WithdrawalNotFound)),
        (send(1), Err(WithdrawalNotFound)),
        (paid(1), Err(WithdrawalNotFound)),
    ];
    for (when, then) in table {
        check(&given, 0, when, then);
    }
    let held = [given.to_vec(), vec![hold(1, 98, 2, 0)]].concat();
    check(&held, 0, hold(1, 97, 2, 0), Err(WithdrawalAlreadyExists));
    check(&held, 0, hold(2, 1, 0, 0), Err(InsufficientBalance));
    let owing = [close(0, 100), release(0), close(10, -101), close(20, 50)];
    check(&owing, 0, hold(1, 1, 0, 0), Err(InsufficientBalance));
}

#[test]
fn a_withdrawal_is_sent_and_paid_or_comes_back() {
    use MerchantAccountRejection::*;
    let held = vec![close(0, 100), release(0), hold(1, 60, 5, 0)];
    let after = |more: &[Action]| [held.clone(), more.to_vec()].concat();
    let table = vec![
        (after(&[]), cancel(1), Ok([-100, 100, 0, 0])),
        (after(&[]), send(1), Ok([-100, 35, 0, 0])),
        (after(&[]), paid(1), Err(WithdrawalNotSent)),
        (after(&[]), failed(1, 0, true), Err(WithdrawalNotSent)),
        (after(&[cancel(1)]), send(1), Err(WithdrawalReleased)),
        (after(&[send(1)]), cancel(1), Err(WithdrawalSent)),
        (after(&[send(1)]), paid(1), Ok([-100, 35, 0, 0])),
        (after(&[send(1)]), failed(1, 0, false), Ok([-100, 95, 0, 0])),
        (after(&[send(1)]), failed(1, 0, true), Ok([-100, 100, 0, 0])),
        (after(&[send(1), paid(1)]), failed(1, 0, true), Ok([-100, 100, 0, 0])),
        // We bear what a bank kept of it.
        (after(&[send(1), paid(1)]), failed(1, 7, false), Ok([-100, 95, 0, 0])),
        (after(&[send(1), paid(1)]), failed(1, 61, false), Err(AmountOutOfRange)),
        // Old news of the bank.
        (after(&[send(1), failed(1, 0, false)]), send(1), Ok([-100, 95, 0, 0])),
        (after(&[send(1), paid(1), failed(1, 0, false)]), paid(1), Ok([-100, 95, 0, 0])),
        // It was paid after all: what had been given back is taken again.
        (after(&[send(1), failed(1, 0, true)]), paid(1), Ok([-100, 40, 0, 0])),
        (after(&[send(1), failed(1, 0, true), hold(2, 100, 0, 0)]), paid(1), Ok([-100, 0, 0, 60])),
        // The fee goes back once, however often the bank fails.
        (after(&[send(1), failed(1, 0, true), paid(1)]), failed(1, 0, true), Ok([-100, 100, 0, 0])),
        (after(&[send(1), failed(1, 0, false), paid(1)]), failed(1, 0, true), Ok([-100, 100, 0, 0])),
    ];
    for (given, when, then) in table {
        check(&given, 0, when, then);
    }
}

#[test]
fn what_comes_back_repays_debts_first() {
    let owing = vec![close(0, 100), release(0), hold(1, 60, 5, 0), close(10, -50)];
    let after = |more: &[Action]| [owing.clone(), more.to_vec()].concat();
    check(&owing, 0, cancel(1), Ok([-50, 50, 0, 0]));
    check(&after(&[send(1)]), 0, failed(1, 0, true), Ok([-50, 50, 0, 0]));
    check(&after(&[send(1), paid(1)]), 0, failed(1, 50, true), Ok([-50, 50, 0, 0]));
    let mut ledger = Ledger::default();
    for action in after(&[send(1), paid(1), failed(1, 7, true)]) {
        ledger.act(action, at(0)).unwrap();
    }
    assert_eq!(ledger.held(&Account::BankCash(bank())), -7);
    assert_eq!(ledger.held(&Account::ExpenseBankFee), 7);
    assert_eq!(ledger.held(&Account::RevenueWithdrawalFee), 0);
}

#[test]
fn adjustments_are_posted_once() {
    use MerchantAccountRejection::*;
    let credit = |amount| Action::CreditAvailable(adjust(1, amount));
    let debit = |amount| Action::DebitAvailable(adjust(1, amount));
    let write_off = |amount| Action::WriteOff { adjustment_id: adjustment(1), amount };
    let (rich, owing) = ([close(0, 100), release(0)], [close(0, -100)]);
    check(&rich, 0, credit(5), Ok([-100, 105, 0, 0]));
    check(&owing, 0, credit(105), Ok([100, 5, 0, 0]));
    check(&rich, 0, debit(100), Ok([-100, 0, 0, 0]));
    check(&rich, 0, debit(101), Err(InsufficientBalance));
    check(&owing, 0, write_off(60), Ok([100, 0, 0, 40]));
    check(&owing, 0, write_off(101), Err(WriteOffExceedsReceivable));
    for amount in [0, -1, i64::MAX] {
        check(&rich, 0, credit(amount), Err(AmountOutOfRange));
        check(&rich, 0, debit(amount), Err(AmountOutOfRange));
        check(&owing, 0, write_off(amount), Err(AmountOutOfRange));
    }
    let merchant = holder().merchant_id;
    for counter in [Account::MerchantPending(merchant), Account::MerchantAvailable(merchant)] {
        let adjust = Adjust { counter, ..adjust(1, 1) };
        check(&rich, 0, Action::CreditAvailable(adjust.clone()), Err(UnsuitableCounterAccount));
        check(&rich, 0, Action::DebitAvailable(adjust), Err(UnsuitableCounterAccount));
    }
}

#[test]
fn ids_of_windows_are_derived() {
    let merchant = holder().merchant_id;
    assert_eq!(batch(5), batch(5));
    assert_ne!(batch(5), SettlementId::of_window(merchant, "EUR", 5));
    assert!(batch(5) < batch(6) && batch(255) < batch(256));
}

#[test]
fn codes_are_distinct() {
    use MerchantAccountRejection::*;
    let all = [WindowClosed, WindowEmpty, WithdrawalNotFound, WithdrawalAlreadyExists, WithdrawalSent];
    let all = [all.as_slice(), &[WithdrawalReleased, WithdrawalNotSent, InsufficientBalance]].concat();
    let codes: BTreeSet<_> = all.iter().map(Rejection::code).collect();
    assert_eq!(codes.len(), all.len());
}

#[test]
fn withdrawals_of_one_day_are_counted_together_until_they_are_given_back() {
    let mut ledger = Ledger::default();
    let hour = |hour: i64| Timestamp::from_micros(hour * DAY / 24);
    let table = [
        (0, Action::CreditAvailable(adjust(1, 10_000)), 0),
        (0, hold(1, 1_000, 10, 0), 1_000),
        (1, hold(2, 2_000, 0, 0), 3_000),
        (1, hold(2, 2_000, 0, 0), 3_000),
        (2, send(1), 3_000),
        (3, failed(1, 0, true), 3_000),
        (4, cancel(2), 1_000),
        (23, hold(3, 3_000, 0, 0), 4_000),
        (24, hold(4, 500, 0, 0), 3_500),
    ];
    for (at, action, lately) in table {
        ledger.act(action.clone(), hour(at)).expect("it is accepted");
        assert_eq!(ledger.state.withdrawn_lately(hour(at)), lately, "after {action:?}");
    }
    assert_eq!(ledger.state.withdrawn_lately(hour(47)), 500);
    assert_eq!(ledger.state.withdrawn_lately(hour(48)), 0);
    assert_eq!(ledger.state.lately_withdrawn.len(), 2, "what is older is not kept");
}
