//! Reads the log ahead of whoever folds it: while one page is written, the next one is read. Knows no read model.

use std::sync::Arc;

use commands::ports::{EventStore, RecordedEvent, StoreError};
use tokio::task::JoinSet;

/// Consecutive events.
pub(crate) struct Page {
    pub(crate) events: Vec<RecordedEvent>,
    /// No more were there when it was read.
    pub(crate) is_last: bool,
}

/// Dropped, it stops reading.
pub(crate) struct Pages {
    store: Arc<dyn EventStore>,
    /// Behind which position the next page is read already.
    after: u64,
    ahead: JoinSet<Result<Page, StoreError>>,
}

impl Pages {
    pub(crate) fn of(store: Arc<dyn EventStore>) -> Pages {
        Pages { store, after: 0, ahead: JoinSet::new() }
    }

    /// The events behind `after`, about `limit` of them at most.
    pub(crate) async fn next(&mut self, after: u64, limit: usize) -> Result<Page, StoreError> {
        let page = match self.read_ahead(after).await {
            Some(page) => page?,
            None => read(self.store.clone(), after, limit).await?,
        };
        if let (false, Some(last)) = (page.is_last, page.events.last()) {
            self.after = last.position;
            self.ahead.spawn(read(self.store.clone(), last.position, limit));
        }
        Ok(page)
    }

    /// What was read ahead, if it is what is wanted now.
    async fn read_ahead(&mut self, after: u64) -> Option<Result<Page, StoreError>> {
        if self.after == after {
            return self.ahead.join_next().await?.ok();
        }
        self.ahead = JoinSet::new();
        None
    }
}

async fn read(store: Arc<dyn EventStore>, after: u64, limit: usize) -> Result<Page, StoreError> {
    let events = store.read_all(after, limit).await?;
    Ok(Page { is_last: events.len() < limit, events })
}
