//! A node's line to what the provider holds without taking it.

use async_trait::async_trait;
use commands::ports::{AuthorizationAnswer, AuthorizationOrder, Authorizations, CaptureOrder, ChannelAnswer, Clock};

use super::book::Charge;
use super::holds::{Hold, HoldState};
use super::line::{ChannelLine, unknown_charge};
use super::{ChargeState, Provider};

fn authorize(provider: &Provider, order: &AuthorizationOrder) {
    let chance = &provider.chance;
    let states =
        [(65, HoldState::Held), (10, HoldState::Declined), (13, HoldState::Accepted), (12, HoldState::ActionRequired)];
    let asked = order.amount.minor();
    let holds_for = chance.pick(&[None, None, None, Some(240), Some(7_200)]).map(std::time::Duration::from_secs);
    let hold = Hold {
        key: order.key.clone(),
        pre_auth_id: order.pre_auth_id,
        amount: chance.pick(&[asked, asked, asked, asked, (asked / 2).max(1)]),
        capture_before: holds_for.map(|holds_for| provider.clock.now().plus(holds_for)),
        state: chance.weighted(&states),
    };
    let state = hold.state;
    if provider.book().authorize(order, hold) {
        provider.trace.note(|| format!("      channel performs {}: {state:?}", order.key));
        provider.authorized(order.pre_auth_id, state);
        if let Some(holds_for) = holds_for {
            let pre_auth_id = order.pre_auth_id;
            provider.after(holds_for, move |provider| provider.let_go(pre_auth_id, HoldState::Released));
        }
    }
}

fn capture(provider: &Provider, order: &CaptureOrder) {
    let chance = &provider.chance;
    let states = [(65, ChargeState::Captured), (12, ChargeState::Declined), (23, ChargeState::Accepted)];
    let (state, asked) = (chance.weighted(&states), order.amount.minor());
    let amount = if chance.percent(6) { (asked / 2).max(1) } else { asked };
    let fee_is_told = state == ChargeState::Captured && chance.percent(75);
    let charge = Charge {
        key: order.key.clone(),
        payment_id: order.payment_id,
        pre_auth_id: Some(order.pre_auth_id),
        amount,
        currency: order.amount.currency(),
        fee: chance.pick(&[amount / 100, amount / 100, amount / 50, 0]),
        fee_is_told,
        state,
    };
    if provider.book().capture(order, charge) {
        let state = provider.book().state_of(order.payment_id).unwrap_or(state);
        provider.trace.note(|| format!("      channel performs {}: {state:?}", order.key));
        provider.charged(order.payment_id, state, fee_is_told);
    }
}

fn unknown(reason: String) -> AuthorizationAnswer {
    AuthorizationAnswer::Unknown { reason }
}

#[async_trait]
impl Authorizations for ChannelLine {
    fn takes_several_captures(&self) -> bool {
        true
    }

    async fn authorize(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        let (pre_auth_id, order) = (order.pre_auth_id, order.clone());
        let answer = move |provider: &Provider| provider.book().authorization_answer(pre_auth_id);
        self.call(move |provider| authorize(provider, &order), answer, unknown).await
    }

    async fn find_authorization(&self, order: &AuthorizationOrder) -> AuthorizationAnswer {
        self.call(|_| {}, |provider| provider.book().authorization_answer(order.pre_auth_id), unknown).await
    }

    async fn release(&self, order: &AuthorizationOrder, _: &str) -> AuthorizationAnswer {
        if self.tampering.forgets_to_release() {
            return AuthorizationAnswer::Released;
        }
        let pre_auth_id = order.pre_auth_id;
        let release = move |provider: &Provider| provider.book().release(pre_auth_id);
        self.call(release, |provider| provider.book().authorization_answer(pre_auth_id), unknown).await
    }

    async fn capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        let payment_id = order.payment_id;
        let order = CaptureOrder { key: self.tampering.capture_key(&order.key), ..order.clone() };
        let answer = move |provider: &Provider| provider.book().answer_of(payment_id);
        self.call(move |provider| capture(provider, &order), answer, unknown_charge).await
    }

    async fn find_capture(&self, order: &CaptureOrder) -> ChannelAnswer {
        self.call(|_| {}, |provider| provider.book().answer_of(order.payment_id), unknown_charge).await
    }
}
