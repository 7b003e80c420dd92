//! The charge step of a payment that is a capture of a pre-auth: it takes a part of what the channel holds already.
//! Nothing of it is voided and it has no expiry: the money stands held until the channel has said yes or no.

use commands::ports::{Authorizations, CaptureOrder, ChannelAnswer};
use commands::pre_auth::PreAuths;
use domain::payment::Record;
use domain::pre_auth::PreAuth;
use domain::{Money, PreAuthId};

use super::process::{PaymentProcess, is_unknown};
use super::{CHARGE, FIND_OUT_CHARGE, capture_key};
use crate::attempt::{Attempt, FRESH};
use crate::pre_auth;
use crate::process::Trouble;

impl PaymentProcess {
    pub(super) async fn capture(
        &self,
        attempt: &Attempt<'_>,
        record: &Record,
        pre_auth_id: PreAuthId,
    ) -> Result<ChannelAnswer, Trouble> {
        let authorizations = pre_auth::authorizations_of(self.payments(), &record.terms.channel)?;
        let order = self.capture_order(record, pre_auth_id).await?;
        let (step, fresh) = (attempt.due.step, attempt.now.since(record.terms.created_at) <= FRESH);
        let again = || ask_first(authorizations, &order);
        Ok(if step == CHARGE && fresh {
            attempt.insist(authorizations.capture(&order).await, is_unknown, again).await
        } else if step == CHARGE || step == FIND_OUT_CHARGE {
            attempt.insist(again().await, is_unknown, again).await
        } else {
            authorizations.find_capture(&order).await
        })
    }

    async fn capture_order(&self, record: &Record, pre_auth_id: PreAuthId) -> Result<CaptureOrder, Trouble> {
        let terms = &record.terms;
        let held = PreAuths::on(self.payments()).load(pre_auth_id).await?;
        let held = held.of::<PreAuth>().and_then(|state| state.record());
        let reference = held.and_then(|held| held.channel_reference.clone());
        Ok(CaptureOrder {
            key: capture_key(terms.payment_id),
            payment_id: terms.payment_id,
            pre_auth_id,
            amount: Money::new(terms.amount, terms.currency).map_err(|error| Trouble::Parked(error.to_string()))?,
            authorization_reference: reference
                .ok_or_else(|| Trouble::Parked(format!("{pre_auth_id} has captures and was never authorised")))?,
        })
    }
}

async fn ask_first(authorizations: &dyn Authorizations, order: &CaptureOrder) -> ChannelAnswer {
    match authorizations.find_capture(order).await {
        ChannelAnswer::NotFound => authorizations.capture(order).await,
        told => told,
    }
}
