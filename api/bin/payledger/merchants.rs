//! `payledger merchants`: onboards merchants, changes their tier and whether they may do business, lists them.

use std::sync::Arc;

use anyhow::{Context, bail};
use commands::ports::clock::SystemClock;
use commands::ports::{Clock, Receipt};
use domain::MerchantId;
use domain::merchant::{Command, Record, Status, Terms};
use domain::pricing::{PricingModel, RefundFeePolicy};
use projections::merchants::Merchants as ReadModel;
use projections::{Filter, streams};
use serde_json::json;
use uuid::Uuid;

use crate::cli::{Database, Merchants, Pricing, RefundFees};
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
            let merchant_id = terms.merchant_id;
            let receipt = commands::merchant::onboard(&operator.ledger.payments.executor, issued(), terms).await?;
            finish(operator, merchant_id, receipt, as_json).await
        }
        Merchants::Tier { database, id, tier, effective_from } => {
            let operator = Operator::open(&database).await?;
            let (executor, now) = (&operator.ledger.payments.executor, SystemClock.now());
            let receipt = commands::merchant::change_tier(executor, issued(), id, (tier, effective_from), now).await?;
            finish(operator, id, receipt, as_json).await
        }
        Merchants::Suspend { database, id } => {
            decide(&database, id, Command::Suspend { at: SystemClock.now() }, as_json).await
        }
        Merchants::Activate { database, id } => {
            decide(&database, id, Command::Activate { at: SystemClock.now() }, as_json).await
        }
        Merchants::Close { database, id } => {
            decide(&database, id, Command::Close { at: SystemClock.now() }, as_json).await
        }
        Merchants::List { database } => {
            let operator = Operator::open(&database).await?;
            let mut view = operator.view(Arc::new(ReadModel)).await?;
            let page = streams::list::<ReadModel, Status>(&mut view, &Filter::default(), LIMIT, None).await?;
            drop(view);
            operator.close().await?;
            let merchants: Vec<Record> = page.rows.iter().filter_map(|row| row.state.record().cloned()).collect();
            show(&merchants, as_json, || output::json(&merchants.iter().map(object).collect::<Vec<_>>()))
        }
    }
}

async fn decide(flags: &Database, id: MerchantId, command: Command, as_json: bool) -> anyhow::Result<()> {
    let operator = Operator::open(flags).await?;
    let receipt = commands::merchant::decide(&operator.ledger.payments.executor, issued(), id, command).await?;
    finish(operator, id, receipt, as_json).await
}

/// Shows the merchant as it stands behind the command, or why it was refused.
async fn finish(operator: Operator, merchant_id: MerchantId, receipt: Receipt, as_json: bool) -> anyhow::Result<()> {
    let record = commands::merchant::find(&operator.ledger.payments.executor, merchant_id).await?;
    operator.close().await?;
    if let Some(rejection) = receipt.rejection {
        bail!("{}", rejection.detail);
    }
    let record = record.context("the merchant is gone")?;
    show(std::slice::from_ref(&record), as_json, || output::json(&object(&record)))
}

fn object(record: &Record) -> serde_json::Value {
    let now = SystemClock.now();
    json!({
        "merchant_id": record.merchant_id,
        "name": record.name,
        "status": record.status,
        "tier": record.tier_at(now),
        "next_tier": record.next_tier(now),
        "pricing": record.agreement.pricing_model,
        "refund_fee_policy": record.agreement.refund_fee_policy,
        "created_at": record.onboarded_at,
    })
}

fn show(merchants: &[Record], as_json: bool, print_json: impl Fn() -> anyhow::Result<()>) -> anyhow::Result<()> {
    if as_json {
        return print_json();
    }
    let now = SystemClock.now();
    let row = |record: &Record| {
        vec![
            record.merchant_id.to_string(),
            record.name.clone(),
            record.tier_at(now).to_string(),
            record.status.as_str().to_owned(),
            record.onboarded_at.to_string(),
        ]
    };
    output::table(&["MERCHANT", "NAME", "TIER", "STATUS", "CREATED"], &merchants.iter().map(row).collect::<Vec<_>>());
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
