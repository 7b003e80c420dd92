//! The read model `merchants`: who was onboarded, on which terms, and what has become of them.

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::merchant::{Event, Merchant, Record, State};
use domain::{Decider, MerchantId, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder};

use crate::database::{damaged, json, moment, position, to_sql};
use crate::filter::push_page;
use crate::{ApplyError, Cursor, Page, Projection, ReadError, Snapshot};

#[derive(Debug, Clone, Copy)]
pub struct Merchants;

const DDL: &str = r#"
CREATE TABLE rm_merchants.merchants (
    merchant_id text COLLATE "C" NOT NULL PRIMARY KEY,
    created_at  timestamptz      NOT NULL,
    updated_at  timestamptz      NOT NULL,
    version     bigint           NOT NULL,
    -- The folded merchant.
    state       json             NOT NULL
);
CREATE INDEX merchants_newest ON rm_merchants.merchants (created_at, merchant_id);
"#;

#[async_trait]
impl Projection for Merchants {
    fn name(&self) -> &'static str {
        "merchants"
    }

    fn version(&self) -> i32 {
        2
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Merchant::CATEGORY]
    }

    fn tables(&self) -> &'static [&'static str] {
        &["rm_merchants.merchants"]
    }

    fn ddl(&self) -> &'static str {
        DDL
    }

    async fn apply(&self, connection: &mut PgConnection, events: &[RecordedEvent]) -> Result<(), ApplyError> {
        for event in events {
            let mut row = Folded::find(&mut *connection, &event.stream.id).await?;
            if event.version != row.version + 1 {
                let reason = format!("version {} follows {}", event.version, row.version);
                return Err(ApplyError::inapplicable(event, reason));
            }
            row.apply(event)?;
            row.store(&mut *connection).await?;
        }
        Ok(())
    }
}

/// A merchant as far as it is folded.
#[derive(Debug, Default)]
struct Folded {
    version: u64,
    updated_at: Timestamp,
    state: State,
}

impl Folded {
    async fn find(connection: &mut PgConnection, id: &str) -> Result<Folded, ApplyError> {
        let mut query = QueryBuilder::new(SELECT);
        query.push(" AND merchant_id = ").push_bind(id);
        let row = query.build().fetch_optional(connection).await?;
        Ok(row.as_ref().map(folded).transpose()?.unwrap_or_default())
    }

    fn apply(&mut self, event: &RecordedEvent) -> Result<(), ApplyError> {
        let decoded: Event = event.decode()?;
        self.state = Merchant::evolve(std::mem::take(&mut self.state), &decoded);
        (self.version, self.updated_at) = (event.version, event.recorded_at);
        Ok(())
    }

    async fn store(&self, connection: &mut PgConnection) -> Result<(), ApplyError> {
        let record =
            self.state.record().ok_or_else(|| ApplyError::DamagedRow("a merchant without terms".to_owned()))?;
        let text = serde_json::to_string(&self.state).map_err(|error| ApplyError::DamagedRow(error.to_string()))?;
        sqlx::query(
            "INSERT INTO rm_merchants.merchants VALUES ($1, $2, $3, $4, $5::json)
             ON CONFLICT (merchant_id) DO UPDATE
                SET updated_at = excluded.updated_at, version = excluded.version, state = excluded.state",
        )
        .bind(record.merchant_id.to_string())
        .bind(record.onboarded_at.to_datetime())
        .bind(self.updated_at.to_datetime())
        .bind(to_sql(self.version))
        .bind(text)
        .execute(connection)
        .await?;
        Ok(())
    }
}

/// A merchant as of the view's position.
#[derive(Debug, Clone, PartialEq)]
pub struct MerchantRow {
    pub version: u64,
    pub updated_at: Timestamp,
    pub record: Record,
}

const SELECT: &str = "SELECT version, updated_at, state::text FROM rm_merchants.merchants WHERE true";

pub async fn find(view: &mut Snapshot, merchant_id: MerchantId) -> Result<Option<MerchantRow>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" AND merchant_id = ").push_bind(merchant_id.to_string());
    let row = query.build().fetch_optional(view.connection()).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// A page of merchants, newest first.
pub async fn list(view: &mut Snapshot, limit: u32, cursor: Option<&Cursor>) -> Result<Page<MerchantRow>, ReadError> {
    let mut query = QueryBuilder::new(SELECT);
    push_page(&mut query, "merchant_id", limit, cursor);
    let rows = query.build().fetch_all(view.connection()).await?;
    let rows = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    Ok(Page::cut(rows, limit, |row: &MerchantRow| Cursor {
        key: row.record.onboarded_at.as_micros(),
        id: row.record.merchant_id.to_string(),
    }))
}

fn read(row: &PgRow) -> Result<MerchantRow, sqlx::Error> {
    let Folded { version, updated_at, state } = folded(row)?;
    match state {
        State::Exists(record) => Ok(MerchantRow { version, updated_at, record: *record }),
        State::Absent => Err(damaged("a merchant without terms".to_owned())),
    }
}

fn folded(row: &PgRow) -> Result<Folded, sqlx::Error> {
    let state = json(row, "state")?.unwrap_or_default();
    Ok(Folded { version: position(row, "version")?, updated_at: moment(row, "updated_at")?, state })
}

/// Every row, in no particular order.
pub(crate) async fn stored(view: &mut Snapshot) -> Result<Vec<MerchantRow>, ReadError> {
    let rows = sqlx::query(SELECT).fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
