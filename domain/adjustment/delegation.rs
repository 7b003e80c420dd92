//! Which adjustments a merchant's account posts in the adjustment's place, because it guards one of the accounts.

use crate::merchant_account::{Action, Adjust, Holder};
use crate::{Account, AccountType, AdjustmentId, BalancedEntry, Leg, Side};

/// A merchant's account and what it is asked to do there.
#[derive(Debug, Clone, PartialEq)]
pub struct Delegated {
    pub holder: Holder,
    pub action: Action,
}

/// What the entry asks of a merchant's account: a credit or debit of what is available against one account that nobody
/// guards, or that a debt is given up. None of any other entry.
pub(super) fn of(adjustment_id: AdjustmentId, entry: &BalancedEntry) -> Option<Delegated> {
    let [first, second] = entry.legs() else { return None };
    let (debit, credit) = if first.side == Side::Debit { (first, second) } else { (second, first) };
    let adjust = |counter: &Leg| Adjust { adjustment_id, counter: counter.account.clone(), amount: debit.amount };
    let (merchant_id, action) = match (&debit.account, &credit.account) {
        (Account::ExpenseMerchantLoss, Account::MerchantReceivable(merchant)) => {
            (*merchant, Action::WriteOff { adjustment_id, amount: debit.amount })
        }
        (counter, Account::MerchantAvailable(merchant)) if is_free(counter) => {
            (*merchant, Action::CreditAvailable(adjust(debit)))
        }
        (Account::MerchantAvailable(merchant), counter) if is_free(counter) => {
            (*merchant, Action::DebitAvailable(adjust(credit)))
        }
        _ => return None,
    };
    Some(Delegated { holder: Holder { merchant_id, currency: debit.currency }, action })
}

/// No single stream guards it, and it holds money. What is settled of `pending` is counted without the postings of the
/// merchant's account, so it is no counter account there.
fn is_free(account: &Account) -> bool {
    is_adjustable(account) && !matches!(account, Account::MerchantPending(_))
}

/// What one stream guards, only that stream may change: its state says what the account holds. An authorisation is no
/// money, and its account mirrors guarded ones.
pub(super) fn is_adjustable(account: &Account) -> bool {
    !account.has_one_guard() && account.account_type() != AccountType::Memo
}
