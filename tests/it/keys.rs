//! The contract of the key directory on memory and on Postgres, and the issuing of keys.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use adapters::event_store::MemoryEventStore;
use adapters::keys::{MemoryKeys, PostgresKeys};
use adapters::vault::MasterKey;
use commands::keys::{ApiKeys, IssueKey};
use commands::ports::keys::{CreatedBefore, Creation, NewApiKey};
use commands::ports::{Access, ApiKey, Clock, KeyDirectory, KeyDirectoryError, Role, Secret};
use commands::{CommandError, Executor, Issued, merchant};
use domain::merchant::Terms;
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{ApiKeyId, MerchantId};
use test_support::manual_clock::ManualClock;
use test_support::wait::until;
use test_support::{TestDatabase, test_database};
use uuid::Uuid;

fn node(database: &TestDatabase) -> PostgresKeys {
    PostgresKeys::new(database.pool.clone(), &MasterKey::from_bytes([9; 32]))
}

fn new_key(access: Access, secret: &str) -> NewApiKey {
    let key_id = ApiKeyId::from_uuid(Uuid::now_v7());
    NewApiKey {
        key: ApiKey {
            key_id,
            access,
            principal: format!("key:{key_id}"),
            signed_only: false,
            created_at: ManualClock::default().now(),
            revoked_at: None,
        },
        secret: Secret::new(secret),
        command_id: Uuid::now_v7(),
        fingerprint: Some([3; 32]),
    }
}

#[tokio::test]
async fn the_memory_adapter_keeps_the_contract() {
    contract(&MemoryKeys::default()).await;
}

#[tokio::test]
async fn the_postgres_adapter_keeps_the_contract() {
    let database = test_database().await;
    contract(&node(&database)).await;
}

#[tokio::test]
async fn the_postgres_adapter_keeps_the_contract_while_it_remembers() {
    let database = test_database().await;
    let keys = node(&database).remembering();
    remembers(&keys).await;
    contract(&keys).await;
}

async fn remembers(keys: &PostgresKeys) {
    let limit = Duration::from_secs(20);
    until("it listens to revocations", limit, || async { keys.is_remembering().then_some(()) }).await;
}

async fn contract(keys: &dyn KeyDirectory) {
    let merchant_id = MerchantId::from_uuid(Uuid::now_v7());
    let accesses = [Access::Merchant(merchant_id), Access::Finance, Access::Auditor, Access::Operator, Access::Admin];
    let mut created = vec![];
    for (index, access) in accesses.into_iter().enumerate() {
        let new = new_key(access, &format!("sk_{index}"));
        assert_eq!(keys.create(new.clone()).await, Ok(Creation::Created));
        created.push(new);
    }
    for new in &created {
        let found = keys.find(new.key.key_id).await.unwrap().unwrap();
        assert_eq!((&found.key, found.secret.expose()), (&new.key, new.secret.expose()));
        assert_eq!(keys.find_by_secret(&new.secret).await, Ok(Some(new.key.clone())));
    }
    assert_eq!(keys.find_by_secret(&Secret::new("sk_")).await, Ok(None));
    assert!(keys.find(ApiKeyId::from_uuid(Uuid::now_v7())).await.unwrap().is_none());

    a_command_creates_one_key(keys, &created[0]).await;
    keys_are_listed_newest_first(keys, &created).await;
    a_revoked_key_is_none(keys, &created).await;
}

async fn a_command_creates_one_key(keys: &dyn KeyDirectory, first: &NewApiKey) {
    let repeat = NewApiKey { command_id: first.command_id, ..new_key(Access::Admin, "sk_repeat") };
    let before = CreatedBefore { key: first.key.clone(), fingerprint: first.fingerprint };
    assert_eq!(keys.create(repeat).await, Ok(Creation::Before(before)));
    assert_eq!(keys.find_by_secret(&Secret::new("sk_repeat")).await, Ok(None));
}

