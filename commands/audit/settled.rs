//! Recounts settlements: each batch is exactly what its window of the log holds, and windows follow one another.

use std::collections::{HashMap, VecDeque};

use domain::invariants::Violation;
use domain::merchant_account::{Event, Holder, MerchantAccount, SettlementClosed};
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
    /// The position of each event that moved pending money, and by how much.
    items: VecDeque<(u64, i128)>,
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
            let amount = i128::from(leg.amount) * if leg.side == Side::Credit { 1 } else { -1 };
            match window.items.back_mut() {
                Some((position, sum)) if *position == event.position => *sum += amount,
                _ => window.items.push_back((event.position, amount)),
            }
        }
        Ok(())
    }

    fn close(&mut self, closed: &SettlementClosed) -> Result<(), Violation> {
        let holder = Holder { merchant_id: closed.merchant_id, currency: closed.currency };
        let window = self.holders.entry(holder).or_default();
        let (mut net, mut items) = (0, 0);
        while let Some((_, amount)) = window.items.pop_front_if(|(position, _)| *position <= closed.window.to) {
            net += amount;
            items += 1;
        }
        let from = std::mem::replace(&mut window.from, closed.window.to);
        self.batches += 1;
        let (found, told) = ((from, net, items), (closed.window.from, i128::from(closed.net), closed.items));
        if found == told {
            Ok(())
        } else {
            let detail = format!("{}: from, sum and items are {told:?} instead of {found:?}", closed.settlement_id);
            Err(Violation::of(5, detail))
        }
    }
}
