//! What each event of a payment does to the books, as transfers "debit - credit" in minor units.

use super::event::{
    Captured, ChannelFee, DisputeMoney, Event, FeeTruedUp, RefundFailed, RefundRequested, RefundReversed,
    RefundSucceeded,
};
use crate::pricing::PricingModel;
use crate::{Account, BalancedEntry};

pub(super) fn of(event: &Event) -> Option<BalancedEntry> {
    match event {
        Event::Captured(captured) => capture(captured),
        Event::FeeTruedUp(trued_up) => true_up(trued_up),
        Event::RefundRequested(requested) => refund_requested(requested),
        Event::RefundSucceeded(succeeded) => refund_succeeded(succeeded),
        Event::RefundFailed(failed) => refund_failed(failed),
        Event::RefundReversed(reversed) => refund_reversed(reversed),
        Event::RefundSucceededLate(succeeded) => {
            refund_made_from(Account::MerchantPending(succeeded.merchant_id), succeeded)
        }
        Event::DisputeOpened(opened) => disputed(&opened.money, opened.amount, opened.fee, opened.fee_passed_on),
        Event::DisputeAdjusted(adjusted) => {
            disputed(&adjusted.money, adjusted.amount, adjusted.fee, adjusted.fee_passed_on)
        }
        Event::DisputeClosed(closed) => {
            let fee = Back { fee: closed.fee_returned, passed_on: closed.fee_passed_back };
            dispute_closed(&closed.money, closed.won, closed.lost, &fee)
        }
        Event::DisputeReopened(reopened) => {
            let fee = Back { fee: -reopened.fee_returned, passed_on: -reopened.fee_passed_back };
            dispute_closed(&reopened.money, -reopened.won, -reopened.lost, &fee)
        }
        Event::Created(_)
        | Event::ActionRequired(_)
        | Event::Accepted { .. }
        | Event::OutcomeUnknown { .. }
        | Event::CancellationRequested { .. }
        | Event::Failed(_)
        | Event::Cancelled { .. }
        | Event::Expired { .. }
        | Event::RefundAccepted { .. }
        | Event::RefundOutcomeUnknown { .. }
        | Event::OverReturned(_) => None,
    }
}

/// The part of a channel's fee that the merchant bears.
fn passed_on(model: PricingModel, fee: i64) -> i64 {
    match model {
        PricingModel::CostPlus => fee,
        PricingModel::Blended => 0,
    }
}

fn capture(event: &Captured) -> Option<BalancedEntry> {
    let receivable = Account::ChannelReceivable(event.channel.clone());
    let pending = Account::MerchantPending(event.merchant_id);
    let fee = event.channel_fee.amount();
    let fee_owed_by = match event.channel_fee {
        ChannelFee::Known(_) => receivable.clone(),
        ChannelFee::Estimated(_) => Account::ChannelFeeAccrual(event.channel.clone(), event.payment_id),
    };
    BalancedEntry::in_currency(event.currency)
        .transfer(receivable, pending.clone(), event.amount)
        .transfer(Account::ExpenseChannelFee(event.channel.clone()), fee_owed_by, fee)
        .transfer(pending.clone(), Account::RevenueProcessing, event.markup)
        .transfer(pending, Account::RecoveryChannelFee, passed_on(event.pricing_model, fee))
        .build()
}

fn true_up(event: &FeeTruedUp) -> Option<BalancedEntry> {
    let receivable = Account::ChannelReceivable(event.channel.clone());
    let difference = event.actual - event.estimate;
    BalancedEntry::in_currency(event.currency)
        .transfer(
            Account::ChannelFeeAccrual(event.channel.clone(), event.payment_id),
            receivable.clone(),
            event.estimate,
        )
        .transfer(Account::ExpenseChannelFee(event.channel.clone()), receivable, difference)
        .transfer(
            Account::MerchantPending(event.merchant_id),
            Account::RecoveryChannelFee,
            passed_on(event.pricing_model, difference),
        )
        .build()
}

