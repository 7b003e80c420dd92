//! The store in memory keeps the contract.

use std::sync::Arc;

use adapters::event_store::MemoryEventStore;
use commands::ports::EventStore;

use super::contract::run_contract;

async fn handles(number: usize) -> (Vec<Arc<dyn EventStore>>, ()) {
    let store = MemoryEventStore::default();
    ((0..number).map(|_| Arc::new(store.clone()) as Arc<dyn EventStore>).collect(), ())
}

run_contract!(handles);
