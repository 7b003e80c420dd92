//! What the provider did, by key: the truth about the outside world.

use std::collections::{BTreeMap, BTreeSet};

use commands::ports::{ChannelAnswer, ChargeOrder, RefundAnswer, RefundOrder};
use domain::payment::Failure;
use domain::{Currency, PaymentId, PreAuthId, RefundId};

use super::disputes::Dispute;
use super::holds::Hold;
use super::payouts::PaidOut;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChargeState {
    Captured,
    ActionRequired,
    Accepted,
    Declined,
    Voided,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundState {
    Succeeded,
    Accepted,
    Failed,
}

/// Amounts in minor units.
#[derive(Debug, Clone)]
pub struct Charge {
    pub key: String,
    pub payment_id: PaymentId,
    /// What it was captured of, where it was held before.
    pub pre_auth_id: Option<PreAuthId>,
    pub amount: i64,
    pub currency: Currency,
    pub fee: i64,
    pub fee_is_told: bool,
    pub state: ChargeState,
}

#[derive(Debug, Clone)]
pub struct Refund {
    pub payment_id: PaymentId,
    pub amount: i64,
    pub currency: Currency,
    pub fee_returned: i64,
    pub state: RefundState,
}

#[derive(Debug, Default)]
pub struct Book {
    /// By key: another key is another charge, as with any provider.
    charges: BTreeMap<String, Charge>,
    refunds: BTreeMap<RefundId, Refund>,
    refund_keys: BTreeSet<String>,
    /// Payments whose charge was voided before it came.
    tombstones: BTreeSet<PaymentId>,
    pub(super) payouts: Vec<PaidOut>,
    pub(super) disputes: BTreeMap<String, Dispute>,
    pub(super) holds: BTreeMap<String, Hold>,
    /// Pre-auths that were released before they came.
    pub(super) released_unseen: BTreeSet<PreAuthId>,
}

impl Book {
    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.charges.values()
    }

    pub fn refunds(&self) -> impl Iterator<Item = (&RefundId, &Refund)> {
        self.refunds.iter()
    }

    pub fn refund(&self, refund_id: RefundId) -> Option<&Refund> {
        self.refunds.get(&refund_id)
    }

    fn charge_of(&mut self, payment_id: PaymentId) -> Option<&mut Charge> {
        self.charges.values_mut().find(|charge| charge.payment_id == payment_id)
    }

    /// True if it is new.
    pub fn charge(&mut self, order: &ChargeOrder, state: ChargeState, fee: i64, fee_is_told: bool) -> bool {
        if self.tombstones.contains(&order.payment_id) {
            return false;
        }
        self.enter(Charge {
            key: order.key.clone(),
            payment_id: order.payment_id,
            pre_auth_id: None,
            amount: order.amount.minor(),
            currency: order.amount.currency(),
            fee,
            fee_is_told,
            state,
        })
    }

    /// True if its key is new.
    pub(super) fn enter(&mut self, charge: Charge) -> bool {
        if self.charges.contains_key(&charge.key) {
            return false;
        }
        self.charges.insert(charge.key.clone(), charge);
        true
    }

    pub fn state_of(&self, payment_id: PaymentId) -> Option<ChargeState> {
        self.charges.values().find(|charge| charge.payment_id == payment_id).map(|charge| charge.state)
    }

    /// What has not come to an end cannot any more; what never came leaves a tombstone.
    pub fn void(&mut self, payment_id: PaymentId) {
        match self.charge_of(payment_id) {
            Some(charge) if matches!(charge.state, ChargeState::ActionRequired | ChargeState::Accepted) => {
                charge.state = ChargeState::Voided;
            }
            Some(_) => {}
            None => drop(self.tombstones.insert(payment_id)),
        }
    }

    pub fn complete(&mut self, payment_id: PaymentId, end: ChargeState) -> bool {
        let open = |charge: &&mut Charge| matches!(charge.state, ChargeState::ActionRequired | ChargeState::Accepted);
        let charge = self.charge_of(payment_id).filter(open);
        charge.map(|charge| charge.state = end).is_some()
    }

    /// A capture that was declined is made after all only while the money is held still.
    pub fn change_its_mind(&mut self, payment_id: PaymentId) -> bool {
        let charge = self.charges.values().find(|charge| charge.payment_id == payment_id);
        let held = charge.and_then(|charge| Some((charge.amount, charge.pre_auth_id?)));
        if held.is_some_and(|(amount, pre_auth_id)| amount > self.capturable(pre_auth_id)) {
            return false;
        }
        let charge = self.charge_of(payment_id).filter(|charge| charge.state == ChargeState::Declined);
        charge.map(|charge| charge.state = ChargeState::Captured).is_some()
    }

    pub fn tell_fee(&mut self, payment_id: PaymentId) {
        if let Some(charge) = self.charge_of(payment_id) {
            charge.fee_is_told = true;
        }
    }

    pub fn answer_of(&self, payment_id: PaymentId) -> ChannelAnswer {
        let Some(charge) = self.charges.values().find(|charge| charge.payment_id == payment_id) else {
            return match self.tombstones.contains(&payment_id) {
                true => ChannelAnswer::Voided,
                false => ChannelAnswer::NotFound,
            };
        };
        let channel_reference = format!("ch_{}", charge.key);
        match charge.state {
            ChargeState::Captured => {
                let fee = charge.fee_is_told.then_some(charge.fee);
                ChannelAnswer::Captured { channel_reference, amount: charge.amount, fee }
            }
            ChargeState::ActionRequired => {
                ChannelAnswer::ActionRequired { channel_reference, url: format!("https://pay.example/{payment_id}") }
            }
            ChargeState::Accepted => ChannelAnswer::Accepted { channel_reference },
            ChargeState::Declined => ChannelAnswer::Declined {
                channel_reference: Some(channel_reference),
                failure: Failure::new("card_declined", None),
            },
            ChargeState::Voided => ChannelAnswer::Voided,
        }
    }

    /// True if it is new. What would give back more than was taken fails.
    pub fn refund_charge(&mut self, order: &RefundOrder, state: RefundState, fee_returned: i64) -> bool {
        if !self.refund_keys.insert(order.key.clone()) {
            return false;
        }
        let amount = order.amount.minor();
        let state = if amount > self.refundable(order.payment_id) { RefundState::Failed } else { state };
        let refund =
            Refund { payment_id: order.payment_id, amount, currency: order.amount.currency(), fee_returned, state };
        self.refunds.insert(order.refund_id, refund);
        true
    }

    pub fn turn_refund(&mut self, refund_id: RefundId, end: RefundState) -> bool {
        let Some(refund) = self.refunds.get(&refund_id) else { return false };
        let is_revived = refund.state == RefundState::Failed && end == RefundState::Succeeded;
        if is_revived && refund.amount > self.refundable(refund.payment_id) {
            return false;
        }
        let refund = self.refunds.get_mut(&refund_id);
        refund.map(|refund| refund.state = end).is_some()
    }

    fn refundable(&self, payment_id: PaymentId) -> i64 {
        let captured = |charge: &&Charge| charge.payment_id == payment_id && charge.state == ChargeState::Captured;
        let taken: i64 = self.charges.values().filter(captured).map(|charge| charge.amount).sum();
        let moved = |refund: &&Refund| refund.payment_id == payment_id && refund.state != RefundState::Failed;
        taken - self.refunds.values().filter(moved).map(|refund| refund.amount).sum::<i64>()
    }

    pub fn refund_answer(&self, refund_id: RefundId) -> RefundAnswer {
        let channel_reference = format!("rf_{refund_id}");
        match self.refunds.get(&refund_id) {
            None => RefundAnswer::NotFound,
            Some(refund) => match refund.state {
                RefundState::Succeeded => {
                    RefundAnswer::Succeeded { channel_reference, fee_returned: refund.fee_returned }
                }
                RefundState::Accepted => RefundAnswer::Accepted { channel_reference },
                RefundState::Failed => RefundAnswer::Failed { failure: Failure::new("refund_failed", None) },
            },
        }
    }

    pub fn fee_of(&self, payment_id: PaymentId) -> Option<i64> {
        self.charges.values().find(|charge| charge.payment_id == payment_id).map(|charge| charge.fee)
    }

    pub fn currency_of(&self, payment_id: PaymentId) -> Option<Currency> {
        self.charges.values().find(|charge| charge.payment_id == payment_id).map(|charge| charge.currency)
    }

    pub fn captured_of(&self, payment_id: PaymentId) -> i64 {
        self.charges.values().find(|charge| charge.payment_id == payment_id).map_or(0, |charge| charge.amount)
    }
}
