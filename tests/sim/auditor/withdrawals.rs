//! Each withdrawal as the log tells it beside the bank's own book: what left the bank is what was asked for, to whom it was
//! named, once (invariant 6), not before its account had cooled off (4), and every withdrawal has an end (8).

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::{minor, text};
use crate::bank::{Transfer, TransferState, Transfers};
use crate::finding::Finding;

#[derive(Debug, Default)]
struct Withdrawal {
    amount: i128,
    fee: i128,
    fee_returned: i128,
    bank_account: String,
    /// The newest of what its approvals say, as text: times of the log sort by it.
    send_not_before: String,
    is_sent: bool,
    is_refused: bool,
    is_paid: bool,
    /// What came back.
    returned: Option<i128>,
    /// Rejected or cancelled.
    is_stopped: bool,
}

#[derive(Default)]
pub struct Withdrawals {
    by_id: BTreeMap<String, Withdrawal>,
    /// The number of each bank account.
    numbers: BTreeMap<String, String>,
}

impl Withdrawals {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let id = &event.stream.id;
        if event.event_type == "bank_account.registered" {
            let details = body.pointer("/sealed/data").and_then(Value::as_str).unwrap_or_default();
            let details: Value = serde_json::from_str(details).unwrap_or_default();
            self.numbers.insert(id.clone(), text(&details, "iban").to_owned());
        }
        if event.event_type.starts_with("merchant_account.withdrawal_") {
            return self.give_fee_back(event, body);
        }
        let Some(kind) = event.event_type.strip_prefix("withdrawal.") else { return Ok(()) };
        let wrong = |detail: &str| Err(Finding::of(4, format!("{id} at position {}: {detail}", event.position)));
        let withdrawal = self.by_id.entry(id.clone()).or_default();
        match kind {
            "requested" => {
                (withdrawal.amount, withdrawal.fee) = (minor(body, "amount"), minor(body, "fee"));
                withdrawal.bank_account = text(body, "bank_account_id").to_owned();
            }
            "approved" => withdrawal.send_not_before = text(body, "send_not_before").to_owned(),
            "rejected" | "cancelled" => withdrawal.is_stopped = true,
            "sending_started" if withdrawal.send_not_before.as_str() > text(body, "started_at") => {
                return wrong("its account has not cooled off");
            }
            "sent" => withdrawal.is_sent = true,
            "failed" => withdrawal.is_refused = true,
            "paid" if withdrawal.is_paid => return wrong("it is paid twice"),
            "paid" => withdrawal.is_paid = true,
            "returned" if withdrawal.returned.is_some() => return wrong("it comes back twice"),
            "returned" => withdrawal.returned = Some(minor(body, "amount")),
            _ => {}
        }
        if withdrawal.is_stopped && (withdrawal.is_sent || withdrawal.is_paid) {
            return wrong("it was stopped and goes on");
        }
        Ok(())
    }

    /// What the merchant paid for it goes back once, whatever the bank does after that. The account's event comes before
    /// the workflow's, so a withdrawal may not be known yet.
    fn give_fee_back(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let Some(withdrawal) = self.by_id.get_mut(text(body, "withdrawal_id")) else { return Ok(()) };
        withdrawal.fee_returned += minor(body, "fee_returned");
        if withdrawal.fee_returned > withdrawal.fee {
            let detail = format!("position {} gives back more than the fee of {withdrawal:?}", event.position);
            return Err(Finding::of(5, detail));
        }
        Ok(())
    }

    pub fn have_ended(&self) -> Result<(), Finding> {
        let waits = |withdrawal: &&Withdrawal| {
            let Withdrawal { is_paid, is_refused, is_stopped, .. } = withdrawal;
            !(*is_paid || *is_refused || *is_stopped)
        };
        match self.by_id.iter().find(|(_, withdrawal)| waits(withdrawal)) {
            Some((id, withdrawal)) => Err(Finding::of(8, format!("{id} has not ended: {withdrawal:?}"))),
            None => Ok(()),
        }
    }

    pub fn agree_with(&self, transfers: &Transfers) -> Result<(), Finding> {
        for (id, withdrawal) in &self.by_id {
            let of_it = transfers.values().filter(|transfer| transfer.withdrawal_id.to_string() == *id);
            let made: Vec<&Transfer> = of_it.collect();
            let agrees = match made[..] {
                [] => !withdrawal.is_sent && !withdrawal.is_paid,
                [transfer] => {
                    withdrawal.is(transfer) && self.numbers.get(&withdrawal.bank_account) == Some(&transfer.number)
                }
                _ => false,
            };
            if !agrees {
                return Err(Finding::of(6, format!("{id}: the bank has {made:?}, booked is {withdrawal:?}")));
            }
        }
        let unknown = transfers.values().find(|transfer| !self.by_id.contains_key(&transfer.withdrawal_id.to_string()));
        match unknown {
            Some(transfer) => Err(Finding::of(6, format!("the bank was instructed for nobody: {transfer:?}"))),
            None => Ok(()),
        }
    }
}

impl Withdrawal {
    fn is(&self, transfer: &Transfer) -> bool {
        let booked = (self.is_paid, self.returned);
        let told = match transfer.state {
            TransferState::Taken => return false,
            TransferState::Refused => (false, None),
            TransferState::Paid => (true, None),
            TransferState::Returned(back) => (true, Some(i128::from(back))),
        };
        booked == told && i128::from(transfer.amount.minor()) == self.amount && !self.is_stopped
    }
}
