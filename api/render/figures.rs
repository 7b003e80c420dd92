//! Counts, sums and rates of payments and orders, as analytics and summaries show them.

use projections::analytics::{Latencies, Measures};
use projections::orders::{OrderFigures, OrderStatus, Sums};
use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Serialize;
use utoipa::ToSchema;

/// Payments that began, and those whose outcome came, in this stretch of time.
#[derive(Debug, Serialize, ToSchema)]
pub struct Counts {
    #[schema(example = 128)]
    pub created: i64,
    #[schema(example = 120)]
    pub succeeded: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub expired: i64,
}

/// What merchants paid, what refunds gave back taken off. Minor units.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FeeTotals)]
pub struct FeeTotals {
    /// Channels' fees that were passed on, those of disputes too.
    #[schema(value_type = i64)]
    pub channel: i128,
    #[schema(value_type = i64)]
    pub markup: i128,
    #[schema(value_type = i64)]
    pub total: i128,
}

/// What the platform keeps of it. Merchants are not shown it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlatformTotals {
    /// What channels kept, whoever bore it.
    #[schema(value_type = i64)]
    pub channel_costs: i128,
    #[schema(value_type = i64)]
    pub margin: i128,
}

/// Refunds or disputes. Minor units.
#[derive(Debug, Serialize, ToSchema)]
pub struct Returned {
    pub count: i64,
    #[schema(value_type = i64)]
    pub amount: i128,
    /// For each payment that succeeded in the same stretch, to four places; `null` if none did.
    #[schema(example = 0.0125)]
    pub rate: Option<f64>,
}

/// Milliseconds until a payment had succeeded or failed, to within an eighth.
#[derive(Debug, Serialize, ToSchema)]
pub struct Percentiles {
    #[schema(example = 207)]
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
}

/// The figures of one stretch of time in one currency. Amounts in minor units.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentFigures)]
pub struct PaymentFigures {
    pub payments: Counts,
    /// Succeeded among those that succeeded, failed or expired, to four places; `null` if there were none.
    #[schema(example = 0.9375)]
    pub success_rate: Option<f64>,
    /// What was captured.
    #[schema(value_type = i64, example = 1_200_000)]
    pub volume: i128,
    pub fees: FeeTotals,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<PlatformTotals>,
    pub refunds: Returned,
    pub disputes: Returned,
    /// What closed disputes have cost for good.
    #[schema(value_type = i64)]
    pub disputes_lost: i128,
    pub time_to_outcome_ms: Option<Percentiles>,
}

impl PaymentFigures {
    pub fn of(measures: &Measures, latencies: &Latencies, shows_margin: bool) -> PaymentFigures {
        let total = measures.fees_passed_on + measures.markup;
        let (costs, margin) = (measures.channel_costs, total - measures.channel_costs);
        PaymentFigures {
            payments: Counts {
                created: measures.created,
                succeeded: measures.succeeded,
                failed: measures.failed,
                cancelled: measures.cancelled,
                expired: measures.expired,
            },
            success_rate: rate(measures.succeeded, measures.succeeded + measures.failed + measures.expired),
            volume: measures.amount_succeeded,
            fees: FeeTotals { channel: measures.fees_passed_on, markup: measures.markup, total },
            platform: shows_margin.then_some(PlatformTotals { channel_costs: costs, margin }),
            refunds: Returned {
                count: measures.refunds,
                amount: measures.amount_refunded,
                rate: rate(measures.refunds, measures.succeeded),
            },
            disputes: Returned {
                count: measures.disputes,
                amount: measures.amount_disputed,
                rate: rate(measures.disputes, measures.succeeded),
            },
            disputes_lost: measures.amount_lost,
            time_to_outcome_ms: percentiles(latencies),
        }
    }
}

/// Orders by what they have come to by now.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct OrderCounts {
    /// All of them.
    #[schema(example = 128)]
    pub created: i64,
    pub pending: i64,
    pub partially_paid: i64,
    pub paid: i64,
    pub partially_refunded: i64,
    pub refunded: i64,
    pub shipped: i64,
    pub completed: i64,
    pub failed: i64,
    pub cancelled: i64,
    pub expired: i64,
}

