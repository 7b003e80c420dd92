//! What every agenda promises, checked on each of them.

use std::sync::Arc;
use std::time::Duration;

use adapters::agenda::{MemoryAgenda, PostgresAgenda};
use commands::ports::agenda::{
    Advanced, Agenda, Change, ChangeKind, Claim, ClaimedSaga, Lead, SagaId, SagaState, SagaStatus, Settlement,
};
use domain::{PaymentId, RefundId, Timestamp};
use test_support::postgres::volatile_test_database;
use uuid::Uuid;

/// An agenda, and the moments at which things happen to it.
struct Desk {
    agenda: Arc<dyn Agenda>,
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000).plus(Duration::from_secs(seconds))
}

fn claim(node: &str, now: u64, seconds: u64) -> Claim {
    Claim { node: node.to_owned(), now: at(now), until: at(now + seconds) }
}

fn payment() -> SagaId {
    let id = PaymentId::from_uuid(Uuid::now_v7()).to_string();
    SagaId::new("payment", id.clone(), id)
}

fn change(saga: &SagaId, position: u64, kind: ChangeKind) -> Change {
    Change { saga: saga.clone(), position, kind, metadata: None }
}

fn due(saga: &SagaId, position: u64) -> Change {
    change(saga, position, ChangeKind::Due)
}

fn come_back(seconds: u64, attempts: u32) -> Settlement {
    Settlement::ComeBack {
        state: SagaState::Waiting,
        due_at: at(seconds),
        attempts,
        error: Some("no answer".to_owned()),
    }
}

impl Desk {
    async fn lead(&self, node: &str, now: u64) -> Option<Lead> {
        self.agenda.lead(&claim(node, now, 3)).await.unwrap()
    }

    /// Enters a page at second 0 as node `a`, claiming at most so many until second 10.
    async fn page(&self, to: u64, changes: &[Change], claim_at_most: usize) -> Vec<ClaimedSaga> {
        let lead = self.lead("a", 0).await.unwrap();
        match self.agenda.advance(&lead, to, changes, at(3), &claim("a", 0, 10), claim_at_most).await.unwrap() {
            Advanced::To(claimed) => claimed,
            Advanced::Fenced => panic!("the lead was just taken"),
        }
    }

    async fn claim(&self, node: &str, now: u64) -> Vec<ClaimedSaga> {
        self.agenda.claim_due(&claim(node, now, 10), 100).await.unwrap()
    }

    async fn settle(&self, claimed: &ClaimedSaga, node: &str, now: u64, end: Settlement) {
        self.agenda.settle(claimed, &claim(node, now, 0), &end).await.unwrap();
    }
}

async fn one_node_leads_and_a_fenced_one_changes_nothing(desk: Desk) {
    let saga = payment();
    let old = desk.lead("a", 0).await.unwrap();
    assert_eq!(desk.lead("b", 2).await, None, "a leads");
    assert_eq!(desk.lead("a", 2).await, Some(old.clone()), "keeping the lead keeps the epoch");
    let new = desk.lead("b", 5).await.unwrap();
    assert!(new.epoch > old.epoch);
    let page = [due(&saga, 7)];
    let late = desk.agenda.advance(&old, 7, &page, at(9), &claim("a", 5, 10), 10).await.unwrap();
    assert_eq!(late, Advanced::Fenced);
    assert_eq!(desk.agenda.list(None, 10).await.unwrap(), []);
    let entered = desk.agenda.advance(&new, 7, &page, at(9), &claim("b", 5, 10), 10).await.unwrap();
    assert_eq!(entered, Advanced::To(vec![ClaimedSaga::anew(&page[0])]));
    let again = desk.agenda.advance(&new, 7, &page, at(9), &claim("b", 5, 10), 10).await.unwrap();
    assert_eq!(again, Advanced::Fenced, "the checkpoint is elsewhere");
    desk.agenda.leave("b").await.unwrap();
    assert_eq!(desk.lead("a", 6).await.unwrap().position, 7, "who leaves is not waited for");
}

