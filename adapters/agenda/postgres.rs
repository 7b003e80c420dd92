//! The sagas' agenda in Postgres, beside the events. A page of the log is one statement: checkpoint, lease and rows
//! move together or not at all.

mod rows;

use async_trait::async_trait;
use commands::ports::agenda::{
    Advanced, Agenda, AgendaUnavailable, Census, Change, ChangeKind, Claim, ClaimedSaga, Lead, SagaId, SagaState,
    SagaStatus, Settlement,
};
use domain::Timestamp;
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use rows::{columns, integer, natural, saga_id, status, unavailable};

#[derive(Debug, Clone)]
pub struct PostgresAgenda {
    pool: PgPool,
}

impl PostgresAgenda {
    pub fn new(pool: PgPool) -> PostgresAgenda {
        PostgresAgenda { pool }
    }
}

/// The epoch grows whenever the leader changes, and only then.
const LEAD: &str = "
    UPDATE saga_follower SET
        epoch = CASE WHEN leader = $1 THEN epoch ELSE epoch + 1 END,
        leader = $1,
        leader_until = $3
    WHERE leader IS NULL OR leader = $1 OR leader_until <= $2
    RETURNING epoch, position";

const ADVANCE: &str = "
    WITH led AS (
        UPDATE saga_follower SET position = $3, leader_until = $4
        WHERE epoch = $1 AND position = $2
        RETURNING 1
    ), entered AS (
        INSERT INTO saga_agenda AS known
            (stream_id, kind, saga_id, state, due_at, attempts, claimed_by, claimed_until, position, revision, updated_at)
        SELECT due.stream_id, due.kind, due.saga_id, 'running', $6, 0,
               CASE WHEN due.claim THEN $5 END, CASE WHEN due.claim THEN $7::timestamptz END, due.position, 1, $6
        FROM led, UNNEST($8::text[], $9::text[], $10::text[], $11::bigint[], $12::boolean[])
            AS due (stream_id, kind, saga_id, position, claim)
        ON CONFLICT (stream_id, kind, saga_id) DO UPDATE SET
            state = 'running', due_at = excluded.due_at, attempts = 0, position = excluded.position,
            revision = known.revision + 1, updated_at = excluded.updated_at
        WHERE excluded.position > known.position
        RETURNING kind, saga_id, revision, claimed_by
    ), struck AS (
        DELETE FROM saga_agenda AS known
        USING led, UNNEST($13::text[], $14::text[], $15::text[]) AS finished (stream_id, kind, saga_id)
        WHERE (known.stream_id, known.kind, known.saga_id) = (finished.stream_id, finished.kind, finished.saga_id)
    )
    SELECT EXISTS (SELECT FROM led) AS led,
           ARRAY(SELECT kind || ' ' || saga_id FROM entered WHERE revision = 1 AND claimed_by IS NOT NULL) AS claimed";

