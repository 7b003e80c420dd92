//! Random commands of disputes.

use domain::dispute::{Command, Dispute, Opened, Outcome, RecordDispute, Stage, State};
use domain::{Currency, DisputeId, MerchantId, PaymentId, Timestamp};

use crate::draw::{Draw, sealed};
use crate::model::Model;

pub struct Disputes;

impl Model for Disputes {
    type D = Dispute;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        match draw.kind % 10 {
            kind if kind < 6 || *state == State::Absent => Command::Record(RecordDispute {
                terms: opened(stream, draw, now),
                stage: draw.pick(&[
                    Stage::Inquiry,
                    Stage::NeedsResponse,
                    Stage::NeedsResponse,
                    Stage::UnderReview,
                    Stage::Closed(Outcome::Won),
                    Stage::Closed(Outcome::Lost),
                    Stage::Closed(Outcome::PartlyWon),
                    Stage::Closed(Outcome::InquiryClosed),
                ]),
                asked: draw.kind % 3 == 0,
                at: now,
            }),
            6 | 7 => Command::SubmitEvidence { evidence: sealed(), at: now },
            8 if draw.one_in(2) => Command::Accept { at: now },
            _ => Command::RecordSent { acceptance: draw.one_in(2), at: now },
        }
    }
}

fn opened(stream: u128, draw: &Draw, now: Timestamp) -> Opened {
    Opened {
        dispute_id: DisputeId::from_uuid(draw.uuid_of(stream, 0)),
        payment_id: PaymentId::from_uuid(draw.uuid_of(stream, 0)),
        merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
        order_no: "A-1".parse().unwrap(),
        channel: "sandbox".parse().unwrap(),
        channel_reference: "dp_1".to_owned(),
        amount: draw.amount,
        currency: Currency::USD,
        reason: "fraudulent".to_owned(),
        evidence_due_by: [None, Some(now)][usize::from(draw.id) % 2],
        opened_at: now,
    }
}
