//! `pain.001.001.09`, the credit transfer initiation: one transfer a message, so that a bank refuses or repeats each on
//! its own. Every id in it is the withdrawal's, so a message that is sent twice is recognised.

use commands::ports::bank::TransferOrder;
use domain::bank_details::{BankDetails, BankNumber};
use domain::iban::Bic;
use domain::{Currency, Money, WithdrawalId};

use super::text::{amount_of, date, date_time, end_to_end_id, withdrawal_of};
use super::xml::{self, Document, Element};
use super::{Malformed, amount_text};

/// What an instruction says, as the bank reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instruction {
    pub message_id: String,
    pub withdrawal_id: WithdrawalId,
    pub amount: Money,
    pub beneficiary: BankDetails,
}

/// The message that has `debtor`, our own account, pay the order. Equal orders are equal messages.
pub fn write(order: &TransferOrder, debtor: &BankDetails) -> String {
    let id = end_to_end_id(order.withdrawal_id);
    Document::write("pain.001.001.09", |document| {
        document.element("CstmrCdtTrfInitn", |message| {
            message.element("GrpHdr", |header| {
                header.text("MsgId", &id);
                header.text("CreDtTm", &date_time(order.ordered_at));
                totals(header, order.amount);
                header.path("InitgPty/Nm", debtor.name());
            });
            message.element("PmtInf", |payment| {
                payment.text("PmtInfId", &id);
                payment.text("PmtMtd", "TRF");
                payment.text("BtchBookg", "false");
                totals(payment, order.amount);
                payment.path("ReqdExctnDt/Dt", &date(order.ordered_at));
                payment.path("Dbtr/Nm", debtor.name());
                account(payment, "DbtrAcct", debtor);
                agent(payment, "DbtrAgt", debtor.bic.as_ref());
                payment.text("ChrgBr", charge_bearer(order.amount.currency()));
                payment.element("CdtTrfTxInf", |transfer| credit_transfer(transfer, &id, order));
            });
        });
    })
}

fn credit_transfer(transfer: &mut Document, id: &str, order: &TransferOrder) {
    transfer.element("PmtId", |ids| {
        ids.text("InstrId", id);
        ids.text("EndToEndId", id);
    });
    transfer.element("Amt", |amount| amount.amount("InstdAmt", order.amount));
    if let Some(bic) = &order.beneficiary.bic {
        agent(transfer, "CdtrAgt", Some(bic));
    }
    transfer.path("Cdtr/Nm", order.beneficiary.name());
    account(transfer, "CdtrAcct", &order.beneficiary);
    transfer.path("RmtInf/Ustrd", &order.withdrawal_id.to_string().replace('_', "-"));
}

fn totals(document: &mut Document, amount: Money) {
    document.text("NbOfTxs", "1");
    document.text("CtrlSum", &amount_text(amount));
}

fn account(document: &mut Document, name: &str, details: &BankDetails) {
    document.element(name, |account| {
        account.element("Id", |id| match &details.number {
            BankNumber::Iban(iban) => id.text("IBAN", iban.as_str()),
            BankNumber::Other(number) => id.path("Othr/Id", number.as_str()),
        });
    });
}

/// A bank that is not known is not left out where the schema wants one.
fn agent(document: &mut Document, name: &str, bic: Option<&Bic>) {
    document.element(name, |agent| match bic {
        Some(bic) => agent.path("FinInstnId/BICFI", bic.as_str()),
        None => agent.path("FinInstnId/Othr/Id", "NOTPROVIDED"),
    });
}

/// The SEPA shares charges by its own rule.
fn charge_bearer(currency: Currency) -> &'static str {
    if currency == Currency::EUR { "SLEV" } else { "SHAR" }
}

/// The bank's side: what it is told to do. Totals that do not fit the transfers make the message void.
pub fn read(message: &str) -> Result<Instruction, Malformed> {
    let document = xml::parse(message)?;
    if document.message_kind()? != "pain.001" {
        return Err(Malformed("this is no pain.001".to_owned()));
    }
    let root = document.required("CstmrCdtTrfInitn")?;
    let (header, payment) = (root.required("GrpHdr")?, root.required("PmtInf")?);
    let mut transfers = payment.all("CdtTrfTxInf");
    let (Some(transfer), None) = (transfers.next(), transfers.next()) else {
        return Err(Malformed("a message holds one transfer".to_owned()));
    };
    let instructed = transfer.required("Amt/InstdAmt")?;
    let amount = amount_of(instructed.text(), instructed.attribute("Ccy").unwrap_or_default())?;
    for totals in [header, payment] {
        let sum = amount_of(totals.required_text("CtrlSum")?, amount.currency().code())?;
        if totals.required_text("NbOfTxs")? != "1" || sum != amount {
            return Err(Malformed("the totals are not those of the transfer".to_owned()));
        }
    }
    let id = transfer.required_text("PmtId/EndToEndId")?;
    Ok(Instruction {
        message_id: header.required_text("MsgId")?.to_owned(),
        withdrawal_id: withdrawal_of(id).ok_or_else(|| Malformed("the end-to-end id is not one of ours".to_owned()))?,
        amount,
        beneficiary: beneficiary(transfer)?,
    })
}

fn beneficiary(transfer: &Element) -> Result<BankDetails, Malformed> {
    let malformed = |what: &str| Malformed(format!("the beneficiary has no valid {what}"));
    let number = match (transfer.text_at("CdtrAcct/Id/IBAN"), transfer.text_at("CdtrAcct/Id/Othr/Id")) {
        (Some(iban), None) => BankNumber::Iban(iban.parse().map_err(|_| malformed("IBAN"))?),
        (None, Some(number)) => BankNumber::Other(number.parse().map_err(|_| malformed("account number"))?),
        _ => return Err(malformed("account")),
    };
    let bic = transfer.text_at("CdtrAgt/FinInstnId/BICFI").map(str::parse).transpose();
    let name = transfer.required_text("Cdtr/Nm")?;
    BankDetails::new(number, bic.map_err(|_| malformed("BIC"))?, name).map_err(|_| malformed("name"))
}
