//! The appender's own connection, and what an error on it means for the batch that was under way.

use std::time::Duration;

use commands::ports::StoreError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};

/// Why a batch was not stored as planned.
#[derive(Debug)]
pub(super) enum Setback {
    /// Somebody else was first. Nothing was stored.
    Contended,
    /// No answer. Whether the batch was stored has to be found out.
    Lost(String),
    /// The database cannot do it now. Nothing was stored.
    Refused(String),
    /// Some command of the batch can never be stored as things are. Nothing was stored.
    Unstorable(String),
}

impl From<sqlx::Error> for Setback {
    fn from(error: sqlx::Error) -> Self {
        let sqlx::Error::Database(refusal) = &error else {
            return Setback::Lost(error.to_string());
        };
        // Classes of SQLSTATE: 08 connection, 57 shut down or cancelled, 22 data, 23 constraints, 54 too large.
        match refusal.code().as_deref() {
            Some("23505" | "40001" | "40P01" | "55P03") => Setback::Contended,
            Some(code) if code.starts_with("08") || code.starts_with("57") => Setback::Lost(error.to_string()),
            Some(code) if ["22", "23", "54"].iter().any(|class| code.starts_with(class)) => {
                Setback::Unstorable(error.to_string())
            }
            _ => Setback::Refused(error.to_string()),
        }
    }
}

/// A row that was read makes no sense: whoever asked for it is told so, and nobody else.
impl From<StoreError> for Setback {
    fn from(error: StoreError) -> Self {
        Setback::Unstorable(error.to_string())
    }
}

/// A connection that is made when it is needed, and again after it was given up.
pub(super) struct Link {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Link {
    pub(super) fn new(options: &PgConnectOptions) -> Link {
        // A backend whose client vanished without a word must not hold the log's lock for hours.
        let session = [
            ("idle_in_transaction_session_timeout", "10s"),
            ("statement_timeout", "30s"),
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "2"),
        ];
        let options = options.clone().application_name("payledger appender").options(session);
        Link { options, connection: None }
    }

    /// The open connection, or a new one. Whoever takes it and does not put it back has closed it.
    pub(super) async fn take(&mut self) -> Result<PgConnection, Setback> {
        match self.connection.take() {
            Some(open) => Ok(open),
            None => Ok(self.options.connect().await?),
        }
    }

    /// Says goodbye, so that the server has nothing to complain about.
    pub(super) async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the appender's connection was not closed properly");
        }
    }

    /// A connection on which an answer got lost is closed; its backend may still be at work.
    pub(super) fn put_back<T>(&mut self, connection: PgConnection, result: &Result<T, Setback>) {
        if !matches!(result, Err(Setback::Lost(_))) {
            self.connection = Some(connection);
        }
    }
}

/// Waits between attempts while the database is away: from 10 ms to 1 s, with jitter, for ever.
pub(super) fn backoff() -> impl Iterator<Item = Duration> {
    use backon::BackoffBuilder;
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(10))
        .with_max_delay(Duration::from_secs(1))
        .without_max_times()
        .with_jitter()
        .build()
}
