//! Records what a channel said about a charge or a refund, whoever heard it: the saga, a webhook, a poller.

use std::sync::Arc;

use domain::order_claim::{self, Holder, OrderClaim};
use domain::payment::{ChargeOutcome, Command, Created, Event, Payment, PaymentRejection, RefundOutcome, RefundStatus};
use domain::pre_auth::PreAuth;
use domain::{Decider, PaymentId, RefundId, Rejection, Timestamp};

use super::refund::refund_order;
use super::{Payments, limits, payment_events};
use crate::executor::{CommandError, Issued};
use crate::ports::{
    ChannelAnswer, Decision, Expected, NewEvent, Receipt, RefundAnswer, Request, StreamRef, StreamState, nth_state,
    state_of,
};
use crate::{order, pre_auth};

impl Payments {
    /// Records the channel's answer about the charge. In the same entry, what the payment no longer needs of its merchant's
    /// limits is given back, an order number whose payment ended without money is freed, and one whose payment succeeded
    /// after that is claimed again, unless another payment has it; a capture's outcome is carried to its pre-auth, and
    /// where the payment stands to its order.
    pub async fn record_charge(
        &self,
        issued: Issued,
        payment_id: PaymentId,
        answer: ChannelAnswer,
    ) -> Result<Receipt, CommandError> {
        let payment = self.load(payment_id).await?;
        let terms = &state_of::<Payment>(&payment).record().ok_or_else(unknown_payment)?.terms;
        let outcome = match answer {
            ChannelAnswer::Captured { channel_reference, amount, fee } => {
                ChargeOutcome::Captured { channel_reference, amount, fee }
            }
            ChannelAnswer::ActionRequired { channel_reference, url } => match self.seal_text(terms, &url).await? {
                Some(action) => ChargeOutcome::ActionRequired { channel_reference, action },
                // Nobody may be shown the page of a customer who was erased.
                None => ChargeOutcome::Accepted { channel_reference },
            },
            ChannelAnswer::Accepted { channel_reference } => ChargeOutcome::Accepted { channel_reference },
            ChannelAnswer::Declined { channel_reference, failure } => {
                ChargeOutcome::Declined { channel_reference, failure }
            }
            ChannelAnswer::Voided => ChargeOutcome::Voided,
            ChannelAnswer::NotFound | ChannelAnswer::Unknown { .. } => ChargeOutcome::Unknown,
        };
        let at = self.clock.now();
        let command = Command::RecordCharge { outcome, at };
        let claim_stream = order_claim::stream_id(terms.merchant_id, &terms.order_no);
        let pre_auth = terms.pre_auth_id.map(|id| StreamRef::new::<PreAuth>(id.to_string(), Expected::Any));
        let terms = terms.clone();
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: payment_id.to_string(),
            streams: [
                StreamRef::new::<Payment>(payment_id.to_string(), Expected::Any),
                StreamRef::new::<OrderClaim>(claim_stream, Expected::Any),
            ]
            .into_iter()
            .chain(pre_auth)
            .chain(limits::stream_of(&terms))
            .chain(order::stream_of(&terms))
            .collect(),
            decide: Arc::new(move |states| decide_outcome(states, &terms, command.clone(), at)),
        };
        self.execute_and_count(request).await
    }

    pub async fn record_refund(
        &self,
        issued: Issued,
        payment_id: PaymentId,
        refund_id: RefundId,
        answer: RefundAnswer,
    ) -> Result<Receipt, CommandError> {
        let outcome = match self.made_sure(payment_id, refund_id, answer).await? {
            RefundAnswer::Succeeded { channel_reference, fee_returned } => {
                RefundOutcome::Succeeded { channel_reference, fee_returned }
            }
            RefundAnswer::Accepted { channel_reference } => RefundOutcome::Accepted { channel_reference },
            RefundAnswer::Failed { failure } => RefundOutcome::Failed(failure),
            RefundAnswer::NotFound | RefundAnswer::Unknown { .. } => RefundOutcome::Unknown,
        };
        let command = Command::RecordRefund { refund_id, outcome, at: self.clock.now() };
        let payment = self.load(payment_id).await?;
        let terms = state_of::<Payment>(&payment).record().map(|record| &record.terms);
        let (limit, order) = (terms.and_then(limits::stream_of), terms.and_then(order::stream_of));
        let order_index = 1 + usize::from(limit.is_some());
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: refund_id.to_string(),
            streams: std::iter::once(StreamRef::new::<Payment>(payment_id.to_string(), Expected::Any))
                .chain(limit)
                .chain(order)
                .collect(),
            decide: Arc::new(move |states| decide_refund(states, order_index, command.clone())),
        };
        self.execute_and_count(request).await
    }

    /// News of a success and of a failure may come in the wrong order. Once both were told of one refund, only what the
    /// channel says when asked is believed.
    async fn made_sure(
        &self,
        payment_id: PaymentId,
        refund_id: RefundId,
        told: RefundAnswer,
    ) -> Result<RefundAnswer, CommandError> {
        let payment = self.load(payment_id).await?;
        let Some(record) = state_of::<Payment>(&payment).record() else { return Ok(told) };
        let refund = record.capture().and_then(|capture| capture.refund(refund_id));
        let Some(refund) = refund.filter(|refund| contradicts(&refund.status, &told)) else { return Ok(told) };
        let name = &record.terms.channel;
        let channel = self.channels.get(name);
        let channel = channel.ok_or_else(|| CommandError::Unavailable(format!("channel {name} is not configured")))?;
        match channel.find_refund(&refund_order(record, refund)?).await {
            RefundAnswer::NotFound => Err(CommandError::Unavailable(format!("the channel does not know {refund_id}"))),
            RefundAnswer::Unknown { reason } => Err(CommandError::Unavailable(reason)),
            asked => Ok(asked),
        }
    }
}

