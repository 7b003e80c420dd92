//! Our streams and the cqrs-es world: postgres-es's own repository reads what we have written, and cqrs-es's own store
//! and executor come to the same states as ours on the same commands.

use std::sync::Arc;

use adapters::event_store::{PostgresEventStore, PostgresOptions};
use commands::bridge::{Bridged, BridgedEvent, NoServices};
use commands::ports::clock::SystemClock;
use commands::ports::{Category, EventStore};
use cqrs_es::mem_store::MemStore;
use cqrs_es::persist::{PersistedEventRepository, PersistedEventStore};
use cqrs_es::{AggregateContext, CqrsFramework, EventStore as _};
use domain::DomainEvent;
use domain::order_claim::OrderClaim;
use domain::payment::{Command, Payment};
use postgres_es::PostgresEventRepository;
use test_support::postgres::test_database;

use super::fixture::{create_payment, life_of_a_payment, on_payment, payment_id, terms};

#[tokio::test(flavor = "multi_thread")]
async fn postgres_es_reads_our_payments() {
    let database = test_database().await;
    let store = PostgresEventStore::start(database.pool.clone(), Arc::new(SystemClock), PostgresOptions::default());
    store.execute(create_payment("create", "a", 1)).await.unwrap();
    for (number, command) in life_of_a_payment().into_iter().enumerate() {
        store.execute(on_payment(&format!("step {number}"), 1, command)).await.unwrap();
    }
    let id = payment_id(1).to_string();
    let ours = store.load(Category::of::<Payment>(), &id).await.unwrap();
    let recorded = store.read_stream(&Category::of::<Payment>().stream(id.as_str()), 0, 100).await.unwrap();
    assert!(recorded.len() >= 8);

    let repository = PostgresEventRepository::new(database.pool.clone());
    let serialized = repository.get_events::<Bridged<Payment>>(&id).await.unwrap();
    let theirs = PersistedEventStore::<_, Bridged<Payment>>::new_event_store(repository);
    let envelopes = theirs.load_events(&id).await.unwrap();
    assert_eq!((serialized.len(), envelopes.len()), (recorded.len(), recorded.len()));
    for ((event, serialized), envelope) in recorded.iter().zip(&serialized).zip(&envelopes) {
        assert_eq!(u64::try_from(envelope.sequence).unwrap(), event.version);
        assert_eq!(serialized.event_type, event.event_type);
        assert_eq!(serialized.event_version, event.schema_version.to_string());
        let BridgedEvent(decoded) = &envelope.payload;
        assert_eq!(*decoded, event.decode::<domain::payment::Event>().unwrap());
        assert_eq!(decoded.event_type(), event.event_type);
        assert_eq!(envelope.metadata["command_id"], event.metadata().unwrap().command_id.to_string());
    }
    let mut folded = theirs.load_aggregate(&id).await.unwrap();
    assert_eq!(Some(&folded.aggregate().0), ours.of::<Payment>());

    let claim = PersistedEventStore::<_, Bridged<OrderClaim>>::new_event_store(PostgresEventRepository::new(
        database.pool.clone(),
    ));
    let mut claim = claim.load_aggregate("a").await.unwrap();
    assert_eq!(
        claim.aggregate().0,
        domain::order_claim::State::HeldBy(domain::order_claim::Holder::Payment(payment_id(1)))
    );
}

#[tokio::test]
async fn cqrs_es_comes_to_the_same_state() {
    let ours = adapters::event_store::MemoryEventStore::default();
    let theirs = MemStore::<Bridged<Payment>>::default();
    let framework = CqrsFramework::new(theirs.clone(), vec![], NoServices);
    let id = payment_id(1).to_string();
    let commands = std::iter::once(Command::Create(terms(1))).chain(life_of_a_payment());
    for (number, command) in commands.enumerate() {
        let receipt = ours.execute(on_payment(&format!("step {number}"), 1, command.clone())).await.unwrap();
        let accepted = framework.execute(&id, command).await;
        assert_eq!(accepted.is_err(), receipt.rejection.is_some());
    }
    let state = ours.load(Category::of::<Payment>(), &id).await.unwrap();
    let mut context = theirs.load_aggregate(&id).await.unwrap();
    assert_eq!(Some(&context.aggregate().0), state.of::<Payment>());
    assert_eq!(u64::try_from(theirs.load_events(&id).await.unwrap().len()).unwrap(), state.version);
}
