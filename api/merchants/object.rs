//! A merchant as it is answered: what was agreed with it, put together with what its tier means.

use domain::merchant::{InForce, OwnLimits, Record, ReservePlan, Thresholds};
use domain::pricing::{PricingModel, RefundFeePolicy};
use domain::tier::{self, Tier, TierName};
use domain::{Money, Timestamp};
use projections::payments::{self, Payments};
use serde::Serialize;
use utoipa::ToSchema;

use super::terms::{LimitsBody, ReserveBody};
use crate::app::App;
use crate::outcome;
use crate::problem::Problem;

/// What a month's volume is summed over.
const RECOMMENDED_FROM_DAYS: i64 = 30;

/// A merchant and what was agreed with it. Limits, thresholds and the credit limit are minor units of USD.
#[derive(Serialize, ToSchema)]
#[schema(as = Merchant)]
pub struct MerchantObject {
    #[schema(example = "mer_01k9zc3v5yfw8a2m4gq7hn6t1b")]
    id: String,
    /// Always `merchant`.
    #[schema(example = "merchant")]
    object: &'static str,
    #[schema(example = "Acme")]
    name: String,
    /// `active`, `suspended` or `closed`.
    #[schema(example = "active")]
    status: &'static str,
    #[schema(example = "starter")]
    tier: &'static str,
    /// The change of tier that comes next.
    next_tier: Option<NextTier>,
    /// The smallest tier that leaves room above the volume of the last 30 days; told to a look-up of one merchant.
    #[schema(example = "business")]
    pub recommended_tier: Option<&'static str>,
    /// `cost_plus` or `blended`.
    #[schema(value_type = String, example = "cost_plus")]
    pricing: PricingModel,
    /// Our share of each capture as a decimal: 0.008 is 0.8 %.
    #[schema(example = "0.008")]
    markup_rate: String,
    /// `retain` or `proportional`: what happens to our share on a refund.
    #[schema(value_type = String, example = "retain")]
    refund_fee_policy: RefundFeePolicy,
    #[schema(example = "EUR")]
    home_currency: Option<String>,
    #[schema(example = "Europe/Berlin")]
    time_zone: Option<String>,
    /// The merchant's own limits, where it has any.
    #[schema(value_type = LimitsBody)]
    own_limits: OwnLimits,
    #[schema(example = 1_000_000)]
    credit_limit: i64,
    #[schema(value_type = ReserveBody)]
    reserve: ReservePlan,
    thresholds: ThresholdsObject,
    settlement: SettlementObject,
    features: FeaturesObject,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct NextTier {
    #[schema(example = "business")]
    tier: &'static str,
    #[schema(value_type = String, format = DateTime)]
    effective_from: Timestamp,
}

/// Above these people must agree.
#[derive(Serialize, ToSchema)]
struct ThresholdsObject {
    settlement_approval: i64,
    withdrawal_two_person: i64,
}

/// When batches are cut off and released.
#[derive(Serialize, ToSchema)]
struct SettlementObject {
    /// `T+1`, `T+0` or `D+0`.
    #[schema(example = "T+1")]
    cycle: &'static str,
    #[schema(example = "17:00")]
    cut_off: String,
    #[schema(value_type = Vec<String>, example = json!(["saturday", "sunday"]))]
    weekend: std::collections::BTreeSet<domain::calendar::Weekday>,
}

/// What the tier allows and the merchant has switched on.
#[derive(Serialize, ToSchema)]
struct FeaturesObject {
    pre_auth: bool,
    several_currencies: bool,
}

impl MerchantObject {
    /// With its tier as that is defined now.
    pub async fn now(app: &App, record: &Record) -> Result<MerchantObject, Problem> {
        let now = app.clock().now();
        let terms = commands::tier::in_force(app.executor(), record.tier_at(now), now).await?;
        Ok(MerchantObject::of(record, &[terms], now))
    }

