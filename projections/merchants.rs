//! The read model `merchants`: who was onboarded, on which terms.

use async_trait::async_trait;
use commands::ports::RecordedEvent;
use domain::merchant::{Event, Merchant, Terms};
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
    terms       json             NOT NULL
);
CREATE INDEX merchants_newest ON rm_merchants.merchants (created_at, merchant_id);
"#;

#[async_trait]
impl Projection for Merchants {
    fn name(&self) -> &'static str {
        "merchants"
    }

    fn version(&self) -> i32 {
        1
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
            let Event::Onboarded(terms) = event.decode()?;
            let text = serde_json::to_string(&terms).map_err(|error| ApplyError::DamagedRow(error.to_string()))?;
            sqlx::query("INSERT INTO rm_merchants.merchants VALUES ($1, $2, $3, $4, $5::json)")
                .bind(terms.merchant_id.to_string())
                .bind(terms.onboarded_at.to_datetime())
                .bind(event.recorded_at.to_datetime())
                .bind(to_sql(event.version))
                .bind(text)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// A merchant as of the view's position.
#[derive(Debug, Clone, PartialEq)]
pub struct MerchantRow {
    pub version: u64,
    pub updated_at: Timestamp,
    pub terms: Terms,
}

const SELECT: &str = "SELECT version, updated_at, terms::text FROM rm_merchants.merchants WHERE true";

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
        key: row.terms.onboarded_at.as_micros(),
        id: row.terms.merchant_id.to_string(),
    }))
}

fn read(row: &PgRow) -> Result<MerchantRow, sqlx::Error> {
    let terms = json(row, "terms")?.ok_or_else(|| damaged("a merchant without terms".to_owned()))?;
    Ok(MerchantRow { version: position(row, "version")?, updated_at: moment(row, "updated_at")?, terms })
}

/// Every row, in no particular order.
pub(crate) async fn stored(view: &mut Snapshot) -> Result<Vec<MerchantRow>, ReadError> {
    let rows = sqlx::query(SELECT).fetch_all(view.connection()).await?;
    Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
}
