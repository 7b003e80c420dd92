//! `camt.053`, the bank's statement of our account: which transfers were debited, and which came back. Read whole where a
//! message is small, and booking by booking where a statement may be large.

use std::io::BufRead;

use domain::{Money, Timestamp, WithdrawalId};

use super::Malformed;
use super::text::{amount_of, date, date_time, end_to_end_id, withdrawal_of};
use super::xml::{Document, Element, each_element};

/// One transaction of a booked entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// None if the end-to-end id is not one of ours.
    pub withdrawal_id: Option<WithdrawalId>,
    pub side: EntrySide,
    pub amount: Money,
    /// Why it came back, where the statement says so.
    pub return_reason: Option<String>,
    /// The bank's own reference. An entry's number within the statement is none.
    pub booking: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntrySide {
    /// Taken from our account.
    Debit,
    /// Added to our account: with the end-to-end id of a transfer of ours, its return.
    Credit,
}

/// What is booked for good; what is only expected does not count.
pub(super) fn of_document(document: &Element) -> Result<Vec<Entry>, Malformed> {
    let message = document.required("BkToCstmrStmt")?;
    message.required_text("GrpHdr/MsgId")?;
    message.required("Stmt")?;
    let mut told = vec![];
    for entry in message.all("Stmt").flat_map(|statement| statement.all("Ntry")) {
        if status(entry)? != "BOOK" {
            continue;
        }
        let transactions = transactions(entry);
        for transaction in &transactions {
            told.push(transaction_of(entry, transaction, transactions.len())?);
        }
        if transactions.is_empty() {
            told.push(whole(entry)?);
        }
    }
    Ok(told)
}

/// What a statement tells, as it is read booking by booking.
#[derive(Debug)]
pub enum Told {
    /// One transaction of a booked entry, or why it cannot be read.
    Booked(Result<Booked, Malformed>),
    /// What was on the account at the end, negative if we owed it; and the day as it is written.
    Closing { amount: Money, is_debit: bool, day: String },
}

/// A transaction with what it can be found by.
#[derive(Debug, Clone, PartialEq)]
pub struct Booked {
    pub entry: Entry,
    /// As it is written: a date, or a date and a time.
    pub booked_at: String,
    /// What the payer wrote, else the end-to-end id, else the bank's own reference.
    pub reference: Option<String>,
}

/// Reads a statement of any size; `false` ends the reading. A booking that cannot be read does not keep the others from
/// being read.
pub fn each(file: impl BufRead, mut take: impl FnMut(Told) -> bool) -> Result<(), Malformed> {
    let mut failed = None;
    let kind = each_element(file, &["Ntry", "Bal"], |element| {
        let told = if element.name == "Bal" { closing(&element).map(Vec::from_iter) } else { Ok(booked(&element)) };
        match told {
            Ok(told) => told.into_iter().all(&mut take),
            Err(malformed) => {
                failed = Some(malformed);
                false
            }
        }
    })?;
    match failed {
        Some(malformed) => Err(malformed),
        None if kind == "camt.053" => Ok(()),
        None => Err(Malformed("this is no camt.053".to_owned())),
    }
}

fn closing(balance: &Element) -> Result<Option<Told>, Malformed> {
    if balance.text_at("Tp/CdOrPrtry/Cd") != Some("CLBD") {
        return Ok(None);
    }
    let day = balance.text_at("Dt/Dt").or_else(|| balance.text_at("Dt/DtTm"));
    let day = day.ok_or_else(|| Malformed("a balance has no day".to_owned()))?.to_owned();
    Ok(Some(Told::Closing { amount: amount(balance)?, is_debit: side(balance)? == EntrySide::Debit, day }))
}

fn booked(entry: &Element) -> Vec<Told> {
    match status(entry) {
        Ok("BOOK") => {}
        Ok(_) => return vec![],
        Err(malformed) => return vec![Told::Booked(Err(malformed))],
    }
    let date = ["BookgDt/Dt", "BookgDt/DtTm", "ValDt/Dt", "ValDt/DtTm"].into_iter().find_map(|at| entry.text_at(at));
    let booked_at = date.unwrap_or_default().to_owned();
    let of = |told: Result<Entry, Malformed>, named: &Element| {
        let reference = reference(named).map(str::to_owned);
        Told::Booked(told.map(|entry| Booked { entry, booked_at: booked_at.clone(), reference }))
    };
    let transactions = transactions(entry);
    match transactions.as_slice() {
        [] => vec![of(whole(entry), entry)],
        all => all.iter().map(|one| of(transaction_of(entry, one, all.len()), one)).collect(),
    }
}

fn reference(named: &Element) -> Option<&str> {
    let end_to_end = named.text_at("Refs/EndToEndId").filter(|id| *id != "NOTPROVIDED");
    let banks = ["Refs/AcctSvcrRef", "AcctSvcrRef", "NtryRef"].into_iter().find_map(|at| named.text_at(at));
    named.text_at("RmtInf/Ustrd").or(end_to_end).or(banks)
}

