//! The use cases of a dispute: what a channel told of it, what the merchant answers, and finding those of which no
//! webhook came. What moves money goes to the payment and what is to be done to the dispute, in one entry.

use std::sync::Arc;
use std::time::Duration;

use domain::dispute::{self, Dispute, Opened, Outcome, Stage};
use domain::payment::{self, Closing, Created, Payment, PaymentRejection};
use domain::{ChannelName, Decider, DisputeId, MerchantId, PaymentId, Rejection, Sealed, Timestamp};

use crate::executor::{CommandError, Issued};
use crate::order;
use crate::payment::Payments;
use crate::ports::{
    Category, Channel, Decision, DisputeAnswer, DisputeOrder, DisputeReport, Expected, NewEvent, Receipt,
    ReportedStage, Request, StreamRef, StreamState, nth_state, state_of,
};

/// How far back a node looks for disputes that it may have missed when it starts.
const MISSED_WITHIN: Duration = Duration::from_secs(90 * 24 * 3600);
/// Channels list what is new a little late.
const LISTED_WITHIN: Duration = Duration::from_secs(10 * 60);

/// Cheap to clone.
#[derive(Clone)]
pub struct Disputes {
    pub payments: Payments,
}

/// The evidence's idempotency key at the channel. Never derived from the attempt.
pub fn evidence_key(dispute_id: DisputeId) -> String {
    format!("{dispute_id}:evidence")
}

/// The acceptance's idempotency key at the channel.
pub fn acceptance_key(dispute_id: DisputeId) -> String {
    format!("{dispute_id}:accept")
}

/// An answer of the merchant as it goes to the channel.
pub fn dispute_order(record: &dispute::Record, key: String) -> DisputeOrder {
    DisputeOrder { key, channel_reference: record.terms.channel_reference.clone() }
}

impl Disputes {
    /// The dispute as of its newest event.
    pub async fn load(&self, dispute_id: DisputeId) -> Result<StreamState, CommandError> {
        Ok(self.payments.executor.store().load(Category::of::<Dispute>(), &dispute_id.to_string()).await?)
    }

    /// Takes the merchant's evidence; the saga hands it in. `owner` restricts it to one merchant's disputes.
    pub async fn submit_evidence(
        &self,
        issued: Issued,
        dispute_id: DisputeId,
        owner: MerchantId,
        text: &str,
    ) -> Result<Receipt, CommandError> {
        if let Some(receipt) = self.payments.executor.replay(&issued).await? {
            return Ok(receipt);
        }
        let stream = self.load(dispute_id).await?;
        let evidence = match state_of::<Dispute>(&stream).record() {
            Some(record) if record.terms.merchant_id == owner => match self.seal(&record.terms, text).await {
                Ok(evidence) => Some(evidence),
                Err(error) => {
                    let dispute = StreamRef::new::<Dispute>(dispute_id.to_string(), Expected::Any);
                    return self.payments.executor.refuse(issued, dispute, error).await;
                }
            },
            _ => None,
        };
        let at = self.payments.clock.now();
        let command = evidence.map(|evidence| dispute::Command::SubmitEvidence { evidence, at });
        self.decide(issued, dispute_id, Some(owner), command).await
    }

    /// Gives the disputed money up; the saga tells the channel.
    pub async fn accept(
        &self,
        issued: Issued,
        dispute_id: DisputeId,
        owner: MerchantId,
    ) -> Result<Receipt, CommandError> {
        let command = dispute::Command::Accept { at: self.payments.clock.now() };
        self.decide(issued, dispute_id, Some(owner), Some(command)).await
    }

    /// The channel has taken the merchant's acceptance, else its evidence.
    pub async fn record_sent(
        &self,
        issued: Issued,
        dispute_id: DisputeId,
        acceptance: bool,
    ) -> Result<Receipt, CommandError> {
        let command = dispute::Command::RecordSent { acceptance, at: self.payments.clock.now() };
        self.decide(issued, dispute_id, None, Some(command)).await
    }

