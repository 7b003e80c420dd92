//! The contract of the vault, on memory and on Postgres; and what only several nodes on one database can show.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use adapters::vault::{KeyVault, MasterKey, MemoryVault, PostgresVault, SubjectKeys};
use commands::ports::{Subject, Vault, VaultError};
use domain::{MerchantId, Sealed};
use test_support::{TestDatabase, test_database};
use uuid::Uuid;

fn master() -> MasterKey {
    MasterKey::from_bytes([9; 32])
}

fn node(database: &TestDatabase) -> PostgresVault {
    PostgresVault::on_postgres(database.pool.clone(), &master())
}

fn merchant() -> MerchantId {
    MerchantId::from_uuid(Uuid::now_v7())
}

fn customer(merchant_id: MerchantId, email: &str) -> Subject {
    Subject { merchant_id, customer: Some(email.to_owned()) }
}

#[tokio::test]
async fn the_memory_adapter_keeps_the_contract() {
    contract(&MemoryVault::in_memory()).await;
}

#[tokio::test]
async fn the_postgres_adapter_keeps_the_contract() {
    let database = test_database().await;
    contract(&node(&database)).await;
}

async fn contract<K: SubjectKeys>(vault: &KeyVault<K>) {
    what_is_sealed_opens_only_in_its_context(vault).await;
    a_subject_is_its_merchant_and_its_normalised_address(vault).await;
    what_is_sealed_beside_goes_with_it(vault).await;
    erasing_takes_one_subject_and_no_other(vault).await;
    who_comes_back_after_an_erasure_is_new(vault).await;
    damage_is_told_from_erasure(vault).await;
    preparing_changes_no_answer(vault).await;
}

async fn what_is_sealed_opens_only_in_its_context<K: SubjectKeys>(vault: &KeyVault<K>) {
    let subject = customer(merchant(), "ada@example.com");
    let sealed = vault.seal(&subject, "pay_1", b"a secret").await.unwrap();
    assert_eq!(vault.open("pay_1", &sealed).await, Ok(Some(b"a secret".to_vec())));
    assert_eq!(vault.open("pay_2", &sealed).await, Err(VaultError::Damaged));
    let text = serde_json::to_string(&sealed).unwrap();
    assert!(!text.contains("ada") && !text.contains("secret"), "{text}");
    let again = vault.seal(&subject, "pay_1", b"a secret").await.unwrap();
    assert_eq!(again.key, sealed.key);
    assert!(again.nonce != sealed.nonce && again.data != sealed.data, "equal texts must not look equal");
}

async fn what_is_sealed_beside_goes_with_it<K: SubjectKeys>(vault: &KeyVault<K>) {
    let subject = customer(merchant(), "ada@example.com");
    let sealed = vault.seal(&subject, "pay_1", b"a secret").await.unwrap();
    let beside = vault.seal_beside(&sealed, "pay_1", b"another").await.unwrap().unwrap();
    assert_eq!(beside.key, sealed.key);
    assert_eq!(vault.open("pay_1", &beside).await, Ok(Some(b"another".to_vec())));
    vault.erase(&subject).await.unwrap();
    assert_eq!(vault.open("pay_1", &beside).await, Ok(None));
    assert_eq!(vault.seal_beside(&sealed, "pay_1", b"more").await, Ok(None));
    let stranger = Sealed { key: "nobody".to_owned(), ..sealed };
    assert_eq!(vault.seal_beside(&stranger, "pay_1", b"more").await, Err(VaultError::Damaged));
}

async fn a_subject_is_its_merchant_and_its_normalised_address<K: SubjectKeys>(vault: &KeyVault<K>) {
    let (one, other) = (merchant(), merchant());
    let key = async |subject| vault.seal(&subject, "pay_1", b"").await.unwrap().key;
    let ada = key(customer(one, "ada@example.com")).await;
    assert_eq!(key(customer(one, " Ada@Example.COM\n")).await, ada);
    for another in [customer(one, "bob@example.com"), customer(other, "ada@example.com"), customer(one, "")] {
        assert_ne!(key(another).await, ada);
    }
    let merchant_itself = key(Subject { merchant_id: one, customer: None }).await;
    assert_ne!(merchant_itself, key(customer(one, "")).await);
}

