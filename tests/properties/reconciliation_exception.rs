//! Random commands of exceptions: everything that can be said of one, by anybody.

use domain::channel_account::DifferenceReason;
use domain::reconciliation::{Counterparty, DifferenceKind};
use domain::reconciliation_exception::{Command, Facts, ReconciliationException, Resolution, Resolve, State};
use domain::{AdjustmentId, Currency, ExceptionId, PaymentId, StatementId, Timestamp};

use crate::draw::{Draw, PEOPLE};
use crate::model::Model;

pub struct Exceptions;

impl Model for Exceptions {
    type D = ReconciliationException;

    const STREAMS: u128 = 1;

    fn command(stream: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        let fact = |kind: DifferenceKind, amount| Facts {
            exception_id: ExceptionId::of_difference(&[&stream.to_string(), kind.as_str()]),
            statement_id: StatementId::of_content(&[&stream.to_string()]),
            counterparty: Counterparty::Channel("sandbox".parse().unwrap()),
            kind,
            currency: Currency::USD,
            amount,
            occurred_at: now,
            estimated_fee_of: draw.one_in(2).then(|| (PaymentId::from_uuid(draw.uuid(stream)), 7)),
        };
        let (facts, other) = (
            fact(DifferenceKind::MissingHere, draw.amount),
            fact(DifferenceKind::MissingThere, draw.amount.checked_neg().unwrap_or(1)),
        );
        let resolution = match draw.kind % 5 {
            0 => Resolution::Accept,
            1 => Resolution::Match { exception_id: other.exception_id },
            2 => Resolution::Adjust { adjustment_id: AdjustmentId::from_uuid(draw.uuid(stream)) },
            3 => Resolution::WriteOff { cause: DifferenceReason::Rounding },
            _ => Resolution::TrueUp,
        };
        Command::Resolve(Box::new(Resolve {
            facts,
            resolution,
            counterpart: draw.one_in(2).then_some(other),
            reason: draw.pick(&["looked at", "", "looked at again"]).to_owned(),
            by: draw.pick(&PEOPLE).to_owned(),
            at: now,
        }))
    }
}
