//! What must hold once everything is up again: nothing is left over, what was acknowledged is there once, and the
//! figures of the API agree with each other, with the channel's book and with the bank's folders.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Instant;

use adapters::bank::iso20022::end_to_end_id;
use payledger::verify::channel_book;
use serde_json::Value;
use test_support::wait;

use super::client::Client;
use super::finance::Finance;
use super::{Merchant, PATIENCE, World};

/// By merchant and currency, in minor units.
type Sums = BTreeMap<(String, String), i64>;

/// States that objects do not stay in, by list.
const PASSING: [(&str, &[&str]); 5] = [
    ("/payments", &["processing", "requires_action"]),
    ("/refunds", &["pending"]),
    ("/pre-auths", &["processing", "requires_action", "authorized", "partially_captured"]),
    ("/disputes", &["inquiry", "needs_response", "under_review", "accepted"]),
    ("/withdrawals", &["requested", "approved", "sent"]),
];

/// Everything that the API lists, of all merchants.
struct Listed {
    payments: Vec<Value>,
    refunds: Vec<Value>,
    pre_auths: Vec<Value>,
    withdrawals: Vec<Value>,
    settlements: Vec<Value>,
}

/// Answers in words what was found.
pub async fn check(world: &World, client: &Client, finance: &Finance, merchants: &[Merchant]) -> String {
    quiet(world, client, finance).await;
    // News of the channel that were still under way when all was quiet have come once both books agree.
    wait::until("the ledger agrees with the channel", PATIENCE, || async {
        (verify(world).await["ok"] == true).then_some(())
    })
    .await;
    finance.pay_out(client, "last").await;
    finance.settle(client, "last").await;
    quiet(world, client, finance).await;

    let listed = Listed::read(client, finance).await;
    acknowledged_is_there_once(client, &listed).await;
    took_effect_once(world, &listed).await;
    let settled = settled_once(client, finance, &listed).await;
    let earned = listed.earned();
    assert_eq!(settled, earned, "what was settled, and what payments, refunds and disputes add up to");
    assert_eq!(balances(client, merchants).await, less(earned, &listed.paid_out()), "the merchants' balances");
    assert_eq!(cash(client, finance).await, listed.cash(client, finance).await, "our account at the bank");
    let verdict = verify(world).await;
    assert_eq!(verdict["ok"], true, "{verdict:#}");
    listed.in_words(client, &verdict)
}

/// Waits until nothing is left to do, by anybody.
async fn quiet(world: &World, client: &Client, finance: &Finance) {
    let (started, mut left) = (Instant::now(), left_over(world, client, finance).await);
    while !left.is_empty() {
        assert!(started.elapsed() < PATIENCE, "after {PATIENCE:?} this is left: {left:#?}");
        left = left_over(world, client, finance).await;
    }
    let parked = "SELECT event_type || ' ' || outcome_reason FROM webhooks WHERE outcome = 'parked'";
    let parked: Vec<String> = sqlx::query_scalar(parked).fetch_all(&world.database.pool).await.unwrap();
    assert_eq!(parked, Vec::<String>::new(), "webhooks that could not be acted on");
}

async fn left_over(world: &World, client: &Client, finance: &Finance) -> Vec<String> {
    let mut left = vec![];
    finance.decide_withdrawals(client).await;
    for (list, states) in PASSING {
        for state in states {
            let rows = client.list(&finance.one, &format!("{list}?status={state}")).await;
            left.extend(rows.iter().map(|row| format!("{} is {state}", row["id"])));
        }
    }
    // A batch that is released on another day waits for it.
    let sagas = client.get(&finance.operator, "/sagas?limit=100").await;
    let sagas = sagas["data"].as_array().unwrap().iter().filter(|saga| saga["kind"] != "settlement");
    left.extend(sagas.map(Value::to_string));
    let jobs = client.get(&finance.operator, "/jobs").await;
    let busy =
        jobs["data"].as_array().unwrap().iter().filter(|job| job["state"] != "completed" && !job["state"].is_null());
    left.extend(busy.map(Value::to_string));
    let webhooks = "SELECT event_id || ' ' || event_type FROM webhooks WHERE due_at IS NOT NULL";
    left.extend(sqlx::query_scalar::<_, String>(webhooks).fetch_all(&world.database.pool).await.unwrap());
    left
}

async fn verify(world: &World) -> Value {
    let (code, text) = world.binary.run(&["verify", "--json", "--sandbox-url", &world.sandbox_url]).await.unwrap();
    let verdict: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code == 0, verdict["ok"] == true);
    verdict
}

