//! Recounts settlements: each batch is exactly what its window of the log holds, and windows follow one another.

use std::collections::{HashMap, VecDeque};

use domain::invariants::Violation;
use domain::merchant_account::{Event, Holder, MerchantAccount, SettlementClosed};
use domain::settlement::{Item, Tally};
use domain::{Account, BalancedEntry, Decider, Side};

use crate::ports::RecordedEvent;

/// What is pending and not settled yet; feed it the log in order.
#[derive(Default)]
pub(super) struct Unsettled {
    holders: HashMap<Holder, Window>,
    pub(super) batches: u64,
}

#[derive(Default)]
struct Window {
    from: u64,
    /// Each event that moved pending money.
    items: VecDeque<Item>,
}

impl Unsettled {
    pub(super) fn take(&mut self, event: &RecordedEvent, entry: Option<&BalancedEntry>) -> Result<(), Violation> {
        if event.stream.category == MerchantAccount::CATEGORY {
            return match event.decode::<Event>() {
                Ok(Event::SettlementClosed(closed)) => self.close(&closed),
                _ => Ok(()),
            };
        }
        for leg in entry.into_iter().flat_map(|entry| entry.legs()) {
            let Account::MerchantPending(merchant_id) = leg.account else { continue };
            let window = self.holders.entry(Holder { merchant_id, currency: leg.currency }).or_default();
            if window.items.back().is_none_or(|item| item.position != event.position) {
                window.items.push_back(item_of(event));
            }
            let Some(item) = window.items.back_mut() else { continue };
            match leg.side {
                Side::Debit => item.debit += leg.amount,
                Side::Credit => item.credit += leg.amount,
            }
        }
        Ok(())
    }

    fn close(&mut self, closed: &SettlementClosed) -> Result<(), Violation> {
        let holder = Holder { merchant_id: closed.merchant_id, currency: closed.currency };
        let window = self.holders.entry(holder).or_default();
        let mut tally = Tally::default();
        while let Some(item) = window.items.pop_front_if(|item| item.position <= closed.window.to) {
            tally.add(&item);
        }
        let from = std::mem::replace(&mut window.from, closed.window.to);
        self.batches += 1;
        let found = (from, tally.net, tally.gross_captured, tally.items, tally.digest());
        let (net, gross_captured) = (i128::from(closed.net), i128::from(closed.gross_captured));
        let told = (closed.window.from, net, gross_captured, closed.items, closed.items_digest.clone());
        if found == told {
            Ok(())
        } else {
            let what = "from, sum, gross, items and digest";
            let detail = format!("{}: {what} are {told:?} instead of {found:?}", closed.settlement_id);
            Err(Violation::of(5, detail))
        }
    }
}

/// Before any leg is counted.
fn item_of(event: &RecordedEvent) -> Item {
    Item {
        position: event.position,
        event_type: event.event_type.clone(),
        object: event.stream.id.clone(),
        debit: 0,
        credit: 0,
    }
}