async fn keys_are_listed_newest_first(keys: &dyn KeyDirectory, created: &[NewApiKey]) {
    let expected: Vec<ApiKey> = created.iter().rev().map(|new| new.key.clone()).collect();
    assert_eq!(keys.list(None, 100).await.as_ref(), Ok(&expected));
    assert_eq!(keys.list(None, 2).await.as_deref(), Ok(&expected[..2]));
    assert_eq!(keys.list(Some(expected[1].key_id), 2).await.as_deref(), Ok(&expected[2..4]));
    assert_eq!(keys.list(Some(expected[4].key_id), 2).await.as_deref(), Ok(&[][..]));
}

async fn a_revoked_key_is_none(keys: &dyn KeyDirectory, created: &[NewApiKey]) {
    let at = created[1].key.created_at.plus(Duration::from_secs(60));
    let revoked = ApiKey { revoked_at: Some(at), ..created[1].key.clone() };
    for later in [0, 60] {
        let again = keys.revoke(revoked.key_id, at.plus(Duration::from_secs(later))).await;
        assert_eq!(again, Ok(Some(revoked.clone())), "the first time stays");
    }
    assert!(keys.find(revoked.key_id).await.unwrap().is_none());
    assert_eq!(keys.find_by_secret(&created[1].secret).await, Ok(None));
    assert!(keys.list(None, 100).await.unwrap().contains(&revoked));
    assert_eq!(keys.find_by_secret(&created[2].secret).await, Ok(Some(created[2].key.clone())));
    assert_eq!(keys.revoke(ApiKeyId::from_uuid(Uuid::now_v7()), at).await, Ok(None));
}

