//! Asks for a withdrawal: the bank account is registered where it is new, the money is held, and the workflow begins, in
//! one entry.

use std::sync::Arc;

use domain::bank_account::{self, BankAccount, Registered};
use domain::bank_details::BankDetails;
use domain::merchant_account::{self, Holder, MerchantAccount};
use domain::withdrawal::{Command, Requested, Withdrawal};
use domain::{BankName, Decider, MerchantId, Money, WithdrawalId};

use super::money::both;
use super::{WithdrawalPolicy, Withdrawals};
use crate::executor::{CommandError, Issued};
use crate::merchant::standing::{self, Standing};
use crate::ports::{
    Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef, StreamState, nth_state,
};

#[derive(Debug, Clone)]
pub struct RequestWithdrawal {
    /// A fresh id; a repeat of the command keeps the first one's.
    pub withdrawal_id: WithdrawalId,
    pub merchant_id: MerchantId,
    pub amount: Money,
    pub bank_account: BankDetails,
    /// The principal who asks.
    pub requested_by: String,
}

/// A withdrawal ready to be decided on the newest state of everything that it depends on.
#[derive(Clone)]
struct Draft {
    asked: RequestWithdrawal,
    bank: BankName,
    account: Registered,
    policy: Arc<WithdrawalPolicy>,
    /// What the merchant has earned and not been settled, in minor units.
    pending: i128,
}

/// The withdrawal's own streams, in their order.
const BANK_ACCOUNT: usize = 0;
const MERCHANT_ACCOUNT: usize = 1;
const WITHDRAWAL: usize = 2;

impl Withdrawals {
    pub async fn request(&self, issued: Issued, asked: RequestWithdrawal) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let merchant_id = asked.merchant_id;
        let withdrawal = StreamRef::new::<Withdrawal>(asked.withdrawal_id.to_string(), Expected::New);
        let draft = match self.draft(asked).await {
            Ok(draft) => draft,
            Err(error) => return self.executor.refuse(issued, withdrawal, error).await,
        };
        let request = |standing| draft.clone().request(issued.clone(), standing);
        standing::execute(&self.executor, merchant_id, draft.account.registered_at, request).await
    }

    /// Everything that is fixed when a withdrawal is requested, but for what its merchant's terms decide.
    async fn draft(&self, asked: RequestWithdrawal) -> Result<Draft, CommandError> {
        let (merchant_id, currency) = (asked.merchant_id, asked.amount.currency());
        let bank = self.bank.as_ref().ok_or_else(|| CommandError::Unavailable("no bank is configured".to_owned()))?;
        if !bank.expresses(asked.amount) {
            let detail = format!("the bank cannot transfer {currency}");
            return Err(CommandError::ruled_out("currency_not_supported_by_bank", "/currency", detail));
        }
        let account = self.account(&asked).await?;
        let head = self.executor.store().head().await?;
        let pending = self.pending.pending(merchant_id, currency, head).await;
        let pending = pending.map_err(|error| CommandError::Unavailable(error.to_string()))?;
        Ok(Draft { asked, bank: bank.name().clone(), account, policy: self.policy.clone(), pending })
    }

    async fn account(&self, asked: &RequestWithdrawal) -> Result<Registered, CommandError> {
        let bank_account_id = self.account_id(asked.merchant_id, &asked.bank_account);
        let sealed = self.seal_details(asked.merchant_id, bank_account_id, &asked.bank_account).await?;
        Ok(Registered {
            bank_account_id,
            merchant_id: asked.merchant_id,
            sealed,
            registered_by: asked.requested_by.clone(),
            registered_at: self.clock.now(),
        })
    }
}

impl Draft {
    fn request(self, issued: Issued, standing: Standing) -> Request {
        let holder = Holder { merchant_id: self.asked.merchant_id, currency: self.asked.amount.currency() };
        let withdrawal_id = self.asked.withdrawal_id.to_string();
        Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: withdrawal_id.clone(),
            streams: standing.behind([
                StreamRef::new::<BankAccount>(self.account.bank_account_id.to_string(), Expected::Any),
                StreamRef::new::<MerchantAccount>(holder.stream_id(), Expected::Any),
                StreamRef::new::<Withdrawal>(withdrawal_id, Expected::New),
            ]),
            decide: Arc::new(move |states| self.decide(states, &standing).unwrap_or_else(Decision::Reject)),
        }
    }

    fn decide(&self, states: &[StreamState], standing: &Standing) -> Result<Decision, RejectionRecord> {
        let in_force = standing.in_force(states);
        in_force.may_withdraw()?;
        let account = nth_state::<MerchantAccount>(states, MERCHANT_ACCOUNT);
        let worth = self.of_the_day(account).and_then(|sum| standing.in_usd(states, sum).ok()).map(|worth| worth.usd);
        let terms = self.terms(approvals(worth, in_force.thresholds.withdrawal_two_person));
        let register = bank_account::Command::Register(self.account.clone());
        let registered = BankAccount::decide(nth_state::<BankAccount>(states, BANK_ACCOUNT), register)?;
        let registered = registered.into_iter().map(|event| NewEvent::of(BANK_ACCOUNT, event));
        let request = Command::Request(terms.clone());
        Ok(match both(states, (MERCHANT_ACCOUNT, WITHDRAWAL), &terms, request, self.pending) {
            Decision::Append(events) => Decision::Append(registered.chain(events).collect()),
            rejected => rejected,
        })
    }

    /// With what was withdrawn in this currency in the day before: many small withdrawals are one large one. None if it
    /// is more than an amount of money can be.
    fn of_the_day(&self, account: &merchant_account::State) -> Option<Money> {
        let asked = self.asked.amount;
        let sum = account.withdrawn_lately(self.account.registered_at) + i128::from(asked.minor());
        Money::new(i64::try_from(sum).ok()?, asked.currency()).ok()
    }

    fn terms(&self, approvals_needed: u32) -> Requested {
        let (asked, currency) = (&self.asked, self.asked.amount.currency());
        Requested {
            withdrawal_id: asked.withdrawal_id,
            merchant_id: asked.merchant_id,
            amount: asked.amount.minor(),
            fee: self.policy.fee(currency),
            fee_policy: self.policy.fee_policy,
            currency,
            bank_account_id: self.account.bank_account_id,
            bank: self.bank.clone(),
            approvals_needed,
            requested_by: asked.requested_by.clone(),
            requested_at: self.account.registered_at,
        }
    }
}

/// Two above the threshold, and where nobody knows what it is worth. Minor units of USD.
fn approvals(worth: Option<i64>, threshold: i64) -> u32 {
    if worth.is_some_and(|worth| worth <= threshold) { 1 } else { 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_above_the_threshold_needs_two_people() {
        for (worth, people) in [(Some(0), 1), (Some(1_000_000), 1), (Some(1_000_001), 2), (None, 2)] {
            assert_eq!(approvals(worth, 1_000_000), people, "{worth:?}");
        }
    }
}
