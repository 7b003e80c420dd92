//! An amount with its currency, in integer minor units. Arithmetic is checked and never crosses currencies.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use crate::Currency;

/// The largest amount of one object in minor units: 10^15 - 1, exact in every JSON reader.
pub const AMOUNT_MAX: i64 = 999_999_999_999_999;

/// A non-negative amount of at most [`AMOUNT_MAX`] minor units of `currency`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("an amount cannot be negative")]
    Negative,
    #[error("an amount is at most 999999999999999 minor units")]
    TooLarge,
    #[error("amounts of different currencies cannot be combined")]
    CurrencyMismatch,
}

impl Money {
    pub fn new(minor: i64, currency: Currency) -> Result<Money, MoneyError> {
        match minor {
            ..0 => Err(MoneyError::Negative),
            0..=AMOUNT_MAX => Ok(Money { minor, currency }),
            _ => Err(MoneyError::TooLarge),
        }
    }

    pub fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    pub fn minor(&self) -> i64 {
        self.minor
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }

    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        Money::new(self.minor.checked_add(other.minor).ok_or(MoneyError::TooLarge)?, self.currency)
    }

    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        self.same_currency(other)?;
        Money::new(self.minor.checked_sub(other.minor).ok_or(MoneyError::Negative)?, self.currency)
    }

    /// `amount x rate`, rounded half up (away from zero) to the minor unit.
    pub fn fee_at(self, rate: Decimal) -> Result<Money, MoneyError> {
        let exact = Decimal::from(self.minor).checked_mul(rate).ok_or(MoneyError::TooLarge)?;
        let rounded = exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
        Money::new(rounded.to_i64().ok_or(MoneyError::TooLarge)?, self.currency)
    }

    fn same_currency(self, other: Money) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::CurrencyMismatch) }
    }
}

/// `amount x rate` for an amount of money and a rate of 0 to 1, rounded half up to the minor unit: 0 to `amount`.
pub(crate) fn fee_at(amount: i64, rate: Decimal) -> i64 {
    let exact = Decimal::from(amount).saturating_mul(rate);
    let rounded = exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    rounded.to_i64().unwrap_or(amount).clamp(0, amount.max(0))
}

/// `floor(share x part / whole)` for a `part` of a non-zero `whole`: how much of `share` belongs to `part`.
/// With `part <= whole` the result never exceeds `share`. All in minor units of one currency.
pub fn floor_share(share: i64, part: i64, whole: i64) -> i64 {
    if whole == 0 {
        return 0;
    }
    let exact = i128::from(share) * i128::from(part);
    i64::try_from(exact.div_euclid(i128::from(whole))).unwrap_or(share)
}

/// Splits `total` by `weights`: every share is floored, the remainder is handed out one unit at a time, top down.
/// The shares sum to `total` exactly; without a positive weight the first share takes all.
pub fn split(total: i64, weights: &[u32]) -> Vec<i64> {
    let sum: i64 = weights.iter().map(|weight| i64::from(*weight)).sum();
    let mut shares: Vec<i64> = weights.iter().map(|weight| floor_share(total, i64::from(*weight), sum)).collect();
    let mut rest = total - shares.iter().sum::<i64>();
    if sum == 0 {
        if let Some(first) = shares.first_mut() {
            *first = rest;
        }
        return shares;
    }
    for share in &mut shares {
        if rest == 0 {
            break;
        }
        *share += 1;
        rest -= 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd(minor: i64) -> Money {
        Money::new(minor, Currency::USD).unwrap()
    }

    #[test]
    fn bounds_and_currencies_are_checked() {
        assert_eq!(Money::new(-1, Currency::USD), Err(MoneyError::Negative));
        assert_eq!(Money::new(AMOUNT_MAX + 1, Currency::USD), Err(MoneyError::TooLarge));
        assert_eq!(usd(AMOUNT_MAX).checked_add(usd(1)), Err(MoneyError::TooLarge));
        assert_eq!(usd(1).checked_sub(usd(2)), Err(MoneyError::Negative));
        assert_eq!(usd(1).checked_add(Money::zero(Currency::JPY)), Err(MoneyError::CurrencyMismatch));
    }

    #[test]
    fn fees_round_half_up() {
        let rate = |text: &str| text.parse::<Decimal>().unwrap();
        let table = [
            (10_000, "0.008", 80),
            (10_000, "0.01", 100),
            (50, "0.01", 1),
            (49, "0.01", 0),
            (150, "0.01", 2),
            (1, "0.003", 0),
        ];
        for (amount, text, fee) in table {
            assert_eq!(usd(amount).fee_at(rate(text)), Ok(usd(fee)), "{amount} at {text}");
        }
    }

    proptest! {
        #[test]
        fn a_split_keeps_its_total(total in 0..=AMOUNT_MAX, weights in prop::collection::vec(0_u32..1_000, 1..9)) {
            let shares = split(total, &weights);
            prop_assert_eq!(shares.iter().sum::<i64>(), total);
            prop_assert!(shares.iter().all(|share| *share >= 0));
        }

        #[test]
        fn adding_and_taking_away_is_neutral(a in 0..=AMOUNT_MAX, b in 0..=AMOUNT_MAX) {
            if let Ok(sum) = usd(a).checked_add(usd(b)) {
                prop_assert_eq!(sum.checked_sub(usd(b)), Ok(usd(a)));
            } else {
                prop_assert!(a + b > AMOUNT_MAX);
            }
        }

        #[test]
        fn a_fee_never_panics(amount in 0..=AMOUNT_MAX, rate in any::<i64>(), scale in 0_u32..28) {
            let _ = usd(amount).fee_at(Decimal::new(rate, scale));
        }
    }
}
