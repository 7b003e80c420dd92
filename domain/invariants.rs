//! The numbered invariants, each a pure check used by assertions, property tests and `payledger verify`.
//! Invariants 3, 6 and 7 compare the log with the outside (acknowledgements, the channel's book, read models);
//! what is pure of them stands here, what gathers the other side stands with its adapter.

mod clear_text;

use std::collections::{BTreeMap, HashMap};

pub use clear_text::nothing_in_clear;

use crate::chain::ChainHash;
use crate::decider::Holding;
use crate::payment::{ChannelFee, Event, Record, Refund, RefundStatus, State};
use crate::{Account, Currency, Leg, Side, Timestamp};

/// An invariant that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invariant {invariant} is broken: {detail}")]
pub struct Violation {
    pub invariant: u8,
    pub detail: String,
}

impl Violation {
    pub fn of(invariant: u8, detail: impl Into<String>) -> Violation {
        Violation { invariant, detail: detail.into() }
    }
}

/// Debits and credits in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    pub debits: i128,
    pub credits: i128,
}

/// Sums of every account and currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    pub accounts: BTreeMap<(Account, Currency), Totals>,
}

impl Books {
    /// Invariant 1: adds one transaction, which must balance per currency.
    pub fn post(&mut self, legs: &[Leg]) -> Result<(), Violation> {
        let mut difference: HashMap<Currency, i128> = HashMap::new();
        for leg in legs {
            let totals = self.accounts.entry((leg.account.clone(), leg.currency)).or_default();
            let amount = i128::from(leg.amount);
            match leg.side {
                Side::Debit => totals.debits += amount,
                Side::Credit => totals.credits += amount,
            }
            *difference.entry(leg.currency).or_default() += if leg.side == Side::Debit { amount } else { -amount };
        }
        match difference.iter().find(|(_, difference)| **difference != 0) {
            Some((currency, difference)) => {
                Err(Violation::of(1, format!("debits exceed credits by {difference} {currency}")))
            }
            None => Ok(()),
        }
    }

    /// Invariant 1, in total: per currency, debits and credits.
    pub fn totals(&self) -> BTreeMap<Currency, Totals> {
        let mut totals: BTreeMap<Currency, Totals> = BTreeMap::new();
        for ((_, currency), account) in &self.accounts {
            let total = totals.entry(*currency).or_default();
            total.debits += account.debits;
            total.credits += account.credits;
        }
        totals
    }

    /// Balance on the account's normal side, in minor units.
    pub fn balance(&self, account: &Account, currency: Currency) -> i128 {
        let totals = self.accounts.get(&(account.clone(), currency)).copied().unwrap_or_default();
        account.account_type().balance(totals.debits, totals.credits)
    }

    /// Invariant 5: no merchant's available balance is below zero.
    pub fn available_balances(&self) -> Result<usize, Violation> {
        let available =
            self.accounts.iter().filter(|((account, _), _)| matches!(account, Account::MerchantAvailable(_)));
        let mut checked = 0;
        for ((account, currency), totals) in available {
            checked += 1;
            if totals.credits < totals.debits {
                return Err(Violation::of(5, format!("{account} is below zero in {currency}")));
            }
        }
        Ok(checked)
    }
}

/// Invariant 2: versions are 1..n per stream, positions 1..N, and time never goes back; feed it the log in order.
#[derive(Debug, Clone, Default)]
pub struct Density {
    position: u64,
    recorded_at: Timestamp,
    versions: HashMap<String, HashMap<String, u64>>,
}

impl Density {
    pub fn next(
        &mut self,
        position: u64,
        (category, stream): (&str, &str),
        version: u64,
        recorded_at: Timestamp,
    ) -> Result<(), Violation> {
        let (last_position, last_recorded_at) = (self.position, self.recorded_at);
        (self.position, self.recorded_at) = (position, recorded_at);
        let last_version = std::mem::replace(self.version(category, stream), version);
        if position != last_position + 1 {
            return Err(Violation::of(2, format!("position {position} follows {last_position}")));
        }
        if version != last_version + 1 {
            return Err(Violation::of(2, format!("{category}/{stream} goes from version {last_version} to {version}")));
        }
        if recorded_at < last_recorded_at {
            return Err(Violation::of(2, format!("position {position} was recorded before {last_position}")));
        }
        Ok(())
    }

