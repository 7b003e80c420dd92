//! Which position a moment means. Uses nothing but that `recorded_at` never goes back along the log.

use domain::Timestamp;

use crate::ports::{EventStore, StoreError};

/// The position of the last event recorded at or before `moment`, 0 if there is none.
pub async fn position_at(store: &dyn EventStore, moment: Timestamp) -> Result<u64, StoreError> {
    // The answer lies in low..=high.
    let (mut low, mut high) = (0, store.head().await?);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        let event = store.read_all(middle - 1, 1).await?;
        match event.first() {
            Some(event) if event.recorded_at <= moment => low = middle,
            _ => high = middle - 1,
        }
    }
    Ok(low)
}
