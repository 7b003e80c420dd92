//! Given / when / then tables of a dispute's workflow.

use uuid::Uuid;

use super::*;
use crate::{Currency, DomainEvent, MerchantId, PaymentId};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn terms() -> Opened {
    let payment_id = PaymentId::from_uuid(Uuid::from_u128(1));
    let channel = "sandbox".parse().unwrap();
    Opened {
        dispute_id: DisputeId::of(payment_id, &channel, "sbd_1"),
        payment_id,
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(2)),
        order_no: "A-1".parse().unwrap(),
        channel,
        channel_reference: "sbd_1".into(),
        amount: 10_000,
        currency: Currency::USD,
        reason: "fraudulent".into(),
        evidence_due_by: Some(at(100)),
        opened_at: at(1),
    }
}

fn told(stage: Stage) -> Command {
    Command::Record(RecordDispute { terms: terms(), stage, asked: false, at: at(2) })
}

fn asked(stage: Stage, amount: i64) -> Command {
    Command::Record(RecordDispute { terms: Opened { amount, ..terms() }, stage, asked: true, at: at(3) })
}

fn evidence(seconds: i64) -> Command {
    let evidence = Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() };
    Command::SubmitEvidence { evidence, at: at(seconds) }
}

fn accept() -> Command {
    Command::Accept { at: at(5) }
}

fn sent(acceptance: bool) -> Command {
    Command::RecordSent { acceptance, at: at(6) }
}

fn after(given: &[Command]) -> State {
    given.iter().fold(State::Absent, |state, command| {
        let events = Dispute::decide(&state, command.clone()).expect("given commands are accepted");
        events.iter().fold(state, Dispute::evolve)
    })
}

#[track_caller]
fn check(given: &[Command], when: Command, then: Result<&[&str], DisputeRejection>, status: Option<DisputeStatus>) {
    let state = after(given);
    let decided = Dispute::decide(&state, when);
    let types =
        decided.as_ref().map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>()).map_err(|e| *e);
    assert_eq!(types, then.map(<[&str]>::to_vec));
    let end = decided.unwrap_or_default().iter().fold(state, Dispute::evolve);
    assert_eq!(end.record().map(Record::status), status);
}

const WON: Stage = Stage::Closed(Outcome::Won);
const LOST: Stage = Stage::Closed(Outcome::Lost);
const NO_DISPUTE: Stage = Stage::Closed(Outcome::InquiryClosed);

#[test]
fn what_the_channel_tells_in_whatever_order() {
    use DisputeStatus as Status;
    use Stage::{Inquiry, NeedsResponse, UnderReview};
    let (inquired, opened, escalated) = ("dispute.inquired", "dispute.opened", "dispute.escalated");
    let (review, closed) = ("dispute.review_began", "dispute.closed");
    let table: [(&[Stage], Stage, &[&str], Status); 20] = [
        (&[], Inquiry, &[inquired], Status::Inquiry),
        (&[], NeedsResponse, &[opened], Status::NeedsResponse),
        (&[], UnderReview, &[opened, review], Status::UnderReview),
        (&[], WON, &[opened, closed], Status::Won),
        (&[], NO_DISPUTE, &[inquired, closed], Status::InquiryClosed),
        (&[Inquiry], Inquiry, &[], Status::Inquiry),
        (&[Inquiry], NO_DISPUTE, &[closed], Status::InquiryClosed),
        (&[Inquiry], NeedsResponse, &[escalated], Status::NeedsResponse),
        (&[Inquiry], LOST, &[escalated, closed], Status::Lost),
        (&[NO_DISPUTE], NeedsResponse, &[escalated], Status::NeedsResponse),
        (&[NO_DISPUTE], Inquiry, &[], Status::InquiryClosed),
        (&[NeedsResponse], NeedsResponse, &[], Status::NeedsResponse),
        (&[NeedsResponse], Inquiry, &[], Status::NeedsResponse),
        (&[NeedsResponse], UnderReview, &[review], Status::UnderReview),
        (&[UnderReview], NeedsResponse, &[], Status::UnderReview),
        (&[UnderReview], Stage::Closed(Outcome::PartlyWon), &[closed], Status::PartlyWon),
        (&[WON], NeedsResponse, &[], Status::Won),
        (&[WON], WON, &[], Status::Won),
        (&[WON], LOST, &[], Status::Won),
        (&[LOST], Inquiry, &[], Status::Lost),
    ];
    for (known, news, events, status) in table {
        let given: Vec<Command> = known.iter().map(|stage| told(*stage)).collect();
        check(&given, told(news), Ok(events), Some(status));
    }
}

