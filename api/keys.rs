//! API keys: issue, list, revoke. The secret is in the first answer and nowhere else.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use commands::keys::{IssueKey, IssuedKey};
use commands::ports::{ApiKey, Role};
use domain::{ApiKeyId, MerchantId, Timestamp};
use projections::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::roles::AdminCaller;
use crate::errors;
use crate::extract::{Named, Params, Parsed};
use crate::idempotency::{Command, Nothing, answer, hit, noted, refused};
use crate::page::{Limit, List, cursor};
use crate::params::{CommandErrors, CommandHeaders, QueryErrors};
use crate::problem::Problem;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_key, list_keys)).routes(routes!(revoke_key))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CreateKeyBody {
    /// `merchant`, `finance`, `auditor`, `operator` or `admin`.
    #[schema(value_type = String, example = "merchant")]
    role: Parsed<Role>,
    /// Required for the role merchant, and for no other.
    #[schema(value_type = Option<String>)]
    merchant_id: Option<MerchantId>,
    /// The person or system that the key belongs to; by default it stands for itself.
    #[schema(example = "ada.lovelace")]
    principal: Option<String>,
    /// A bearer secret alone is not enough for this key.
    #[serde(default)]
    signed_only: bool,
}

/// A key. Its secret is shown once.
#[derive(Serialize, ToSchema)]
#[schema(as = Key)]
struct KeyObject {
    #[schema(example = "key_01k9zc8r2dn6v3m0t4y9b5x1qe")]
    key_id: String,
    /// Only in the first answer to the command that issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sk_...")]
    secret: Option<String>,
    #[schema(example = "merchant")]
    role: &'static str,
    merchant_id: Option<String>,
    principal: String,
    signed_only: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

impl From<ApiKey> for KeyObject {
    fn from(key: ApiKey) -> KeyObject {
        KeyObject {
            key_id: key.key_id.to_string(),
            secret: None,
            role: key.access.role().as_str(),
            merchant_id: key.access.merchant_id().map(|merchant_id| merchant_id.to_string()),
            principal: key.principal,
            signed_only: key.signed_only,
            created_at: key.created_at,
            revoked_at: key.revoked_at,
        }
    }
}

/// Issue a key
///
/// A repeat with the same Idempotency-Key is answered without the secret.
#[utoipa::path(post, path = "/keys", tag = "keys", params(CommandHeaders), request_body = CreateKeyBody,
    responses((status = 201, description = "The key", body = KeyObject), CommandErrors))]
async fn create_key(
    State(app): State<App>,
    _caller: AdminCaller,
    command: Command<CreateKeyBody>,
) -> Result<Response, Problem> {
    let issue = IssueKey {
        role: command.body.role.0,
        merchant_id: command.body.merchant_id,
        principal: command.body.principal,
        signed_only: command.body.signed_only,
    };
    noted(&app, &command.issued).await?;
    let IssuedKey { key, secret } = match app.keys.issue(command.issued.clone(), issue).await {
        Ok(made) => made,
        Err(error) => return Err(refused(&app, command.issued, error).await),
    };
    let repeated = secret.is_none().then(hit);
    let secret = secret.map(|secret| secret.expose().to_owned());
    Ok(answer(StatusCode::CREATED, repeated, &KeyObject { secret, ..key.into() }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// 1 to 100, 20 unless told otherwise.
    #[serde(default)]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List keys, newest first, revoked ones included
#[utoipa::path(get, path = "/keys", tag = "keys", params(ListQuery),
    responses((status = 200, description = "A page of keys", body = List<KeyObject>), QueryErrors))]
async fn list_keys(
    State(app): State<App>,
    _caller: AdminCaller,
    Params(query): Params<ListQuery>,
) -> Result<Response, Problem> {
    let before = cursor(query.cursor.as_deref())?.map(|cursor| cursor.id.parse::<ApiKeyId>()).transpose();
    let before = before.map_err(|_| Problem::of(errors::INVALID_CURSOR).in_parameter("cursor"))?;
    let limit = usize::try_from(query.limit.0).unwrap_or(usize::MAX);
    let mut keys = app.keys.list(before, limit + 1).await?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let next = keys.last().filter(|_| more).map(|key| Cursor { key: 0, id: key.key_id.to_string() });
    Ok(answer(StatusCode::OK, [], &List::new(keys.into_iter().map(KeyObject::from).collect(), next)))
}

/// Revoke a key
#[utoipa::path(delete, path = "/keys/{id}", tag = "keys", params(("id" = String, Path, description = "`key_...`")),
    responses((status = 200, description = "The key, revoked", body = KeyObject), QueryErrors))]
async fn revoke_key(
    State(app): State<App>,
    _caller: AdminCaller,
    Named(key_id): Named<ApiKeyId>,
    _query: Params<Nothing>,
) -> Result<Response, Problem> {
    let key = app.keys.revoke(key_id).await?;
    let key = key.ok_or_else(|| Problem::of(errors::KEY_NOT_FOUND))?;
    Ok(answer(StatusCode::OK, [], &KeyObject::from(key)))
}