fn contradicts(status: &RefundStatus, told: &RefundAnswer) -> bool {
    match told {
        RefundAnswer::Succeeded { .. } => matches!(status, RefundStatus::Failed(_)),
        RefundAnswer::Failed { .. } => matches!(status, RefundStatus::Succeeded { after_failure: true, .. }),
        _ => false,
    }
}

fn unknown_payment() -> CommandError {
    CommandError::Invalid {
        code: PaymentRejection::NotFound.code(),
        pointer: "/payment_id",
        detail: PaymentRejection::NotFound.to_string(),
    }
}

/// The payment first, then the claim, then the pre-auth: in a store that appends them one after the other, a capture
/// whose pre-auth has not heard of it still counts there as in flight.
fn decide_outcome(states: &[StreamState], terms: &Created, command: Command, at: Timestamp) -> Decision {
    let events = match payment_events(states, None, command) {
        Ok(events) => events,
        Err(rejection) => return Decision::Reject(rejection.into()),
    };
    let (captures, freed) = match terms.pre_auth_id {
        Some(_) => match pre_auth::capture_events(states, 2, terms.payment_id, &events, at) {
            Ok(captures) => {
                let freed = pre_auth::freed_claim(states, (2, 1), &captures);
                (captures, freed)
            }
            Err(rejection) => return Decision::Reject(rejection.into()),
        },
        None => (vec![], vec![]),
    };
    let holder = terms.pre_auth_id.map_or(Holder::Payment(terms.payment_id), Holder::PreAuth);
    let claim = events.iter().find_map(|event| match event {
        // The pre-auth keeps its place while another capture can still be made.
        Event::Failed(_) | Event::Cancelled { .. } | Event::Expired { .. } => {
            terms.pre_auth_id.is_none().then_some(order_claim::Command::Release { holder })
        }
        Event::Captured(_) => Some(order_claim::Command::Claim {
            merchant_id: terms.merchant_id,
            order_no: terms.order_no.clone(),
            holder,
        }),
        _ => None,
    });
    // The money of a late success is a fact: if another payment has the order by now, it is booked all the same.
    let claims = claim.and_then(|command| OrderClaim::decide(nth_state::<OrderClaim>(states, 1), command).ok());
    let claims = claims.unwrap_or_default().into_iter().map(|event| NewEvent::of(1, event)).chain(freed);
    let limit_index = if terms.pre_auth_id.is_some() { 3 } else { 2 };
    let limit = limits::adjusted(states, limit_index, &events);
    let order_index = limit_index + usize::from(terms.limit.is_some());
    let open = terms.pre_auth_id.map(|_| pre_auth::open_amount(states, 2, &captures));
    let order = order::followed(states, order_index, &events, open);
    let captures = captures.into_iter().map(|event| NewEvent::of(2, event));
    let events = events.into_iter().map(|event| NewEvent::of(0, event));
    Decision::Append(events.chain(claims).chain(captures).chain(limit).chain(order).collect())
}

fn decide_refund(states: &[StreamState], order_index: usize, command: Command) -> Decision {
    match payment_events(states, None, command) {
        Ok(events) => {
            let limit = limits::adjusted(states, 1, &events);
            let order = order::followed(states, order_index, &events, None);
            let events = events.into_iter().map(|event| NewEvent::of(0, event));
            Decision::Append(events.chain(limit).chain(order).collect())
        }
        Err(rejection) => Decision::Reject(rejection.into()),
    }
}
