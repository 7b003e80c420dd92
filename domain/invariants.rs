//! The numbered invariants, each a pure check used by assertions, property tests and `payledger verify`.
//! Invariants 3, 6 and 7 compare the log with the outside (acknowledgements, the channel's book, read models);
//! what is pure of them stands here, what gathers the other side stands with its adapter.

use std::collections::{BTreeMap, HashMap};

use crate::chain::ChainHash;
use crate::payment::{Record, RefundStatus};
use crate::{Account, Currency, Leg, Side};

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

/// Invariant 2: versions are 1..n per stream and positions 1..N; feed it the log in order.
#[derive(Debug, Clone, Default)]
pub struct Density {
    position: u64,
    versions: HashMap<(String, String), u64>,
}

impl Density {
    pub fn next(&mut self, position: u64, category: &str, stream: &str, version: u64) -> Result<(), Violation> {
        if position != self.position + 1 {
            return Err(Violation::of(2, format!("position {position} follows {}", self.position)));
        }
        self.position = position;
        let last = self.versions.entry((category.to_owned(), stream.to_owned())).or_default();
        if version != *last + 1 {
            return Err(Violation::of(2, format!("{category}/{stream} goes from version {last} to {version}")));
        }
        *last = version;
        Ok(())
    }

    pub fn events(&self) -> u64 {
        self.position
    }

    pub fn streams(&self) -> usize {
        self.versions.len()
    }
}

/// Invariant 4: captured <= authorised, refunded and pending <= captured. What a channel made after it had called it
/// failed is a fact that nobody could refuse: it is left out of the sum, and shows by its event.
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
    Ok(())
}

/// Invariant 5, the second half: the hold of each refund is what is still pending of it.
pub fn refund_holds(books: &Books, record: &Record) -> Result<usize, Violation> {
    let Some(capture) = record.capture() else { return Ok(0) };
    for refund in &capture.refunds {
        let hold = Account::MerchantRefundHold(record.terms.merchant_id, refund.refund_id);
        let expected = if refund.status.is_pending() { i128::from(refund.amount) } else { 0 };
        let held = books.balance(&hold, record.terms.currency);
        if held != expected {
            return Err(Violation::of(5, format!("{hold} holds {held} instead of {expected}")));
        }
    }
    Ok(capture.refunds.len())
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
    fn gaps_are_named() {
        let mut density = Density::default();
        assert_eq!(density.next(1, "payment", "a", 1), Ok(()));
        assert_eq!(density.next(2, "payment", "b", 1), Ok(()));
        assert_eq!(density.clone().next(4, "payment", "b", 2).unwrap_err().invariant, 2);
        assert_eq!(density.clone().next(3, "payment", "b", 3).unwrap_err().invariant, 2);
        assert_eq!(density.next(3, "payment", "b", 2), Ok(()));
        assert_eq!((density.events(), density.streams()), (3, 2));
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
