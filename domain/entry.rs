//! Double entry. An entry is built from transfers, each of which debits one account and credits another with
//! the same amount, so an unbalanced entry cannot be written down.

use crate::{Account, Currency};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    Debit,
    Credit,
}

/// One line of an entry: a positive amount in minor units on one side of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub account: Account,
    pub side: Side,
    pub amount: i64,
    pub currency: Currency,
}

/// The posting of exactly one event; balanced per currency by construction, never empty of value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalancedEntry {
    legs: Vec<Leg>,
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

    #[test]
    fn nothing_moved_is_no_entry() {
        let entry = BalancedEntry::in_currency(Currency::USD)
            .transfer(Account::RevenueProcessing, Account::RecoveryChannelFee, 0)
            .build();
        assert_eq!(entry, None);
    }
}
