//! The rolled-up figures against every event of every payment.

use std::collections::HashMap;

use commands::ports::EventStore;
use domain::Decider;
use domain::payment::Payment;

use super::{Rows, Seen, Verification, compare, replay};
use crate::analytics::{Analytics, Changes, stored, written};
use crate::{ReadError, Reader};

pub(super) async fn verify(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&Analytics]).await?;
    let (seen, mut tables) = (Seen::by(&mut view, &Analytics).await?, Rows::new());
    stored(&mut view, |name, row| {
        tables.insert(name, row);
    })
    .await?;
    drop(view);
    let mut changes = Changes::of(HashMap::new());
    replay(store, &seen, |event| match event.stream.category.as_ref() {
        Payment::CATEGORY => changes.fold(event),
        _ => Ok(()),
    })
    .await?;
    Ok(compare("analytics", &seen, &written(&changes).collect(), tables))
}
