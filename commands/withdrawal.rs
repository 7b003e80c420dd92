//! The use cases of a withdrawal and of the bank accounts that withdrawals go to: request, approve, reject, cancel, send,
//! and what the bank said. A step of the workflow and the money that it moves are one entry over both streams.

mod bank_details;
mod money;
mod news;
mod policy;
mod request;
mod sending;

use std::sync::Arc;

use domain::bank_account::{self, BankAccount};
use domain::merchant_account::MerchantAccount;
use domain::withdrawal::{Command, Event, Requested, Withdrawal, WithdrawalRejection};
use domain::{BankAccountId, Decider, MerchantId, Timestamp, WithdrawalId};

pub use policy::WithdrawalPolicy;
pub use request::RequestWithdrawal;

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{
    Bank, BlindIndex, Category, Clock, Decision, Expected, NewEvent, PendingBalance, Receipt, Request, StreamRef,
    StreamState, Subject, Vault, nth_state, state_of,
};
use money::{both, holder_of};

/// Everything that the use cases of a withdrawal need. Cheap to clone.
#[derive(Clone)]
pub struct Withdrawals {
    pub executor: Executor,
    pub vault: Arc<dyn Vault>,
    pub index: Arc<dyn BlindIndex>,
    pub pending: Arc<dyn PendingBalance>,
    /// None where this installation pays nobody out.
    pub bank: Option<Arc<dyn Bank>>,
    pub policy: Arc<WithdrawalPolicy>,
    pub clock: Arc<dyn Clock>,
}

impl Withdrawals {
    /// The withdrawal as of its newest event.
    pub async fn load(&self, withdrawal_id: WithdrawalId) -> Result<StreamState, CommandError> {
        Ok(self.executor.store().load(Category::of::<Withdrawal>(), &withdrawal_id.to_string()).await?)
    }

    /// What was fixed when the withdrawal was requested; `owner` restricts it to one merchant's withdrawals.
    async fn terms(&self, withdrawal_id: WithdrawalId, owner: Option<MerchantId>) -> Result<Requested, CommandError> {
        let stream = self.load(withdrawal_id).await?;
        let terms = state_of::<Withdrawal>(&stream).record().map(|record| record.terms.clone());
        let terms = terms.filter(|terms| owner.is_none_or(|owner| owner == terms.merchant_id));
        terms.ok_or_else(|| CommandError::refused(WithdrawalRejection::NotFound))
    }

    /// The bank account as of its newest event.
    pub async fn load_account(&self, bank_account_id: BankAccountId) -> Result<StreamState, CommandError> {
        Ok(self.executor.store().load(Category::of::<BankAccount>(), &bank_account_id.to_string()).await?)
    }

