//! Lists as of a past position: the rows that were there by then, each as it was then. A row that has not changed since is
//! what it was; any other is folded anew from its stream, as far as the position. Keeps no history of its own.
//!
//! That the log's `recorded_at` rises with every event makes it the measure: what began at the position's moment or before
//! was there, and what changed later has to be folded. Pages are sorted and cut by what never changes, so they stay the same
//! whatever is written afterwards.

use std::future::Future;

use commands::as_of::{events_up_to, moment_of};
use commands::ports::{Category, EventStore};
use domain::Timestamp;
use futures::{StreamExt, TryStreamExt, stream};
use sqlx::postgres::PgRow;
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, Row};

use crate::database::moment;
use crate::filter::push_page;
use crate::streams::{Begun, FixedTerms, Listed, State, StreamReadModel, StreamRow, fold, read};
use crate::{Cursor, Filter, Page, ReadError, Snapshot, StatusText};

/// Rows that one page looks at where a filter asks for what may have changed since. Such a page may be shorter than was
/// asked for and still not the last: its cursor goes on behind what was looked at.
pub const EXAMINED_MAX: u32 = 500;
/// Rows that are folded at once.
const FOLDS: usize = 8;

/// A row that was there, `R` if it has not changed since; `K` names it if it has.
#[derive(Debug)]
pub(crate) struct Candidate<R, K> {
    pub(crate) cursor: Cursor,
    pub(crate) found: Found<R, K>,
}

#[derive(Debug)]
pub(crate) enum Found<R, K> {
    Unchanged(R),
    Changed(K),
    /// Unchanged, and not what the filter asks for.
    Unwanted,
}

/// A page of streams as of the position `as_of`, newest first. `filter` is exact for that position, the status included.
pub async fn list<M, T>(
    mut view: Snapshot,
    store: &dyn EventStore,
    filter: &Filter<T>,
    as_of: u64,
    limit: u32,
    cursor: Option<&Cursor>,
) -> Result<Page<StreamRow<State<M>>>, ReadError>
where
    M: StreamReadModel,
    State<M>: FixedTerms,
    T: StatusText,
{
    speaks_for(&mut view, M::TABLE, as_of).await?;
    let Some(then) = moment_of(store, as_of).await? else { return Ok(Page { rows: vec![], next: None }) };
    let examined = if filter.status.is_some() { EXAMINED_MAX.max(limit) } else { limit };
    let newest = newest(&mut view, M::TABLE, then).await?;
    let mut query = candidates::<M, T>(filter, then, newest);
    push_page(&mut query, "id", examined, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    drop(view);
    let candidates = rows.iter().map(candidate::<M>).collect::<Result<Vec<_>, sqlx::Error>>()?;
    page(candidates, examined, limit, |id| stream_at::<M, T>(store, filter, id, as_of)).await
}

/// Refuses a position that the read model of this view has not reached, be it for one stream only: what is parked will be
/// applied some day, and the answer must be the same then.
pub(crate) async fn speaks_for(view: &mut Snapshot, name: &str, as_of: u64) -> Result<(), ReadError> {
    view.up_to(Some(as_of))?;
    let Some(projection) = crate::find(name).filter(|_| !view.is_complete) else { return Ok(()) };
    let parked = view.parked(projection.as_ref()).await?;
    match parked.iter().map(|stream| stream.position).min() {
        Some(first) if first <= as_of => Err(ReadError::Behind { position: first.saturating_sub(1) }),
        _ => Ok(()),
    }
}

/// What a clock that was set back dates later than the log did is there all the same: the newest `created_at` of all that
/// had begun by then.
pub(crate) async fn newest(view: &mut Snapshot, table: &str, then: Timestamp) -> Result<Timestamp, sqlx::Error> {
    let ahead = format!("SELECT max(created_at) FROM {table} WHERE created_at > recorded_at AND recorded_at <= $1");
    let ahead: Option<DateTime<Utc>> =
        sqlx::query_scalar(&ahead).bind(then.to_datetime()).fetch_one(view.connection()).await?;
    Ok(ahead.map_or(then, |ahead| then.max(ahead.into())))
}

fn candidates<'q, M: StreamReadModel, T: StatusText>(
    filter: &Filter<T>,
    then: Timestamp,
    newest: Timestamp,
) -> QueryBuilder<'q, Postgres> {
    let mut query = QueryBuilder::new("SELECT id, created_at, version, updated_at, updated_at > ");
    query.push_bind(then.to_datetime()).push(" AS changed, CASE WHEN updated_at <= ").push_bind(then.to_datetime());
    filter.push_status(&mut query);
    query.push(format_args!(" THEN state::text END AS state FROM {} WHERE true", M::TABLE));
    filter.push_identity(&mut query, "created_at");
    filter.push_terms(&mut query);
    query.push(" AND created_at <= ").push_bind(newest.to_datetime());
    query.push(" AND recorded_at <= ").push_bind(then.to_datetime());
    query
}

