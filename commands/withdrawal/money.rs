//! Which money each step of a withdrawal moves, and the decision over both streams. Pure.

use domain::merchant_account::{
    self, Action, ContinueReturn, FailWithdrawal, HoldWithdrawal, Holder, MerchantAccount, MerchantAccountRejection,
    ReleaseCause,
};
use domain::withdrawal::{Command, Event, FeePolicy, Requested, Withdrawal};
use domain::{Decider, Timestamp};

use crate::ports::{Decision, NewEvent, StreamState, nth_state};

pub(super) fn holder_of(terms: &Requested) -> Holder {
    Holder { merchant_id: terms.merchant_id, currency: terms.currency }
}

/// Decides `command` on the withdrawal and what follows of it on the merchant's account: the streams at these places.
/// `pending` counts for a request alone.
pub(super) fn both(
    states: &[StreamState],
    (account, withdrawal): (usize, usize),
    terms: &Requested,
    command: Command,
    pending: i128,
) -> Decision {
    let steps = match Withdrawal::decide(nth_state::<Withdrawal>(states, withdrawal), command) {
        Ok(steps) => steps,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    match moves(nth_state::<MerchantAccount>(states, account), &steps, terms, pending) {
        Ok(moves) => {
            let moves = moves.into_iter().map(|event| NewEvent::of(account, event));
            Decision::Append(moves.chain(steps.into_iter().map(|event| NewEvent::of(withdrawal, event))).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}

/// What the steps do to the account, one after the other.
fn moves(
    account: &merchant_account::State,
    steps: &[Event],
    terms: &Requested,
    pending: i128,
) -> Result<Vec<merchant_account::Event>, MerchantAccountRejection> {
    let (mut account, mut moves) = (account.clone(), vec![]);
    for step in steps {
        let Some((action, at)) = action(step, terms, pending) else { continue };
        let command = merchant_account::Command { holder: holder_of(terms), action, at };
        for event in MerchantAccount::decide(&account, command)? {
            account = MerchantAccount::evolve(account, &event);
            moves.push(event);
        }
    }
    Ok(moves)
}

fn action(step: &Event, terms: &Requested, pending: i128) -> Option<(Action, Timestamp)> {
    let withdrawal_id = terms.withdrawal_id;
    let return_fee = terms.fee_policy == FeePolicy::Return;
    Some(match step {
        Event::Requested(requested) => {
            let Requested { amount, fee, requested_at, .. } = **requested;
            (Action::HoldWithdrawal(HoldWithdrawal { withdrawal_id, amount, fee, pending }), requested_at)
        }
        Event::Rejected(rejected) => {
            (Action::ReleaseWithdrawal { withdrawal_id, cause: ReleaseCause::Rejected }, rejected.rejected_at)
        }
        Event::Cancelled { cancelled_at, .. } => {
            (Action::ReleaseWithdrawal { withdrawal_id, cause: ReleaseCause::Cancelled }, *cancelled_at)
        }
        Event::Sent { sent_at, .. } => (Action::SendWithdrawal { withdrawal_id, bank: terms.bank.clone() }, *sent_at),
        Event::Paid { paid_at, .. } => (Action::RecordWithdrawalPaid { withdrawal_id }, *paid_at),
        Event::Failed(failed) => {
            let fail = FailWithdrawal { withdrawal_id, bank_fee: 0, return_fee };
            (Action::RecordWithdrawalFailed(fail), failed.failed_at)
        }
        Event::Returned(returned) if returned.before > 0 => {
            let (before, amount) = (returned.before, returned.amount);
            let part = ContinueReturn { withdrawal_id, bank: terms.bank.clone(), before, amount };
            (Action::ContinueReturn(part), returned.returned_at)
        }
        Event::Returned(returned) => {
            let fail = FailWithdrawal { withdrawal_id, bank_fee: terms.amount - returned.amount, return_fee };
            (Action::RecordWithdrawalFailed(fail), returned.returned_at)
        }
        Event::Approved(_) | Event::SendingStarted { .. } => return None,
    })
}