fn refund_requested(event: &RefundRequested) -> Option<BalancedEntry> {
    BalancedEntry::in_currency(event.currency)
        .transfer(
            Account::MerchantPending(event.merchant_id),
            Account::MerchantRefundHold(event.merchant_id, event.refund_id),
            event.amount,
        )
        .build()
}

fn refund_succeeded(event: &RefundSucceeded) -> Option<BalancedEntry> {
    refund_made_from(Account::MerchantRefundHold(event.merchant_id, event.refund_id), event)
}

/// The failure of a refund that is made after all had emptied its hold already.
fn refund_made_from(source: Account, event: &RefundSucceeded) -> Option<BalancedEntry> {
    let receivable = Account::ChannelReceivable(event.channel.clone());
    let pending = Account::MerchantPending(event.merchant_id);
    BalancedEntry::in_currency(event.currency)
        .transfer(source, receivable.clone(), event.amount)
        .transfer(Account::RevenueProcessing, pending.clone(), event.markup_returned)
        .transfer(receivable, Account::ExpenseChannelFee(event.channel.clone()), event.channel_fee_returned)
        .transfer(Account::RecoveryChannelFee, pending, passed_on(event.pricing_model, event.channel_fee_returned))
        .build()
}

fn refund_failed(event: &RefundFailed) -> Option<BalancedEntry> {
    BalancedEntry::in_currency(event.currency)
        .transfer(
            Account::MerchantRefundHold(event.merchant_id, event.refund_id),
            Account::MerchantPending(event.merchant_id),
            event.amount,
        )
        .build()
}

fn refund_reversed(event: &RefundReversed) -> Option<BalancedEntry> {
    let receivable = Account::ChannelReceivable(event.channel.clone());
    let pending = Account::MerchantPending(event.merchant_id);
    BalancedEntry::in_currency(event.currency)
        .transfer(receivable.clone(), pending.clone(), event.amount)
        .transfer(pending.clone(), Account::RevenueProcessing, event.markup_returned)
        .transfer(Account::ExpenseChannelFee(event.channel.clone()), receivable, event.channel_fee_returned)
        .transfer(pending, Account::RecoveryChannelFee, passed_on(event.pricing_model, event.channel_fee_returned))
        .build()
}

/// What the channel takes for a dispute, or takes more if the amounts are differences.
fn disputed(money: &DisputeMoney, amount: i64, fee: i64, fee_passed_on: i64) -> Option<BalancedEntry> {
    let receivable = Account::ChannelReceivable(money.channel.clone());
    let pending = Account::MerchantPending(money.merchant_id);
    BalancedEntry::in_currency(money.currency)
        .transfer(Account::ChannelDisputed(money.channel.clone(), money.dispute_id), receivable.clone(), amount)
        .transfer(Account::ExpenseDisputeFee(money.channel.clone()), receivable, fee)
        .transfer(pending.clone(), Account::MerchantDisputeHold(money.merchant_id, money.dispute_id), amount)
        .transfer(pending, Account::RevenueDisputeFee, fee_passed_on)
        .build()
}

/// What a channel gives back of a dispute's fee, and what of that goes on to the merchant.
struct Back {
    fee: i64,
    passed_on: i64,
}

/// With negative amounts it is moved back: the dispute is open again.
fn dispute_closed(money: &DisputeMoney, won: i64, lost: i64, back: &Back) -> Option<BalancedEntry> {
    let receivable = Account::ChannelReceivable(money.channel.clone());
    let disputed = Account::ChannelDisputed(money.channel.clone(), money.dispute_id);
    let pending = Account::MerchantPending(money.merchant_id);
    let hold = Account::MerchantDisputeHold(money.merchant_id, money.dispute_id);
    BalancedEntry::in_currency(money.currency)
        .transfer(receivable.clone(), disputed.clone(), won)
        .transfer(hold.clone(), pending.clone(), won)
        .transfer(hold, disputed, lost)
        .transfer(receivable, Account::ExpenseDisputeFee(money.channel.clone()), back.fee)
        .transfer(Account::RevenueDisputeFee, pending, back.passed_on)
        .build()
}
