//! Movements with channels and banks against every event that tells one.

use commands::ports::EventStore;

use super::{Rows, Seen, Verification, compare, replay};
use crate::channel_operations::{ChannelOperations, Operations, fold, read_facts, stored};
use crate::{Projection, ReadError, Reader};

pub(super) async fn verify(reader: &Reader, store: &dyn EventStore) -> Result<Verification, ReadError> {
    let mut view = reader.now(&[&ChannelOperations]).await?;
    let (seen, tables) = (Seen::by(&mut view, &ChannelOperations).await?, rows(&stored(&mut view).await?));
    drop(view);
    let mut expected = Operations::new();
    replay(store, &seen, |event| {
        if ChannelOperations.categories().contains(&event.stream.category.as_ref()) {
            fold(&mut expected, event, &read_facts(event)?);
        }
        Ok(())
    })
    .await?;
    Ok(compare("channel_operations", &seen, &rows(&expected), tables))
}

fn rows(operations: &Operations) -> Rows {
    let name = |(counterparty, object, kind, part): &_| format!("{counterparty} {object} {kind} {part}");
    operations.iter().map(|(key, operation)| (name(key), format!("{operation:?}"))).collect()
}
