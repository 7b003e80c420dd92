//! Random commands of order claims.

use domain::order_claim::{Command, Holder, OrderClaim, State};
use domain::{MerchantId, OrderId, PaymentId, PreAuthId, Timestamp};

use crate::draw::Draw;
use crate::model::Model;

pub struct OrderClaims;

impl Model for OrderClaims {
    type D = OrderClaim;

    const STREAMS: u128 = 1;

    fn command(stream: u128, _: &State, draw: &Draw, _: Timestamp) -> Command {
        let id = draw.uuid(stream);
        let holder = draw.pick(&[
            Holder::Payment(PaymentId::from_uuid(id)),
            Holder::PreAuth(PreAuthId::from_uuid(id)),
            Holder::Order(OrderId::from_uuid(id)),
        ]);
        match draw.kind % 2 {
            0 => Command::Claim {
                merchant_id: MerchantId::from_uuid(draw.uuid_of(stream, 0)),
                order_no: "A-1".parse().unwrap(),
                holder,
            },
            _ => Command::Release { holder },
        }
    }
}
