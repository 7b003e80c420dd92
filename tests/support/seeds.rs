//! The tiers and some rates, for ledgers in memory: they have no seed tables to begin from.

use commands::Executor;
use domain::Timestamp;
use domain::tier::{Limits, SettlementCycle, Terms, TierName};
use rust_decimal::Decimal;

/// The markup of the tier Starter: 0.8 %.
pub const STARTER_MARKUP: Decimal = Decimal::from_parts(8, 0, 0, false, 3);

/// The four tiers as a new ledger has them.
pub fn tiers() -> Vec<Terms> {
    use SettlementCycle::{EveryDay, NextBusinessDay, SameBusinessDay};
    [
        (TierName::Starter, (10_000, 100_000, 300_000), (8, 3), NextBusinessDay, (false, false), 100),
        (TierName::Business, (50_000, 500_000, 1_500_000), (6, 3), NextBusinessDay, (true, false), 500),
        (TierName::Enterprise, (200_000, 2_000_000, 6_000_000), (45, 4), SameBusinessDay, (true, true), 2_000),
        (TierName::Premium, (1_000_000, 10_000_000, 30_000_000), (3, 3), EveryDay, (true, true), 10_000),
    ]
    .map(|(tier, (per_payment, daily, monthly), (markup, scale), settlement_cycle, has, api_calls_per_minute)| Terms {
        tier,
        limits: Limits { per_payment: per_payment * 100, daily: daily * 100, monthly: monthly * 100 },
        markup_rate: Decimal::new(markup, scale),
        settlement_cycle,
        several_currencies: has.0,
        pre_auth: has.1,
        api_calls_per_minute,
        effective_from: Timestamp::default(),
    })
    .into()
}

/// Puts the tiers and a few rates into the log, as `payledger migrate` does.
pub async fn sow(executor: &Executor) {
    commands::tier::seed(executor, &tiers(), Timestamp::default()).await.expect("the tiers are valid");
    let rates = [("EUR", (116, 2)), ("JPY", (65, 4)), ("KWD", (326, 2)), ("BTC", (95_000, 0))];
    let table = rates.map(|(code, (rate, scale))| (code.parse().expect("a currency"), Decimal::new(rate, scale)));
    let date = "2026-01-01".parse().expect("a date");
    commands::rates::seed(executor, (date, table.into()), Timestamp::default()).await.expect("the rates are valid");
}