async fn erasing_takes_one_subject_and_no_other<K: SubjectKeys>(vault: &KeyVault<K>) {
    let merchant_id = merchant();
    let (ada, bob) = (customer(merchant_id, "ada@example.com"), customer(merchant_id, "bob@example.com"));
    let of_ada = vault.seal(&ada, "pay_1", b"Ada").await.unwrap();
    let of_bob = vault.seal(&bob, "pay_1", b"Bob").await.unwrap();
    assert_eq!(vault.erase(&ada).await, Ok(true));
    assert_eq!(vault.open("pay_1", &of_ada).await, Ok(None));
    assert_eq!(vault.open("pay_1", &of_bob).await, Ok(Some(b"Bob".to_vec())));
    assert_eq!(vault.erase(&ada).await, Ok(false), "there is nothing left");
    assert_eq!(vault.erase(&customer(merchant_id, "nobody@example.com")).await, Ok(false));
}

async fn who_comes_back_after_an_erasure_is_new<K: SubjectKeys>(vault: &KeyVault<K>) {
    let ada = customer(merchant(), "ada@example.com");
    let mut sealed: Vec<Sealed> = vec![];
    for _ in 0..3 {
        sealed.push(vault.seal(&ada, "pay_1", b"Ada").await.unwrap());
        assert_eq!(vault.open("pay_1", sealed.last().unwrap()).await, Ok(Some(b"Ada".to_vec())));
        assert_eq!(vault.erase(&ada).await, Ok(true));
    }
    let again = vault.seal(&ada, "pay_1", b"Ada").await.unwrap();
    assert_eq!(vault.open("pay_1", &again).await, Ok(Some(b"Ada".to_vec())));
    for erased in &sealed {
        assert_eq!(vault.open("pay_1", erased).await, Ok(None));
        assert_ne!(erased.key, again.key);
    }
}

async fn preparing_changes_no_answer<K: SubjectKeys>(vault: &KeyVault<K>) {
    let merchant_id = merchant();
    let (ada, bob) = (customer(merchant_id, "ada@example.com"), customer(merchant_id, "bob@example.com"));
    let of_ada = vault.seal(&ada, "pay_1", b"Ada").await.unwrap();
    let of_bob = vault.seal(&bob, "pay_1", b"Bob").await.unwrap();
    let of_nobody = Sealed { key: "nobody".to_owned(), ..of_ada.clone() };
    assert_eq!(vault.erase(&ada).await, Ok(true));
    for _ in 0..2 {
        assert_eq!(vault.prepare(&[&of_ada, &of_bob, &of_nobody, &of_bob]).await, Ok(()));
        assert_eq!(vault.open("pay_1", &of_ada).await, Ok(None));
        assert_eq!(vault.open("pay_1", &of_bob).await, Ok(Some(b"Bob".to_vec())));
        assert_eq!(vault.open("pay_1", &of_nobody).await, Err(VaultError::Damaged));
    }
    let again = vault.seal(&ada, "pay_1", b"Ada").await.unwrap();
    assert_eq!(vault.open("pay_1", &again).await, Ok(Some(b"Ada".to_vec())), "an erased key is not gone back to");
}

/// Opening asks nobody any more: a node whose memory lasts still opens what was prepared when its table is gone.
#[tokio::test]
async fn what_was_prepared_opens_without_asking() {
    let database = test_database().await;
    let sealed = node(&database).seal(&customer(merchant(), "ada@example.com"), "pay_1", b"Ada").await.unwrap();
    let reader = node(&database).cached_for(Duration::from_secs(600));
    reader.prepare(&[&sealed]).await.unwrap();
    sqlx::query("DROP TABLE subject_keys").execute(&database.pool).await.unwrap();
    assert_eq!(reader.open("pay_1", &sealed).await, Ok(Some(b"Ada".to_vec())));
}