    /// With its tier as the log had it at `position`, of which `at` is the time.
    pub async fn as_of(app: &App, record: &Record, at: Timestamp, position: u64) -> Result<MerchantObject, Problem> {
        let name = record.tier_at(at);
        let category = commands::ports::Category::of::<Tier>();
        let stream = outcome::stream_at(app, category, name.as_str(), position).await?;
        let terms = stream.of::<Tier>().and_then(|state| state.in_force(at)).cloned();
        let terms = terms.ok_or_else(|| Problem::internal(&format!("tier {name} was not defined")))?;
        Ok(MerchantObject::of(record, &[terms], at))
    }

    /// With the one of `tiers` that is the merchant's at `at`.
    pub fn of(record: &Record, tiers: &[tier::Terms], at: Timestamp) -> MerchantObject {
        let name = record.tier_at(at);
        let tier = tiers.iter().find(|terms| terms.tier == name);
        let in_force = tier.map(|terms| InForce::of(record, terms)).expect("every tier was asked for");
        let agreement = &record.agreement;
        let Thresholds { settlement_approval, withdrawal_two_person } = in_force.thresholds;
        MerchantObject {
            id: record.merchant_id.to_string(),
            object: "merchant",
            name: record.name.clone(),
            status: record.status.as_str(),
            tier: name.as_str(),
            next_tier: record
                .next_tier(at)
                .map(|next| NextTier { tier: next.tier.as_str(), effective_from: next.effective_from }),
            recommended_tier: None,
            pricing: in_force.pricing.model,
            markup_rate: in_force.pricing.markup_rate.to_string(),
            refund_fee_policy: in_force.pricing.refund_fee_policy,
            home_currency: agreement.home_currency.map(|currency| currency.to_string()),
            time_zone: agreement.time_zone.as_ref().map(ToString::to_string),
            own_limits: agreement.limits,
            credit_limit: in_force.credit_limit,
            reserve: in_force.reserve,
            thresholds: ThresholdsObject { settlement_approval, withdrawal_two_person },
            settlement: SettlementObject {
                cycle: in_force.settlement_cycle.as_str(),
                cut_off: in_force.calendar.cut_off.to_string(),
                weekend: in_force.calendar.weekend,
            },
            features: FeaturesObject { pre_auth: in_force.pre_auth, several_currencies: in_force.several_currencies },
            created_at: record.onboarded_at,
        }
    }
}

/// What each tier means at `at`.
pub async fn tiers(app: &App, at: Timestamp) -> Result<Vec<tier::Terms>, Problem> {
    let mut tiers = vec![];
    for name in TierName::ALL {
        tiers.push(commands::tier::in_force(app.executor(), name, at).await?);
    }
    Ok(tiers)
}

/// The tier that suits what the merchant captured in the last 30 days; none if that was nothing.
pub async fn recommended_tier(app: &App, record: &Record) -> Result<Option<&'static str>, Problem> {
    let now = app.clock().now();
    let since = Timestamp::from_micros(now.as_micros() - 1_000_000 * 86_400 * RECOMMENDED_FROM_DAYS);
    let mut view = app.reader.now(&[&Payments]).await?;
    let volumes = payments::captured_since(&mut view, record.merchant_id, since).await?;
    drop(view);
    if volumes.is_empty() {
        return Ok(None);
    }
    let (rates, day) = (commands::rates::load(app.executor()).await?, record.local_day(now));
    let in_usd = |(currency, volume): &(_, i128)| {
        let whole = i64::try_from(*volume).ok().and_then(|volume| Money::new(volume, *currency).ok());
        let usd = whole.and_then(|volume| rates.in_usd(volume, day)).map_or(i64::MAX, |converted| converted.usd);
        i128::from(usd)
    };
    let volume = volumes.iter().map(in_usd).sum();
    Ok(tier::recommended(volume, &tiers(app, now).await?).map(|tier| tier.as_str()))
}
