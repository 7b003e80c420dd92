//! Every route with what stands around it. The routes that are open to everybody are a router of their own, so that
//! they can be served elsewhere.

use std::sync::Arc;

use axum::http::Uri;
use axum::{Extension, Router, middleware};
use tokio::sync::Semaphore;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::auth::authenticate;
use crate::docs::Document;
use crate::errors;
use crate::middleware::{CallMeter, meter_calls, observe, shed};
use crate::problem::Problem;
use crate::upload::{UPLOADS_MAX, authenticate_upload};
use crate::{
    adjustments, analytics, balances, bank_accounts, disputes, docs, document, events, exports, health, jobs, keys,
    ledger, merchants, orders, payments, payouts, periods, pre_auths, projections, rates, reconciliation, refunds,
    sagas, settlements, statements, statistics, tiers, webhooks, withdrawals,
};

pub const BASE: &str = "/api/v1";

/// Everything on one listener.
pub fn router(app: App) -> Router {
    let served = api(&app).merge(ops());
    finish(served.with_state(app))
}

/// `/api/v1` alone.
pub fn api_router(app: App) -> Router {
    let served = api(&app);
    finish(served.with_state(app))
}

/// Health, metrics and documents alone.
pub fn ops_router(app: App) -> Router {
    finish(ops().with_state(app))
}

pub fn with_keys() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(payments::routes())
        .merge(pre_auths::routes())
        .merge(refunds::routes())
        .merge(orders::routes())
        .merge(settlements::routes())
        .merge(balances::routes())
        .merge(statements::routes())
        .merge(statistics::routes())
        .merge(analytics::routes())
        .merge(disputes::routes())
        .merge(withdrawals::routes())
        .merge(bank_accounts::routes())
        .merge(ledger::routes())
        .merge(adjustments::routes())
        .merge(payouts::routes())
        .merge(periods::routes())
        .merge(reconciliation::routes())
        .merge(events::routes())
        .merge(exports::routes())
        .merge(merchants::routes())
        .merge(tiers::routes())
        .merge(rates::routes())
        .merge(keys::routes())
        .merge(projections::routes())
        .merge(jobs::routes())
        .merge(sagas::routes())
}

/// Those that take more than 64 kB.
pub fn with_uploads() -> OpenApiRouter<App> {
    reconciliation::upload_routes()
}

fn api(app: &App) -> Router<App> {
    let places = Arc::new(Semaphore::new(app.in_flight_max));
    let authenticated: Router<App> = with_keys().into();
    let open: Router<App> = webhooks::routes().into();
    let metered = (app.clone(), Arc::new(CallMeter::new(app.call_limits)));
    let authenticated = authenticated
        .route_layer(middleware::from_fn_with_state(metered, meter_calls))
        .route_layer(middleware::from_fn_with_state(app.clone(), authenticate));
    let uploads: Router<App> = with_uploads().into();
    let at_once = (app.clone(), Arc::new(Semaphore::new(UPLOADS_MAX)));
    let uploads = uploads.route_layer(middleware::from_fn_with_state(at_once, authenticate_upload));
    let routes = authenticated.merge(uploads).merge(open).route_layer(middleware::from_fn_with_state(places, shed));
    Router::new().nest(BASE, routes)
}

fn ops() -> Router<App> {
    let routes: Router<App> = health::routes().merge(docs::routes()).into();
    routes.layer(Extension(Document::of(&document::openapi())))
}

fn finish(routes: Router) -> Router {
    routes
        .fallback(|_: Uri| async { Problem::of(errors::NOT_FOUND) })
        .method_not_allowed_fallback(|| async { Problem::of(errors::METHOD_NOT_ALLOWED) })
        .layer(middleware::from_fn(observe))
}