async fn a_page_is_entered_once_and_claims_what_is_new(desk: Desk) {
    let [first, second, third] = [(); 3].map(|()| payment());
    let claimed = desk.page(2, &[due(&first, 1), due(&second, 2)], 1).await;
    assert_eq!(claimed.iter().map(|claimed| &claimed.saga).collect::<Vec<_>>(), [&first]);
    let unclaimed = desk.claim("b", 0).await;
    assert_eq!(unclaimed.iter().map(|claimed| &claimed.saga).collect::<Vec<_>>(), [&second]);

    desk.settle(&claimed[0], "a", 1, come_back(60, 3)).await;
    let claimed = desk.page(9, &[due(&first, 1), due(&third, 9), change(&second, 8, ChangeKind::Finished)], 10).await;
    assert_eq!(claimed.iter().map(|claimed| &claimed.saga).collect::<Vec<_>>(), [&third]);
    let row = desk.agenda.find(&first.to_string()).await.unwrap().unwrap();
    assert_eq!((row.state, row.due_at, row.attempts), (SagaState::Waiting, at(60), 3), "old news does nothing");
    assert_eq!(desk.agenda.find(&second.to_string()).await.unwrap(), None);
}

async fn news_makes_a_waiting_saga_due(desk: Desk) {
    let saga = payment();
    let claimed = desk.page(1, &[due(&saga, 1)], 10).await.remove(0);
    desk.settle(&claimed, "a", 1, come_back(60, 3)).await;
    assert_eq!(desk.claim("a", 59).await, []);
    assert_eq!(desk.page(2, &[due(&saga, 2)], 10).await, [], "it is entered, not new");
    let claimed = desk.claim("a", 0).await.remove(0);
    assert_eq!((claimed.attempts, desk.claim("b", 0).await.len()), (0, 0));
}

async fn what_becomes_due_during_the_work_stays_due(desk: Desk) {
    let saga = payment();
    let by_event = desk.page(1, &[due(&saga, 1)], 10).await.remove(0);
    desk.page(2, &[due(&saga, 2)], 10).await;
    desk.settle(&by_event, "a", 1, come_back(60, 1)).await;
    let by_hand = desk.claim("a", 1).await.remove(0);
    assert_eq!(desk.agenda.hasten(&saga.stream_id, at(1)).await.unwrap(), 1);
    desk.settle(&by_hand, "a", 1, come_back(60, 1)).await;
    let by_operator = desk.claim("a", 1).await.remove(0);
    assert!(desk.agenda.retry(&saga.to_string(), at(1)).await.unwrap());
    desk.settle(&by_operator, "a", 1, Settlement::Postponed { until: at(30), error: "busy".to_owned() }).await;
    assert_eq!(desk.claim("a", 1).await.len(), 1);
}

async fn claims_are_exclusive_until_they_lapse(desk: Desk) {
    let sagas: Vec<SagaId> = (0..20).map(|_| payment()).collect();
    let page: Vec<Change> = (1..).zip(&sagas).map(|(position, saga)| due(saga, position)).collect();
    desk.page(20, &page, 0).await;
    let (by_a, by_b) = (claim("a", 0, 10), claim("b", 0, 10));
    let (a, b) = tokio::join!(desk.agenda.claim_due(&by_a, 15), desk.agenda.claim_due(&by_b, 15));
    let (a, b) = (a.unwrap(), b.unwrap());
    let mut claimed: Vec<SagaId> = a.iter().chain(&b).map(|claimed| claimed.saga.clone()).collect();
    claimed.sort();
    claimed.dedup();
    assert_eq!(claimed.len(), a.len() + b.len(), "no saga has two holders");
    desk.claim("a", 0).await;
    assert_eq!(desk.claim("c", 9).await, [], "all are held");
    let lapsed = desk.claim("c", 10).await;
    assert_eq!(lapsed.len(), 20);
    let taken_over = &lapsed[0];
    desk.settle(taken_over, "a", 10, come_back(60, 1)).await;
    let row = desk.agenda.find(&taken_over.saga.to_string()).await.unwrap().unwrap();
    assert_eq!((row.due_at, row.claimed_by.as_deref()), (at(0), Some("c")), "who lost the claim settles nothing");
    desk.agenda.leave("c").await.unwrap();
    assert_eq!(desk.claim("d", 10).await.len(), 20, "who leaves is not waited for");
}

