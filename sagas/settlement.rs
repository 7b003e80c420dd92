//! The saga of a settlement: its release when it is due, and then that of what it withheld. Pure.
//!
//! ```text
//! closed ──(no approval needed)──▶ release at its time ──▶ released, finished
//!   └─▶ waits for a person: no saga ──approved──▶ release at its time
//!       held: the saga ends; an approval begins it again
//! ```
//!
//! Why the races are safe: whether it may be released is decided on the newest state, so a hold that comes first wins;
//! and the account knows which batches are waiting, so a second release moves nothing.

mod process;

use domain::SettlementId;
use domain::Timestamp;
use domain::merchant_account;
use domain::settlement::Record;

pub use process::{ReserveProcess, SettlementProcess};

use crate::schedule::Schedule;
use crate::step::{Due, Step};

/// Make the batch's money available.
pub const RELEASE: Step = Step::new("release", Schedule::AT_ONCE);
/// Make available what is left of the reserve lot.
pub const RELEASE_RESERVE: Step = Step::new("release_reserve", Schedule::AT_ONCE);

pub fn next_step(record: &Record, now: Timestamp) -> Option<Due> {
    record.release_at().map(|at| due_at(RELEASE, at, now))
}

/// Of the lot that this settlement withheld; one that was drawn has nothing left to release.
pub fn next_reserve_step(
    account: &merchant_account::State,
    settlement_id: SettlementId,
    now: Timestamp,
) -> Option<Due> {
    account.lot(settlement_id).map(|lot| due_at(RELEASE_RESERVE, lot.due, now))
}

fn due_at(step: Step, at: Timestamp, now: Timestamp) -> Due {
    Due { not_before: (now < at).then_some(at), ..Due::now(step) }
}

#[cfg(test)]
mod tests {
    use domain::Decider;
    use domain::settlement::{Closed, Command, Settlement, State};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn closed(needs_approval: bool) -> Closed {
        let text = serde_json::json!({
            "settlement_id": "set_00000000000000000000000001", "merchant_id": "mer_00000000000000000000000001",
            "currency": "USD", "from": 0, "to": 10, "cut_off_at": at(0), "net": 900, "gross_captured": 1_000, "items": 1,
            "items_digest": "", "needs_approval": needs_approval, "release_due": at(100), "closed_at": at(0),
        });
        serde_json::from_value(text).unwrap()
    }

    /// What is due at 50 s and at 100 s after these commands: when it is done, if it is.
    fn check(commands: &[Command], then: [Option<i64>; 2]) {
        let state = commands.iter().fold(State::default(), |state, command| {
            Settlement::decide(&state, command.clone()).unwrap().iter().fold(state, Settlement::evolve)
        });
        let found = [50, 100].map(|seconds| {
            let due = next_step(state.record().unwrap(), at(seconds))?;
            Some(due.at(at(seconds), 0).as_micros() / 1_000_000)
        });
        assert_eq!(found, then, "{commands:?}");
    }

    #[test]
    fn a_settlement_is_released_at_its_time_once_nobody_has_to_agree() {
        let (by, waits) = (|| "bob".to_owned(), [Some(100), Some(100)]);
        let close = |needs_approval| Command::Close(closed(needs_approval));
        let (approve, hold) = (Command::Approve { by: by(), at: at(1) }, Command::Hold { by: by(), at: at(2) });
        check(&[close(false)], waits);
        check(&[close(true)], [None, None]);
        check(&[close(true), approve.clone()], waits);
        check(&[close(false), hold.clone()], [None, None]);
        check(&[close(false), hold, approve], waits);
        check(&[close(false), Command::Release { at: at(100) }], [None, None]);
    }
}
