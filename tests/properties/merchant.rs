//! Random commands of merchants.

use domain::merchant::{Command, Merchant, State, Terms};
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{MerchantId, Timestamp};

use crate::draw::Draw;
use crate::model::Model;

pub struct Merchants;

impl Model for Merchants {
    type D = Merchant;

    const STREAMS: u128 = 1;

    fn command(stream: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        Command::Onboard(Terms {
            merchant_id: MerchantId::from_uuid(draw.uuid_of(stream, 0)),
            name: draw.pick(&["Acme", "Other", "", "a\nb"]).to_owned(),
            tier: draw.pick(&Tier::ALL),
            pricing_model: PricingModel::CostPlus,
            refund_fee_policy: RefundFeePolicy::Retain,
            home_currency: None,
            time_zone: None,
            onboarded_at: now,
        })
    }
}
