//! Takes in what channels pay out: their payouts with the statements behind them, the fees that those tell, and what
//! finance says of a difference. Everything here may be done again at any time: a payout is known by its reference,
//! and it is booked last, so that what a crash left undone is done by the next round.

use std::sync::Arc;

use domain::channel_account::{self, ChannelAccount, Command, DifferenceReason, PayoutReceived};
use domain::payment::{ChannelFee, Payment};
use domain::{BankName, ChannelName, Currency, Decider, PaymentId};
use metrics::counter;
use sha2::{Digest, Sha256};

use crate::executor::{CommandError, Executor, Issued};
use crate::payment::Payments;
use crate::ports::channel::{Payout, PayoutsAnswer, StatementAnswer, StatementLine, StatementLineKind};
use crate::ports::{
    Category, Channel, ChannelAnswer, Decision, Expected, NewEvent, Receipt, Request, StreamRef, StreamState,
    nth_state, state_of,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct ChannelAccounts {
    pub payments: Payments,
    /// Where channels pay out to.
    pub bank: BankName,
}

impl ChannelAccounts {
    /// Takes in the payouts of every channel and answers how many were new. A channel that cannot be asked does not keep
    /// the others from it.
    pub async fn collect_payouts(&self) -> Result<u64, CommandError> {
        let names: Vec<ChannelName> = self.payments.channels.names().cloned().collect();
        let (mut taken, mut failed) = (0, None);
        for name in names {
            match self.take_payouts(&name).await {
                Ok(new) => taken += new,
                Err(error) => {
                    tracing::warn!(channel.name = %name, %error, "the channel's payouts could not be taken in");
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(taken), Err)
    }

    /// Takes in what the channel has paid out since, oldest first.
    pub async fn take_payouts(&self, name: &ChannelName) -> Result<u64, CommandError> {
        let channel = self.payments.channels.get(name);
        let channel = channel.ok_or_else(|| CommandError::Unavailable(format!("channel {name} is not configured")))?;
        let (mut taken, mut page) = (0, None);
        loop {
            let (payouts, next) = match channel.payouts(page.as_deref()).await {
                PayoutsAnswer::Page { payouts, next } => (payouts, next),
                PayoutsAnswer::Unsupported => return Ok(taken),
                PayoutsAnswer::Unknown { reason } => return Err(CommandError::Unavailable(reason)),
            };
            for payout in payouts {
                taken += u64::from(self.take(channel.as_ref(), payout).await?);
            }
            page = next;
            if page.is_none() {
                return Ok(taken);
            }
        }
    }

    /// What finance says of a payout's difference. `by` is a principal, not a key.
    pub async fn resolve(
        &self,
        issued: Issued,
        (channel, currency): (&ChannelName, Currency),
        payout: String,
        reason: DifferenceReason,
        by: String,
    ) -> Result<Receipt, CommandError> {
        let object = payout.clone();
        let command = Command::ResolveDifference { payout, reason, by, at: self.payments.clock.now() };
        self.decide(issued, object, channel, currency, command).await
    }

    /// Was it new? One that the books already know is not asked for its statement again.
    async fn take(&self, channel: &dyn Channel, payout: Payout) -> Result<bool, CommandError> {
        let stream = load(&self.payments.executor, channel.name(), payout.currency).await?;
        let known = state_of::<ChannelAccount>(&stream).payouts.get(&payout.reference);
        if known.is_some_and(|known| known.amount == payout.amount) {
            return Ok(false);
        }
        let lines = match channel.payout_statement(&payout.reference).await {
            StatementAnswer::Lines(lines) => lines,
            StatementAnswer::Unknown { reason } => return Err(CommandError::Unavailable(reason)),
        };
        for line in lines.iter().filter(|line| line.kind == StatementLineKind::Fee) {
            self.true_up(channel.name(), &payout, line).await?;
        }
        let received = received(channel.name(), &self.bank, &payout, &lines)?;
        let actor = format!("channel:{}", channel.name());
        // With what is told of it: another amount is another command, and refused, not a repeat of the first.
        let purpose = format!("payout:{}:{}:{}", payout.reference, received.amount, received.expected);
        let issued = Issued::internally(&actor, &purpose, &payout.reference);
        let command = Command::ReceivePayout(received);
        let receipt = self.decide(issued, payout.reference, channel.name(), payout.currency, command).await?;
        if let Some(rejection) = &receipt.rejection {
            counter!("payout_refused_total", "channel" => channel.name().to_string()).increment(1);
            tracing::error!(
                channel.name = %channel.name(), payout.reference = receipt.object, rejection.code = rejection.code,
                "a payout cannot be booked: it must be looked at"
            );
        }
        Ok(receipt.rejection.is_none() && !receipt.replayed)
    }

    /// The statement's word on the fee of a payment whose fee is an estimate still.
    async fn true_up(&self, channel: &ChannelName, payout: &Payout, line: &StatementLine) -> Result<(), CommandError> {
        let Ok(payment_id) = line.reference.parse::<PaymentId>() else { return Ok(()) };
        let purpose = format!("statement:{}:{payment_id}", payout.reference);
        let issued = Issued::internally(&format!("channel:{channel}"), &purpose, &payout.reference);
        true_up_fee(&self.payments, issued, payment_id, line.amount.checked_neg()).await
    }

    async fn decide(
        &self,
        issued: Issued,
        object: String,
        channel: &ChannelName,
        currency: Currency,
        command: Command,
    ) -> Result<Receipt, CommandError> {
        let decide = move |states: &[StreamState]| match ChannelAccount::decide(
            nth_state::<ChannelAccount>(states, 0),
            command.clone(),
        ) {
            Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
            Err(rejection) => Decision::Reject(rejection.into()),
        };
        let stream = channel_account::stream_id(channel, currency);
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object,
            streams: vec![StreamRef::new::<ChannelAccount>(stream, Expected::Any)],
            decide: Arc::new(decide),
        };
        self.payments.executor.execute(request).await
    }
}

/// What the channel says of a fee that is an estimate still; any other stays as it is.
pub(crate) async fn true_up_fee(
    payments: &Payments,
    issued: Issued,
    payment_id: PaymentId,
    fee: Option<i64>,
) -> Result<(), CommandError> {
    let payment = payments.load(payment_id).await?;
    let Some(record) = state_of::<Payment>(&payment).record() else { return Ok(()) };
    let (Some(capture), Some(channel_reference)) = (record.capture(), record.channel_reference.clone()) else {
        return Ok(());
    };
    if matches!(capture.channel_fee, ChannelFee::Estimated(_)) {
        let answer = ChannelAnswer::Captured { channel_reference, amount: capture.amount, fee };
        payments.record_charge(issued, payment_id, answer).await?;
    }
    Ok(())
}

/// The account of a channel in one currency as of its newest event.
pub async fn load(executor: &Executor, channel: &ChannelName, currency: Currency) -> Result<StreamState, CommandError> {
    let stream = channel_account::stream_id(channel, currency);
    Ok(executor.store().load(Category::of::<ChannelAccount>(), &stream).await?)
}

/// The payout as it is booked: what arrived, and what its statement adds up to.
fn received(
    channel: &ChannelName,
    bank: &BankName,
    payout: &Payout,
    lines: &[StatementLine],
) -> Result<PayoutReceived, CommandError> {
    let sum: i128 = lines.iter().map(|line| i128::from(line.amount)).sum();
    let too_large = |_| CommandError::Unavailable(format!("the statement of {} sums to {sum}", payout.reference));
    let text = serde_json::to_vec(lines).map_err(|error| CommandError::Bug(error.to_string()))?;
    let digest = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(PayoutReceived {
        channel: channel.clone(),
        currency: payout.currency,
        payout: payout.reference.clone(),
        bank: bank.clone(),
        amount: payout.amount,
        expected: i64::try_from(sum).map_err(too_large)?,
        statement_lines: lines.len() as u64,
        statement_digest: digest,
        paid_at: payout.paid_at,
    })
}