const CLAIM_DUE: &str = "
    UPDATE saga_agenda AS known SET claimed_by = $1, claimed_until = $3
    FROM (
        SELECT stream_id, kind, saga_id FROM saga_agenda
        WHERE due_at <= $2 AND (claimed_until IS NULL OR claimed_until <= $2)
        ORDER BY due_at
        LIMIT $4
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE (known.stream_id, known.kind, known.saga_id) = (due.stream_id, due.kind, due.saga_id)
    RETURNING known.stream_id, known.kind, known.saga_id, known.attempts, known.revision, known.by_hand";

const COME_BACK: &str = "
    UPDATE saga_agenda SET state = $6, due_at = $7, attempts = $8, last_error = $9, updated_at = $10,
        by_hand = false, claimed_by = NULL, claimed_until = NULL
    WHERE stream_id = $1 AND kind = $2 AND saga_id = $3 AND claimed_by = $4 AND revision = $5";

const POSTPONE: &str = "
    UPDATE saga_agenda SET claimed_until = $6, last_error = $7, updated_at = $8
    WHERE stream_id = $1 AND kind = $2 AND saga_id = $3 AND claimed_by = $4 AND revision = $5";

const LET_GO: &str = "
    UPDATE saga_agenda SET claimed_by = NULL, claimed_until = NULL
    WHERE stream_id = $1 AND kind = $2 AND saga_id = $3 AND claimed_by = $4";

const MAKE_DUE: &str = "
    UPDATE saga_agenda SET state = 'running', due_at = $2, attempts = 0, revision = revision + 1, updated_at = $2";

const CENSUS: &str = "
    SELECT count(*) FILTER (WHERE state = 'running') AS running,
           count(*) FILTER (WHERE state = 'waiting') AS waiting,
           count(*) FILTER (WHERE state = 'stuck') AS stuck,
           count(*) FILTER (WHERE due_at < $1) AS overdue,
           (SELECT position FROM saga_follower) AS position
    FROM saga_agenda";

#[async_trait]
impl Agenda for PostgresAgenda {
    async fn lead(&self, claim: &Claim) -> Result<Option<Lead>, AgendaUnavailable> {
        let query = sqlx::query(LEAD).bind(&claim.node).bind(claim.now.to_datetime()).bind(claim.until.to_datetime());
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.map(|row| Ok(Lead { epoch: natural(&row, "epoch")?, position: natural(&row, "position")? })).transpose()
    }

    async fn advance(
        &self,
        lead: &Lead,
        to: u64,
        changes: &[Change],
        keep_until: Timestamp,
        claim: &Claim,
        claim_at_most: usize,
    ) -> Result<Advanced, AgendaUnavailable> {
        let (due, finished): (Vec<&Change>, Vec<&Change>) =
            changes.iter().partition(|change| change.kind == ChangeKind::Due);
        let (due_streams, due_kinds, due_sagas) = columns(&due);
        let (finished_streams, finished_kinds, finished_sagas) = columns(&finished);
        let positions = due.iter().map(|change| integer(change.position)).collect::<Result<Vec<i64>, _>>()?;
        let claims: Vec<bool> = (0..due.len()).map(|index| index < claim_at_most).collect();
        let query = sqlx::query(ADVANCE)
            .bind(integer(lead.epoch)?)
            .bind(integer(lead.position)?)
            .bind(integer(to)?)
            .bind(keep_until.to_datetime())
            .bind(&claim.node)
            .bind(claim.now.to_datetime())
            .bind(claim.until.to_datetime())
            .bind(due_streams)
            .bind(due_kinds)
            .bind(due_sagas)
            .bind(positions)
            .bind(claims)
            .bind(finished_streams)
            .bind(finished_kinds)
            .bind(finished_sagas);
        let row = query.fetch_one(&self.pool).await.map_err(unavailable)?;
        if !row.try_get::<bool, _>("led").map_err(unavailable)? {
            return Ok(Advanced::Fenced);
        }
        let claimed: std::collections::HashSet<String> =
            row.try_get::<Vec<String>, _>("claimed").map_err(unavailable)?.into_iter().collect();
        let entered = |saga: &SagaId| claimed.contains(&format!("{} {}", saga.kind, saga.object));
        let claimed = due.into_iter().filter(|change| entered(&change.saga));
        Ok(Advanced::To(claimed.map(ClaimedSaga::anew).collect()))
    }

    async fn claim_due(&self, claim: &Claim, limit: usize) -> Result<Vec<ClaimedSaga>, AgendaUnavailable> {
        let query = sqlx::query(CLAIM_DUE)
            .bind(&claim.node)
            .bind(claim.now.to_datetime())
            .bind(claim.until.to_datetime())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = query.fetch_all(&self.pool).await.map_err(unavailable)?;
        let claimed = |row: &PgRow| {
            let attempts = u32::try_from(natural(row, "attempts")?).unwrap_or(u32::MAX);
            let (revision, by_hand) = (natural(row, "revision")?, row.try_get("by_hand").map_err(unavailable)?);
            Ok(ClaimedSaga { saga: saga_id(row)?, attempts, revision, by_hand, metadata: None })
        };
        rows.iter().map(claimed).collect()
    }

    async fn settle(&self, claimed: &ClaimedSaga, by: &Claim, end: &Settlement) -> Result<(), AgendaUnavailable> {
        let SagaId { kind, stream_id, object } = &claimed.saga;
        let row = |sql: &'static str| sqlx::query(sql).bind(stream_id).bind(kind.as_ref()).bind(object);
        let let_go = || row(LET_GO).bind(&by.node);
        let revision = integer(claimed.revision)?;
        let query = match end {
            Settlement::LetGo => let_go(),
            Settlement::Finished => row("DELETE FROM saga_agenda WHERE stream_id = $1 AND kind = $2 AND saga_id = $3"),
            Settlement::ComeBack { state, due_at, attempts, error } => row(COME_BACK)
                .bind(&by.node)
                .bind(revision)
                .bind(state.as_str())
                .bind(due_at.to_datetime())
                .bind(i64::from(*attempts))
                .bind(error)
                .bind(by.now.to_datetime()),
            Settlement::Postponed { until, error } => row(POSTPONE)
                .bind(&by.node)
                .bind(revision)
                .bind(until.to_datetime())
                .bind(error)
                .bind(by.now.to_datetime()),
        };
        let done = query.execute(&self.pool).await.map_err(unavailable)?;
        if done.rows_affected() == 0 {
            // Made due meanwhile: it stays due, and free for whoever comes.
            let_go().execute(&self.pool).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn leave(&self, node: &str) -> Result<(), AgendaUnavailable> {
        for give_up in [
            "UPDATE saga_follower SET leader = NULL, leader_until = NULL WHERE leader = $1",
            "UPDATE saga_agenda SET claimed_by = NULL, claimed_until = NULL WHERE claimed_by = $1",
        ] {
            sqlx::query(give_up).bind(node).execute(&self.pool).await.map_err(unavailable)?;
        }
        Ok(())
    }

    async fn hasten(&self, stream_id: &str, now: Timestamp) -> Result<u64, AgendaUnavailable> {
        let hasten = format!("{MAKE_DUE} WHERE stream_id = $1");
        let query = sqlx::query(&hasten).bind(stream_id).bind(now.to_datetime());
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected())
    }

    async fn retry(&self, saga_id: &str, now: Timestamp) -> Result<bool, AgendaUnavailable> {
        let retry = format!("{MAKE_DUE}, by_hand = true WHERE saga_id = $1");
        let query = sqlx::query(&retry).bind(saga_id).bind(now.to_datetime());
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected() > 0)
    }

    async fn find(&self, saga_id: &str) -> Result<Option<SagaStatus>, AgendaUnavailable> {
        let query = sqlx::query("SELECT * FROM saga_agenda WHERE saga_id = $1").bind(saga_id);
        let row = query.fetch_optional(&self.pool).await.map_err(unavailable)?;
        row.as_ref().map(status).transpose()
    }

    async fn list(&self, state: Option<SagaState>, limit: usize) -> Result<Vec<SagaStatus>, AgendaUnavailable> {
        let list = "SELECT * FROM saga_agenda WHERE $1::text IS NULL OR state = $1 ORDER BY due_at, saga_id LIMIT $2";
        let query =
            sqlx::query(list).bind(state.map(|state| state.as_str())).bind(i64::try_from(limit).unwrap_or(i64::MAX));
        query.fetch_all(&self.pool).await.map_err(unavailable)?.iter().map(status).collect()
    }

    async fn census(&self, overdue_before: Timestamp) -> Result<Census, AgendaUnavailable> {
        let query = sqlx::query(CENSUS).bind(overdue_before.to_datetime());
        let row = query.fetch_one(&self.pool).await.map_err(unavailable)?;
        Ok(Census {
            running: natural(&row, "running")?,
            waiting: natural(&row, "waiting")?,
            stuck: natural(&row, "stuck")?,
            overdue: natural(&row, "overdue")?,
            position: natural(&row, "position")?,
        })
    }
}
