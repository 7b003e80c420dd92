//! Each payment as the log tells it: what may go back never exceeds what came in (invariant 4), what happened at the
//! channel is what was booked, once (6), and everything has an end (8).

use std::collections::BTreeMap;

use commands::ports::RecordedEvent;
use serde_json::Value;

use super::{minor, text};
use crate::channel::{Book, ChargeState, RefundState};
use crate::finding::Finding;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Captured,
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Going {
    Pending,
    Back,
    /// Made after it had been called failed: a fact that nobody could refuse.
    BackLate,
    Nowhere,
}

#[derive(Debug)]
struct Payment {
    authorised: i128,
    markup_rate: String,
    expected_fee_rate: String,
    stage: Stage,
    /// False once it was cancelled, expired or failed: what comes in after that must go back.
    wanted: bool,
    captured: i128,
    refunds: BTreeMap<String, (i128, Going)>,
    /// What the channel keeps for each dispute: all of it until it is closed, then what was lost.
    disputed: BTreeMap<String, i128>,
    /// The most by which the ledger has said that more went back than came in.
    over_returned: i128,
}

#[derive(Default)]
pub struct Payments {
    by_id: BTreeMap<String, Payment>,
}

impl Payments {
    pub fn take(&mut self, event: &RecordedEvent, body: &Value) -> Result<(), Finding> {
        let Some(kind) = event.event_type.strip_prefix("payment.") else { return Ok(()) };
        let id = &event.stream.id;
        let wrong = |detail: &str| Err(Finding::of(4, format!("{id} at position {}: {detail}", event.position)));
        if kind == "created" {
            self.open(id, body);
            return Ok(());
        }
        let Some(payment) = self.by_id.get_mut(id) else { return wrong("it was never created") };
        match kind {
            "captured" => {
                payment.captured += minor(body, "amount");
                if payment.stage == Stage::Captured || payment.captured > payment.authorised {
                    return wrong("more was captured than authorised");
                }
                payment.stage = Stage::Captured;
                return payment.is_priced_right(body).map_err(|detail| Finding::of(1, format!("{id}: {detail}")));
            }
            "failed" | "cancelled" | "expired" => (payment.stage, payment.wanted) = (Stage::Over, false),
            "cancellation_requested" => payment.wanted = false,
            "refund_requested" => {
                payment.refund(body, Going::Pending);
                // A late success may have taken too much, which nobody could refuse; nothing is added to that.
                if payment.goes_back() + payment.in_dispute() > payment.captured {
                    return wrong("a refund is taken on beyond what was captured");
                }
            }
            "dispute_opened" | "dispute_adjusted" => payment.dispute(body, minor(body, "amount")),
            "dispute_closed" => payment.dispute(body, -minor(body, "won")),
            "dispute_reopened" => payment.dispute(body, minor(body, "won")),
            "over_returned" => payment.over_returned = minor(body, "excess"),
            "refund_succeeded" => payment.refund(body, Going::Back),
            "refund_succeeded_late" => payment.refund(body, Going::BackLate),
            "refund_failed" | "refund_reversed" => payment.refund(body, Going::Nowhere),
            _ => {}
        }
        if payment.goes_back() > payment.captured {
            return wrong("more goes back than was captured");
        }
        Ok(())
    }

    fn open(&mut self, id: &str, body: &Value) {
        let payment = Payment {
            authorised: minor(body, "amount"),
            markup_rate: body.pointer("/pricing/markup_rate").and_then(Value::as_str).unwrap_or_default().to_owned(),
            expected_fee_rate: text(body, "expected_channel_fee_rate").to_owned(),
            stage: Stage::Open,
            wanted: true,
            captured: 0,
            refunds: BTreeMap::new(),
            disputed: BTreeMap::new(),
            over_returned: 0,
        };
        self.by_id.insert(id.to_owned(), payment);
    }