    fn version(&mut self, category: &str, stream: &str) -> &mut u64 {
        if !self.versions.get(category).is_some_and(|streams| streams.contains_key(stream)) {
            self.versions.entry(category.to_owned()).or_default().insert(stream.to_owned(), 0);
        }
        let version = self.versions.get_mut(category).and_then(|streams| streams.get_mut(stream));
        version.expect("it was inserted if it was missing")
    }

    pub fn events(&self) -> u64 {
        self.position
    }

    pub fn streams(&self) -> usize {
        self.versions.values().map(HashMap::len).sum()
    }
}

/// Invariant 4: a payment is captured once. `before` is the payment that `event` comes to.
pub fn captured_once(before: &State, event: &Event) -> Result<(), Violation> {
    match (before.record().filter(|record| record.capture().is_some()), event) {
        (Some(record), Event::Captured(_)) => {
            Err(Violation::of(4, format!("{} was captured more than once", record.payment_id())))
        }
        _ => Ok(()),
    }
}

/// Invariant 4: captured <= authorised, refunded and pending <= captured, refunded + disputed (open or lost) <= captured.
/// What a channel made after it had called it failed, and what it takes in a dispute, are facts that nobody could
/// refuse: the former is left out of the first sum, and what they take beyond the capture is recorded to the unit.
pub fn payment_amounts(record: &Record) -> Result<(), Violation> {
    let Some(capture) = record.capture() else { return Ok(()) };
    let id = record.payment_id();
    if capture.amount > record.terms.amount {
        return Err(Violation::of(4, format!("{id} captured {} of {}", capture.amount, record.terms.amount)));
    }
    let counts = |status: &RefundStatus| match status {
        RefundStatus::Succeeded { after_failure, .. } => !after_failure,
        status => status.is_pending(),
    };
    let counted = capture.refunds.iter().filter(|refund| counts(&refund.status));
    let sum: i128 = counted.map(|refund| i128::from(refund.amount)).sum();
    if sum > i128::from(capture.amount) {
        return Err(Violation::of(4, format!("{id} refunded {sum} of {}", capture.amount)));
    }
    if capture.excess() != capture.over_returned {
        let (excess, recorded) = (capture.excess(), capture.over_returned);
        return Err(Violation::of(4, format!("{id} gave back {excess} too much, of which {recorded} is recorded")));
    }
    Ok(())
}

/// Invariant 5, the second half: an account that one stream guards holds exactly what that stream's state says, and
/// nobody else's holds anything. Answers how many accounts were checked.
pub fn holds(books: &Books, guarded: impl Iterator<Item = Holding>) -> Result<usize, Violation> {
    let mut expected: BTreeMap<(Account, Currency), i64> = guarded.collect();
    let mut checked = 0;
    for ((account, currency), totals) in books.accounts.iter().filter(|((account, _), _)| account.has_one_guard()) {
        let expected = i128::from(expected.remove(&(account.clone(), *currency)).unwrap_or(0));
        let held = account.account_type().balance(totals.debits, totals.credits);
        if held != expected {
            return Err(Violation::of(5, format!("{account} holds {held} {currency} instead of {expected}")));
        }
        checked += 1;
    }
    match expected.into_iter().find(|(_, amount)| *amount != 0) {
        Some(((account, currency), amount)) => {
            Err(Violation::of(5, format!("{account} holds nothing instead of {amount} {currency}")))
        }
        None => Ok(checked),
    }
}

/// What must stand in the accounts kept for this payment alone.
pub(crate) fn guarded_by_payment(record: &Record) -> Vec<Holding> {
    let Some(capture) = record.capture() else { return vec![] };
    let (terms, currency) = (&record.terms, record.terms.currency);
    let pending = capture.refunds.iter().filter(|refund| refund.status.is_pending());
    let hold = |refund: &Refund| Account::MerchantRefundHold(terms.merchant_id, refund.refund_id);
    let mut amounts: Vec<_> = pending.map(|refund| ((hold(refund), currency), refund.amount)).collect();
    if let ChannelFee::Estimated(estimate) = capture.channel_fee {
        let accrual = Account::ChannelFeeAccrual(terms.channel.clone(), terms.payment_id);
        amounts.push(((accrual, currency), estimate));
    }
    for dispute in capture.disputes.iter().filter(|dispute| dispute.is_open()) {
        let disputed = Account::ChannelDisputed(terms.channel.clone(), dispute.dispute_id);
        let hold = Account::MerchantDisputeHold(terms.merchant_id, dispute.dispute_id);
        amounts.extend([((disputed, currency), dispute.amount), ((hold, currency), dispute.amount)]);
    }
    amounts
}