#[track_caller]
fn once<T: Ord + Debug>(what: &str, all: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    let mut seen = BTreeSet::new();
    for one in all {
        assert!(!seen.contains(&one), "twice among {what}: {one:?}");
        seen.insert(one);
    }
    seen
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn figure(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_else(|| panic!("{field} is no figure in {object}"))
}

fn less(mut sums: Sums, taken: &Sums) -> Sums {
    for (key, amount) in taken {
        *sums.entry(key.clone()).or_default() -= amount;
    }
    without_zeros(sums)
}

fn without_zeros(mut sums: Sums) -> Sums {
    sums.retain(|_, amount| *amount != 0);
    sums
}

fn sum<'a>(rows: impl Iterator<Item = &'a Value>, amount: impl Fn(&Value) -> i64) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        *sums.entry((text(&row["merchant_id"]), text(&row["currency"]))).or_default() += amount(row);
    }
    without_zeros(sums)
}

/// The ids of what this route was acknowledged to have made.
fn made(client: &Client, path: &str) -> BTreeSet<String> {
    let acknowledged = client.acknowledged();
    let made = acknowledged.iter().filter(|command| command.path == path && command.status == 201);
    once(path, made.map(|command| text(&command.answer()["id"])))
}

async fn acknowledged_is_there_once(client: &Client, listed: &Listed) {
    let ids = |rows: &[Value]| once("ids", rows.iter().map(|row| text(&row["id"])));
    let (captures, payments): (Vec<_>, Vec<_>) =
        listed.payments.iter().cloned().partition(|payment| payment["pre_auth_id"].is_string());
    once("orders", payments.iter().map(|payment| text(&payment["order_no"])));
    for (path, rows) in
        [("/payments", &payments), ("/pre-auths", &listed.pre_auths), ("/withdrawals", &listed.withdrawals)]
    {
        let (listed, made) = (ids(rows), made(client, path));
        let differing: Vec<_> = listed.symmetric_difference(&made).collect();
        assert!(differing.is_empty(), "{path}: listed or acknowledged, and not both: {differing:?}");
    }
    // Beside these there are refunds of payments that were cancelled too late.
    assert!(ids(&listed.refunds).is_superset(&made(client, "/refunds")));
    let captured = client.acknowledged();
    let captured = captured.iter().filter(|command| command.path.ends_with("/capture") && command.status == 200);
    assert_eq!(ids(&captures).len(), captured.count(), "a capture is a payment");
    for command in client.acknowledged().iter().filter(|command| command.status < 300).step_by(5) {
        client.assert_answered_alike(command).await;
    }
}

/// At the channel and at the bank.
async fn took_effect_once(world: &World, listed: &Listed) {
    let book: Vec<Value> = channel_book::read_all(&world.sandbox_url, "book").await.unwrap();
    once("operations", book.iter().map(|operation| (text(&operation["kind"]), text(&operation["reference"]))));
    let keys = book.iter().filter(|operation| operation["idempotency_key"] != "");
    once("keys", keys.map(|operation| (text(&operation["kind"]), text(&operation["idempotency_key"]))));

    let sent = listed
        .withdrawals
        .iter()
        .filter(|withdrawal| ["paid", "failed"].contains(&text(&withdrawal["status"]).as_str()));
    let sent: BTreeSet<String> =
        sent.map(|row| format!("{}.pain.001.xml", end_to_end_id(text(&row["id"]).parse().unwrap()))).collect();
    // A draft is what a node had not finished when it was killed.
    let files = |folder: &str| -> BTreeSet<String> {
        let folder = std::fs::read_dir(world.folder.path().join("bank").join(folder)).unwrap();
        let names = folder.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| !name.starts_with('.')).collect()
    };
    assert_eq!(files("taken"), sent, "the bank has an instruction for each withdrawal that was sent, and no other");
    let left = ["outbox", "inbox", "later", "quarantine"].map(|folder| (folder, files(folder)));
    assert!(left.iter().all(|(_, files)| files.is_empty()), "{left:?}");
}

