//! Random commands of settlements.

use domain::merchant_account::Window;
use domain::settlement::{Closed, Command, Settlement, State};
use domain::{Currency, MerchantId, SettlementId, Timestamp};

use crate::draw::{Draw, PEOPLE};
use crate::model::Model;

pub struct Settlements;

impl Model for Settlements {
    type D = Settlement;

    fn command(stream: u128, state: &State, draw: &Draw, now: Timestamp) -> Command {
        let by = draw.pick(&PEOPLE).to_owned();
        match draw.kind % 8 {
            _ if state.record().is_none() && !draw.one_in(10) => Command::Close(closed(stream, draw, now)),
            0 => Command::Close(closed(stream, draw, now)),
            1..=3 => Command::Approve { by, at: now },
            4 => Command::Hold { by, at: now },
            _ => Command::Release { at: now },
        }
    }
}

fn closed(stream: u128, draw: &Draw, now: Timestamp) -> Closed {
    Closed {
        settlement_id: SettlementId::from_uuid(draw.uuid_of(stream, 0)),
        merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
        currency: Currency::USD,
        window: Window { from: 0, to: 10, cut_off_at: now },
        net: draw.amount,
        gross_captured: draw.other_amount,
        items: 1,
        items_digest: "0".repeat(64),
        needs_approval: draw.one_in(2),
        release_due: now,
        requested_by: draw.pick(&[None, Some(PEOPLE[0].to_owned())]),
        closed_at: now,
    }
}
