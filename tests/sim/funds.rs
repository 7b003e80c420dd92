//! The read model that a node asks about merchants' money: folded from the log, gone with its node.

use std::collections::BTreeMap;

use adapters::event_store::MemoryEventStore;
use async_trait::async_trait;
use commands::aggregates;
use commands::ports::funds::{FundsUnavailable, PendingBalance};
use commands::ports::{EventStore, MerchantFunds, PendingActivity, RecordedEvent};
use domain::invariants::Books;
use domain::merchant_account::{Holder, MerchantAccount};
use domain::settlement::{Item, Tally};
use domain::{Account, Currency, Decider, MerchantId, Side};
use parking_lot::Mutex;

use crate::weather::{Fate, Weather};

pub struct FoldedBooks {
    log: MemoryEventStore,
    weather: Weather,
    folded: Mutex<Folded>,
}

/// As of `position`.
#[derive(Default)]
struct Folded {
    position: u64,
    books: Books,
    /// What moved pending balances, but for their accounts' own events.
    activity: BTreeMap<Holder, Vec<Item>>,
}

impl FoldedBooks {
    pub fn new(log: MemoryEventStore, weather: Weather) -> FoldedBooks {
        FoldedBooks { log, weather, folded: Mutex::default() }
    }

    async fn catch_up(&self) -> Result<(), FundsUnavailable> {
        if self.weather.there().await != Fate::Arrives {
            return Err(FundsUnavailable("the line was cut".to_owned()));
        }
        let after = self.folded.lock().position;
        let news = self.log.read_all(after, usize::MAX).await.map_err(|error| FundsUnavailable(error.to_string()))?;
        let mut folded = self.folded.lock();
        for event in news.iter().filter(|event| event.position > after) {
            folded.take(event).map_err(FundsUnavailable)?;
        }
        Ok(())
    }
}

impl Folded {
    fn take(&mut self, event: &RecordedEvent) -> Result<(), String> {
        if event.position <= self.position {
            return Ok(());
        }
        self.position = event.position;
        let aggregate = aggregates::find(&event.stream.category).ok_or("an unknown category")?;
        let Some(entry) = aggregate.postings(event).map_err(|error| error.to_string())? else { return Ok(()) };
        self.books.post(entry.legs()).map_err(|violation| violation.to_string())?;
        if event.stream.category == MerchantAccount::CATEGORY {
            return Ok(());
        }
        let mut items: BTreeMap<Holder, Item> = BTreeMap::new();
        for leg in entry.legs() {
            let Account::MerchantPending(merchant_id) = leg.account else { continue };
            let item = items.entry(Holder { merchant_id, currency: leg.currency }).or_insert_with(|| Item {
                position: event.position,
                event_type: event.event_type.clone(),
                object: event.stream.id.clone(),
                debit: 0,
                credit: 0,
            });
            match leg.side {
                Side::Debit => item.debit += leg.amount,
                Side::Credit => item.credit += leg.amount,
            }
        }
        for (holder, item) in items {
            self.activity.entry(holder).or_default().push(item);
        }
        Ok(())
    }
}

#[async_trait]
impl MerchantFunds for FoldedBooks {
    async fn net_balance(&self, merchant: MerchantId, currency: Currency, _: u64) -> Result<i128, FundsUnavailable> {
        self.catch_up().await?;
        let books = &self.folded.lock().books;
        let is_ours = |(account, of): &&(Account, Currency)| *of == currency && account.merchant() == Some(merchant);
        let counted = books.accounts.keys().filter(is_ours).filter_map(|(account, _)| match account {
            Account::MerchantPending(_) | Account::MerchantAvailable(_) | Account::MerchantReserve(..) => {
                Some(books.balance(account, currency))
            }
            Account::MerchantReceivable(_) => Some(-books.balance(account, currency)),
            _ => None,
        });
        Ok(counted.sum())
    }
}

#[async_trait]
impl PendingBalance for FoldedBooks {
    async fn pending(&self, merchant: MerchantId, currency: Currency, _: u64) -> Result<i128, FundsUnavailable> {
        self.catch_up().await?;
        Ok(self.folded.lock().books.balance(&Account::MerchantPending(merchant), currency))
    }
}

#[async_trait]
impl PendingActivity for FoldedBooks {
    async fn holders(
        &self,
        merchant_id: Option<MerchantId>,
        currency: Option<Currency>,
        position: u64,
    ) -> Result<Vec<Holder>, FundsUnavailable> {
        self.catch_up().await?;
        let folded = self.folded.lock();
        let moved = folded.activity.iter().filter(|(_, items)| items.iter().any(|item| item.position <= position));
        let holders = moved.map(|(holder, _)| *holder);
        let is_wanted = |holder: &Holder| {
            merchant_id.is_none_or(|wanted| wanted == holder.merchant_id)
                && currency.is_none_or(|wanted| wanted == holder.currency)
        };
        Ok(holders.filter(is_wanted).collect())
    }

    async fn tally(&self, holder: Holder, from: u64, to: u64) -> Result<Tally, FundsUnavailable> {
        self.catch_up().await?;
        let mut tally = Tally::default();
        let folded = self.folded.lock();
        let items = folded.activity.get(&holder).into_iter().flatten();
        items.filter(|item| item.position > from && item.position <= to).for_each(|item| tally.add(item));
        Ok(tally)
    }
}