/// Invariant 9: an event's stored hash is the one that follows from its predecessor's.
pub fn chain_link(position: u64, stored: &ChainHash, expected: &ChainHash) -> Result<(), Violation> {
    if stored == expected {
        Ok(())
    } else {
        Err(Violation::of(9, format!("the hash of position {position} does not follow from its predecessor")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MerchantId;
    use uuid::Uuid;

    fn leg(side: Side, amount: i64, currency: Currency) -> Leg {
        Leg { account: Account::RevenueProcessing, side, amount, currency }
    }

    #[test]
    fn an_unbalanced_transaction_is_named() {
        let mut books = Books::default();
        let balanced = [leg(Side::Debit, 5, Currency::USD), leg(Side::Credit, 5, Currency::USD)];
        assert_eq!(books.post(&balanced), Ok(()));
        let across = [leg(Side::Debit, 5, Currency::USD), leg(Side::Credit, 5, Currency::JPY)];
        assert_eq!(books.post(&across).unwrap_err().invariant, 1);
        assert_eq!(books.totals()[&Currency::USD], Totals { debits: 10, credits: 5 });
    }

    #[test]
    fn gaps_and_times_that_go_back_are_named() {
        let at = Timestamp::from_micros;
        let mut density = Density::default();
        assert_eq!(density.next(1, ("payment", "a"), 1, at(5)), Ok(()));
        assert_eq!(density.next(2, ("payment", "b"), 1, at(5)), Ok(()));
        assert_eq!(density.clone().next(4, ("payment", "b"), 2, at(5)).unwrap_err().invariant, 2);
        assert_eq!(density.clone().next(3, ("payment", "b"), 3, at(5)).unwrap_err().invariant, 2);
        assert_eq!(density.clone().next(3, ("payment", "b"), 2, at(4)).unwrap_err().invariant, 2);
        assert_eq!(density.next(3, ("payment", "b"), 2, at(6)), Ok(()));
        assert_eq!((density.events(), density.streams()), (3, 2));
    }

    #[test]
    fn an_account_that_holds_what_nobody_waits_for_is_named() {
        let merchant = MerchantId::from_uuid(Uuid::nil());
        let refund = crate::RefundId::from_uuid(Uuid::nil());
        let payment = crate::PaymentId::from_uuid(Uuid::nil());
        let accrual = Account::ChannelFeeAccrual("sandbox".parse().unwrap(), payment);
        for account in [Account::MerchantRefundHold(merchant, refund), accrual] {
            let mut books = Books::default();
            books.accounts.insert((account.clone(), Currency::USD), Totals { debits: 1, credits: 1 });
            assert_eq!(holds(&books, std::iter::empty()), Ok(1));
            books.accounts.insert((account, Currency::USD), Totals { debits: 1, credits: 2 });
            assert_eq!(holds(&books, std::iter::empty()).unwrap_err().invariant, 5);
        }
    }

    #[test]
    fn a_negative_available_balance_is_named() {
        let account = Account::MerchantAvailable(MerchantId::from_uuid(Uuid::nil()));
        let mut books = Books::default();
        books.accounts.insert((account.clone(), Currency::USD), Totals { debits: 1, credits: 1 });
        assert_eq!(books.available_balances(), Ok(1));
        books.accounts.insert((account, Currency::USD), Totals { debits: 2, credits: 1 });
        assert_eq!(books.available_balances().unwrap_err().invariant, 5);
    }

    #[test]
    fn a_changed_hash_is_named() {
        let hash = ChainHash::from_bytes([1; 32]);
        assert_eq!(chain_link(1, &hash, &hash), Ok(()));
        assert_eq!(chain_link(1, &hash, &ChainHash::GENESIS).unwrap_err().invariant, 9);
    }
}
