//! Reads the log once for all who fold it on this node: whoever comes to a page that another one has just read gets the
//! same one, with its events decoded, and the page behind it is read meanwhile. Knows no read model.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use commands::aggregates;
use commands::ports::{EventStore, RecordedEvent, StoreError};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};

/// Events of one page at most: the more of them are written at once, the less often a sum is. Each takes some two
/// kilobytes with what it says.
const PAGE_MAX: usize = 10_000;
/// However many pages there are, these are not too many for one more.
const PAGE_MIN: usize = 2_000;
/// Events that this node has in hand, as long as pages shorter than the longest are not too short.
const IN_HAND: usize = 40_000;
/// Events that are kept for those who come later.
const KEPT: usize = 10_000;
/// At the end of the log pages are short.
const PAGES_KEPT: usize = 64;
/// Pages that are read at once before anybody has asked for them.
const AHEAD: usize = 2;

/// Everything in the log behind one position, up to another.
#[derive(Debug)]
pub(crate) struct Page {
    after: u64,
    events: Vec<RecordedEvent>,
    /// No more were there when it was read.
    pub(crate) is_last: bool,
    in_hand: Arc<AtomicUsize>,
}

/// Shared by all who read.
#[derive(Clone)]
pub(crate) struct Pages {
    store: Arc<dyn EventStore>,
    shelf: Arc<Mutex<Shelf>>,
    /// Events of all pages that somebody holds.
    in_hand: Arc<AtomicUsize>,
}

#[derive(Default)]
struct Shelf {
    /// Oldest first, by when they were read.
    kept: VecDeque<Arc<Page>>,
    /// By what they begin behind.
    reading: HashMap<u64, Reading>,
}

type Reading = Shared<BoxFuture<'static, Result<Arc<Page>, String>>>;

impl Page {
    /// Its events behind a position that is not before the page.
    pub(crate) fn behind(&self, position: u64) -> &[RecordedEvent] {
        let passed = self.events.partition_point(|event| event.position <= position);
        self.events.get(passed..).unwrap_or_default()
    }

    fn to(&self) -> u64 {
        self.events.last().map_or(self.after, |event| event.position)
    }
}

impl Pages {
    pub(crate) fn of(store: Arc<dyn EventStore>) -> Pages {
        Pages { store, shelf: Arc::default(), in_hand: Arc::default() }
    }

    /// A page with the first events behind `position`; empty if there are none yet.
    pub(crate) async fn behind(&self, position: u64) -> Result<Arc<Page>, StoreError> {
        let kept = self.shelf().find(position);
        let page = match kept {
            Some(page) => page,
            None => self.read(position).await.map_err(StoreError::Unavailable)?,
        };
        if !page.is_last && self.shelf().has_room_ahead_of(&page) {
            drop(self.read(page.to()));
        }
        Ok(page)
    }

    /// The next one who comes reads again.
    pub(crate) fn forget(&self) {
        self.shelf().kept.clear();
    }

    /// Goes on even if nobody waits for it.
    fn read(&self, after: u64) -> Reading {
        let mut shelf = self.shelf();
        if let Some(reading) = shelf.reading.get(&after) {
            return reading.clone();
        }
        let pages = self.clone();
        let task = tokio::spawn(async move {
            let read = pages.fetch(after).await.map(Arc::new).map_err(|error| error.to_string());
            pages.shelf().arrived(after, read.as_ref().ok());
            read
        });
        let reading = async move { task.await.unwrap_or_else(|error| Err(error.to_string())) }.boxed().shared();
        shelf.reading.insert(after, reading.clone());
        reading
    }

    /// The more events are in hand, the shorter the page: many who stand at different places take no more memory than few.
    async fn fetch(&self, after: u64) -> Result<Page, StoreError> {
        let room = IN_HAND.saturating_sub(self.in_hand.load(Ordering::Relaxed));
        let limit = (room / 2).clamp(PAGE_MIN, PAGE_MAX);
        let events = self.store.read_all(after, limit).await?;
        for event in &events {
            if let Some(aggregate) = aggregates::find(&event.stream.category) {
                // Who folds the event meets the same error, and knows what to do with it.
                let _ = aggregate.decode(event);
            }
        }
        self.in_hand.fetch_add(events.len(), Ordering::Relaxed);
        Ok(Page { after, is_last: events.len() < limit, events, in_hand: self.in_hand.clone() })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn find(&self, position: u64) -> Option<Arc<Page>> {
        self.kept.iter().rev().find(|page| page.after <= position && position < page.to()).cloned()
    }

    fn has_room_ahead_of(&self, page: &Page) -> bool {
        self.reading.len() < AHEAD && self.find(page.to()).is_none()
    }

    fn arrived(&mut self, after: u64, page: Option<&Arc<Page>>) {
        self.reading.remove(&after);
        self.kept.extend(page.filter(|page| !page.events.is_empty()).cloned());
        let mut events: usize = self.kept.iter().map(|page| page.events.len()).sum();
        while events > KEPT || self.kept.len() > PAGES_KEPT {
            events -= self.kept.pop_front().map_or(events, |page| page.events.len());
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.in_hand.fetch_sub(self.events.len(), Ordering::Relaxed);
    }
}
