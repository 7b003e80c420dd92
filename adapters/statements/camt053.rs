//! A bank's statement, `camt.053`, as lines: transfers of ours by their end-to-end id, and whatever else was booked. A
//! line's number is that of its booking, counted from 1.

use std::io::BufRead;

use commands::ports::statements::BadLine;
use domain::reconciliation::{Amounts, Kind, Line};

use super::values::{end_of, moment, reference};
use super::{Closing, Found, Take, Unreadable};
use crate::bank::iso20022::camt053::{self, Booked, EntrySide, Told};

pub(super) fn read(file: impl BufRead, take: Take<'_>) -> Result<(), Unreadable> {
    let (mut number, mut is_wanted) = (0_u32, true);
    camt053::each(file, |told| {
        let found = match told {
            Told::Booked(booked) => {
                number = number.saturating_add(1);
                let line = booked.map_err(|malformed| malformed.0);
                match line.and_then(|booked| line_of(number, &booked).map_err(str::to_owned)) {
                    Ok(line) => Found::Line(line),
                    Err(reason) => Found::Bad(BadLine { number, reason }),
                }
            }
            Told::Closing { amount, is_debit, day } => match end_of(&day, 0) {
                Ok(before) => {
                    let sign = if is_debit { -1 } else { 1 };
                    Found::Closing(Closing { currency: amount.currency(), amount: sign * amount.minor(), before })
                }
                Err(_) => return true,
            },
        };
        is_wanted = take(found);
        is_wanted
    })
    .map_err(|malformed| Unreadable::Malformed(malformed.0))?;
    if is_wanted { Ok(()) } else { Err(Unreadable::GivenUp) }
}

fn line_of(number: u32, booked: &Booked) -> Result<Line, &'static str> {
    let Booked { entry, booked_at, reference: named } = booked;
    let (kind, sign) = match (entry.withdrawal_id, entry.side) {
        (Some(_), EntrySide::Debit) => (Kind::Withdrawal, -1),
        (Some(_), EntrySide::Credit) => (Kind::WithdrawalReturn, 1),
        (None, EntrySide::Debit) => (Kind::Transfer, -1),
        (None, EntrySide::Credit) => (Kind::Transfer, 1),
    };
    let ours = entry.withdrawal_id.map(|withdrawal| withdrawal.to_string());
    Ok(Line {
        number,
        kind,
        reference: if ours.is_some() { None } else { reference(named.as_deref().unwrap_or_default())? },
        own_reference: ours,
        amounts: Amounts { currency: entry.amount.currency(), gross: sign * entry.amount.minor(), fee: 0 },
        occurred_at: moment(booked_at, 0)?,
    })
}
