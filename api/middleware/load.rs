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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::Request;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn beyond_the_bound_a_request_is_told_to_come_again() {
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let handler = {
            let (entered, go_on) = (entered.clone(), go_on.clone());
            move || async move {
                entered.notify_one();
                go_on.notified().await;
            }
        };
        let routes =
            Router::new().route("/", get(handler)).layer(from_fn_with_state(Arc::new(Semaphore::new(1)), shed));
        let request = || routes.clone().oneshot(Request::get("/").body(Body::empty()).unwrap());
        let first = tokio::spawn(request());
        entered.notified().await;
        assert_eq!(request().await.unwrap().status(), 503);
        go_on.notify_one();
        assert_eq!(first.await.unwrap().unwrap().status(), 200);
        go_on.notify_one();
        assert_eq!(request().await.unwrap().status(), 200);
    }
}
