//! A payment's story: its events in order with what each posted. A merchant does not see the platform's own margin.

use commands::ports::RecordedEvent;
use domain::payment::Event;
use domain::{DomainEvent, Leg, Side, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::auth::roles::ObjectReader;
use crate::problem::Problem;

/// What the platform keeps to itself.
const NOT_FOR_MERCHANTS: [&str; 9] = [
    "expected_channel_fee_rate",
    "markup",
    "markup_returned",
    "pricing",
    "pricing_model",
    "channel_fee",
    "channel_fee_returned",
    "estimate",
    "actual",
];
/// Of no use to a reader.
const CIPHERTEXT: [&str; 3] = ["sealed", "action", "reason"];
const OUR_ACCOUNTS: [&str; 3] = ["expense:", "revenue:", "recovery:"];

/// One thing that happened to a payment.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryEntry {
    #[schema(example = 41_302)]
    pub position: u64,
    #[schema(example = 2)]
    pub version: u64,
    #[serde(rename = "type")]
    #[schema(example = "payment.captured")]
    pub event_type: String,
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// What the event did to the books.
    pub postings: Vec<Posting>,
    #[schema(example = "saga:payment")]
    pub actor: String,
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Posting {
    #[schema(example = "channel:sandbox:receivable")]
    pub account: String,
    /// `debit` or `credit`.
    pub side: &'static str,
    pub amount: i64,
    pub currency: String,
}

pub fn entry(event: RecordedEvent, reader: ObjectReader) -> Result<StoryEntry, Problem> {
    let decoded: Event = event.decode().map_err(|error| Problem::internal(&error))?;
    let metadata = event.metadata().map_err(|error| Problem::internal(&error))?;
    let for_merchant = matches!(reader, ObjectReader::Own(_));
    let entry = decoded.postings();
    let legs = entry.iter().flat_map(|entry| entry.legs());
    Ok(StoryEntry {
        position: event.position,
        version: event.version,
        data: facts(&decoded, for_merchant)?,
        event_type: event.event_type,
        postings: legs.map(posting).filter(|posting| !(for_merchant && is_ours(&posting.account))).collect(),
        actor: metadata.actor,
        recorded_at: event.recorded_at,
    })
}

fn facts(event: &Event, for_merchant: bool) -> Result<Map<String, Value>, Problem> {
    let tagged = serde_json::to_value(event).map_err(|error| Problem::internal(&error))?;
    let inner = tagged.as_object().and_then(|tagged| tagged.values().next()).and_then(Value::as_object);
    let mut facts = inner.cloned().unwrap_or_default();
    facts.retain(|name, _| !CIPHERTEXT.contains(&name.as_str()));
    if for_merchant {
        facts.retain(|name, _| !NOT_FOR_MERCHANTS.contains(&name.as_str()));
    }
    Ok(facts)
}

fn is_ours(account: &str) -> bool {
    OUR_ACCOUNTS.iter().any(|prefix| account.starts_with(prefix))
}

pub fn posting(leg: &Leg) -> Posting {
    Posting {
        account: leg.account.to_string(),
        side: match leg.side {
            Side::Debit => "debit",
            Side::Credit => "credit",
        },
        amount: leg.amount,
        currency: leg.currency.to_string(),
    }
}
