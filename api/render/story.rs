//! An object's story as a list of entries: its events with what each posted, the calls that went out, the webhooks that came
//! in, and what is still due. A merchant does not see the platform's own margin, nor which of its people did something.

use commands::aggregates;
use commands::ports::channel_calls::ChannelCall;
use commands::ports::inbox::{WebhookOutcome, WebhookRecord};
use commands::ports::{RecordedEvent, SagaStatus};
use commands::story::{Happening, Story};
use domain::payment::Payment;
use domain::pre_auth::PreAuth;
use domain::{Decider, Leg, Side, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::auth::roles::ObjectReader;
use crate::problem::Problem;

/// What the platform keeps to itself.
const NOT_FOR_MERCHANTS: [&str; 13] = [
    "expected_channel_fee_rate",
    "markup",
    "markup_returned",
    "pricing",
    "pricing_model",
    "channel_fee",
    "channel_fee_returned",
    "estimate",
    "actual",
    "approved_by",
    "held_by",
    "rejected_by",
    "requested_by",
];
/// The text that a merchant gave, sealed; of no use to a reader.
const NOT_TOLD: &str = "reason";
const OUR_ACCOUNTS: [&str; 3] = ["expense:", "revenue:", "recovery:"];
/// Whoever acts for the platform without being a person.
const MACHINES: [&str; 3] = ["saga:", "webhook:", "schedule:"];
/// Stands for a person whose name is not the merchant's business.
const SOMEBODY: &str = "a person";

/// One thing that happened to an object, or is going to.
#[derive(Debug, Serialize, ToSchema)]
pub struct StoryEntry {
    /// `event`, `channel_call`, `webhook`, or `timer` for what is still due.
    #[schema(example = "event")]
    pub kind: &'static str,
    /// The id of what it is about.
    #[schema(example = "pay_01k9zc4x8me1wbn7t5c1vq0d2r")]
    pub about: String,
    /// Of an event.
    #[schema(example = 41_302)]
    pub position: Option<u64>,
    /// Of an event.
    #[schema(example = 2)]
    pub version: Option<u64>,
    /// Of the event; else the same as `kind`.
    #[serde(rename = "type")]
    #[schema(example = "payment.captured")]
    pub entry_type: String,
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// What the event did to the books.
    pub postings: Vec<Posting>,
    #[schema(example = "saga:payment")]
    pub actor: String,
    /// When it happened; of a timer when it is due.
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

/// Everything that happened in its order, and then what is due.
pub fn entries(story: &Story, reader: ObjectReader) -> Result<Vec<StoryEntry>, Problem> {
    let happened = story.happenings.iter().map(|happening| match happening {
        Happening::Event(event) => of_event(event, reader),
        Happening::Call(call) => Ok(of_call(call)),
        Happening::Webhook(webhook) => Ok(of_webhook(webhook)),
    });
    happened.chain(story.due.iter().map(|saga| Ok(of_timer(saga, reader)))).collect()
}

fn of_event(event: &RecordedEvent, reader: ObjectReader) -> Result<StoryEntry, Problem> {
    let metadata = event.metadata().map_err(|error| Problem::internal(&error))?;
    let for_merchant = matches!(reader, ObjectReader::Own(_));
    let postings = postings(event)?.into_iter().filter(|posting| !(for_merchant && is_ours(&posting.account)));
    Ok(StoryEntry {
        kind: "event",
        about: event.stream.id.clone(),
        position: Some(event.position),
        version: Some(event.version),
        data: facts(event, for_merchant)?,
        entry_type: event.event_type.clone(),
        postings: postings.collect(),
        actor: if for_merchant { as_merchants_see(event, metadata.actor) } else { metadata.actor },
        recorded_at: event.recorded_at,
    })
}

/// What the event did to the books.
pub fn postings(event: &RecordedEvent) -> Result<Vec<Posting>, Problem> {
    let Some(aggregate) = aggregates::find(&event.stream.category) else { return Ok(vec![]) };
    let entry = aggregate.postings(event).map_err(|error| Problem::internal(&error))?;
    Ok(entry.iter().flat_map(|entry| entry.legs()).map(posting).collect())
}

fn as_merchants_see(event: &RecordedEvent, actor: String) -> String {
    let is_its_own = [Payment::CATEGORY, PreAuth::CATEGORY].contains(&event.stream.category.as_ref());
    let is_machine = MACHINES.iter().any(|machine| actor.starts_with(machine));
    if is_its_own || is_machine { actor } else { SOMEBODY.to_owned() }
}

/// The facts inside the payload, which is tagged with the event's type, without what is sealed.
pub fn facts(event: &RecordedEvent, for_merchant: bool) -> Result<Map<String, Value>, Problem> {
    let tagged: Map<String, Value> = serde_json::from_str(&event.payload)
        .map_err(|error| Problem::internal(&format!("event {}: {error}", event.position)))?;
    let inner = tagged.into_iter().next().map(|(_, inner)| inner);
    let Some(Value::Object(mut facts)) = inner else { return Ok(Map::new()) };
    facts.retain(|name, fact| !(is_sealed(fact) || name == NOT_TOLD && fact.is_null()));
    if for_merchant {
        facts.retain(|name, _| !NOT_FOR_MERCHANTS.contains(&name.as_str()));
    }
    Ok(facts)
}

fn is_sealed(fact: &Value) -> bool {
    ["key", "nonce", "data"].iter().all(|part| fact.get(part).is_some())
}

fn is_ours(account: &str) -> bool {
    OUR_ACCOUNTS.iter().any(|prefix| account.starts_with(prefix))
}

fn of_call(call: &ChannelCall) -> StoryEntry {
    let data = serde_json::to_value(call).unwrap_or_default();
    let actor = call.called.clone();
    beside("channel_call", &call.stream_id, data, actor, call.started_at)
}

fn of_webhook(webhook: &WebhookRecord) -> StoryEntry {
    let (outcome, reason) = match &webhook.outcome {
        None => ("due", None),
        Some(WebhookOutcome::Acted) => ("acted", None),
        Some(WebhookOutcome::Ignored { reason }) => ("ignored", Some(reason)),
        Some(WebhookOutcome::Parked { reason }) => ("parked", Some(reason)),
    };
    let data = json!({
        "event_id": webhook.id.event_id,
        "event_type": webhook.event_type,
        "outcome": outcome,
        "outcome_reason": reason,
        "settled_at": webhook.settled_at,
    });
    let about = webhook.stream_id.as_deref().unwrap_or_default();
    beside("webhook", about, data, format!("webhook:{}", webhook.id.channel), webhook.received_at)
}

/// Why a saga's last try was in vain is told in our own words: not to merchants.
fn of_timer(saga: &SagaStatus, reader: ObjectReader) -> StoryEntry {
    let last_error = saga.last_error.as_ref().filter(|_| reader == ObjectReader::All);
    let data = json!({ "state": saga.state, "attempts": saga.attempts, "last_error": last_error });
    beside("timer", &saga.saga_id.to_string(), data, format!("saga:{}", saga.kind), saga.due_at)
}

fn beside(kind: &'static str, about: &str, data: Value, actor: String, at: Timestamp) -> StoryEntry {
    let data = if let Value::Object(data) = data { data } else { Map::new() };
    StoryEntry {
        kind,
        about: about.to_owned(),
        position: None,
        version: None,
        entry_type: kind.to_owned(),
        data,
        postings: vec![],
        actor,
        recorded_at: at,
    }
}

fn posting(leg: &Leg) -> Posting {
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
