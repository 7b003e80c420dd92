//! The log itself: gaps (invariant 2), acknowledged commands (3), the hash chain (9).

use std::collections::{HashMap, HashSet};

use commands::ports::RecordedEvent;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clients::{Acknowledged, Mark};
use crate::finding::Finding;

pub fn has_no_gap(log: &[RecordedEvent]) -> Result<(), Finding> {
    let mut versions: HashMap<String, u64> = HashMap::new();
    let mut time = None;
    for (index, event) in log.iter().enumerate() {
        let gap = |what: &str| Err(Finding::of(2, format!("position {}: {what}", event.position)));
        if event.position != index as u64 + 1 {
            return gap("it is not the next one");
        }
        let version = versions.entry(event.stream.to_string()).or_default();
        *version += 1;
        if event.version != *version {
            return gap("its stream has another version");
        }
        if time.replace(event.recorded_at).is_some_and(|before| before >= event.recorded_at) {
            return gap("time went back");
        }
    }
    Ok(())
}

pub fn is_chained(log: &[RecordedEvent]) -> Result<(), Finding> {
    let mut previous = [0_u8; 32];
    for event in log {
        let schema_version = event.schema_version.to_be_bytes();
        let fields: [&[u8]; 12] = [
            &previous,
            &event.position.to_be_bytes(),
            event.event_id.as_bytes(),
            event.stream.category.as_bytes(),
            event.stream.id.as_bytes(),
            &event.version.to_be_bytes(),
            event.event_type.as_bytes(),
            &schema_version,
            event.payload.as_bytes(),
            event.metadata.as_bytes(),
            &event.recorded_at.as_micros().to_be_bytes(),
            &event.effective_at.as_micros().to_be_bytes(),
        ];
        // The version of the layout, then each field behind its length.
        let mut bytes = vec![1_u8];
        for field in fields {
            bytes.extend((field.len() as u64).to_be_bytes());
            bytes.extend(field);
        }
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        if hash != *event.hash.as_bytes() {
            return Err(Finding::of(9, format!("position {} does not follow from its predecessor", event.position)));
        }
        previous = hash;
    }
    Ok(())
}

pub fn holds_what_was_acknowledged(log: &[RecordedEvent], acknowledged: &[Acknowledged]) -> Result<(), Finding> {
    let mut of_command: HashMap<Uuid, Vec<&RecordedEvent>> = HashMap::new();
    let mut ids = HashSet::new();
    for event in log {
        let command = command_of(event)?;
        let events = of_command.entry(command).or_default();
        if events.last().is_some_and(|last| last.position + 1 != event.position) {
            return Err(Finding::of(3, format!("command {command} took effect again at {}", event.position)));
        }
        if !ids.insert(event.event_id) {
            return Err(Finding::of(3, format!("position {} is a repeated event", event.position)));
        }
        events.push(event);
    }
    let mut first_answers: HashMap<Uuid, &Acknowledged> = HashMap::new();
    for answer in acknowledged {
        let (command, receipt) = (answer.command_id, &answer.receipt);
        let first = first_answers.entry(command).or_insert(answer);
        let said = |answer: &Acknowledged| {
            let receipt = &answer.receipt;
            let code = receipt.rejection.as_ref().map(|rejection| rejection.code.clone());
            (receipt.object.clone(), receipt.version, receipt.position, code)
        };
        if said(first) != said(answer) {
            let (first, again) = (said(first), said(answer));
            return Err(Finding::of(3, format!("command {command} was answered {first:?} and then {again:?}")));
        }
        let events = of_command.get(&command).map_or(&[][..], Vec::as_slice);
        let of_types =
            |types: &[&str]| events.iter().filter(|event| types.contains(&event.event_type.as_str())).count();
        let is_right = match (answer.wish.mark(), &receipt.rejection) {
            (_, Some(_)) => events.is_empty(),
            (Mark::Event(name), None) => {
                of_types(&[name]) == 1 && events.iter().any(|event| event.position == receipt.position)
            }
            (Mark::Rest(types), None) => of_types(types) <= 1,
            (Mark::Elsewhere, None) => true,
        };
        if !is_right {
            let detail =
                format!("command {command} ({:?}) was acknowledged and has {} events", answer.wish, events.len());
            return Err(Finding::of(3, detail));
        }
    }
    Ok(())
}

fn command_of(event: &RecordedEvent) -> Result<Uuid, Finding> {
    let metadata: Option<Value> = serde_json::from_str(&event.metadata).ok();
    let command = metadata.as_ref().and_then(|metadata| metadata.get("command_id")?.as_str()?.parse().ok());
    command.ok_or_else(|| Finding::of(3, format!("position {} names no command", event.position)))
}