    /// One person's yes. It carries the approval of a bank account that nobody has approved yet; nothing is sent there
    /// before the account has cooled off.
    pub async fn approve(
        &self,
        issued: Issued,
        withdrawal_id: WithdrawalId,
        by: &str,
    ) -> Result<Receipt, CommandError> {
        let terms = match self.terms(withdrawal_id, None).await {
            Ok(terms) => terms,
            Err(error) => return self.executor.refuse(issued, stream_of(withdrawal_id), error).await,
        };
        let (by, at, cooling_off) = (by.to_owned(), self.clock.now(), self.policy.cooling_off);
        let account = bank_account::Command::Approve { by: by.clone(), cooling_off, at };
        let approve = move |usable_from| Command::Approve { by: by.clone(), usable_from, at };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: withdrawal_id.to_string(),
            streams: vec![
                StreamRef::new::<BankAccount>(terms.bank_account_id.to_string(), Expected::Any),
                stream_of(withdrawal_id),
            ],
            decide: Arc::new(move |states| decide_approval(states, &account, &approve, at)),
        };
        self.executor.execute(request).await
    }

    /// One person's no, for good. The money goes back to what is available.
    pub async fn reject(
        &self,
        issued: Issued,
        withdrawal_id: WithdrawalId,
        by: &str,
        reason: Option<String>,
    ) -> Result<Receipt, CommandError> {
        let terms = match self.terms(withdrawal_id, None).await {
            Ok(terms) => terms,
            Err(error) => return self.executor.refuse(issued, stream_of(withdrawal_id), error).await,
        };
        let reason = match reason {
            Some(reason) => {
                let subject = Subject { merchant_id: terms.merchant_id, customer: None };
                Some(self.vault.seal(&subject, &withdrawal_id.to_string(), reason.as_bytes()).await?)
            }
            None => None,
        };
        let command = Command::Reject { by: by.to_owned(), reason, at: self.clock.now() };
        self.decide_with_money(issued, &terms, command).await
    }

    /// The merchant changes its mind, as long as nothing has gone to the bank.
    pub async fn cancel(
        &self,
        issued: Issued,
        withdrawal_id: WithdrawalId,
        owner: MerchantId,
    ) -> Result<Receipt, CommandError> {
        match self.terms(withdrawal_id, Some(owner)).await {
            Ok(terms) => self.decide_with_money(issued, &terms, Command::Cancel { at: self.clock.now() }).await,
            Err(error) => self.executor.refuse(issued, stream_of(withdrawal_id), error).await,
        }
    }

    /// Finance lets an account be used before anybody withdraws to it again.
    pub async fn approve_account(
        &self,
        issued: Issued,
        bank_account_id: BankAccountId,
        by: &str,
    ) -> Result<Receipt, CommandError> {
        let (cooling_off, at) = (self.policy.cooling_off, self.clock.now());
        let command = bank_account::Command::Approve { by: by.to_owned(), cooling_off, at };
        let decide = move |states: &[StreamState]| match BankAccount::decide(
            nth_state::<BankAccount>(states, 0),
            command.clone(),
        ) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: bank_account_id.to_string(),
            streams: vec![StreamRef::new::<BankAccount>(bank_account_id.to_string(), Expected::Any)],
            decide: Arc::new(decide),
        };
        self.executor.execute(request).await
    }

    /// The step and the money that it moves. The money comes before the workflow: where entries are appended one after
    /// the other, a step that is not noted yet is taken again, and the account knows that it was.
    async fn decide_with_money(
        &self,
        issued: Issued,
        terms: &Requested,
        command: Command,
    ) -> Result<Receipt, CommandError> {
        let withdrawal_id = terms.withdrawal_id.to_string();
        let terms = terms.clone();
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: withdrawal_id.clone(),
            streams: vec![
                StreamRef::new::<MerchantAccount>(holder_of(&terms).stream_id(), Expected::Any),
                StreamRef::new::<Withdrawal>(withdrawal_id, Expected::Any),
            ],
            decide: Arc::new(move |states| both(states, (0, 1), &terms, command.clone(), 0)),
        };
        self.executor.execute(request).await
    }
}

fn stream_of(withdrawal_id: WithdrawalId) -> StreamRef {
    StreamRef::new::<Withdrawal>(withdrawal_id.to_string(), Expected::Any)
}

/// The withdrawal speaks first: what it would refuse is not told to be the account's fault.
fn decide_approval(
    states: &[StreamState],
    account: &bank_account::Command,
    approve: &dyn Fn(Timestamp) -> Command,
    at: Timestamp,
) -> Decision {
    let withdrawal = nth_state::<Withdrawal>(states, 1);
    if let Err(rejection) = Withdrawal::decide(withdrawal, approve(at)) {
        return Decision::Reject(rejection.into());
    }
    let before = nth_state::<BankAccount>(states, 0);
    let approved = match BankAccount::decide(before, account.clone()) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    let after = approved.iter().fold(before.clone(), BankAccount::evolve);
    let approval = after.record().and_then(|record| record.approval.as_ref());
    let usable_from = approval.map_or(at, |approval| approval.usable_from);
    match Withdrawal::decide(withdrawal, approve(usable_from)) {
        Ok(events) => {
            let approved = approved.into_iter().map(|event| NewEvent::of(0, event));
            let events: Vec<Event> = events;
            Decision::Append(approved.chain(events.into_iter().map(|event| NewEvent::of(1, event))).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}
