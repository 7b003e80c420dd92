//! What a merchant's account posts, written down a second time from the chart of postings. How an amount is split is
//! worked out from the auditor's own sums: debts are repaid first, and what is taken is taken from what is there.

use serde_json::Value;

use super::books::Entry;
use super::journal::Sums;
use super::{minor, text};

/// `kind` is the type of event without its category.
pub fn entry(kind: &str, body: &Value, sums: &Sums) -> Result<Option<Entry>, String> {
    let account = Account { merchant: text(body, "merchant_id"), body, sums };
    let amount = minor(body, "amount");
    let (fee, fee_returned, bank_fee) = (minor(body, "fee"), minor(body, "fee_returned"), minor(body, "bank_fee"));
    let (bank, withdrawal) = (text(body, "bank"), text(body, "withdrawal_id"));
    let cash = format!("bank:{bank}:cash");
    let in_transit = format!("bank:{bank}:in_transit:{withdrawal}");
    let hold = account.of(&format!("withdrawal_hold:{withdrawal}"));
    let batch = account.of(&format!("settlement:{}", text(body, "settlement_id")));
    let lot = account.of(&format!("reserve:{}", text(body, "settlement_id")));
    let counter = text(body, "counter").to_owned();
    let revenue = "revenue:withdrawal_fee".to_owned();
    let empty = Entry::in_currency_of(body);
    let entry = match kind {
        "settlement_closed" if minor(body, "net") > 0 => {
            empty.transfer(&account.of("pending"), &batch, minor(body, "net"))
        }
        "settlement_closed" => account.draw(-minor(body, "net"), &account.of("pending")),
        "settlement_released" => {
            let reserved = minor(body, "reserved");
            let left = account.credit(&[(batch.clone(), account.held(&batch) - reserved)]);
            left.transfer(&batch, &lot, reserved)
        }
        "reserve_released" => account.credit(&[(lot.clone(), account.held(&lot))]),
        "withdrawal_held" => empty.transfer(&account.of("available"), &hold, amount + fee),
        "withdrawal_released" => account.credit(&[(hold, amount + fee)]),
        "withdrawal_sent" => empty.transfer(&hold, &in_transit, amount).transfer(&hold, &revenue, fee),
        "withdrawal_paid" => empty.transfer(&in_transit, &cash, amount),
        "withdrawal_paid_late" => account.draw(amount, &cash),
        "withdrawal_failed" => account.credit(&[(in_transit, amount), (revenue, fee_returned)]),
        "withdrawal_returned" => {
            let kept = "expense:bank_fee".to_owned();
            account.credit(&[(cash, amount - bank_fee), (kept, bank_fee), (revenue, fee_returned)])
        }
        "adjustment_credited" => account.credit(&[(counter, amount)]),
        "adjustment_debited" => empty.transfer(&account.of("available"), &counter, amount),
        "receivable_written_off" => empty.transfer("expense:merchant_loss", &account.of("receivable"), amount),
        unknown => return Err(format!("merchant_account.{unknown} is not in the auditor's chart")),
    };
    Ok(Some(entry))
}

struct Account<'a> {
    merchant: &'a str,
    body: &'a Value,
    sums: &'a Sums,
}

impl Account<'_> {
    fn of(&self, name: &str) -> String {
        format!("merchant:{}:{name}", self.merchant)
    }

    /// What stands there, whichever side it stands on.
    fn held(&self, account: &str) -> i128 {
        let key = (account.to_owned(), text(self.body, "currency").to_owned());
        self.sums.get(&key).copied().unwrap_or_default().abs()
    }

    /// What comes in repays what is owed before it is available.
    fn credit(&self, sources: &[(String, i128)]) -> Entry {
        let mut owed = self.held(&self.of("receivable"));
        sources.iter().fold(Entry::in_currency_of(self.body), |entry, (source, amount)| {
            let repaid = owed.min(*amount);
            owed -= repaid;
            let entry = entry.transfer(source, &self.of("receivable"), repaid);
            entry.transfer(source, &self.of("available"), amount - repaid)
        })
    }

    /// What goes out is taken from what is available, then from the lots that the event names, and the rest is owed.
    fn draw(&self, amount: i128, to: &str) -> Entry {
        let available = self.held(&self.of("available")).min(amount);
        let mut entry = Entry::in_currency_of(self.body).transfer(&self.of("available"), to, available);
        let mut left = amount - available;
        let lots = self.body.pointer("/drawn/lots").and_then(Value::as_array).into_iter().flatten();
        for share in lots {
            let lot = self.of(&format!("reserve:{}", text(share, "settlement_id")));
            let taken = self.held(&lot).min(left);
            entry = entry.transfer(&lot, to, taken);
            left -= taken;
        }
        entry.transfer(&self.of("receivable"), to, left)
    }
}
