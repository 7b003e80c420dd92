//! Every read route that the program's own document names, asked again and again. A route that is missing here is a
//! fault, so that a new one is not forgotten.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::Run;
use super::known::Kind;
use super::line::Of;
use super::stage::text;

/// Routes that show no read model, or need an object that this load does not make.
const LEFT_OUT: [&str; 5] = [
    // A saga is listed only as long as it has something to do.
    "/sagas/{id}",
    // A file.
    "/exports/{id}/download",
    "/exports/{id}",
    "/jobs/{name}/runs",
    "/streams/{category}/{id}",
];

pub(super) async fn ask_every_route(run: Arc<Run>, number: usize) {
    let mut random = StdRng::seed_from_u64(run.plan.seed.wrapping_add(1_000 + number as u64));
    let routes = documented(&run).await;
    while run.goes_on() {
        for route in &routes {
            ask(&run, route, &mut random).await;
        }
    }
}

/// The read routes of the document, without what stands outside `/api/v1`.
async fn documented(run: &Run) -> Vec<String> {
    let url = run.stage.base_urls[0].replace("/api/v1", "/openapi.json");
    let document: Value = match reqwest::get(url).await {
        Ok(answer) => answer.json().await.unwrap_or_default(),
        Err(error) => {
            run.line.faults.note(format!("no document: {error}"));
            return vec![];
        }
    };
    let paths = document["paths"].as_object().into_iter().flatten();
    let reads = paths.filter(|(_, operations)| operations.get("get").is_some());
    let routes = reads.filter_map(|(path, _)| path.strip_prefix("/api/v1"));
    routes.filter(|route| !LEFT_OUT.contains(route)).map(str::to_owned).collect()
}

async fn ask(run: &Run, route: &str, random: &mut StdRng) {
    let merchant = random.random_range(0..run.stage.merchants.len());
    let Some(path) = filled(run, route, merchant, random).await else { return };
    let at_least = random.random_bool(0.3).then(|| run.known.newest()).filter(|_| is_of_read_models(route));
    let secret = secret(run, route, merchant);
    run.line.get(route, &path, &secret, Of { at_least, as_of: None }).await;
}

/// Whether its answers speak for a position.
fn is_of_read_models(route: &str) -> bool {
    !["/jobs", "/keys", "/projections", "/sagas"].iter().any(|prefix| route.starts_with(prefix))
}

fn secret(run: &Run, route: &str, merchant: usize) -> String {
    let stage = &run.stage;
    let secret = match route.split('/').nth(1).unwrap_or_default() {
        "ledger" | "reconciliation" | "analytics" | "rates" => &stage.finance[0],
        "events" => &stage.auditor,
        "projections" | "sagas" | "jobs" => &stage.operator,
        "keys" | "merchants" | "tiers" => &stage.admin,
        _ => &stage.merchants[merchant].secret,
    };
    secret.clone()
}

/// The route with real objects in it; nothing as long as there are none.
async fn filled(run: &Run, route: &str, merchant: usize, random: &mut StdRng) -> Option<String> {
    let known = |kind: Kind| {
        let of_merchant = run.known.made.pool(kind).of(merchant);
        (!of_merchant.is_empty()).then(|| of_merchant[of_merchant.len() - 1].clone())
    };
    let path = match route {
        "/payments/{id}" | "/payments/{id}/events" => route.replace("{id}", &known(Kind::Payment)?),
        "/refunds/{id}" => route.replace("{id}", &known(Kind::Refund)?),
        "/pre-auths/{id}" | "/pre-auths/{id}/events" => route.replace("{id}", &known(Kind::PreAuth)?),
        "/orders/{order_no}" => route.replace("{order_no}", &known(Kind::Order)?),
        "/withdrawals/{id}" => route.replace("{id}", &known(Kind::Withdrawal)?),
        "/settlements/{id}" | "/disputes/{id}" => {
            let list = route.trim_end_matches("/{id}");
            route.replace("{id}", &first(run, list, &run.stage.merchants[merchant].secret, "id").await?)
        }
        "/merchants/{id}" | "/merchants/{id}/limits" => route.replace("{id}", &run.stage.merchants[merchant].id),
        "/ledger/adjustments/{id}" | "/reconciliation/exceptions/{id}" => {
            let list = route.trim_end_matches("/{id}");
            route.replace("{id}", &first(run, list, &run.stage.finance[0], "id").await?)
        }
        "/reconciliation/runs/{id}" | "/reconciliation/runs/{id}/bad-lines" => {
            route.replace("{id}", &first(run, "/reconciliation/exceptions", &run.stage.finance[0], "run_id").await?)
        }
        "/ledger/accounts/{path}/entries" => route.replace("{path}", "channel:sandbox:receivable"),
        "/ledger/transactions/{position}" => {
            let entries = "/ledger/accounts/channel:sandbox:receivable/entries";
            route.replace("{position}", &first(run, entries, &run.stage.finance[0], "position").await?)
        }
        "/ledger/payouts" => format!("{route}?channel=sandbox&currency=USD"),
        "/statements" => format!("{route}?currency=USD&limit=100"),
        "/analytics/payments" => {
            format!("{route}?bucket={}&group_by=currency,status", ["hour", "day"][random.random_range(0..2)])
        }
        "/projections/{name}/parked" => route.replace("{name}", "books"),
        "/payments" | "/refunds" | "/orders" if random.random_bool(0.5) => format!("{route}?currency=USD&limit=50"),
        whole if !whole.contains('{') => whole.to_owned(),
        missing => {
            run.line.faults.note(format!("nobody asks {missing}: say here how"));
            return None;
        }
    };
    Some(path)
}

/// A field of the first row of a list, as text.
async fn first(run: &Run, list: &str, secret: &str, field: &str) -> Option<String> {
    let answer = run.line.get(list, &format!("{list}?limit=1"), secret, Of::default()).await?;
    let value = &answer.body["data"][0][field];
    value.as_u64().map(|number| number.to_string()).or_else(|| value.as_str().map(|_| text(value)))
}