#[test]
fn only_an_answer_to_a_question_undoes_an_end() {
    let won = [told(WON)];
    check(&won, asked(LOST, 10_000), Ok(&["dispute.reopened", "dispute.closed"]), Some(DisputeStatus::Lost));
    check(
        &won,
        asked(Stage::UnderReview, 10_000),
        Ok(&["dispute.reopened", "dispute.review_began"]),
        Some(DisputeStatus::UnderReview),
    );
    check(&won, asked(WON, 10_000), Ok(&[]), Some(DisputeStatus::Won));
    let open = [told(Stage::NeedsResponse)];
    check(&open, asked(Stage::NeedsResponse, 9_000), Ok(&["dispute.adjusted"]), Some(DisputeStatus::NeedsResponse));
    check(&[told(NO_DISPUTE)], asked(Stage::Inquiry, 10_000), Ok(&[]), Some(DisputeStatus::InquiryClosed));
}

#[test]
fn the_merchant_answers_once_and_in_time() {
    use DisputeStatus as Status;
    let open = || vec![told(Stage::NeedsResponse)];
    let with = |more: &[Command]| [open(), more.to_vec()].concat();
    let submitted: Result<&[&str], _> = Ok(&["dispute.evidence_submitted"]);
    check(&[], evidence(5), Err(DisputeRejection::NotFound), None);
    check(&open(), evidence(100), submitted, Some(Status::UnderReview));
    check(&[told(Stage::Inquiry)], evidence(5), submitted, Some(Status::Inquiry));
    check(&open(), evidence(101), Err(DisputeRejection::EvidenceTooLate), Some(Status::NeedsResponse));
    check(
        &with(&[evidence(5)]),
        evidence(5),
        Err(DisputeRejection::EvidenceAlreadySubmitted),
        Some(Status::UnderReview),
    );
    check(
        &[told(Stage::UnderReview)],
        evidence(5),
        Err(DisputeRejection::EvidenceAlreadySubmitted),
        Some(Status::UnderReview),
    );
    check(&with(&[accept()]), evidence(5), Err(DisputeRejection::AlreadyAccepted), Some(Status::Accepted));
    check(&[told(LOST)], evidence(5), Err(DisputeRejection::Closed), Some(Status::Lost));
    check(&open(), accept(), Ok(&["dispute.accepted"]), Some(Status::Accepted));
    check(&with(&[accept()]), accept(), Ok(&[]), Some(Status::Accepted));
    check(&with(&[evidence(5)]), accept(), Ok(&["dispute.accepted"]), Some(Status::Accepted));
    check(&[told(Stage::Inquiry)], accept(), Err(DisputeRejection::NotAcceptable), Some(Status::Inquiry));
    check(&[told(WON)], accept(), Err(DisputeRejection::Closed), Some(Status::Won));
    check(&with(&[accept()]), told(LOST), Ok(&["dispute.closed"]), Some(Status::Lost));
}

#[test]
fn an_answer_is_due_until_the_channel_has_it() {
    let open = || vec![told(Stage::NeedsResponse)];
    let due = |more: &[Command]| after(&[open(), more.to_vec()].concat()).record().unwrap().due().is_some();
    assert!(!due(&[]));
    assert!(due(&[evidence(5)]));
    assert!(!due(&[evidence(5), sent(false)]));
    assert!(due(&[evidence(5), sent(false), accept()]));
    assert!(due(&[evidence(5), accept(), sent(false)]), "the evidence has come, the acceptance has not");
    assert!(!due(&[accept(), sent(true)]));
    assert!(!due(&[evidence(5), told(LOST)]), "nobody reads what comes after the verdict");
    check(&open(), sent(true), Ok(&[]), Some(DisputeStatus::NeedsResponse));
}

#[test]
fn a_dispute_has_one_id_for_ever() {
    let payment = PaymentId::from_uuid(Uuid::from_u128(0x0192_f3a4_0000_7000_8000_0000_0000_002a));
    let (sandbox, stripe) = ("sandbox".parse().unwrap(), "stripe".parse().unwrap());
    let id = DisputeId::of(payment, &sandbox, "d_1");
    assert_eq!(id, DisputeId::of(payment, &sandbox, "d_1"));
    assert_ne!(id, DisputeId::of(payment, &sandbox, "d_2"));
    assert_ne!(id, DisputeId::of(payment, &stripe, "d_1"));
    assert_eq!(id.as_uuid().as_bytes()[..8], payment.as_uuid().as_bytes()[..8]);
}
