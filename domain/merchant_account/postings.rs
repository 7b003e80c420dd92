//! What each event of a merchant's account does to the books, as transfers "debit - credit" in minor units.

use super::event::{
    AdjustmentCredited, Event, ReserveReleased, SettlementClosed, SettlementReleased, WithdrawalFailed, WithdrawalHeld,
    WithdrawalPaid, WithdrawalPaidLate, WithdrawalReleased, WithdrawalReturnContinued, WithdrawalReturned,
    WithdrawalSent,
};
use super::{Credit, Drawn};
use crate::entry::EntryBuilder;
use crate::{Account, BalancedEntry, MerchantId};

pub(super) fn of(event: &Event) -> Option<BalancedEntry> {
    match event {
        Event::SettlementClosed(closed) => settlement_closed(closed),
        Event::SettlementReleased(released) => settlement_released(released),
        Event::ReserveReleased(released) => reserve_released(released),
        Event::WithdrawalHeld(held) => withdrawal_held(held),
        Event::WithdrawalReleased(released) => withdrawal_released(released),
        Event::WithdrawalSent(sent) => withdrawal_sent(sent),
        Event::WithdrawalPaid(paid) => withdrawal_paid(paid),
        Event::WithdrawalPaidLate(paid) => withdrawal_paid_late(paid),
        Event::WithdrawalFailed(failed) => withdrawal_failed(failed),
        Event::WithdrawalReturned(returned) => withdrawal_returned(returned),
        Event::WithdrawalReturnContinued(part) => withdrawal_return_continued(part),
        Event::AdjustmentCredited(credited) => adjustment_credited(credited),
        Event::AdjustmentDebited(debited) => BalancedEntry::in_currency(debited.currency)
            .transfer(Account::MerchantAvailable(debited.merchant_id), debited.counter.clone(), debited.amount)
            .build(),
        Event::ReceivableWrittenOff(written_off) => BalancedEntry::in_currency(written_off.currency)
            .transfer(
                Account::ExpenseMerchantLoss,
                Account::MerchantReceivable(written_off.merchant_id),
                written_off.amount,
            )
            .build(),
    }
}

/// The sources, one after the other, repay what is owed first; their sum is the credit's.
fn credited(entry: EntryBuilder, merchant: MerchantId, sources: &[(Account, i64)], credit: Credit) -> EntryBuilder {
    let mut owed = credit.repaid;
    sources.iter().fold(entry, |entry, (source, amount)| {
        let repaid = owed.min(*amount);
        owed -= repaid;
        entry.transfer(source.clone(), Account::MerchantReceivable(merchant), repaid).transfer(
            source.clone(),
            Account::MerchantAvailable(merchant),
            amount - repaid,
        )
    })
}

fn drawn_to(entry: EntryBuilder, merchant: MerchantId, drawn: &Drawn, credit: &Account) -> EntryBuilder {
    let sources = drawn.sources(merchant).into_iter();
    sources.fold(entry, |entry, (source, amount)| entry.transfer(source, credit.clone(), amount))
}

fn settlement_closed(event: &SettlementClosed) -> Option<BalancedEntry> {
    let merchant = event.merchant_id;
    let pending = Account::MerchantPending(merchant);
    let entry = BalancedEntry::in_currency(event.currency).transfer(
        pending.clone(),
        Account::MerchantSettlement(merchant, event.settlement_id),
        event.net.max(0),
    );
    drawn_to(entry, merchant, &event.drawn, &pending).build()
}

fn settlement_released(event: &SettlementReleased) -> Option<BalancedEntry> {
    let merchant = event.merchant_id;
    let batch = Account::MerchantSettlement(merchant, event.settlement_id);
    BalancedEntry::in_currency(event.currency)
        .transfer(batch.clone(), Account::MerchantReceivable(merchant), event.repaid)
        .transfer(batch.clone(), Account::MerchantReserve(merchant, event.settlement_id), event.reserved)
        .transfer(batch, Account::MerchantAvailable(merchant), event.available)
        .build()
}

fn reserve_released(event: &ReserveReleased) -> Option<BalancedEntry> {
    let lot = Account::MerchantReserve(event.merchant_id, event.settlement_id);
    let entry = BalancedEntry::in_currency(event.currency);
    credited(entry, event.merchant_id, &[(lot, event.amount)], event.credit).build()
}

fn withdrawal_held(event: &WithdrawalHeld) -> Option<BalancedEntry> {
    let merchant = event.merchant_id;
    let hold = Account::MerchantWithdrawalHold(merchant, event.withdrawal_id);
    BalancedEntry::in_currency(event.currency)
        .transfer(Account::MerchantAvailable(merchant), hold, event.amount + event.fee)
        .build()
}

fn withdrawal_released(event: &WithdrawalReleased) -> Option<BalancedEntry> {
    let hold = Account::MerchantWithdrawalHold(event.merchant_id, event.withdrawal_id);
    let entry = BalancedEntry::in_currency(event.currency);
    credited(entry, event.merchant_id, &[(hold, event.amount + event.fee)], event.credit).build()
}

fn withdrawal_sent(event: &WithdrawalSent) -> Option<BalancedEntry> {
    let hold = Account::MerchantWithdrawalHold(event.merchant_id, event.withdrawal_id);
    BalancedEntry::in_currency(event.currency)
        .transfer(hold.clone(), Account::BankInTransit(event.bank.clone(), event.withdrawal_id), event.amount)
        .transfer(hold, Account::RevenueWithdrawalFee, event.fee)
        .build()
}

fn withdrawal_paid(event: &WithdrawalPaid) -> Option<BalancedEntry> {
    let in_transit = Account::BankInTransit(event.bank.clone(), event.withdrawal_id);
    BalancedEntry::in_currency(event.currency)
        .transfer(in_transit, Account::BankCash(event.bank.clone()), event.amount)
        .build()
}

fn withdrawal_paid_late(event: &WithdrawalPaidLate) -> Option<BalancedEntry> {
    let entry = BalancedEntry::in_currency(event.currency);
    drawn_to(entry, event.merchant_id, &event.drawn, &Account::BankCash(event.bank.clone())).build()
}

fn withdrawal_failed(event: &WithdrawalFailed) -> Option<BalancedEntry> {
    let in_transit = Account::BankInTransit(event.bank.clone(), event.withdrawal_id);
    let sources = [(in_transit, event.amount), (Account::RevenueWithdrawalFee, event.fee_returned)];
    credited(BalancedEntry::in_currency(event.currency), event.merchant_id, &sources, event.credit).build()
}

fn withdrawal_returned(event: &WithdrawalReturned) -> Option<BalancedEntry> {
    let sources = [
        (Account::BankCash(event.bank.clone()), event.amount - event.bank_fee),
        (Account::ExpenseBankFee, event.bank_fee),
        (Account::RevenueWithdrawalFee, event.fee_returned),
    ];
    credited(BalancedEntry::in_currency(event.currency), event.merchant_id, &sources, event.credit).build()
}

fn withdrawal_return_continued(event: &WithdrawalReturnContinued) -> Option<BalancedEntry> {
    BalancedEntry::in_currency(event.currency)
        .transfer(Account::BankCash(event.bank.clone()), Account::ExpenseBankFee, event.amount)
        .build()
}

fn adjustment_credited(event: &AdjustmentCredited) -> Option<BalancedEntry> {
    let entry = BalancedEntry::in_currency(event.currency);
    credited(entry, event.merchant_id, &[(event.counter.clone(), event.amount)], event.credit).build()
}
