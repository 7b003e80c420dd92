//! Double entry. An entry is built from transfers, each of which debits one account and credits another with
//! the same amount, or from legs that are added up first; so an unbalanced entry cannot be written down, nor read back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::money::AMOUNT_MAX;
use crate::{Account, Currency};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Debit,
    Credit,
}

/// One line of an entry: a positive amount in minor units on one side of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub account: Account,
    pub side: Side,
    pub amount: i64,
    pub currency: Currency,
}

/// The posting of exactly one event; balanced per currency by construction, never empty of value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Leg>", into = "Vec<Leg>")]
pub struct BalancedEntry {
    legs: Vec<Leg>,
}

/// Why legs are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnEntry {
    #[error("an entry has at least two legs")]
    TooFewLegs,
    #[error("the amount of a leg is 1 to 999999999999999 minor units")]
    AmountOutOfRange,
    #[error("debits and credits differ")]
    Unbalanced,
}

impl TryFrom<Vec<Leg>> for BalancedEntry {
    type Error = NotAnEntry;

    fn try_from(legs: Vec<Leg>) -> Result<BalancedEntry, NotAnEntry> {
        if legs.len() < 2 {
            return Err(NotAnEntry::TooFewLegs);
        }
        let mut differences: BTreeMap<Currency, i128> = BTreeMap::new();
        for leg in &legs {
            if !(1..=AMOUNT_MAX).contains(&leg.amount) {
                return Err(NotAnEntry::AmountOutOfRange);
            }
            let amount = i128::from(leg.amount);
            *differences.entry(leg.currency).or_default() += if leg.side == Side::Debit { amount } else { -amount };
        }
        if differences.values().any(|difference| *difference != 0) {
            return Err(NotAnEntry::Unbalanced);
        }

        Ok(BalancedEntry { legs })
    }
}

impl From<BalancedEntry> for Vec<Leg> {
    fn from(entry: BalancedEntry) -> Vec<Leg> {
        entry.legs
    }
}

impl BalancedEntry {
    pub fn in_currency(currency: Currency) -> EntryBuilder {
        EntryBuilder { currency, legs: Vec::with_capacity(8) }
    }

    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }
}

/// Collects the transfers of one entry in one currency.
#[derive(Debug)]
pub struct EntryBuilder {
    currency: Currency,
    legs: Vec<Leg>,
}

impl EntryBuilder {
    /// `debit` Dr `amount` - `credit` Cr `amount`, in minor units. Zero is left out; a negative amount turns the signs.
    pub fn transfer(mut self, debit: Account, credit: Account, amount: i64) -> EntryBuilder {
        let (debit, credit) = if amount < 0 { (credit, debit) } else { (debit, credit) };
        if amount == 0 {
            return self;
        }
        let amount = amount.checked_abs().expect("amounts stay far below the ends of an i64");
        self.legs.push(Leg { account: debit, side: Side::Debit, amount, currency: self.currency });
        self.legs.push(Leg { account: credit, side: Side::Credit, amount, currency: self.currency });
        self
    }

    /// The entry, or none if nothing moved.
    pub fn build(self) -> Option<BalancedEntry> {
        if self.legs.is_empty() { None } else { Some(BalancedEntry { legs: self.legs }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_transfers_balance(amounts in prop::collection::vec(-i64::MAX..=i64::MAX, 0..9)) {
            let builder = amounts.iter().fold(BalancedEntry::in_currency(Currency::USD), |builder, amount| {
                builder.transfer(Account::RevenueProcessing, Account::RecoveryChannelFee, *amount)
            });
            let legs = builder.build().map(|entry| entry.legs).unwrap_or_default();
            let sum = |side: Side| legs.iter().filter(|leg| leg.side == side).map(|leg| i128::from(leg.amount)).sum::<i128>();
            prop_assert_eq!(sum(Side::Debit), sum(Side::Credit));
            prop_assert!(legs.iter().all(|leg| leg.amount > 0));
        }
    }

    fn leg(side: Side, amount: i64, currency: Currency) -> Leg {
        Leg { account: Account::EquityOwner, side, amount, currency }
    }

    #[test]
    fn legs_are_an_entry_only_if_they_balance_per_currency() {
        let (debit, credit) =
            (|amount| leg(Side::Debit, amount, Currency::USD), |amount| leg(Side::Credit, amount, Currency::USD));
        let table = [
            (vec![debit(5), credit(5)], Ok(())),
            (vec![debit(5), credit(2), credit(3)], Ok(())),
            (vec![debit(AMOUNT_MAX), debit(AMOUNT_MAX), credit(AMOUNT_MAX), credit(AMOUNT_MAX)], Ok(())),
            (vec![], Err(NotAnEntry::TooFewLegs)),
            (vec![debit(5)], Err(NotAnEntry::TooFewLegs)),
            (vec![debit(0), credit(0)], Err(NotAnEntry::AmountOutOfRange)),
            (vec![debit(-5), credit(-5)], Err(NotAnEntry::AmountOutOfRange)),
            (vec![debit(AMOUNT_MAX + 1), credit(AMOUNT_MAX + 1)], Err(NotAnEntry::AmountOutOfRange)),
            (vec![debit(5), credit(4)], Err(NotAnEntry::Unbalanced)),
            (vec![debit(5), debit(5)], Err(NotAnEntry::Unbalanced)),
            (vec![debit(5), leg(Side::Credit, 5, Currency::JPY)], Err(NotAnEntry::Unbalanced)),
        ];
        for (legs, expected) in table {
            assert_eq!(BalancedEntry::try_from(legs.clone()).map(|_| ()), expected, "{legs:?}");
        }
    }

    #[test]
    fn an_unbalanced_entry_cannot_be_read_back() {
        let entry = BalancedEntry::in_currency(Currency::USD)
            .transfer(Account::EquityOwner, Account::LiabilityTax, 7)
            .build()
            .unwrap();
        let text = serde_json::to_string(&entry).unwrap();
        assert_eq!(serde_json::from_str::<BalancedEntry>(&text).unwrap(), entry);
        let edited = text.replacen("\"amount\":7", "\"amount\":8", 1);
        assert!(serde_json::from_str::<BalancedEntry>(&edited).is_err());
    }

    #[test]
    fn nothing_moved_is_no_entry() {
        let entry = BalancedEntry::in_currency(Currency::USD)
            .transfer(Account::RevenueProcessing, Account::RecoveryChannelFee, 0)
            .build();
        assert_eq!(entry, None);
    }
}
