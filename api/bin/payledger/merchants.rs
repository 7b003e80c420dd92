//! `payledger merchants`: onboards and lists merchants.

use std::sync::Arc;

use anyhow::bail;
use commands::ports::Clock;
use commands::ports::clock::SystemClock;
use domain::MerchantId;
use domain::merchant::Terms;
use domain::pricing::{PricingModel, RefundFeePolicy};
use serde_json::json;
use uuid::Uuid;

use crate::cli::{Merchants, Pricing, RefundFees};
use crate::operator::{Operator, issued};
use crate::output;

/// Merchants shown at once.
const LIMIT: u32 = 1_000;

pub async fn run(command: Merchants, as_json: bool) -> anyhow::Result<()> {
    match command {
        Merchants::Create { database, name, tier, pricing, refund_fees } => {
            let operator = Operator::open(&database).await?;
            let terms = Terms {
                merchant_id: MerchantId::from_uuid(Uuid::now_v7()),
                name,
                tier,
                pricing_model: pricing.into(),
                refund_fee_policy: refund_fees.into(),
                home_currency: None,
                time_zone: None,
                onboarded_at: SystemClock.now(),
            };
            let receipt =
                commands::merchant::onboard(&operator.ledger.payments.executor, issued(), terms.clone()).await?;
            operator.close().await?;
            if let Some(rejection) = receipt.rejection {
                bail!("{}", rejection.detail);
            }
            show(std::slice::from_ref(&terms), as_json, || output::json(&object(&terms)))
        }
        Merchants::List { database } => {
            let operator = Operator::open(&database).await?;
            let mut view = operator.view(Arc::new(projections::merchants::Merchants)).await?;
            let page = projections::merchants::list(&mut view, LIMIT, None).await?;
            drop(view);
            operator.close().await?;
            let merchants: Vec<Terms> = page.rows.into_iter().map(|row| row.terms).collect();
            show(&merchants, as_json, || output::json(&merchants.iter().map(object).collect::<Vec<_>>()))
        }
    }
}

fn object(terms: &Terms) -> serde_json::Value {
    json!({
        "merchant_id": terms.merchant_id,
        "name": terms.name,
        "tier": terms.tier,
        "pricing": terms.pricing_model,
        "refund_fee_policy": terms.refund_fee_policy,
        "created_at": terms.onboarded_at,
    })
}

fn show(merchants: &[Terms], as_json: bool, print_json: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if as_json {
        return print_json();
    }
    let row = |terms: &Terms| {
        vec![
            terms.merchant_id.to_string(),
            terms.name.clone(),
            terms.tier.as_str().to_owned(),
            terms.onboarded_at.to_string(),
        ]
    };
    output::table(&["MERCHANT", "NAME", "TIER", "CREATED"], &merchants.iter().map(row).collect::<Vec<_>>());
    Ok(())
}

impl From<Pricing> for PricingModel {
    fn from(pricing: Pricing) -> Self {
        match pricing {
            Pricing::CostPlus => PricingModel::CostPlus,
            Pricing::Blended => PricingModel::Blended,
        }
    }
}

impl From<RefundFees> for RefundFeePolicy {
    fn from(fees: RefundFees) -> Self {
        match fees {
            RefundFees::Retain => RefundFeePolicy::Retain,
            RefundFees::Proportional => RefundFeePolicy::Proportional,
        }
    }
}
