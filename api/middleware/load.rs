//! Bounds how many requests run at once: beyond that an immediate "come again" is kinder than a long queue.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::Semaphore;

use crate::errors;
use crate::problem::Problem;

pub async fn shed(State(places): State<Arc<Semaphore>>, request: Request, next: Next) -> Result<Response, Problem> {
    let Ok(_place) = places.try_acquire() else {
        return Err(Problem::of(errors::OVERLOADED));
    };
    Ok(next.run(request).await)
}
