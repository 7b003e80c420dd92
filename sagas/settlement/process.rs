//! The settlement sagas' part in the machinery: each settlement has one for its release, and one for the reserve lot
//! that it withheld, if it did.

use async_trait::async_trait;
use commands::ports::{Category, RecordedEvent, SagaId, StreamState, state_of};
use commands::settlement::Settlements;
use domain::merchant_account::MerchantAccount;
use domain::settlement::{Event, Settlement};
use domain::{SettlementId, Timestamp, merchant_account};

use super::{RELEASE, RELEASE_RESERVE, next_reserve_step, next_step};
use crate::attempt::{Attempt, accepted};
use crate::process::{Learned, Meaning, Process, Trouble};
use crate::step::{Due, Step};

/// Drives the release of each settlement.
pub struct SettlementProcess {
    settlements: Settlements,
}

impl SettlementProcess {
    pub fn new(settlements: Settlements) -> SettlementProcess {
        SettlementProcess { settlements }
    }
}

#[async_trait]
impl Process for SettlementProcess {
    fn kind(&self) -> &'static str {
        "settlement"
    }

    fn category(&self) -> Category {
        Category::of::<Settlement>()
    }

    fn steps(&self) -> &'static [Step] {
        &[RELEASE]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        let settlement_id = &event.stream.id;
        let Ok(event) = event.decode::<Event>() else { return Meaning::due(settlement_id) };
        match event {
            Event::Closed(closed) if closed.needs_approval => None,
            Event::Closed(_) | Event::Approved(_) => Meaning::due(settlement_id),
            Event::Held(_) | Event::Released(_) => Meaning::finished(settlement_id),
        }
    }

    fn due(&self, _saga: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble> {
        let record = state_of::<Settlement>(stream).record();
        let record = record.ok_or_else(|| Trouble::Parked("the stream does not begin with a batch".to_owned()))?;
        Ok(next_step(record, now))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let receipt = self.settlements.release(attempt.issued("released"), settlement_id(attempt.saga())?).await?;
        // It was held back meanwhile: the next look finds nothing due.
        let refused = receipt.rejection.map(|rejection| rejection.detail);
        let outcome = if refused.is_some() { "refused" } else { "released" };
        Ok(Learned { outcome, error: refused })
    }
}

/// Drives the release of each reserve lot.
pub struct ReserveProcess {
    settlements: Settlements,
}

impl ReserveProcess {
    pub fn new(settlements: Settlements) -> ReserveProcess {
        ReserveProcess { settlements }
    }
}

#[async_trait]
impl Process for ReserveProcess {
    fn kind(&self) -> &'static str {
        "reserve"
    }

    fn category(&self) -> Category {
        Category::of::<MerchantAccount>()
    }

    fn steps(&self) -> &'static [Step] {
        &[RELEASE_RESERVE]
    }

    fn meaning(&self, event: &RecordedEvent) -> Option<Meaning> {
        // Of one that cannot be read nobody knows which lot it is about; the books stop at it and alert.
        match event.decode::<merchant_account::Event>().ok()? {
            merchant_account::Event::SettlementReleased(released) if released.reserve_due.is_some() => {
                Meaning::due(released.settlement_id)
            }
            merchant_account::Event::ReserveReleased(released) => Meaning::finished(released.settlement_id),
            _ => None,
        }
    }

    fn due(&self, saga: &SagaId, stream: &StreamState, now: Timestamp) -> Result<Option<Due>, Trouble> {
        Ok(next_reserve_step(state_of::<MerchantAccount>(stream), settlement_id(saga)?, now))
    }

    async fn perform(&self, attempt: &Attempt<'_>) -> Result<Learned, Trouble> {
        let holder = attempt.state::<MerchantAccount>().holder;
        let holder = holder.ok_or_else(|| Trouble::Parked("the account has no holder".to_owned()))?;
        let settlement_id = settlement_id(attempt.saga())?;
        let issued = attempt.issued("released");
        accepted(self.settlements.release_reserve(issued, holder, settlement_id).await?)?;
        Ok(Learned { outcome: "released", error: None })
    }
}

fn settlement_id(saga: &SagaId) -> Result<SettlementId, Trouble> {
    saga.object.parse().map_err(|_| Trouble::Parked(format!("{saga} is not the id of a settlement")))
}
