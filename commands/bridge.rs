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