async fn damage_is_told_from_erasure<K: SubjectKeys>(vault: &KeyVault<K>) {
    let subject = customer(merchant(), "ada@example.com");
    let other = vault.seal(&customer(merchant(), "bob@example.com"), "pay_1", b"").await.unwrap();
    let sealed = vault.seal(&subject, "pay_1", b"Ada").await.unwrap();
    let damages: [(&str, Sealed); 5] = [
        ("an unknown key", Sealed { key: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), ..sealed.clone() }),
        ("another's key", Sealed { key: other.key, ..sealed.clone() }),
        ("no base64", Sealed { data: "!".to_owned(), ..sealed.clone() }),
        ("a short nonce", Sealed { nonce: "AAAA".to_owned(), ..sealed.clone() }),
        ("nothing", Sealed { data: String::new(), ..sealed.clone() }),
    ];
    for (damage, sealed) in damages {
        assert_eq!(vault.open("pay_1", &sealed).await, Err(VaultError::Damaged), "{damage}");
    }
}

#[tokio::test]
async fn nodes_that_meet_a_new_subject_at_once_agree_on_its_key() {
    let database = test_database().await;
    let nodes: Vec<Arc<PostgresVault>> = (0..4).map(|_| Arc::new(node(&database))).collect();
    let merchant_id = merchant();
    for round in 0..20 {
        let subject = customer(merchant_id, &format!("customer-{round}@example.com"));
        let seals = nodes.iter().map(|node| {
            let (node, subject) = (node.clone(), subject.clone());
            tokio::spawn(async move { node.seal(&subject, "pay_1", b"text").await })
        });
        let seals: Vec<_> = seals.collect();
        for seal in seals {
            let sealed = seal.await.unwrap().unwrap();
            for node in &nodes {
                assert_eq!(node.open("pay_1", &sealed).await, Ok(Some(b"text".to_vec())));
            }
            assert_eq!(node(&database).open("pay_1", &sealed).await, Ok(Some(b"text".to_vec())), "not durable");
        }
    }
}

#[tokio::test]
async fn an_erasure_on_one_node_reaches_the_others_when_their_memory_ends() {
    let database = test_database().await;
    let ada = customer(merchant(), "ada@example.com");
    let (here, there) = (node(&database), node(&database).cached_for(Duration::ZERO));
    let sealed = here.seal(&ada, "pay_1", b"Ada").await.unwrap();
    assert_eq!(there.open("pay_1", &sealed).await, Ok(Some(b"Ada".to_vec())));
    assert_eq!(here.erase(&ada).await, Ok(true));
    assert_eq!(there.open("pay_1", &sealed).await, Ok(None));
    let again = there.seal(&ada, "pay_1", b"Ada").await.unwrap();
    assert_eq!(here.open("pay_1", &again).await, Ok(Some(b"Ada".to_vec())));
}

#[tokio::test]
async fn the_database_alone_opens_nothing_and_another_master_key_is_noticed() {
    let database = test_database().await;
    let ada = customer(merchant(), "ada@example.com");
    node(&database).check_master_key().await.unwrap();
    let sealed = node(&database).seal(&ada, "pay_1", b"Ada").await.unwrap();

    let thief = PostgresVault::on_postgres(database.pool.clone(), &MasterKey::from_bytes([8; 32]));
    assert_eq!(thief.open("pay_1", &sealed).await, Err(VaultError::Damaged));
    assert_eq!(thief.check_master_key().await, Err(VaultError::Damaged));
    node(&database).check_master_key().await.unwrap();

    let rows: Vec<(String, Option<Vec<u8>>)> =
        sqlx::query_as("SELECT key_id, wrapped_key FROM subject_keys").fetch_all(&database.pool).await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|(key_id, _)| !key_id.contains("ada") && !key_id.contains("mer_")));
    assert_eq!(node(&database).erase(&ada).await, Ok(true));
    let wrapped: Option<Vec<u8>> = sqlx::query_scalar("SELECT wrapped_key FROM subject_keys WHERE key_id = $1")
        .bind(&sealed.key)
        .fetch_one(&database.pool)
        .await
        .unwrap();
    assert_eq!(wrapped, None, "the key itself must be gone, not only marked");
}
