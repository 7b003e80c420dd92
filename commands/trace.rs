//! The W3C trace context as it travels in event metadata, so that one trace joins a request with everything that it
//! led to. Knows no exporter: without one installed there is no context and nothing is carried.

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::ports::RecordedEvent;

/// The `traceparent` of the span that runs now.
pub fn current_traceparent() -> Option<String> {
    let context = Span::current().context();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags().to_u8()))
}

/// Makes a span the child of what `traceparent` names: to be called before the span is first entered.
/// A malformed one is ignored, as the W3C recommendation asks.
pub fn set_parent(span: &Span, traceparent: Option<&str>) {
    let Some(parent) = traceparent.and_then(parse) else {
        return;
    };
    let context = opentelemetry::Context::new().with_remote_span_context(parent);
    // It fails where no exporter is installed or the span is filtered out: then there is no trace to join.
    let _ = span.set_parent(context);
}

/// At most this many events of one batch are seen in their traces: what a trace of a busy moment misses is the
/// projections' part, and nothing else.
const FOLLOWED_MAX: usize = 64;

/// In a larger batch, which catches up, no more are looked at.
const LOOKED_AT_MAX: usize = 1_000;

/// A span for each event whose trace is recorded, as a child of what its metadata names, so that work on many events at
/// once is seen in each one's trace. They last until they are dropped. Where nothing is traced this costs a text search.
pub fn spans_of(events: &[&RecordedEvent], span: impl Fn(&RecordedEvent) -> Span) -> Vec<Span> {
    let traced = events.iter().take(LOOKED_AT_MAX).filter_map(|event| {
        let parent = stored_traceparent(&event.metadata)?;
        parse(parent)?.is_sampled().then_some((*event, parent))
    });
    let follow = |(event, parent): (&RecordedEvent, &str)| {
        let span = span(event);
        set_parent(&span, Some(parent));
        span
    };
    traced.take(FOLLOWED_MAX).map(follow).collect()
}

/// Reads one field of the metadata's flat object of strings; within a string its quotes would be escaped.
fn stored_traceparent(metadata: &str) -> Option<&str> {
    let (_, behind) = metadata.split_once("\"traceparent\":\"")?;
    behind.split_once('"').map(|(value, _)| value)
}

/// `00-<32 hex>-<16 hex>-<2 hex>`, lower case; of later versions only what version 00 has is read.
fn parse(traceparent: &str) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let well_formed = version.len() == 2 && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
    if !well_formed || ![version, trace, span, flags].into_iter().all(is_hex) || version == "ff" {
        return None;
    }
    if version == "00" && parts.next().is_some() {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stored_traceparent_is_read_as_it_was_written() {
        let metadata = |correlation_id: &str, traceparent: Option<&str>| crate::ports::Metadata {
            command_id: uuid::Uuid::nil(),
            correlation_id: correlation_id.to_owned(),
            causation_id: None,
            actor: "test".to_owned(),
            traceparent: traceparent.map(str::to_owned),
        };
        let deceiving = r#"","traceparent":"00-deceiving"#;
        for correlation_id in ["plain", deceiving] {
            for traceparent in [None, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")] {
                let stored = serde_json::to_string(&metadata(correlation_id, traceparent)).unwrap();
                assert_eq!(stored_traceparent(&stored), traceparent, "{stored}");
            }
        }
    }

    #[test]
    fn only_well_formed_traceparents_are_followed() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let cases = [
            (format!("00-{trace}-00f067aa0ba902b7-01"), Some(true)),
            (format!("00-{trace}-00f067aa0ba902b7-00"), Some(false)),
            (format!("01-{trace}-00f067aa0ba902b7-03-later"), Some(true)),
            (format!("00-{trace}-00f067aa0ba902b7-01-extra"), None),
            (format!("ff-{trace}-00f067aa0ba902b7-01"), None),
            (format!("00-{}-00f067aa0ba902b7-01", trace.to_uppercase()), None),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), None),
            (format!("00-{trace}-0000000000000000-01"), None),
            (format!("00-{trace}-00f067aa0ba902b7"), None),
            ("é".repeat(30), None),
            (String::new(), None),
        ];
        for (traceparent, sampled) in cases {
            assert_eq!(parse(&traceparent).map(|context| context.is_sampled()), sampled, "{traceparent}");
        }
    }
}
