//! Money that the provider holds without taking it, by key. What is captured of it is a charge of the same book; together
//! the captures never take more than is held, and nothing is captured of a hold that is gone.

use commands::ports::{AuthorizationAnswer, AuthorizationOrder, CaptureOrder};
use domain::payment::Failure;
use domain::{PaymentId, PreAuthId, Timestamp};

use super::book::{Book, Charge, ChargeState};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    Held,
    ActionRequired,
    Accepted,
    Declined,
    Released,
}

/// Amounts in minor units.
#[derive(Debug, Clone)]
pub struct Hold {
    pub key: String,
    pub pre_auth_id: PreAuthId,
    pub amount: i64,
    pub capture_before: Option<Timestamp>,
    pub state: HoldState,
}

impl Book {
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    fn hold_of(&self, pre_auth_id: PreAuthId) -> Option<&Hold> {
        self.holds.values().find(|hold| hold.pre_auth_id == pre_auth_id)
    }

    fn turn_hold(&mut self, pre_auth_id: PreAuthId, from: &[HoldState], to: HoldState) -> bool {
        let hold = self.holds.values_mut().find(|hold| hold.pre_auth_id == pre_auth_id && from.contains(&hold.state));
        hold.map(|hold| hold.state = to).is_some()
    }

    /// True if it is new.
    pub fn authorize(&mut self, order: &AuthorizationOrder, hold: Hold) -> bool {
        if self.holds.contains_key(&order.key) || self.released_unseen.contains(&order.pre_auth_id) {
            return false;
        }
        self.holds.insert(order.key.clone(), hold);
        true
    }

    pub fn complete_authorization(&mut self, pre_auth_id: PreAuthId, end: HoldState) -> bool {
        self.turn_hold(pre_auth_id, &[HoldState::ActionRequired, HoldState::Accepted], end)
    }

    /// The provider will not hold it any longer.
    pub fn let_go(&mut self, pre_auth_id: PreAuthId, end: HoldState) -> bool {
        self.turn_hold(pre_auth_id, &[HoldState::Held], end)
    }

    /// What never came leaves a tombstone.
    pub fn release(&mut self, pre_auth_id: PreAuthId) {
        let open = [HoldState::Held, HoldState::ActionRequired, HoldState::Accepted];
        if self.hold_of(pre_auth_id).is_none() {
            self.released_unseen.insert(pre_auth_id);
        }
        self.turn_hold(pre_auth_id, &open, HoldState::Released);
    }

    /// Minor units that can still be captured.
    pub fn capturable(&self, pre_auth_id: PreAuthId) -> i64 {
        let hold = self.hold_of(pre_auth_id).filter(|hold| hold.state == HoldState::Held);
        hold.map_or(0, |hold| hold.amount - self.captured_under(pre_auth_id))
    }

    /// Minor units that were captured, or may be.
    fn captured_under(&self, pre_auth_id: PreAuthId) -> i64 {
        let takes = |charge: &&Charge| matches!(charge.state, ChargeState::Captured | ChargeState::Accepted);
        let charges = self.charges().filter(|charge| charge.pre_auth_id == Some(pre_auth_id));
        charges.filter(takes).map(|charge| charge.amount).sum()
    }

    pub fn is_capture(&self, payment_id: PaymentId) -> bool {
        self.charges().any(|charge| charge.payment_id == payment_id && charge.pre_auth_id.is_some())
    }

    /// True if it is new. `amount` may be less than was asked for; what the hold does not bear is declined.
    pub fn capture(&mut self, order: &CaptureOrder, charge: Charge) -> bool {
        let is_borne = order.amount.minor() <= self.capturable(order.pre_auth_id);
        let state = if is_borne { charge.state } else { ChargeState::Declined };
        self.enter(Charge { state, ..charge })
    }

    pub fn authorization_answer(&self, pre_auth_id: PreAuthId) -> AuthorizationAnswer {
        let Some(hold) = self.hold_of(pre_auth_id) else {
            return match self.released_unseen.contains(&pre_auth_id) {
                true => AuthorizationAnswer::Released,
                false => AuthorizationAnswer::NotFound,
            };
        };
        let channel_reference = format!("au_{}", hold.key);
        match hold.state {
            HoldState::Held => {
                let (amount, capture_before) = (hold.amount, hold.capture_before);
                AuthorizationAnswer::Authorized { channel_reference, amount, capture_before }
            }
            HoldState::ActionRequired => {
                let url = format!("https://pay.example/{pre_auth_id}");
                AuthorizationAnswer::ActionRequired { channel_reference, url }
            }
            HoldState::Accepted => AuthorizationAnswer::Accepted { channel_reference },
            HoldState::Declined => AuthorizationAnswer::Declined {
                channel_reference: Some(channel_reference),
                failure: Failure::new("card_declined", None),
            },
            HoldState::Released => AuthorizationAnswer::Released,
        }
    }
}