#[tokio::test]
async fn a_revocation_on_one_node_reaches_the_others() {
    let database = test_database().await;
    let (here, there) = (node(&database), node(&database).remembering());
    remembers(&there).await;
    let new = new_key(Access::Admin, "sk_1");
    here.create(new.clone()).await.unwrap();
    assert_eq!(there.find_by_secret(&new.secret).await, Ok(Some(new.key.clone())));
    assert!(there.find(new.key.key_id).await.unwrap().is_some());
    // What it remembers needs no database.
    sqlx::query("ALTER TABLE api_keys RENAME TO hidden").execute(&database.pool).await.unwrap();
    assert!(there.find_by_secret(&new.secret).await.unwrap().is_some());
    sqlx::query("ALTER TABLE hidden RENAME TO api_keys").execute(&database.pool).await.unwrap();

    here.revoke(new.key.key_id, new.key.created_at).await.unwrap();
    // Well below the time after which it would have asked again anyway.
    until("the revocation is heard of", Duration::from_secs(3), || async {
        let (by_secret, by_id) = (there.find_by_secret(&new.secret).await, there.find(new.key.key_id).await);
        (by_secret == Ok(None) && by_id.unwrap().is_none()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_cannot_listen_asks_the_database_each_time() {
    let database = test_database().await;
    let (here, there) = (node(&database), node(&database).remembering());
    remembers(&there).await;
    let new = new_key(Access::Admin, "sk_1");
    here.create(new.clone()).await.unwrap();
    assert!(there.find(new.key.key_id).await.unwrap().is_some());
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    let cut: i64 = sqlx::query_scalar(cut).fetch_one(&database.pool).await.unwrap();
    assert_eq!(cut, 1, "the connection that listens");
    until("the loss is noticed", Duration::from_secs(3), || async { (!there.is_remembering()).then_some(()) }).await;
    here.revoke(new.key.key_id, new.key.created_at).await.unwrap();
    assert!(there.find(new.key.key_id).await.unwrap().is_none());
    remembers(&there).await;
    assert!(there.find(new.key.key_id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_directory_that_listens_does_not_keep_the_pool_from_closing() {
    let database = test_database().await;
    let keys = node(&database).remembering();
    remembers(&keys).await;
    tokio::time::timeout(Duration::from_secs(10), database.pool.close()).await.unwrap();
    until("it stops remembering", Duration::from_secs(3), || async { (!keys.is_remembering()).then_some(()) }).await;
}

#[tokio::test]
async fn the_database_holds_no_secret_and_opens_with_no_other_master_key() {
    let database = test_database().await;
    let new = new_key(Access::Finance, "sk_the-secret-in-clear");
    node(&database).create(new.clone()).await.unwrap();
    let dump: String =
        sqlx::query_scalar("SELECT string_agg(k::text || encode(sealed_secret, 'escape'), '') FROM api_keys k")
            .fetch_one(&database.pool)
            .await
            .unwrap();
    assert!(dump.contains(&new.key.principal) && !dump.contains("the-secret"), "{dump}");
    let thief = PostgresKeys::new(database.pool.clone(), &MasterKey::from_bytes([8; 32]));
    assert!(matches!(thief.find(new.key.key_id).await, Err(KeyDirectoryError::Damaged(_))));
}

fn issued(purpose: &str, fingerprint: u8) -> Issued {
    Issued { fingerprint: Some([fingerprint; 32]), ..Issued::internally("test", purpose, purpose) }
}

#[tokio::test]
async fn a_key_is_issued_once_and_its_secret_shown_once() {
    let clock = ManualClock::default();
    let executor = Executor::new(Arc::new(MemoryEventStore::new(Arc::new(clock.clone()))));
    let merchant_id = MerchantId::from_uuid(Uuid::now_v7());
    let terms = Terms {
        merchant_id,
        name: "Acme".to_owned(),
        tier: Tier::Starter,
        pricing_model: PricingModel::CostPlus,
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: None,
        time_zone: None,
        onboarded_at: clock.now(),
    };
    merchant::onboard(&executor, issued("onboard", 0), terms).await.unwrap();
    let keys = ApiKeys { directory: Arc::new(MemoryKeys::default()), executor, clock: Arc::new(clock) };
    let issue = |role, merchant_id| IssueKey { role, merchant_id, principal: None, signed_only: true };

    let first = keys.issue(issued("a", 1), issue(Role::Merchant, Some(merchant_id))).await.unwrap();
    let secret = first.secret.unwrap();
    assert_eq!(keys.directory.find_by_secret(&secret).await, Ok(Some(first.key.clone())));
    assert_eq!((first.key.access, first.key.signed_only), (Access::Merchant(merchant_id), true));
    assert_eq!(first.key.principal, format!("key:{}", first.key.key_id));

    let repeat = keys.issue(issued("a", 1), issue(Role::Merchant, Some(merchant_id))).await.unwrap();
    assert_eq!((repeat.key, repeat.secret.is_none()), (first.key.clone(), true));
    let other_body = keys.issue(issued("a", 2), issue(Role::Finance, None)).await;
    assert_eq!(other_body.unwrap_err(), CommandError::KeyReused);

    let unknown = MerchantId::from_uuid(Uuid::now_v7());
    let refused = [
        (issue(Role::Merchant, None), "merchant_id_mismatch"),
        (issue(Role::Admin, Some(merchant_id)), "merchant_id_mismatch"),
        (issue(Role::Merchant, Some(unknown)), "merchant_not_found"),
        (IssueKey { principal: Some("a b".to_owned()), ..issue(Role::Admin, None) }, "invalid_principal"),
    ];
    for (issue, expected) in refused {
        match keys.issue(issued("b", 1), issue).await.unwrap_err() {
            CommandError::Invalid { code, .. } => assert_eq!(code, expected),
            CommandError::Refused(rejection) => assert_eq!(rejection.code, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(keys.list(None, 10).await.as_deref(), Ok(&[first.key.clone()][..]));
    assert!(keys.revoke(first.key.key_id).await.unwrap().unwrap().revoked_at.is_some());
    assert_eq!(keys.directory.find_by_secret(&secret).await, Ok(None));
}