fn candidate<M: StreamReadModel>(row: &PgRow) -> Result<Candidate<StreamRow<State<M>>, String>, sqlx::Error> {
    let id: String = row.try_get("id")?;
    let found = match row.try_get::<Option<&str>, _>("state")? {
        _ if row.try_get("changed")? => Found::Changed(id.clone()),
        Some(_) => Found::Unchanged(read(row)?),
        None => Found::Unwanted,
    };
    Ok(Candidate { cursor: Cursor { key: moment(row, "created_at")?.as_micros(), id }, found })
}

/// The stream as of the position, if it is what the filter asks for.
async fn stream_at<M, T>(
    store: &dyn EventStore,
    filter: &Filter<T>,
    id: String,
    as_of: u64,
) -> Result<Option<StreamRow<State<M>>>, ReadError>
where
    M: StreamReadModel,
    State<M>: Listed,
    T: StatusText,
{
    let stream = Category::of::<M::Aggregate>().stream(id);
    let mut begun = Begun::default();
    for event in events_up_to(store, &stream, as_of).await? {
        fold::<M>(&mut begun, &event)?;
    }
    let wanted = begun.row.state.columns().is_some_and(|columns| filter.admits(&columns));
    Ok(wanted.then_some(begun.row))
}

/// At most `limit` rows out of those `examined`; the candidates are one more than that if there are more.
pub(crate) async fn page<R, K, F>(
    mut candidates: Vec<Candidate<R, K>>,
    examined: u32,
    limit: u32,
    fold: impl Fn(K) -> F,
) -> Result<Page<R>, ReadError>
where
    F: Future<Output = Result<Option<R>, ReadError>>,
{
    let [examined, limit] = [examined, limit].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
    let more = candidates.len() > examined;
    candidates.truncate(examined);
    let end = candidates.last().filter(|_| more).map(|last| last.cursor.clone());
    let fold = &fold;
    let folded = stream::iter(candidates).map(|Candidate { cursor, found }| async move {
        let row = match found {
            Found::Unchanged(row) => Some(row),
            Found::Changed(key) => fold(key).await?,
            Found::Unwanted => None,
        };
        Ok::<_, ReadError>(row.map(|row| (cursor, row)))
    });
    let wanted = folded.buffered(FOLDS).try_filter_map(|row| async { Ok(row) });
    let mut rows: Vec<(Cursor, R)> = wanted.take(limit.saturating_add(1)).try_collect().await?;
    let is_cut = rows.len() > limit;
    rows.truncate(limit);
    let next = if is_cut { rows.last().map(|(cursor, _)| cursor.clone()) } else { end };
    Ok(Page { rows: rows.into_iter().map(|(_, row)| row).collect(), next })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` is unchanged, `x` unwanted, `c` changed and wanted, `-` changed and not; keys fall from 9.
    fn candidates(text: &str) -> Vec<Candidate<i64, Option<i64>>> {
        let candidate = |(key, is): (i64, char)| {
            let found = match is {
                '.' => Found::Unchanged(key),
                'x' => Found::Unwanted,
                'c' => Found::Changed(Some(key)),
                _ => Found::Changed(None),
            };
            Candidate { cursor: Cursor { key, id: String::new() }, found }
        };
        (0..=9).rev().zip(text.chars()).map(candidate).collect()
    }

    #[tokio::test]
    async fn a_page_goes_on_behind_what_it_looked_at() {
        for (text, examined, limit, rows, next) in [
            ("", 3, 3, vec![], None),
            ("..", 3, 3, vec![9, 8], None),
            ("...", 3, 3, vec![9, 8, 7], None),
            ("....", 3, 3, vec![9, 8, 7], Some(7)),
            ("c-.x", 9, 3, vec![9, 7], None),
            ("c-.xc", 9, 2, vec![9, 7], Some(7)),
            ("c-.xx", 9, 2, vec![9, 7], None),
            ("xxxx", 3, 2, vec![], Some(7)),
            ("x.xc", 3, 2, vec![8], Some(7)),
            ("cc", 9, 1, vec![9], Some(9)),
        ] {
            let page = page(candidates(text), examined, limit, async |key: Option<i64>| Ok(key)).await.unwrap();
            assert_eq!((page.rows, page.next.map(|next| next.key)), (rows, next), "{text}");
        }
    }
}