    pub fn have_ended(&self) -> Result<(), Finding> {
        for (id, payment) in &self.by_id {
            let pending = payment.refunds.values().any(|(_, going)| *going == Going::Pending);
            if payment.stage == Stage::Open || pending {
                return Err(Finding::of(8, format!("{id} has not ended: {payment:?}")));
            }
            let gone = payment.gone_back() + payment.in_dispute();
            if gone > payment.captured && payment.over_returned < gone - payment.captured {
                return Err(Finding::of(4, format!("{id}: more went back than came in, untold: {payment:?}")));
            }
            if !payment.wanted && gone < payment.captured {
                return Err(Finding::of(
                    8,
                    format!("{id} is not wanted, and its money has not gone back: {payment:?}"),
                ));
            }
        }
        Ok(())
    }

    pub fn agree_with(&self, provider: &Book) -> Result<(), Finding> {
        for (id, payment) in &self.by_id {
            let charges = provider.charges().filter(|charge| charge.payment_id.to_string() == *id);
            let took: Vec<i64> =
                charges.filter(|charge| charge.state == ChargeState::Captured).map(|charge| charge.amount).collect();
            if took.len() > 1 || took.iter().copied().map(i128::from).sum::<i128>() != payment.captured {
                return Err(Finding::of(
                    6,
                    format!("{id}: the channel took {took:?}, booked are {}", payment.captured),
                ));
            }
        }
        let made = provider.refunds().filter(|(_, refund)| refund.state == RefundState::Succeeded);
        let mut made: Vec<(String, i128)> = made.map(|(id, refund)| (id.to_string(), refund.amount.into())).collect();
        let refunds = self.by_id.values().flat_map(|payment| &payment.refunds);
        let booked = refunds.filter(|(_, (_, going))| matches!(going, Going::Back | Going::BackLate));
        let mut booked: Vec<(String, i128)> = booked.map(|(id, (amount, _))| (id.clone(), *amount)).collect();
        made.sort();
        booked.sort();
        if made != booked {
            return Err(Finding::of(6, format!("the channel gave back {made:?}, booked are {booked:?}")));
        }
        Ok(())
    }
}

impl Payment {
    fn refund(&mut self, body: &Value, going: Going) {
        self.refunds.insert(text(body, "refund_id").to_owned(), (minor(body, "amount"), going));
    }

    fn dispute(&mut self, body: &Value, more: i128) {
        *self.disputed.entry(text(body, "dispute_id").to_owned()).or_default() += more;
    }

    fn in_dispute(&self) -> i128 {
        self.disputed.values().sum()
    }

    /// Has gone back or may, but for what came too late to be refused.
    fn goes_back(&self) -> i128 {
        let going = self.refunds.values().filter(|(_, going)| matches!(going, Going::Pending | Going::Back));
        going.map(|(amount, _)| amount).sum()
    }

    fn gone_back(&self) -> i128 {
        let back = self.refunds.values().filter(|(_, going)| matches!(going, Going::Back | Going::BackLate));
        back.map(|(amount, _)| amount).sum()
    }

    fn is_priced_right(&self, body: &Value) -> Result<(), String> {
        let markup = share(self.captured, &self.markup_rate);
        if minor(body, "markup") != markup {
            return Err(format!("the markup is not {markup}: {body}"));
        }
        let estimate = share(self.captured, &self.expected_fee_rate);
        match body.pointer("/channel_fee/estimated").and_then(Value::as_i64) {
            Some(estimated) if i128::from(estimated) != estimate => {
                Err(format!("the estimate is not {estimate}: {body}"))
            }
            _ => Ok(()),
        }
    }
}

/// `amount` times a rate such as `0.008`, halves rounded up.
fn share(amount: i128, rate: &str) -> i128 {
    let (whole, places) = rate.split_once('.').unwrap_or((rate, ""));
    let digits: i128 = format!("{whole}{places}").parse().unwrap_or_default();
    let unit = 10_i128.pow(u32::try_from(places.len()).unwrap_or_default());
    (2 * amount * digits + unit) / (2 * unit)
}
