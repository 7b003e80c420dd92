//! The sagas' agenda in Postgres, beside the events. A page of the log is one statement: checkpoint, lease and rows
//! move together or not at all.

mod rows;

use async_trait::async_trait;
use commands::ports::agenda::{
    Advanced, Agenda, AgendaUnavailable, Census, Change, ChangeKind, Claim, ClaimedSaga, Lead, SagaState, SagaStatus,
    Settlement,
};
use domain::{PaymentId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};

use rows::{integer, natural, saga_id, status, unavailable};

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
            (payment_id, saga_id, state, due_at, attempts, claimed_by, claimed_until, position, revision, updated_at)
        SELECT due.payment_id, due.saga_id, 'running', $6, 0,
               CASE WHEN due.claim THEN $5 END, CASE WHEN due.claim THEN $7::timestamptz END, due.position, 1, $6
        FROM led, UNNEST($8::text[], $9::text[], $10::bigint[], $11::boolean[])
            AS due (payment_id, saga_id, position, claim)
        ON CONFLICT (payment_id, saga_id) DO UPDATE SET
            state = 'running', due_at = excluded.due_at, attempts = 0, position = excluded.position,
            revision = known.revision + 1, updated_at = excluded.updated_at
        WHERE excluded.position > known.position
        RETURNING saga_id, revision, claimed_by
    ), struck AS (
        DELETE FROM saga_agenda AS known
        USING led, UNNEST($12::text[], $13::text[]) AS finished (payment_id, saga_id)
        WHERE known.payment_id = finished.payment_id AND known.saga_id = finished.saga_id
    )
    SELECT EXISTS (SELECT FROM led) AS led,
           ARRAY(SELECT saga_id FROM entered WHERE revision = 1 AND claimed_by IS NOT NULL) AS claimed";

const CLAIM_DUE: &str = "
    UPDATE saga_agenda AS known SET claimed_by = $1, claimed_until = $3
    FROM (
        SELECT payment_id, saga_id FROM saga_agenda
        WHERE due_at <= $2 AND (claimed_until IS NULL OR claimed_until <= $2)
        ORDER BY due_at
        LIMIT $4
        FOR UPDATE SKIP LOCKED
    ) AS due
    WHERE known.payment_id = due.payment_id AND known.saga_id = due.saga_id
    RETURNING known.payment_id, known.saga_id, known.attempts, known.revision";

const COME_BACK: &str = "
    UPDATE saga_agenda SET state = $5, due_at = $6, attempts = $7, last_error = $8, updated_at = $9,
        claimed_by = NULL, claimed_until = NULL
    WHERE payment_id = $1 AND saga_id = $2 AND claimed_by = $3 AND revision = $4";

const POSTPONE: &str = "
    UPDATE saga_agenda SET claimed_until = $5, last_error = $6, updated_at = $7
    WHERE payment_id = $1 AND saga_id = $2 AND claimed_by = $3 AND revision = $4";

const LET_GO: &str = "
    UPDATE saga_agenda SET claimed_by = NULL, claimed_until = NULL
    WHERE payment_id = $1 AND saga_id = $2 AND claimed_by = $3";

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
        let payments =
            |list: &[&Change]| list.iter().map(|change| change.saga.payment_id().to_string()).collect::<Vec<_>>();
        let sagas = |list: &[&Change]| list.iter().map(|change| change.saga.to_string()).collect::<Vec<_>>();
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
            .bind(payments(&due))
            .bind(sagas(&due))
            .bind(positions)
            .bind(claims)
            .bind(payments(&finished))
            .bind(sagas(&finished));
        let row = query.fetch_one(&self.pool).await.map_err(unavailable)?;
        if !row.try_get::<bool, _>("led").map_err(unavailable)? {
            return Ok(Advanced::Fenced);
        }
        let claimed: std::collections::HashSet<String> =
            row.try_get::<Vec<String>, _>("claimed").map_err(unavailable)?.into_iter().collect();
        let claimed = due.into_iter().filter(|change| claimed.contains(&change.saga.to_string()));
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
            Ok(ClaimedSaga { saga: saga_id(row)?, attempts, revision: natural(row, "revision")?, metadata: None })
        };
        rows.iter().map(claimed).collect()
    }

    async fn settle(&self, claimed: &ClaimedSaga, by: &Claim, end: &Settlement) -> Result<(), AgendaUnavailable> {
        let (payment_id, saga_id) = (claimed.saga.payment_id().to_string(), claimed.saga.to_string());
        let revision = integer(claimed.revision)?;
        let let_go = || sqlx::query(LET_GO).bind(&payment_id).bind(&saga_id).bind(&by.node);
        let query = match end {
            Settlement::LetGo => let_go(),
            Settlement::Finished => sqlx::query("DELETE FROM saga_agenda WHERE payment_id = $1 AND saga_id = $2")
                .bind(&payment_id)
                .bind(&saga_id),
            Settlement::ComeBack { state, due_at, attempts, error } => sqlx::query(COME_BACK)
                .bind(&payment_id)
                .bind(&saga_id)
                .bind(&by.node)
                .bind(revision)
                .bind(state.as_str())
                .bind(due_at.to_datetime())
                .bind(i64::from(*attempts))
                .bind(error)
                .bind(by.now.to_datetime()),
            Settlement::Postponed { until, error } => sqlx::query(POSTPONE)
                .bind(&payment_id)
                .bind(&saga_id)
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

    async fn hasten(&self, payment_id: PaymentId, now: Timestamp) -> Result<u64, AgendaUnavailable> {
        let hasten = format!("{MAKE_DUE} WHERE payment_id = $1");
        let query = sqlx::query(&hasten).bind(payment_id.to_string()).bind(now.to_datetime());
        Ok(query.execute(&self.pool).await.map_err(unavailable)?.rows_affected())
    }

    async fn retry(&self, saga_id: &str, now: Timestamp) -> Result<bool, AgendaUnavailable> {
        let retry = format!("{MAKE_DUE} WHERE saga_id = $1");
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
