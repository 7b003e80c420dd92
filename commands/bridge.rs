//! Makes every decider a `cqrs_es::Aggregate`, so that its test framework and other event repositories can be used
//! on our aggregates. Serialised, both wrappers are exactly what they wrap.

use cqrs_es::event_sink::EventSink;
use domain::{Decider, DomainEvent};
use serde::{Deserialize, Serialize};

/// A decider's state as a cqrs-es aggregate.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct Bridged<D: Decider>(pub D::State);

impl<D: Decider> Default for Bridged<D> {
    fn default() -> Self {
        Bridged(D::State::default())
    }
}

impl<D: Decider> Clone for Bridged<D> {
    fn clone(&self) -> Self {
        Bridged(self.0.clone())
    }
}

/// A decider's event as a cqrs-es event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent, bound = "")]
pub struct BridgedEvent<D: Decider>(pub D::Event);

impl<D: Decider> Clone for BridgedEvent<D> {
    fn clone(&self) -> Self {
        BridgedEvent(self.0.clone())
    }
}

impl<D: Decider> PartialEq for BridgedEvent<D> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<D: Decider + std::fmt::Debug> cqrs_es::DomainEvent for BridgedEvent<D> {
    fn event_type(&self) -> String {
        self.0.event_type().to_owned()
    }

    fn event_version(&self) -> String {
        self.0.schema_version().to_string()
    }
}

impl<D: Decider + std::fmt::Debug> cqrs_es::Aggregate for Bridged<D> {
    const TYPE: &'static str = D::CATEGORY;
    type Command = D::Command;
    type Event = BridgedEvent<D>;
    type Error = D::Rejection;
    type Services = NoServices;

    async fn handle(
        &mut self,
        command: D::Command,
        _: &NoServices,
        sink: &EventSink<Self>,
    ) -> Result<(), D::Rejection> {
        for event in D::decide(&self.0, command)? {
            sink.write(BridgedEvent(event), self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: BridgedEvent<D>) {
        self.0 = D::evolve(std::mem::take(&mut self.0), &event.0);
    }
}

/// Deciders have no services: everything they need is in the command.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoServices;

#[cfg(test)]
mod tests {
    use cqrs_es::test::TestFramework;
    use domain::order_claim::{Command, Event, Holder, OrderClaim, OrderClaimRejection};
    use domain::payment::{self, Payment, PaymentRejection};
    use domain::{MerchantId, PaymentId, Timestamp};
    use uuid::Uuid;

    use super::*;

    fn payment(n: u128) -> Holder {
        Holder::Payment(PaymentId::from_uuid(Uuid::from_u128(n)))
    }

    fn claim(n: u128) -> Command {
        Command::Claim {
            merchant_id: MerchantId::from_uuid(Uuid::nil()),
            order_no: "A-1".parse().unwrap(),
            holder: payment(n),
        }
    }

    fn claimed(n: u128) -> BridgedEvent<OrderClaim> {
        let merchant_id = MerchantId::from_uuid(Uuid::nil());
        BridgedEvent(Event::Claimed { merchant_id, order_no: "A-1".parse().unwrap(), holder: payment(n) })
    }

    fn framework() -> TestFramework<Bridged<OrderClaim>> {
        TestFramework::with(NoServices)
    }

    #[test]
    fn given_when_then_runs_over_any_decider() {
        framework().given_no_previous_events().when(claim(1)).then_expect_events(vec![claimed(1)]);
        framework().given(vec![claimed(1)]).when(claim(1)).then_expect_events(vec![]);
        framework().given(vec![claimed(1)]).when(claim(2)).then_expect_error(OrderClaimRejection::OrderNoInUse);
        let release = Command::Release { holder: payment(1) };
        let released = BridgedEvent(Event::Released(payment(1)));
        framework().given(vec![claimed(1)]).when(release).then_expect_events(vec![released]);
    }

    /// The payment's own history, read from the golden events, decided on by cqrs-es.
    #[test]
    fn given_when_then_runs_over_the_payment() {
        let golden = |name: &str| {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/events/");
            let text = std::fs::read_to_string(format!("{folder}{name}.v1.json")).unwrap();
            serde_json::from_str::<BridgedEvent<Payment>>(&text).unwrap()
        };
        let at = Timestamp::from_micros(1_000_000);
        let framework = || TestFramework::<Bridged<Payment>>::with(NoServices);
        let created = || golden("payment.created");
        let cancelled =
            payment::Event::CancellationRequested { cause: payment::CancellationCause::Merchant, requested_at: at };
        let cancel = || payment::Command::Cancel { at };
        framework().given_no_previous_events().when(cancel()).then_expect_error(PaymentRejection::NotFound);
        framework().given(vec![created()]).when(cancel()).then_expect_events(vec![BridgedEvent(cancelled)]);
        framework()
            .given(vec![created(), golden("payment.captured")])
            .when(cancel())
            .then_expect_error(PaymentRejection::NotCancellable);
    }

    #[test]
    fn the_wrappers_leave_no_trace_in_json() {
        let event = claimed(1);
        assert_eq!(serde_json::to_value(&event).unwrap(), serde_json::to_value(&event.0).unwrap());
        assert_eq!(cqrs_es::DomainEvent::event_type(&event), "order_claim.claimed");
        assert_eq!(cqrs_es::DomainEvent::event_version(&event), "1");
    }
}
