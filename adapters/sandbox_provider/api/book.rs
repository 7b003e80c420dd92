//! The truth: every effective operation, of one reference or of the whole book in order.

use super::error::ApiError;
use super::extract::Params;
use super::{LIMIT_DEFAULT, SharedApp, check_limit, list_json};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BookQuery {
    reference: Option<String>,
    after: Option<usize>,
    limit: Option<usize>,
}

pub(super) async fn list(State(app): SharedApp, Params(query): Params<BookQuery>) -> Result<Json<Value>, ApiError> {
    if let Some(reference) = query.reference {
        let found: Vec<_> = app
            .desk
            .read(|book| book.operations_of(&reference).map(|(index, found)| (index, found.clone())).collect())
            .await?;
        let data: Vec<Value> = found.iter().map(|(index, found)| app.renderer.operation(*index, found)).collect();
        return Ok(Json(json!({ "object": "list", "data": data, "has_more": false, "next_after": null })));
    }
    let after = query.after.unwrap_or(0);
    let limit = check_limit(query.limit.unwrap_or(LIMIT_DEFAULT))?;
    let (page, total) = app
        .desk
        .read(|book| {
            let page: Vec<_> = book.operations.iter().skip(after).take(limit).cloned().collect();
            (page, book.operations.len())
        })
        .await?;
    let places = page.iter().zip(after..);
    Ok(list_json(places.map(|(found, index)| app.renderer.operation(index, found)).collect(), after, total))
}
