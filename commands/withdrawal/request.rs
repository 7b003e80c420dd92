//! Asks for a withdrawal: the bank account is registered where it is new, the money is held, and the workflow begins, in
//! one entry.

use std::sync::Arc;

use domain::bank_account::{self, BankAccount, Registered};
use domain::bank_details::BankDetails;
use domain::merchant_account::MerchantAccount;
use domain::withdrawal::{Command, Requested, Withdrawal};
use domain::{Decider, MerchantId, Money, Rejection, Timestamp, WithdrawalId};

use super::Withdrawals;
use super::money::{both, holder_of};
use crate::executor::{CommandError, Issued};
use crate::ports::{Bank, Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState, nth_state};
use crate::{merchant, rates};

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

impl Withdrawals {
    pub async fn request(&self, issued: Issued, asked: RequestWithdrawal) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let bank = self.bank.as_ref().ok_or_else(|| CommandError::Unavailable("no bank is configured".to_owned()))?;
        let account = self.account(&asked).await?;
        let approvals_needed = self.approvals_needed(&asked, account.registered_at).await?;
        let terms = self.terms_of(&asked, bank.as_ref(), &account, approvals_needed)?;
        let head = self.executor.store().head().await?;
        let pending = self.pending.pending(terms.merchant_id, terms.currency, head).await;
        let pending = pending.map_err(|error| CommandError::Unavailable(error.to_string()))?;
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: terms.withdrawal_id.to_string(),
            streams: vec![
                StreamRef::new::<BankAccount>(terms.bank_account_id.to_string(), Expected::Any),
                StreamRef::new::<MerchantAccount>(holder_of(&terms).stream_id(), Expected::Any),
                StreamRef::new::<Withdrawal>(terms.withdrawal_id.to_string(), Expected::New),
            ],
            decide: Arc::new(move |states| decide(states, &account, &terms, pending)),
        };
        self.executor.execute(request).await
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

    /// How many people must approve what a merchant that is not suspended asks for.
    async fn approvals_needed(&self, asked: &RequestWithdrawal, at: Timestamp) -> Result<u32, CommandError> {
        let agreed = merchant::terms(&self.executor, asked.merchant_id, at).await?;
        let agreed =
            agreed.ok_or_else(|| CommandError::Bug(format!("{} has a key but no terms", asked.merchant_id)))?;
        agreed.may_withdraw().map_err(|rejection| CommandError::Invalid {
            code: rejection.code(),
            pointer: rejection.pointer().unwrap_or_default(),
            detail: rejection.to_string(),
        })?;
        let worth = rates::load(&self.executor).await?.in_usd(asked.amount, at.to_datetime().date_naive());
        Ok(approvals(worth.map(|worth| worth.usd), agreed.thresholds.withdrawal_two_person))
    }

    /// Everything that is fixed when a withdrawal is requested.
    fn terms_of(
        &self,
        asked: &RequestWithdrawal,
        bank: &dyn Bank,
        account: &Registered,
        approvals_needed: u32,
    ) -> Result<Requested, CommandError> {
        let currency = asked.amount.currency();
        if !bank.expresses(asked.amount) {
            let detail = format!("the bank cannot transfer {currency}");
            return Err(CommandError::Invalid { code: "currency_not_supported_by_bank", pointer: "/currency", detail });
        }
        Ok(Requested {
            withdrawal_id: asked.withdrawal_id,
            merchant_id: asked.merchant_id,
            amount: asked.amount.minor(),
            fee: self.policy.fee(currency),
            fee_policy: self.policy.fee_policy,
            currency,
            bank_account_id: account.bank_account_id,
            bank: bank.name().clone(),
            approvals_needed,
            requested_by: asked.requested_by.clone(),
            requested_at: account.registered_at,
        })
    }
}

/// Two above the threshold, and where nobody knows what it is worth. Minor units of USD.
fn approvals(worth: Option<i64>, threshold: i64) -> u32 {
    if worth.is_some_and(|worth| worth <= threshold) { 1 } else { 2 }
}

fn decide(states: &[StreamState], account: &Registered, terms: &Requested, pending: i128) -> Decision {
    let command = bank_account::Command::Register(account.clone());
    let registered = match BankAccount::decide(nth_state::<BankAccount>(states, 0), command) {
        Ok(events) => events.into_iter().map(|event| NewEvent::of(0, event)),
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    match both(states, (1, 2), terms, Command::Request(terms.clone()), pending) {
        Decision::Append(events) => Decision::Append(registered.chain(events).collect()),
        rejected => rejected,
    }
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
