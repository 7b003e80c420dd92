//! What is due for a dispute, state by state.

use domain::dispute::{Event, Opened, Outcome, State};
use domain::{Decider, DisputeId, MerchantId, PaymentId, Sealed, Timestamp, dispute::Dispute};
use uuid::Uuid;

use super::*;

fn opened() -> Event {
    let payment_id = PaymentId::from_uuid(Uuid::from_u128(1));
    let channel = "sandbox".parse().unwrap();
    Event::Opened(Box::new(Opened {
        dispute_id: DisputeId::of(payment_id, &channel, "d"),
        payment_id,
        merchant_id: MerchantId::from_uuid(Uuid::from_u128(2)),
        order_no: "A-1".parse().unwrap(),
        channel,
        channel_reference: "d".into(),
        amount: 1,
        currency: domain::Currency::USD,
        reason: "general".into(),
        evidence_due_by: None,
        opened_at: Timestamp::default(),
    }))
}

#[test]
fn the_merchants_answer_goes_out_and_then_the_verdict_is_awaited() {
    let at = Timestamp::default();
    let evidence = Sealed { key: "k".into(), nonce: "n".into(), data: "d".into() };
    let submitted = Event::EvidenceSubmitted { evidence, submitted_at: at };
    let accepted = Event::Accepted { accepted_at: at };
    let sent = Event::AnswerSent { sent_at: at };
    let closed = |outcome| Event::Closed { outcome, closed_at: at };
    let table = [
        (vec![], Some(AWAIT_VERDICT)),
        (vec![submitted.clone()], Some(SEND_EVIDENCE)),
        (vec![submitted.clone(), sent.clone()], Some(AWAIT_VERDICT)),
        (vec![submitted.clone(), accepted.clone()], Some(SEND_ACCEPTANCE)),
        (vec![accepted.clone()], Some(SEND_ACCEPTANCE)),
        (vec![accepted, sent], Some(AWAIT_VERDICT)),
        (vec![submitted, closed(Outcome::Lost)], None),
        (vec![closed(Outcome::Won), Event::Reopened { reopened_at: at }], Some(AWAIT_VERDICT)),
    ];
    for (events, step) in table {
        let state = [vec![opened()], events].concat().iter().fold(State::default(), Dispute::evolve);
        assert_eq!(next_step(state.record().unwrap()).map(|due| due.step), step, "{state:?}");
    }
}
