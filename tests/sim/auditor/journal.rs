//! The auditor's own books beside the ledger's: the same entry for each event (invariant 1), nothing below zero that
//! must not be, and nothing left where an object has ended (5), and what the channel owes as the channel sees it (6).

use std::collections::BTreeMap;

use commands::aggregates;
use commands::ports::RecordedEvent;
use domain::Side;
use serde_json::Value;

use super::windows::Windows;
use super::{accounts, books};
use crate::bank::{BANK, TransferState, Transfers};
use crate::canary::Tampering;
use crate::channel::{Book, CHANNEL, ChargeState, RefundState};
use crate::finding::Finding;

/// By account and currency, debits above zero.
pub type Sums = BTreeMap<(String, String), i128>;

#[derive(Default)]
pub struct Journal {
    sums: Sums,
    windows: Windows,
}

impl Journal {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value, tampering: &Tampering) -> Result<(), Finding> {
        let wrong =
            |detail: String| Finding::of(1, format!("position {} ({}): {detail}", event.position, event.event_type));
        let own = match event.event_type.strip_prefix("merchant_account.") {
            Some(kind) => accounts::entry(kind, body, &self.sums).map_err(wrong)?,
            None => books::entry(&event.event_type, body).map_err(wrong)?,
        };
        self.windows.take(event, body, own.as_ref())?;
        let mut own_sums = Sums::new();
        for (account, amount) in own.iter().flat_map(|entry| &entry.lines) {
            let currency = own.as_ref().map(|entry| entry.currency.clone()).unwrap_or_default();
            *own_sums.entry((account.clone(), currency)).or_default() += amount;
        }
        own_sums.retain(|_, amount| *amount != 0);
        let ledgers = ledgers_sums(event, tampering).map_err(wrong)?;
        if own_sums != ledgers {
            return Err(wrong(format!("the ledger posts {ledgers:?}, and the auditor {own_sums:?}")));
        }
        for (account, amount) in own_sums {
            let is_memo = account.0.starts_with("memo:merchant:");
            let is_liability = !account.0.ends_with(":receivable");
            let may_be_negative = account.0.ends_with(":pending") || !(is_memo || account.0.starts_with("merchant:"));
            let sum = self.sums.entry(account.clone()).or_default();
            *sum += amount;
            if !may_be_negative && (if is_liability { *sum > 0 } else { *sum < 0 }) {
                return Err(Finding::of(5, format!("{} is below zero at position {}", account.0, event.position)));
            }
        }
        Ok(())
    }

    /// Whatever is kept for one payment, refund, dispute, withdrawal or batch is empty once all of them have ended.
    pub fn has_emptied_what_belongs_to_one_object(&self) -> Result<(), Finding> {
        const KEPT_FOR_ONE: [&str; 9] = [
            ":refund_hold:",
            ":dispute_hold:",
            ":withdrawal_hold:",
            ":settlement:",
            ":in_transit:",
            ":fee_accrual:",
            ":disputed:",
            ":authorized:",
            "suspense:",
        ];
        let kept = |account: &str| KEPT_FOR_ONE.iter().any(|part| account.contains(part));
        match self.sums.iter().find(|((account, _), amount)| kept(account) && **amount != 0) {
            Some(((account, currency), amount)) => {
                Err(Finding::of(5, format!("{account} ends with {amount} {currency}")))
            }
            None => Ok(()),
        }
    }

    /// What the channel owes us, by its own book.
    pub fn agrees_with(&self, provider: &Book) -> Result<(), Finding> {
        let mut owed: BTreeMap<String, i128> = BTreeMap::new();
        for charge in provider.charges().filter(|charge| charge.state == ChargeState::Captured) {
            *owed.entry(charge.currency.to_string()).or_default() += i128::from(charge.amount - charge.fee);
        }
        for (_, refund) in provider.refunds().filter(|(_, refund)| refund.state == RefundState::Succeeded) {
            *owed.entry(refund.currency.to_string()).or_default() -= i128::from(refund.amount - refund.fee_returned);
        }
        for (_, dispute) in provider.disputes() {
            *owed.entry(dispute.currency.to_string()).or_default() -= i128::from(dispute.taken());
        }
        for paid in provider.payouts() {
            *owed.entry(paid.payout.currency.to_string()).or_default() -= i128::from(paid.expected());
        }
        let receivable = format!("channel:{CHANNEL}:receivable");
        for (currency, owed) in owed {
            let booked = self.sums.get(&(receivable.clone(), currency.clone())).copied().unwrap_or_default();
            if booked != owed {
                return Err(Finding::of(6, format!("the channel owes {owed} {currency}, booked are {booked}")));
            }
        }
        Ok(())
    }

    /// What the bank has taken from our account and not given back, by its own book, less what the channel paid in.
    pub fn agrees_with_the_bank(&self, transfers: &Transfers, provider: &Book) -> Result<(), Finding> {
        let mut gone: BTreeMap<String, i128> = BTreeMap::new();
        for transfer in transfers.values() {
            let left = match transfer.state {
                TransferState::Paid => transfer.amount.minor(),
                TransferState::Returned(back) => transfer.amount.minor() - back,
                TransferState::Taken | TransferState::Refused => 0,
            };
            *gone.entry(transfer.amount.currency().to_string()).or_default() += i128::from(left);
        }
        for paid in provider.payouts() {
            *gone.entry(paid.payout.currency.to_string()).or_default() -= i128::from(paid.payout.amount);
        }
        for (currency, gone) in gone {
            let booked = self.sums.get(&(format!("bank:{BANK}:cash"), currency.clone())).copied().unwrap_or_default();
            if booked != -gone {
                return Err(Finding::of(6, format!("{gone} {currency} left the bank, booked are {booked}")));
            }
        }
        Ok(())
    }
}

fn ledgers_sums(event: &RecordedEvent, tampering: &Tampering) -> Result<Sums, String> {
    let aggregate = aggregates::find(&event.stream.category).ok_or("its category is not in the list of aggregates")?;
    let entry = aggregate.postings(event).map_err(|error| error.to_string())?;
    let mut sums = Sums::new();
    for leg in entry.iter().filter(|_| !tampering.loses_posting_of(event)).flat_map(|entry| entry.legs()) {
        let amount = if leg.side == Side::Debit { i128::from(leg.amount) } else { -i128::from(leg.amount) };
        *sums.entry((leg.account.to_string(), leg.currency.to_string())).or_default() += amount;
    }
    sums.retain(|_, amount| *amount != 0);
    Ok(sums)
}