async fn what_is_postponed_stays_due_and_untouched_for_a_while(desk: Desk) {
    let saga = payment();
    let claimed = desk.page(1, &[due(&saga, 1)], 10).await.remove(0);
    desk.settle(&claimed, "a", 1, Settlement::Postponed { until: at(3), error: "busy".to_owned() }).await;
    assert_eq!(desk.claim("b", 2).await, []);
    assert_eq!(desk.agenda.census(at(1)).await.unwrap().overdue, 1, "it counts as overdue all the same");
    assert_eq!(desk.claim("b", 3).await.len(), 1);
}

async fn who_lets_go_leaves_the_row_as_it_was(desk: Desk) {
    let saga = payment();
    let claimed = desk.page(1, &[due(&saga, 1)], 10).await.remove(0);
    let before = desk.agenda.find(&saga.to_string()).await.unwrap().unwrap();
    desk.settle(&claimed, "b", 1, Settlement::LetGo).await;
    assert_eq!(desk.claim("c", 1).await, [], "only the holder lets go");
    desk.settle(&claimed, "a", 1, Settlement::LetGo).await;
    let after = desk.agenda.find(&saga.to_string()).await.unwrap().unwrap();
    assert_eq!(after, SagaStatus { claimed_by: None, claimed_until: None, ..before });
    assert_eq!(desk.claim("c", 1).await.len(), 1);
}

async fn the_longest_due_come_first(desk: Desk) {
    let sagas = [5, 1, 3].map(|seconds| (payment(), seconds));
    let page: Vec<Change> = sagas.iter().map(|(saga, seconds)| due(saga, *seconds)).collect();
    for (claimed, (_, seconds)) in desk.page(9, &page, 10).await.iter().zip(&sagas) {
        desk.settle(claimed, "a", 0, come_back(*seconds, 0)).await;
    }
    let first = desk.agenda.claim_due(&claim("a", 60, 10), 2).await.unwrap();
    let mut first: Vec<SagaId> = first.iter().map(|claimed| claimed.saga.clone()).collect();
    first.sort();
    let mut expected = [sagas[1].0.clone(), sagas[2].0.clone()];
    expected.sort();
    assert_eq!(first, expected);
}

async fn people_see_what_is_there(desk: Desk) {
    let (charge, refund_id) = (payment(), RefundId::from_uuid(Uuid::now_v7()));
    let refund = SagaId::new("refund", charge.stream_id.clone(), refund_id.to_string());
    let claimed = desk.page(4, &[due(&charge, 3), due(&refund, 4)], 10).await;
    let refund_claimed = claimed.iter().find(|claimed| claimed.saga == refund).unwrap();
    let stuck = Settlement::ComeBack {
        state: SagaState::Stuck,
        due_at: at(3_600),
        attempts: 7,
        error: Some("capture_out_of_range".to_owned()),
    };
    desk.settle(refund_claimed, "a", 5, stuck).await;

    let listed = desk.agenda.list(Some(SagaState::Stuck), 10).await.unwrap();
    let shown = desk.agenda.find(&refund_id.to_string()).await.unwrap().unwrap();
    assert_eq!(listed, std::slice::from_ref(&shown));
    assert_eq!((&shown.saga_id, shown.kind, shown.stream_id), (&refund, "refund".into(), charge.stream_id.clone()));
    assert_eq!((shown.state, shown.attempts, shown.position), (SagaState::Stuck, 7, 4));
    assert_eq!((shown.last_error.as_deref(), shown.claimed_by), (Some("capture_out_of_range"), None));
    assert_eq!((shown.due_at, shown.updated_at), (at(3_600), at(5)));
    assert_eq!(desk.agenda.list(None, 1).await.unwrap()[0].saga_id, charge, "soonest due first");

    let census = desk.agenda.census(at(1)).await.unwrap();
    assert_eq!((census.running, census.waiting, census.stuck), (1, 0, 1));
    assert_eq!((census.overdue, census.position), (1, 4));

    assert!(desk.agenda.retry(&refund_id.to_string(), at(6)).await.unwrap());
    let shown = desk.agenda.find(&refund_id.to_string()).await.unwrap().unwrap();
    assert_eq!((shown.state, shown.attempts, shown.due_at), (SagaState::Running, 0, at(6)));
    assert!(!desk.agenda.retry(&payment().to_string(), at(6)).await.unwrap());

    for saga in [charge, refund] {
        let finished = ClaimedSaga { saga, attempts: 0, revision: 1, by_hand: false, metadata: None };
        desk.settle(&finished, "z", 7, Settlement::Finished).await;
    }
    assert_eq!(desk.agenda.list(None, 10).await.unwrap(), []);
}

