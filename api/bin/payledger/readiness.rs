//! What a node needs to do its work: its database.

use api::health::{Check, Readiness};
use async_trait::async_trait;
use sqlx::{Connection, PgPool};

pub struct DatabaseReadiness {
    pub pool: PgPool,
}

#[async_trait]
impl Readiness for DatabaseReadiness {
    async fn check(&self) -> Vec<Check> {
        let ok = match self.pool.acquire().await {
            Ok(mut connection) => connection.ping().await.is_ok(),
            Err(_) => false,
        };
        vec![Check { name: "database", ok }]
    }
}
