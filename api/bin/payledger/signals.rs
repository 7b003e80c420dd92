//! Waits until the program is asked to stop.

use tokio::signal::unix::{SignalKind, signal};

/// Returns on SIGINT (Ctrl-C) or SIGTERM.
pub async fn stopped() -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
