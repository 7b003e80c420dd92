//! What we booked as paid out by the sandbox against what it says that it paid out. A payout that is not taken in yet is
//! no difference.

use std::collections::HashMap;

use domain::Currency;
use domain::channel_account::State;
use domain::invariants::Violation;
use serde::Deserialize;

/// One payout as the sandbox tells it; minor units.
#[derive(Debug, Clone, Deserialize)]
pub struct Payout {
    id: String,
    currency: Currency,
    amount: i64,
}

/// Answers how many payouts were compared.
pub fn compare<'a>(told: &[Payout], accounts: impl Iterator<Item = &'a State>) -> Result<u64, Violation> {
    let told: HashMap<&str, &Payout> = told.iter().map(|payout| (payout.id.as_str(), payout)).collect();
    let mut compared = 0;
    let booked = accounts.flat_map(|account| &account.payouts);
    for (reference, booked) in booked.filter(|(_, payout)| payout.channel.as_str() == "sandbox") {
        let same = told
            .get(reference.as_str())
            .is_some_and(|told| (told.amount, told.currency) == (booked.amount, booked.currency));
        if !same {
            let detail = format!("payout {reference} of {} {} is not the channel's", booked.amount, booked.currency);
            return Err(Violation::of(6, detail));
        }
        compared += 1;
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn booked(amount: i64) -> State {
        let payout = domain::channel_account::Payout {
            channel: "sandbox".parse().unwrap(),
            currency: Currency::USD,
            amount,
            expected: amount,
            resolution: None,
        };
        State { payouts: [("po_1".to_owned(), payout)].into(), ..State::default() }
    }

    #[test]
    fn a_payout_that_the_channel_does_not_know_is_named() {
        let told = |amount| Payout { id: "po_1".to_owned(), currency: Currency::USD, amount };
        assert_eq!(compare(&[told(990)], [&booked(990)].into_iter()), Ok(1));
        assert_eq!(compare(&[told(990)], std::iter::empty()), Ok(0));
        for told in [vec![], vec![told(991)]] {
            assert_eq!(compare(&told, [&booked(990)].into_iter()).unwrap_err().invariant, 6, "{told:?}");
        }
    }
}
