//! When batches are cut off and when they are released, by a merchant's calendar and settlement cycle.

use chrono::Days;

use crate::Timestamp;
use crate::calendar::Calendar;
use crate::tier::SettlementCycle;

/// Weekends are shorter than this many days.
const DAYS_BACK: u64 = 8;

/// The newest cut-off that is not behind `now`.
pub fn last_cut_off(calendar: &Calendar, cycle: SettlementCycle, now: Timestamp) -> Option<Timestamp> {
    let today = calendar.local_day(now);
    let days = (0..DAYS_BACK).filter_map(|days| today.checked_sub_days(Days::new(days)));
    let mut open = days.filter(|day| cycle == SettlementCycle::EveryDay || calendar.is_business_day(*day));
    open.find_map(|day| Some(calendar.cut_off_on(day)).filter(|cut_off| *cut_off <= now))
}

/// When a batch that was cut off at `cut_off_at` is released. A cut-off that finance makes at will is the cut-off of
/// its day.
pub fn release_due(calendar: &Calendar, cycle: SettlementCycle, cut_off_at: Timestamp) -> Timestamp {
    let day = calendar.local_day(cut_off_at);
    match cycle {
        SettlementCycle::EveryDay => cut_off_at,
        SettlementCycle::SameBusinessDay if calendar.is_business_day(day) => cut_off_at,
        SettlementCycle::SameBusinessDay => calendar.cut_off_on(calendar.business_day_from(day)),
        SettlementCycle::NextBusinessDay => {
            let next_day = day.checked_add_days(Days::new(1)).unwrap_or(day);
            calendar.cut_off_on(calendar.business_day_from(next_day))
        }
    }
}
