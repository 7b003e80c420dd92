//! The read model that a node asks what a merchant can bear: folded from the log, gone with its node.

use adapters::event_store::MemoryEventStore;
use async_trait::async_trait;
use commands::aggregates;
use commands::ports::funds::FundsUnavailable;
use commands::ports::{EventStore, MerchantFunds};
use domain::invariants::Books;
use domain::{Account, Currency, MerchantId};
use parking_lot::Mutex;

use crate::weather::{Fate, Weather};

pub struct FoldedFunds {
    log: MemoryEventStore,
    weather: Weather,
    /// As of this position.
    books: Mutex<(u64, Books)>,
}

impl FoldedFunds {
    pub fn new(log: MemoryEventStore, weather: Weather) -> FoldedFunds {
        FoldedFunds { log, weather, books: Mutex::default() }
    }

    async fn catch_up(&self) -> Result<(), String> {
        let after = self.books.lock().0;
        let news = self.log.read_all(after, usize::MAX).await.map_err(|error| error.to_string())?;
        let mut books = self.books.lock();
        for event in news.iter().filter(|event| event.position > after) {
            let aggregate = aggregates::find(&event.stream.category).ok_or("an unknown category")?;
            if let Some(entry) = aggregate.postings(event).map_err(|error| error.to_string())? {
                books.1.post(entry.legs()).map_err(|violation| violation.to_string())?;
            }
            books.0 = event.position;
        }
        Ok(())
    }
}

#[async_trait]
impl MerchantFunds for FoldedFunds {
    async fn net_balance(&self, merchant: MerchantId, currency: Currency, _: u64) -> Result<i128, FundsUnavailable> {
        if self.weather.there().await != Fate::Arrives {
            return Err(FundsUnavailable("the line was cut".to_owned()));
        }
        self.catch_up().await.map_err(FundsUnavailable)?;
        let books = &self.books.lock().1;
        let accounts =
            books.accounts.keys().filter(|(account, of)| *of == currency && account.merchant() == Some(merchant));
        let counted = accounts.filter_map(|(account, _)| match account {
            Account::MerchantPending(_) | Account::MerchantAvailable(_) | Account::MerchantReserve(..) => {
                Some(books.balance(account, currency))
            }
            Account::MerchantReceivable(_) => Some(-books.balance(account, currency)),
            _ => None,
        });
        Ok(counted.sum())
    }
}