async fn what_a_person_asks_for_is_marked_until_it_was_tried(desk: Desk) {
    let saga = payment();
    let claimed = desk.page(1, &[due(&saga, 1)], 10).await.remove(0);
    assert!(!claimed.by_hand);
    desk.settle(&claimed, "a", 1, come_back(60, 3)).await;
    assert!(desk.agenda.retry(&saga.object, at(2)).await.unwrap());
    let claimed = desk.claim("a", 2).await.remove(0);
    assert!(claimed.by_hand);
    desk.settle(&claimed, "a", 2, Settlement::Postponed { until: at(3), error: "busy".to_owned() }).await;
    let claimed = desk.claim("b", 3).await.remove(0);
    assert!(claimed.by_hand, "it was not tried yet");
    desk.settle(&claimed, "b", 3, come_back(60, 1)).await;
    assert!(!desk.claim("a", 60).await.remove(0).by_hand);
}

async fn sagas_of_one_object_and_of_one_stream_are_told_apart(desk: Desk) {
    let [account, other] = ["settlement", "release"].map(|kind| SagaId::new(kind, "mer_1:USD", "mer_1:USD"));
    let elsewhere = SagaId::new("settlement", "mer_2:USD", "mer_2:USD");
    let page = [due(&account, 1), due(&other, 2), due(&elsewhere, 3)];
    let claimed = desk.page(3, &page, 10).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.saga.clone()).collect::<Vec<_>>(), page.map(|due| due.saga));
    for claimed in &claimed {
        desk.settle(claimed, "a", 0, come_back(60, 0)).await;
    }
    assert_eq!(desk.agenda.hasten("mer_1:USD", at(1)).await.unwrap(), 2);
    let hastened = desk.claim("a", 1).await;
    assert_eq!(hastened.iter().filter(|claimed| claimed.saga == elsewhere).count(), 0);
    desk.settle(&hastened[0], "a", 1, Settlement::Finished).await;
    let left = desk.agenda.list(None, 10).await.unwrap();
    assert_eq!(left.iter().filter(|status| status.saga_id == hastened[0].saga).count(), 0);
    assert_eq!(left.len(), 2);
}

macro_rules! contract {
    ($($promise:ident,)*) => {
        mod memory {
            use super::*;

            $(#[tokio::test]
            async fn $promise() {
                super::$promise(Desk { agenda: Arc::new(MemoryAgenda::default()) }).await;
            })*
        }

        mod postgres {
            use super::*;

            $(#[tokio::test]
            async fn $promise() {
                let database = volatile_test_database().await;
                super::$promise(Desk { agenda: Arc::new(PostgresAgenda::new(database.pool.clone())) }).await;
            })*
        }
    };
}

contract! {
    one_node_leads_and_a_fenced_one_changes_nothing,
    a_page_is_entered_once_and_claims_what_is_new,
    news_makes_a_waiting_saga_due,
    what_becomes_due_during_the_work_stays_due,
    claims_are_exclusive_until_they_lapse,
    what_is_postponed_stays_due_and_untouched_for_a_while,
    who_lets_go_leaves_the_row_as_it_was,
    the_longest_due_come_first,
    people_see_what_is_there,
    what_a_person_asks_for_is_marked_until_it_was_tried,
    sagas_of_one_object_and_of_one_stream_are_told_apart,
}