    /// The text of evidence; none once its subject was erased.
    pub async fn open_evidence(
        &self,
        record: &dispute::Record,
        sealed: &Sealed,
    ) -> Result<Option<String>, CommandError> {
        self.payments.open_text(&self.terms_of(record.terms.payment_id).await?, sealed).await
    }

    async fn seal(&self, terms: &Opened, text: &str) -> Result<Sealed, CommandError> {
        let payment = self.terms_of(terms.payment_id).await?;
        self.payments.seal_text(&payment, text).await?.ok_or_else(|| {
            let detail = "the customer of this payment was erased, so nothing can be kept about the payment";
            CommandError::ruled_out("customer_erased", "/text", detail.to_owned())
        })
    }

    async fn terms_of(&self, payment_id: PaymentId) -> Result<Created, CommandError> {
        let stream = self.payments.load(payment_id).await?;
        let record = state_of::<Payment>(&stream).record();
        record.map(|record| record.terms.clone()).ok_or_else(|| CommandError::Bug(format!("{payment_id} is missing")))
    }

    async fn decide(
        &self,
        issued: Issued,
        dispute_id: DisputeId,
        owner: Option<MerchantId>,
        command: Option<dispute::Command>,
    ) -> Result<Receipt, CommandError> {
        let decide = move |states: &[StreamState]| {
            let state = nth_state::<Dispute>(states, 0);
            let record = state.record().filter(|record| owner.is_none_or(|owner| owner == record.terms.merchant_id));
            let decided = match (record, &command) {
                (Some(_), Some(command)) => Dispute::decide(state, command.clone()),
                _ => Err(dispute::DisputeRejection::NotFound),
            };
            match decided {
                Ok(events) => Decision::Append(events.into_iter().map(|event| NewEvent::of(0, event)).collect()),
                Err(rejection) => Decision::Reject(rejection.into()),
            }
        };
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: dispute_id.to_string(),
            streams: vec![StreamRef::new::<Dispute>(dispute_id.to_string(), Expected::Any)],
            decide: Arc::new(decide),
        };
        self.payments.executor.execute(request).await
    }

    /// What a channel says when it is asked for a dispute; none if it knows no such dispute.
    pub async fn ask(&self, channel: &ChannelName, reference: &str) -> Result<Option<DisputeReport>, CommandError> {
        match self.channel(channel)?.find_dispute(reference).await {
            DisputeAnswer::Told(report) => Ok(Some(report)),
            DisputeAnswer::NotFound => Ok(None),
            DisputeAnswer::Refused { code } => Err(CommandError::Unavailable(format!("the channel refuses: {code}"))),
            DisputeAnswer::Unknown { reason } => Err(CommandError::Unavailable(reason)),
        }
    }

    fn channel(&self, name: &ChannelName) -> Result<&Arc<dyn Channel>, CommandError> {
        let channel = self.payments.channels.get(name);
        channel.ok_or_else(|| CommandError::Unavailable(format!("channel {name} is not configured")))
    }

    /// Records what the channel told. News may come in any order: where it contradicts what is known, only what the
    /// channel says when asked is believed. A payment whose capture is not known yet is waited for.
    pub async fn record(
        &self,
        issued: Issued,
        channel: &ChannelName,
        told: DisputeReport,
    ) -> Result<Receipt, CommandError> {
        let payment_id = told.payment_id.ok_or_else(|| CommandError::Bug("a dispute without a payment".to_owned()))?;
        let payment = self.payments.load(payment_id).await?;
        let told = self.made_sure(&payment, channel, told).await?;
        let record = state_of::<Payment>(&payment).record().ok_or_else(unknown_payment)?;
        if record.terms.channel != *channel {
            return Err(unknown_payment());
        }
        let recording = Recording::of(&record.terms, &told, self.payments.clock.now())?;
        let dispute_id = recording.dispute.terms.dispute_id;
        let request = Request {
            metadata: issued.metadata,
            fingerprint: issued.fingerprint,
            object: dispute_id.to_string(),
            streams: [
                StreamRef::new::<Payment>(payment_id.to_string(), Expected::Any),
                StreamRef::new::<Dispute>(dispute_id.to_string(), Expected::Any),
            ]
            .into_iter()
            .chain(order::stream_of(&record.terms))
            .collect(),
            decide: Arc::new(move |states| recording.decide(states)),
        };
        self.payments.execute_and_count(request).await
    }

    async fn made_sure(
        &self,
        payment: &StreamState,
        channel: &ChannelName,
        told: DisputeReport,
    ) -> Result<DisputeReport, CommandError> {
        let state = state_of::<Payment>(payment);
        let record = state.record().ok_or_else(unknown_payment)?;
        let recording = Recording::of(&record.terms, &told, self.payments.clock.now())?;
        let Some(money) = recording.money else { return Ok(told) };
        match Payment::decide(state, payment::Command::RecordDispute(money)) {
            Err(PaymentRejection::NotCaptured) => {
                Err(CommandError::Unavailable(format!("the capture of {} is not known yet", record.payment_id())))
            }
            Err(PaymentRejection::ContradictsDispute) => {
                let reference = told.channel_reference;
                let unknown = || CommandError::Unavailable(format!("the channel does not know dispute {reference}"));
                self.ask(channel, &reference).await?.ok_or_else(unknown)
            }
            _ => Ok(told),
        }
    }

    /// Asks every channel for disputes that no webhook told of: at first for those of the last 90 days, then for what
    /// began since the last call that asked them all. `from` is kept by the caller; answers how many were recorded.
    pub async fn find_missed(&self, from: &mut Option<Timestamp>) -> Result<usize, CommandError> {
        let now = self.payments.clock.now();
        let since = from.unwrap_or_else(|| before(now, MISSED_WITHIN));
        let (mut recorded, mut failed) = (0, None);
        for name in self.payments.channels.names().cloned().collect::<Vec<_>>() {
            match self.find_missed_of(&name, since).await {
                Ok(found) => recorded += found,
                Err(error) => {
                    tracing::warn!(channel.name = %name, %error, "the channel's disputes could not be looked through");
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        *from = Some(before(now, LISTED_WITHIN));
        Ok(recorded)
    }

    /// What can never be booked is told to a person, and keeps no other dispute waiting.
    async fn find_missed_of(&self, name: &ChannelName, since: Timestamp) -> Result<usize, CommandError> {
        let listed = self.channel(name)?.disputes_since(since).await.map_err(CommandError::Unavailable)?;
        let mut recorded = 0;
        for report in listed {
            let reference = report.channel_reference.clone();
            match self.record_missed(name, report).await {
                Ok(is_new) => recorded += usize::from(is_new),
                Err(CommandError::Invalid { code, .. }) => {
                    tracing::error!(channel.name = %name, dispute.reference = reference, code, "a dispute cannot be booked");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(recorded)
    }

    /// A dispute that is known is followed by its own saga.
    async fn record_missed(&self, channel: &ChannelName, report: DisputeReport) -> Result<bool, CommandError> {
        let Some(payment_id) = report.payment_id else { return Ok(false) };
        let dispute_id = DisputeId::of(payment_id, channel, &report.channel_reference);
        let known = self.load(dispute_id).await?.version > 0;
        let payment = self.payments.load(payment_id).await?;
        let Some(record) = state_of::<Payment>(&payment).record().filter(|record| !known && record.capture().is_some())
        else {
            return Ok(false);
        };
        let purpose = format!("{dispute_id}:{}", payment.version);
        let issued = Issued::internally("dispute_poller", &purpose, &record.payment_id().to_string());
        let receipt = self.record(issued, channel, report).await?;
        if let Some(rejection) = &receipt.rejection {
            tracing::error!(dispute.id = %dispute_id, code = rejection.code, "a dispute cannot be booked");
        }
        Ok(receipt.rejection.is_none())
    }
}

fn before(now: Timestamp, duration: Duration) -> Timestamp {
    let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.as_micros().saturating_sub(micros))
}

fn unknown_payment() -> CommandError {
    CommandError::Invalid {
        code: PaymentRejection::NotFound.code(),
        pointer: "/payment_id",
        detail: PaymentRejection::NotFound.to_string(),
    }
}

/// A report as it is put to both streams. The payment comes first: in a store that appends one after the other, a
/// dispute of which only the money is booked is completed by the next report.
struct Recording {
    /// None for an inquiry, which moves nothing.
    money: Option<payment::RecordDispute>,
    dispute: dispute::RecordDispute,
}

impl Recording {
    fn of(terms: &Created, told: &DisputeReport, at: Timestamp) -> Result<Recording, CommandError> {
        if told.currency != terms.currency {
            return Err(CommandError::Invalid {
                code: "dispute_currency_differs",
                pointer: "/currency",
                detail: format!("a dispute of {} in {}", terms.currency, told.currency),
            });
        }
        let dispute_id = DisputeId::of(terms.payment_id, &terms.channel, &told.channel_reference);
        let stage = match told.stage {
            ReportedStage::Inquiry => Stage::Inquiry,
            ReportedStage::InquiryClosed => Stage::Closed(Outcome::InquiryClosed),
            ReportedStage::NeedsResponse => Stage::NeedsResponse,
            ReportedStage::UnderReview => Stage::UnderReview,
            ReportedStage::Closed { won: 0, .. } => Stage::Closed(Outcome::Lost),
            ReportedStage::Closed { won, .. } if won == told.amount => Stage::Closed(Outcome::Won),
            ReportedStage::Closed { .. } => Stage::Closed(Outcome::PartlyWon),
        };
        let closing = match told.stage {
            ReportedStage::Closed { won, fee_returned } => Some(Closing { won, fee_returned }),
            _ => None,
        };
        let money = payment::RecordDispute {
            dispute_id,
            channel_reference: told.channel_reference.clone(),
            amount: told.amount,
            fee: told.fee,
            closing,
            asked: told.asked,
            at,
        };
        let terms = Opened {
            dispute_id,
            payment_id: terms.payment_id,
            merchant_id: terms.merchant_id,
            order_no: terms.order_no.clone(),
            channel: terms.channel.clone(),
            channel_reference: told.channel_reference.clone(),
            amount: told.amount,
            currency: terms.currency,
            reason: told.reason.clone(),
            evidence_due_by: told.evidence_due_by,
            opened_at: at,
        };
        let dispute = dispute::RecordDispute { terms, stage, asked: told.asked, at };
        Ok(Recording { money: stage.is_dispute().then_some(money), dispute })
    }

    fn decide(&self, states: &[StreamState]) -> Decision {
        let money = match &self.money {
            None => vec![],
            Some(money) => {
                let command = payment::Command::RecordDispute(money.clone());
                match Payment::decide(nth_state::<Payment>(states, 0), command) {
                    Ok(events) => events,
                    Err(rejection) => return Decision::Reject(rejection.into()),
                }
            }
        };
        // What was lost went back to the customer: the order, which is the last stream, learns of it in the same entry.
        let order = order::followed(states, 2, &money, None);
        let command = dispute::Command::Record(self.dispute.clone());
        match Dispute::decide(nth_state::<Dispute>(states, 1), command) {
            Ok(events) => {
                let events = events.into_iter().map(|event| NewEvent::of(1, event));
                let money = money.into_iter().map(|event| NewEvent::of(0, event));
                Decision::Append(money.chain(events).chain(order).collect())
            }
            Err(rejection) => Decision::Reject(rejection.into()),
        }
    }
}