/// Every item stands in one batch, and the batches leave nothing out. What was settled.
async fn settled_once(client: &Client, finance: &Finance, listed: &Listed) -> Sums {
    let mut windows: BTreeMap<(String, String), Vec<(u64, u64)>> = BTreeMap::new();
    let mut items = vec![];
    for settlement in &listed.settlements {
        let holder = (text(&settlement["merchant_id"]), text(&settlement["currency"]));
        let window = &settlement["window"];
        let bounds = (window["from"].as_u64().unwrap(), window["to"].as_u64().unwrap());
        let path = format!("/settlements/{}", text(&settlement["id"]));
        let (mut amount, mut count, mut cursor) = (0, 0, String::new());
        loop {
            let page = client.get(&finance.one, &format!("{path}{cursor}")).await;
            for item in page["items"].as_array().unwrap() {
                let position = item["position"].as_u64().unwrap();
                assert!(bounds.0 < position && position <= bounds.1, "{item} is not of {settlement}");
                items.push((holder.clone(), position, text(&item["payment_id"])));
                (amount, count) = (amount + figure(item, "amount"), count + 1);
            }
            match page["items_next_cursor"].as_str() {
                Some(next) => cursor = format!("?cursor={next}"),
                None => break,
            }
        }
        assert_eq!((amount, count), (figure(settlement, "amount"), figure(settlement, "item_count")), "{settlement}");
        windows.entry(holder).or_default().push(bounds);
    }
    once("settled items", items);
    for (holder, mut of_holder) in windows {
        of_holder.sort_unstable();
        let chained = of_holder.windows(2).all(|pair| pair[0].1 == pair[1].0);
        assert!(chained && of_holder[0].0 == 0, "{holder:?}: {of_holder:?}");
    }
    sum(listed.settlements.iter(), |settlement| figure(settlement, "amount"))
}

/// What each merchant has with us. All of it was settled.
async fn balances(client: &Client, merchants: &[Merchant]) -> Sums {
    let mut sums = Sums::new();
    for merchant in merchants {
        let answer = client.get(&merchant.secret, "/balances").await;
        for balance in answer["balances"].as_array().unwrap() {
            assert_eq!(balance["pending"], 0, "{} {balance}", merchant.id);
            let held: i64 = ["available", "reserved", "on_hold"].iter().map(|field| figure(balance, field)).sum();
            sums.insert((merchant.id.clone(), text(&balance["currency"])), held - figure(balance, "receivable"));
        }
    }
    without_zeros(sums)
}

async fn cash(client: &Client, finance: &Finance) -> Sums {
    let trial = client.get(&finance.one, "/ledger/trial-balance").await;
    let mut sums = Sums::new();
    for one in trial["currencies"].as_array().unwrap() {
        assert_eq!(one["debits"], one["credits"]);
        for line in one["accounts"].as_array().unwrap().iter().filter(|line| line["account"] == "bank:sandbox:cash") {
            sums.insert((String::new(), text(&one["currency"])), figure(line, "balance"));
        }
    }
    without_zeros(sums)
}

impl Listed {
    async fn read(client: &Client, finance: &Finance) -> Listed {
        let all = async |path: &str| client.list(&finance.one, path).await;
        Listed {
            payments: all("/payments").await,
            refunds: all("/refunds").await,
            pre_auths: all("/pre-auths").await,
            withdrawals: all("/withdrawals").await,
            settlements: all("/settlements").await,
        }
    }

    /// Each payment with what it cost and what was given back of it.
    fn earned(&self) -> Sums {
        sum(self.payments.iter(), |payment| {
            let taken = ["amount_refunded", "amount_disputed"].iter().map(|field| figure(payment, field)).sum::<i64>();
            figure(payment, "amount_captured") - figure(&payment["fees"], "total") - taken
        })
    }

    /// With its fee, which is given back where the money did not arrive.
    fn paid_out(&self) -> Sums {
        let paid = self.withdrawals.iter().filter(|withdrawal| withdrawal["status"] == "paid");
        sum(paid, |withdrawal| figure(withdrawal, "amount") + figure(withdrawal, "fee"))
    }

    /// What the channel has paid us, less what went out and did not come back.
    async fn cash(&self, client: &Client, finance: &Finance) -> Sums {
        let mut cash = Sums::new();
        for currency in ["USD", "EUR", "JPY"] {
            let path = format!("/ledger/payouts?channel=sandbox&currency={currency}");
            for payout in client.list(&finance.one, &path).await {
                assert_eq!(payout["difference"], 0, "{payout}");
                *cash.entry((String::new(), currency.to_owned())).or_default() += figure(&payout, "amount");
            }
        }
        for withdrawal in &self.withdrawals {
            let (amount, back) = (figure(withdrawal, "amount"), figure(withdrawal, "amount_returned"));
            let gone = if withdrawal["status"] == "paid" || back > 0 { amount - back } else { 0 };
            *cash.entry((String::new(), text(&withdrawal["currency"]))).or_default() -= gone;
        }
        without_zeros(cash)
    }

    fn in_words(&self, client: &Client, verdict: &Value) -> String {
        let mut words = format!(
            "{} commands ({} sent again), {} payments, {} refunds, {} pre-auths, {} withdrawals, {} settlements",
            client.acknowledged().len(),
            client.repeats(),
            self.payments.len(),
            self.refunds.len(),
            self.pre_auths.len(),
            self.withdrawals.len(),
            self.settlements.len(),
        );
        for check in verdict["checks"].as_array().unwrap() {
            words.push_str(&format!("\n  {} {}", check["figure"], text(&check["name"])));
        }
        words
    }
}