/// What orders moved. Minor units.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub struct OrderTotals {
    /// Orders that any money was captured for.
    #[schema(example = 120)]
    pub orders_with_money: i64,
    /// Their share of all, to four places; `null` if there are none.
    #[schema(example = 0.9375)]
    pub payment_rate: Option<f64>,
    /// Orders that any money went back for, and their share of those with money.
    pub orders_with_refunds: i64,
    pub refund_rate: Option<f64>,
    /// What was to be paid for all of them.
    #[schema(value_type = i64, example = 1_280_000)]
    pub ordered: i128,
    /// What was captured.
    #[schema(value_type = i64, example = 1_200_000)]
    pub gross: i128,
    #[schema(value_type = i64, example = 20_000)]
    pub refunded: i128,
    /// What was captured and did not go back.
    #[schema(value_type = i64, example = 1_180_000)]
    pub net: i128,
    /// What was captured for an order with money on average, rounded half up to minor units; `null` if there is none.
    #[schema(value_type = Option<i64>, example = 10_000)]
    pub average_order_value: Option<i128>,
}

impl OrderCounts {
    pub fn of(figures: &[OrderFigures]) -> OrderCounts {
        let mut counts = OrderCounts::default();
        for OrderFigures { status, sums, .. } in figures {
            counts.created += sums.orders;
            *counts.of_status(*status) += sums.orders;
        }
        counts
    }

    fn of_status(&mut self, status: OrderStatus) -> &mut i64 {
        match status {
            OrderStatus::Pending => &mut self.pending,
            OrderStatus::PartiallyPaid => &mut self.partially_paid,
            OrderStatus::Paid => &mut self.paid,
            OrderStatus::PartiallyRefunded => &mut self.partially_refunded,
            OrderStatus::Refunded => &mut self.refunded,
            OrderStatus::Shipped => &mut self.shipped,
            OrderStatus::Completed => &mut self.completed,
            OrderStatus::Failed => &mut self.failed,
            OrderStatus::Cancelled => &mut self.cancelled,
            OrderStatus::Expired => &mut self.expired,
        }
    }
}

impl OrderTotals {
    pub fn of(figures: &[OrderFigures]) -> OrderTotals {
        let mut sums = Sums::default();
        for row in figures {
            sums.add(&row.sums);
        }
        OrderTotals {
            orders_with_money: sums.paid,
            payment_rate: rate(sums.paid, sums.orders),
            orders_with_refunds: sums.refunded,
            refund_rate: rate(sums.refunded, sums.paid),
            ordered: sums.amount,
            gross: sums.amount_paid,
            refunded: sums.amount_refunded,
            net: sums.amount_paid - sums.amount_refunded,
            average_order_value: average(sums.amount_paid, sums.paid),
        }
    }
}

/// Rounded half up to minor units; neither is negative.
fn average(sum: i128, count: i64) -> Option<i128> {
    let count = i128::from(count);
    (count > 0).then(|| (sum + count / 2) / count)
}

/// A share of a count, rounded half up to four places.
fn rate(part: i64, whole: i64) -> Option<f64> {
    let exact = Decimal::from(part).checked_div(Decimal::from(whole))?;
    exact.round_dp_with_strategy(4, RoundingStrategy::MidpointAwayFromZero).to_f64()
}

fn percentiles(latencies: &Latencies) -> Option<Percentiles> {
    Some(Percentiles { p50: latencies.percentile(50)?, p90: latencies.percentile(90)?, p99: latencies.percentile(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_of_nothing_is_none() {
        let table = [(0, 0, None), (0, 3, Some(0.0)), (1, 3, Some(0.3333)), (2, 3, Some(0.6667)), (3, 3, Some(1.0))];
        for (part, whole, expected) in table {
            assert_eq!(rate(part, whole), expected, "{part}/{whole}");
        }
    }

    #[test]
    fn an_average_rounds_half_up() {
        let table =
            [(0, 0, None), (10, 4, Some(3)), (9, 4, Some(2)), (10, 3, Some(3)), (11, 3, Some(4)), (0, 3, Some(0))];
        for (sum, count, expected) in table {
            assert_eq!(average(sum, count), expected, "{sum}/{count}");
        }
    }
}
