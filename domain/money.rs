//! An amount with its currency, in integer minor units. Made once, checked there; sums of money are made in the books.

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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_checked() {
        assert_eq!(Money::new(-1, Currency::USD), Err(MoneyError::Negative));
        assert_eq!(Money::new(AMOUNT_MAX + 1, Currency::USD), Err(MoneyError::TooLarge));
        assert_eq!(Money::new(AMOUNT_MAX, Currency::USD).map(|money| money.minor()), Ok(AMOUNT_MAX));
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
            assert_eq!(fee_at(amount, rate(text)), fee, "{amount} at {text}");
        }
    }

    proptest! {
        #[test]
        fn a_fee_lies_between_nothing_and_the_amount(amount in 0..=AMOUNT_MAX, rate in 0..=10_i64.pow(18)) {
            let fee = fee_at(amount, Decimal::new(rate, 18));
            prop_assert!((0..=amount).contains(&fee));
        }
    }
}
