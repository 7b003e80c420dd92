//! Read models of one row per stream against the fold of every stream.

use std::collections::HashMap;

use commands::ports::EventStore;
use domain::Decider;

use super::{Rows, Seen, Verification, compare, digest, replay};
use crate::streams::{Begun, Listed, State, StreamReadModel, fold, stored, written};
use crate::{ReadError, Reader};

/// Every stream of a read model's aggregate, folded, by its id.
pub(super) type Folded<M> = HashMap<String, Begun<State<M>>>;

pub(super) async fn verify<M>(
    reader: &Reader,
    store: &dyn EventStore,
    read_model: &M,
) -> Result<Verification, ReadError>
where
    M: StreamReadModel,
    State<M>: Listed,
{
    let mut view = reader.now(&[read_model]).await?;
    let (seen, mut tables) = (Seen::by(&mut view, read_model).await?, Rows::new());
    stored::<M>(&mut view, |row| {
        tables.insert(row.id.clone(), digest(&row));
    })
    .await?;
    drop(view);
    let folded = fold_all::<M>(store, &seen).await?;
    let expected = written(folded.values())?;
    let expected = expected.iter().map(|row| (row.id.clone(), digest(row))).collect();
    Ok(compare(read_model.name(), &seen, &expected, tables))
}

/// Every stream folded as far as it was seen.
pub(super) async fn fold_all<M>(store: &dyn EventStore, seen: &Seen) -> Result<Folded<M>, ReadError>
where
    M: StreamReadModel,
    State<M>: Listed,
{
    let mut folded = Folded::<M>::new();
    replay(store, seen, |event| {
        if event.stream.category == M::Aggregate::CATEGORY {
            fold::<M>(folded.entry(event.stream.id.clone()).or_default(), event)
        } else {
            Ok(())
        }
    })
    .await?;
    Ok(folded)
}
