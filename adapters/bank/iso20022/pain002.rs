//! `pain.002`, the payment status report: what the bank makes of an instruction before its statement shows the money.

use domain::{Timestamp, WithdrawalId};

use super::text::{date_time, end_to_end_id, withdrawal_of};
use super::xml::{Document, Element};
use super::{Malformed, pain001};

#[derive(Debug, Clone, PartialEq)]
pub struct TransferStatus {
    /// As the message names it; it may be somebody else's.
    pub withdrawal_id: Option<WithdrawalId>,
    pub status: Status,
    /// The reason's code, such as `AC04`.
    pub reason: Option<String>,
}

/// What a status code of ISO 20022 means for a transfer of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Taken from our account (`ACSC`), or even credited to the beneficiary (`ACCC`).
    Settled,
    /// Received, checked or under way: nothing to record.
    UnderWay,
    Rejected,
    /// Refused because the bank has the same instruction already: says nothing about that one.
    Duplicate,
}

impl Status {
    fn of(code: &str, reason: Option<&str>) -> Status {
        match (code, reason) {
            ("ACSC" | "ACCC", _) => Status::Settled,
            ("RJCT", Some("DU01" | "DU02" | "DU03" | "DU04" | "DU05" | "AM05")) => Status::Duplicate,
            ("RJCT" | "CANC", _) => Status::Rejected,
            _ => Status::UnderWay,
        }
    }
}

/// Every transfer that the report speaks of. A bank may speak of each transfer, of the payment or of the message: each
/// of ours holds one transfer, so the innermost that has a status speaks for it.
pub(super) fn of_document(document: &Element) -> Result<Vec<TransferStatus>, Malformed> {
    let report = document.required("CstmrPmtStsRpt")?;
    report.required_text("GrpHdr/MsgId")?;
    let message = report.required("OrgnlGrpInfAndSts")?;
    let mut told = vec![];
    for payment in report.all("OrgnlPmtInfAndSts") {
        let transfers: Vec<&Element> = payment.all("TxInfAndSts").collect();
        for transfer in &transfers {
            told.extend(status(transfer, "OrgnlEndToEndId", "TxSts", &[payment, message]));
        }
        if transfers.is_empty() {
            told.extend(status(payment, "OrgnlPmtInfId", "PmtInfSts", &[message]));
        }
    }
    if told.is_empty() {
        told.extend(status(message, "OrgnlMsgId", "GrpSts", &[]));
    }
    if told.is_empty() { Err(Malformed("the report tells no status".to_owned())) } else { Ok(told) }
}

fn status(element: &Element, id: &str, code: &str, outer: &[&Element]) -> Option<TransferStatus> {
    let reason_of = |element: &Element| {
        let reason = element.at("StsRsnInf/Rsn")?;
        reason.text_at("Cd").or_else(|| reason.text_at("Prtry")).map(str::to_owned)
    };
    let reason = std::iter::once(&element).chain(outer).find_map(|element| reason_of(element));
    let status = Status::of(element.text_at(code)?, reason.as_deref());
    Some(TransferStatus { withdrawal_id: element.text_at(id).and_then(withdrawal_of), status, reason })
}

/// The bank's side: `pain.002.001.10` about one instruction.
pub fn write(about: &pain001::Instruction, report_id: &str, code: &str, reason: Option<&str>, at: Timestamp) -> String {
    let id = end_to_end_id(about.withdrawal_id);
    Document::write("pain.002.001.10", |document| {
        document.element("CstmrPmtStsRpt", |report| {
            report.element("GrpHdr", |header| {
                header.text("MsgId", report_id);
                header.text("CreDtTm", &date_time(at));
            });
            report.element("OrgnlGrpInfAndSts", |message| {
                message.text("OrgnlMsgId", &about.message_id);
                message.text("OrgnlMsgNmId", "pain.001.001.09");
            });
            report.element("OrgnlPmtInfAndSts", |payment| {
                payment.text("OrgnlPmtInfId", &id);
                payment.element("TxInfAndSts", |transfer| {
                    transfer.text("OrgnlInstrId", &id);
                    transfer.text("OrgnlEndToEndId", &id);
                    transfer.text("TxSts", code);
                    if let Some(reason) = reason {
                        transfer.path("StsRsnInf/Rsn/Cd", reason);
                    }
                });
            });
        });
    })
}
