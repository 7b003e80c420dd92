//! An OTLP receiver over HTTP: it keeps the spans that are sent to it.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use parking_lot::Mutex;
use prost::Message;

/// A span as it arrived; ids in hexadecimal, as in a `traceparent`.
#[derive(Debug, Clone)]
pub struct Span {
    pub name: String,
    pub trace_id: String,
    pub span_id: String,
    pub parent_span_id: String,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// It receives for as long as the test's runtime lives.
#[derive(Debug)]
pub struct OtlpReceiver {
    /// What a program is given as its OTLP endpoint.
    pub endpoint: String,
    spans: Spans,
}

impl OtlpReceiver {
    pub async fn start() -> anyhow::Result<OtlpReceiver> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let spans = Spans::default();
        let router = Router::new().route("/v1/traces", post(receive)).with_state(spans.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(OtlpReceiver { endpoint, spans })
    }

    pub fn spans(&self) -> Vec<Span> {
        self.spans.lock().clone()
    }
}

async fn receive(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    let received = scopes.flat_map(|scope| scope.spans).map(|span| Span {
        name: span.name,
        trace_id: hexadecimal(&span.trace_id),
        span_id: hexadecimal(&span.span_id),
        parent_span_id: hexadecimal(&span.parent_span_id),
    });
    spans.lock().extend(received);
    StatusCode::OK
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
