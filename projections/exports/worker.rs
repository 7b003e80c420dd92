//! Makes the files, one at a time on each node. An attempt reads one snapshot from its beginning to its end; a snapshot
//! cannot outlive its transaction, so an attempt that died is not gone on with: the next one, of whichever node, takes a
//! fresh snapshot and begins the file again.

use std::pin::pin;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;

use super::job::{self, Claim};
use super::sheet::Sheet;
use super::{chunks, rows};
use crate::{ReadError, Reader};

/// How often a node looks for an export that nobody makes.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// How long an attempt waits for its read model to come to the wanted position, and how long it then leaves it alone.
const WAIT: Duration = Duration::from_secs(10);
const PAUSE_BEHIND: Duration = Duration::from_secs(2);
const PAUSE_FAILED: Duration = Duration::from_secs(5);

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct Exporter {
    pool: PgPool,
    reader: Reader,
    terms: ExportTerms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportTerms {
    /// A chunk is stored once it has as many bytes.
    pub chunk_bytes: usize,
    /// A node that is silent for so long has lost its export.
    pub lease: Duration,
    /// How long a file can be downloaded.
    pub kept_for: Duration,
}

impl Default for ExportTerms {
    fn default() -> Self {
        ExportTerms {
            chunk_bytes: 1_000_000,
            lease: Duration::from_secs(15),
            kept_for: Duration::from_secs(180 * 24 * 60 * 60),
        }
    }
}

/// Why an attempt came to no file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("another attempt has begun")]
    Lost,
    /// The read model has not come to the wanted position.
    #[error("the read model has reached position {0} only")]
    Behind(u64),
    #[error("{0}")]
    Failed(String),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        match error {
            ReadError::Behind { position } => Failure::Behind(position),
            error => Failure::Failed(error.to_string()),
        }
    }
}

impl Exporter {
    pub fn new(pool: PgPool, reader: Reader, terms: ExportTerms) -> Exporter {
        Exporter { pool, reader, terms }
    }

    /// Makes one file after the other, until `stopped`; what is not finished then is left to the other nodes.
    pub async fn run(self, stopped: impl Future<Output = ()>) {
        let mut stopped = pin!(stopped);
        let mut tidied = None;
        loop {
            let claim = tokio::select! {
                claim = self.next(&mut tidied) => claim,
                () = &mut stopped => return,
            };
            tokio::select! {
                made = self.carry_out(&claim) => self.end(&claim, made).await,
                () = &mut stopped => {
                    self.put_back(&claim, Duration::ZERO, None).await;
                    return;
                }
            }
        }
    }

    /// Waits for an export that nobody makes, and deletes meanwhile what nobody needs.
    async fn next(&self, tidied: &mut Option<Instant>) -> Claim {
        loop {
            if tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_EVERY) {
                *tidied = Some(Instant::now());
                if let Err(error) = self.tidy().await {
                    tracing::warn!(%error, "exports whose term is over could not be deleted");
                }
            }
            match self.claim().await {
                Ok(Some(claim)) => return claim,
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "exports could not be looked for"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes up the export that has waited longest.
    pub async fn claim(&self) -> Result<Option<Claim>, ReadError> {
        Ok(job::claim(&self.pool, self.terms.lease).await?)
    }

    /// Deletes the files whose term is over and the chunks of attempts that came to nothing.
    pub async fn tidy(&self) -> Result<(), ReadError> {
        job::expire(&self.pool).await?;
        Ok(chunks::drop_unused(&self.pool).await?)
    }

    /// Makes the file, or nothing that anybody sees.
    pub async fn carry_out(&self, claim: &Claim) -> Result<(), Failure> {
        tokio::select! {
            made = self.make(claim) => made,
            lost = claim.keep(&self.pool) => Err(lost),
        }
    }

    async fn make(&self, claim: &Claim) -> Result<(), Failure> {
        chunks::drop_older(&self.pool, claim).await?;
        let read_model = [claim.kind.projection()];
        let mut view = self.reader.at_least(&read_model, Some(claim.min_position), WAIT).await?;
        let mut sheet = Sheet::new(&self.pool, claim, self.terms.chunk_bytes);
        rows::write(&mut view, claim, &mut sheet).await?;
        let written = sheet.end().await?;
        claim.complete(&self.pool, (view.position, view.is_complete), &written, self.terms.kept_for).await
    }

    async fn end(&self, claim: &Claim, made: Result<(), Failure>) {
        let export_id = claim.export_id;
        match made {
            Ok(()) => tracing::info!(export.id = %export_id, export.attempt = claim.attempt, "an export is ready"),
            Err(Failure::Lost) => tracing::warn!(export.id = %export_id, "another node has taken the export over"),
            Err(Failure::Behind(_)) => self.put_back(claim, PAUSE_BEHIND, None).await,
            Err(Failure::Failed(error)) => {
                tracing::error!(export.id = %export_id, error, "an export could not be made");
                self.put_back(claim, PAUSE_FAILED, Some(&error)).await;
            }
        }
    }

    /// If this fails, the hold lapses by itself.
    async fn put_back(&self, claim: &Claim, pause: Duration, error: Option<&str>) {
        if let Err(error) = claim.put_back(&self.pool, pause, error).await {
            tracing::warn!(%error, export.id = %claim.export_id, "an export could not be put back");
        }
    }
}
