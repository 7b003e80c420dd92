//! Large bodies: proven to be allowed before they are read, then written to a file of this process as they arrive, their
//! length and SHA-256 told on the way. What belongs to no request any more is deleted.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use commands::ports::Role;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use crate::app::App;
use crate::auth::{self, Caller};
use crate::errors;
use crate::problem::Problem;

pub const UPLOAD_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Uploads at once on this node; each takes a file on its disk.
pub const UPLOADS_MAX: usize = 4;
/// An upload that sends nothing for so long is not waited for any longer.
const SILENCE: Duration = Duration::from_secs(30);

/// A body in a file, which is deleted with the last of these.
#[derive(Clone)]
pub struct Spooled {
    pub path: Arc<TempPath>,
    pub bytes: u64,
    pub digest: [u8; 32],
}

/// Middleware: lets a request of one of finance through, its body in a file. A signature is checked over the digest.
pub async fn authenticate_upload(
    State((app, places)): State<(App, Arc<Semaphore>)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let _place = places.try_acquire_owned().map_err(|_| Problem::of(errors::OVERLOADED))?;
    let (mut parts, body) = request.into_parts();
    let claimed = auth::claimed(&app, &parts).await?;
    if claimed.access.role() != Role::Finance {
        return Err(Problem::new(errors::FORBIDDEN, "only keys of the role finance may do that"));
    }
    let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > UPLOAD_BYTES_MAX) {
        return Err(Problem::new(errors::BODY_TOO_LARGE, "a statement has at most 256 MB"));
    }
    let spooled = spool(body.into_data_stream().map(|chunk| chunk.map_err(drop))).await?;
    let caller: Caller = auth::proven(&app, &parts, claimed, &spooled.digest).await?;
    tracing::Span::current().record("caller.role", caller.access.role().as_str());
    parts.extensions.insert(caller);
    parts.extensions.insert(spooled);
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

/// Writes what arrives to a file.
pub async fn spool(chunks: impl Stream<Item = Result<Bytes, ()>>) -> Result<Spooled, Problem> {
    let made = tokio::task::spawn_blocking(tempfile::NamedTempFile::new).await.map_err(|error| disk(&error))?;
    let (file, path) = made.map_err(|error| disk(&error))?.into_parts();
    let mut file = File::from_std(file);
    let (mut bytes, mut digest, mut chunks) = (0_u64, Sha256::new(), std::pin::pin!(chunks));
    loop {
        let next = tokio::time::timeout(SILENCE, chunks.next()).await;
        let Some(chunk) = next.map_err(|_| Problem::of(errors::REQUEST_TIMEOUT))? else { break };
        let chunk = chunk.map_err(|()| Problem::new(errors::MALFORMED_REQUEST, "the body broke off"))?;
        bytes += chunk.len() as u64;
        if bytes > UPLOAD_BYTES_MAX {
            return Err(Problem::new(errors::BODY_TOO_LARGE, "a statement has at most 256 MB"));
        }
        digest.update(&chunk);
        file.write_all(&chunk).await.map_err(|error| disk(&error))?;
    }
    file.flush().await.map_err(|error| disk(&error))?;
    Ok(Spooled { path: Arc::new(path), bytes, digest: digest.finalize().into() })
}

pub fn disk(error: &dyn std::fmt::Display) -> Problem {
    Problem::unavailable(&format!("the upload cannot be kept: {error}"))
}
