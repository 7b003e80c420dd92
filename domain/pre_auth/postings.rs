//! What each event of a pre-auth does to the memo accounts: what is held goes in, what is captured or given back goes
//! out. No money moves; a capture's money is posted by its payment.

use super::event::Event;
use crate::{Account, BalancedEntry, ChannelName, Currency, MerchantId, PreAuthId};

pub(super) fn of(event: &Event) -> Option<BalancedEntry> {
    let (pre_auth_id, merchant_id, channel, currency, amount) = match event {
        Event::Authorized(event) => {
            (event.pre_auth_id, event.merchant_id, &event.channel, event.currency, event.amount)
        }
        Event::Captured(event) => {
            (event.pre_auth_id, event.merchant_id, &event.channel, event.currency, -(event.amount + event.released))
        }
        Event::CaptureFailed(event) => {
            (event.pre_auth_id, event.merchant_id, &event.channel, event.currency, -event.released)
        }
        Event::CapturedLate(event) => {
            (event.pre_auth_id, event.merchant_id, &event.channel, event.currency, -event.covered)
        }
        Event::Closed(event) => (event.pre_auth_id, event.merchant_id, &event.channel, event.currency, -event.released),
        Event::Created(_)
        | Event::ActionRequired(_)
        | Event::Accepted { .. }
        | Event::OutcomeUnknown { .. }
        | Event::CancellationRequested { .. }
        | Event::Failed(_)
        | Event::Cancelled { .. }
        | Event::Expired { .. }
        | Event::CaptureRequested(_)
        | Event::HoldReleased { .. } => return None,
    };
    held(pre_auth_id, merchant_id, channel, currency, amount)
}

/// `memo:auth` - `memo:authorized`, the signs turned for what is no longer held.
fn held(
    pre_auth_id: PreAuthId,
    merchant_id: MerchantId,
    channel: &ChannelName,
    currency: Currency,
    amount: i64,
) -> Option<BalancedEntry> {
    let authorized = Account::MemoAuthorized(merchant_id, pre_auth_id);
    BalancedEntry::in_currency(currency).transfer(Account::MemoAuth(channel.clone()), authorized, amount).build()
}
