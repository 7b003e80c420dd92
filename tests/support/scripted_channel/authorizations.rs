//! The scripted provider holds money, too: one authorisation per pre-auth, captured in parts, each key once. A capture
//! is declined where the token says so, or once the hold is released or used up.

use async_trait::async_trait;
use commands::ports::{AuthorizationAnswer, AuthorizationOrder, Authorizations, CaptureOrder, ChannelAnswer};
use domain::{PaymentId, PreAuthId};

use super::{Book, Effect, ScriptedChannel, failure, unknown_charge};

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Held,
    ActionRequired,
    Accepted,
    Declined,
    Released,
}

#[derive(Debug)]
pub(super) struct Hold {
    pre_auth_id: PreAuthId,
    state: State,
    amount: i64,
    token: String,
    captures: Vec<Capture>,
}

#[derive(Debug)]
struct Capture {
    payment_id: PaymentId,
    amount: i64,
    is_made: bool,
}

impl ScriptedChannel {
    /// The customer has acted, or the channel has done its work.
    pub fn complete_authorization(&self, pre_auth_id: PreAuthId) {
        let mut book = self.book.lock();
        if let Some(hold) = book.hold_of(pre_auth_id)
            && matches!(hold.state, State::ActionRequired | State::Accepted)
        {
            hold.state = State::Held;
        }
    }

    /// Whether money is held now, in minor units.
    pub fn held(&self, pre_auth_id: PreAuthId) -> i64 {
        let mut book = self.book.lock();
        book.hold_of(pre_auth_id).filter(|hold| hold.state == State::Held).map_or(0, |hold| hold.left())
    }
}

impl Hold {
    fn left(&self) -> i64 {
        self.amount - self.captures.iter().filter(|capture| capture.is_made).map(|capture| capture.amount).sum::<i64>()
    }
}

impl Book {
    fn hold_of(&mut self, pre_auth_id: PreAuthId) -> Option<&mut Hold> {
        self.holds.iter_mut().find(|hold| hold.pre_auth_id == pre_auth_id)
    }

    fn authorize(&mut self, order: &AuthorizationOrder) {
        if self.hold_of(order.pre_auth_id).is_some() {
            return;
        }
        let state = match order.token.as_str() {
            "tok_declined" => State::Declined,
            "tok_requires_action" => State::ActionRequired,
            "tok_async" => State::Accepted,
            _ => State::Held,
        };
        self.hold(order, state);
    }

    fn hold(&mut self, order: &AuthorizationOrder, state: State) {
        self.holds.push(Hold {
            pre_auth_id: order.pre_auth_id,
            state,
            amount: order.amount.minor(),
            token: order.token.clone(),
            captures: vec![],
        });
    }

    /// What never came leaves a tombstone.
    fn release(&mut self, order: &AuthorizationOrder) {
        match self.hold_of(order.pre_auth_id) {
            Some(hold) if hold.state != State::Declined => hold.state = State::Released,
            Some(_) => {}
            None => self.hold(order, State::Released),
        }
    }

    fn authorization(&mut self, pre_auth_id: PreAuthId) -> AuthorizationAnswer {
        let channel_reference = format!("au_{pre_auth_id}");
        let Some(hold) = self.hold_of(pre_auth_id) else { return AuthorizationAnswer::NotFound };
        match hold.state {
            State::Held => {
                AuthorizationAnswer::Authorized { channel_reference, amount: hold.amount, capture_before: None }
            }
            State::ActionRequired => AuthorizationAnswer::ActionRequired {
                channel_reference,
                url: format!("https://pay.example/{pre_auth_id}"),
            },
            State::Accepted => AuthorizationAnswer::Accepted { channel_reference },
            State::Declined => AuthorizationAnswer::Declined {
                channel_reference: Some(channel_reference),
                failure: failure("card_declined"),
            },
            State::Released => AuthorizationAnswer::Released,
        }
    }

    fn capture(&mut self, order: &CaptureOrder) {
        let amount = order.amount.minor();
        let Some(hold) = self.hold_of(order.pre_auth_id) else { return };
        if hold.captures.iter().any(|capture| capture.payment_id == order.payment_id) {
            return;
        }
        let is_made = hold.state == State::Held && amount <= hold.left() && hold.token != "tok_capture_declined";
        hold.captures.push(Capture { payment_id: order.payment_id, amount, is_made });
        if is_made {
            self.effects.push(Effect { key: order.key.clone(), reference: order.payment_id.to_string(), amount });
        }
    }

    fn captured(&mut self, order: &CaptureOrder) -> ChannelAnswer {
        let hold = self.hold_of(order.pre_auth_id);
        let mut captures = hold.into_iter().flat_map(|hold| &hold.captures);
        match captures.find(|capture| capture.payment_id == order.payment_id) {
            None => ChannelAnswer::NotFound,
            Some(Capture { is_made: false, .. }) => {
                ChannelAnswer::Declined { channel_reference: None, failure: failure("capture_declined") }
            }
            Some(capture) => ChannelAnswer::Captured {
                channel_reference: format!("cp_{}", order.payment_id),
                amount: capture.amount,
                fee: Some(capture.amount / 100),
            },
        }
    }
}

fn unknown(reason: &str) -> AuthorizationAnswer {
    AuthorizationAnswer::Unknown { reason: reason.to_owned() }
}

#[async_trait]
impl Authorizations for ScriptedChannel {
    fn takes_several_captures(&self) -> bool {
        true
    }

    async fn authorize(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        self.call(format!("authorize {}", order.pre_auth_id), unknown, |book| {
            book.authorize(order);
            book.authorization(order.pre_auth_id)
        })
    }

    async fn find_authorization(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        self.call(format!("find_authorization {}", order.pre_auth_id), unknown, |book| {
            book.authorization(order.pre_auth_id)
        })
    }

    async fn release(&self, order: &AuthorizationOrder, _: &str) -> AuthorizationAnswer {
        self.call(format!("release {}", order.pre_auth_id), unknown, |book| {
            book.release(order);
            book.authorization(order.pre_auth_id)
        })
    }

    async fn capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        self.call(format!("capture {}", order.payment_id), unknown_charge, |book| {
            book.capture(order);
            book.captured(order)
        })
    }

    async fn find_capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        self.call(format!("find_capture {}", order.payment_id), unknown_charge, |book| book.captured(order))
    }
}