fn transactions(entry: &Element) -> Vec<&Element> {
    entry.all("NtryDtls").flat_map(|details| details.all("TxDtls")).collect()
}

/// An entry without details.
fn whole(entry: &Element) -> Result<Entry, Malformed> {
    let booking = entry.text_at("AcctSvcrRef").map(str::to_owned);
    Ok(Entry { withdrawal_id: None, side: side(entry)?, amount: amount(entry)?, return_reason: None, booking })
}

/// A code of its own since version 08, plain text before.
fn status(entry: &Element) -> Result<&str, Malformed> {
    let status = entry.required("Sts")?;
    Ok(status.text_at("Cd").unwrap_or_else(|| status.text()))
}

/// A transaction says its own amount, unless it is the only one of its entry.
fn transaction_of(entry: &Element, transaction: &Element, of: usize) -> Result<Entry, Malformed> {
    let amount = match transaction.child("Amt") {
        Some(_) => amount(transaction)?,
        None if of == 1 => amount(entry)?,
        None => return Err(Malformed("a transaction of a batch has no amount".to_owned())),
    };
    let side = if transaction.child("CdtDbtInd").is_some() { side(transaction)? } else { side(entry)? };
    let id = transaction.text_at("Refs/EndToEndId");
    let reason =
        transaction.at("RtrInf/Rsn").and_then(|reason| reason.text_at("Cd").or_else(|| reason.text_at("Prtry")));
    let booking = transaction.text_at("Refs/AcctSvcrRef").or_else(|| entry.text_at("AcctSvcrRef"));
    Ok(Entry {
        withdrawal_id: id.and_then(withdrawal_of),
        side,
        amount,
        return_reason: reason.map(str::to_owned),
        booking: booking.map(str::to_owned),
    })
}

fn amount(element: &Element) -> Result<Money, Malformed> {
    let amount = element.required("Amt")?;
    amount_of(amount.text(), amount.attribute("Ccy").unwrap_or_default())
}

fn side(element: &Element) -> Result<EntrySide, Malformed> {
    match element.required_text("CdtDbtInd")? {
        "DBIT" => Ok(EntrySide::Debit),
        "CRDT" => Ok(EntrySide::Credit),
        _ => Err(Malformed("an entry is neither debit nor credit".to_owned())),
    }
}

/// An entry as the bank's side writes it.
#[derive(Debug, Clone)]
pub struct Booking<'a> {
    pub withdrawal_id: WithdrawalId,
    pub side: EntrySide,
    pub amount: Money,
    pub return_reason: Option<&'a str>,
}

/// The bank's side: `camt.053.001.08` with one booking on the account `iban`.
pub fn write(booking: &Booking<'_>, iban: &str, statement_id: &str, at: Timestamp) -> String {
    Document::write("camt.053.001.08", |document| {
        document.element("BkToCstmrStmt", |message| {
            message.element("GrpHdr", |header| {
                header.text("MsgId", statement_id);
                header.text("CreDtTm", &date_time(at));
            });
            message.element("Stmt", |statement| {
                statement.text("Id", statement_id);
                statement.text("CreDtTm", &date_time(at));
                statement.path("Acct/Id/IBAN", iban);
                statement.element("Ntry", |entry| write_entry(entry, booking, statement_id, at));
            });
        });
    })
}

fn write_entry(entry: &mut Document, booking: &Booking<'_>, statement_id: &str, at: Timestamp) {
    let side = if booking.side == EntrySide::Debit { "DBIT" } else { "CRDT" };
    entry.text("NtryRef", statement_id);
    entry.amount("Amt", booking.amount);
    entry.text("CdtDbtInd", side);
    entry.path("Sts/Cd", "BOOK");
    entry.path("BookgDt/Dt", &date(at));
    entry.path("ValDt/Dt", &date(at));
    entry.text("AcctSvcrRef", statement_id);
    entry.element("BkTxCd", |code| {
        code.element("Domn", |domain| {
            domain.text("Cd", "PMNT");
            domain.element("Fmly", |family| {
                family.text("Cd", "ICDT");
                family.text("SubFmlyCd", if booking.side == EntrySide::Debit { "ESCT" } else { "RRTN" });
            });
        });
    });
    entry.element("NtryDtls", |details| {
        details.element("TxDtls", |transaction| {
            transaction.path("Refs/EndToEndId", &end_to_end_id(booking.withdrawal_id));
            transaction.amount("Amt", booking.amount);
            transaction.text("CdtDbtInd", side);
            if let Some(reason) = booking.return_reason {
                transaction.path("RtrInf/Rsn/Cd", reason);
            }
        });
    });
}
