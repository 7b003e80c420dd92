//! The messages against golden files and against the order of elements that their schemas prescribe.

use std::path::Path;

use commands::ports::bank::TransferOrder;
use domain::bank_details::{BankDetails, BankNumber};
use domain::{Money, Timestamp, WithdrawalId};

use super::camt053::{Booking, Entry, EntrySide};
use super::pain002::{Status, TransferStatus};
use super::xml::Element;
use super::*;

fn withdrawal_id() -> WithdrawalId {
    "wd_0190a7mx5qrvdsyejb8tfqn3c2".parse().unwrap()
}

fn at() -> Timestamp {
    "2026-11-20T09:30:00.123456Z".parse().unwrap()
}

fn money(minor: i64, currency: &str) -> Money {
    Money::new(minor, currency.parse().unwrap()).unwrap()
}

fn iban(number: &str, bic: Option<&str>, name: &str) -> BankDetails {
    BankDetails::new(BankNumber::Iban(number.parse().unwrap()), bic.map(|bic| bic.parse().unwrap()), name).unwrap()
}

fn debtor() -> BankDetails {
    iban("DE02120300000000202051", Some("BYLADEM1001"), "Payledger Clients' Money")
}

fn order(amount: Money, beneficiary: BankDetails) -> TransferOrder {
    TransferOrder { withdrawal_id: withdrawal_id(), amount, beneficiary, ordered_at: at() }
}

/// Compares with `tests/golden/iso20022/{name}`; `UPDATE_CATALOGUES=1` writes it anew.
#[track_caller]
fn golden(name: &str, written: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/iso20022").join(name);
    if std::env::var_os("UPDATE_CATALOGUES").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, written).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == written, "{name} is not what is written now:\n{written}");
}

/// The children that the schemas allow, in their order; elements that are not named here hold text or anything.
const STRUCTURE: &[(&str, &[&str])] = &[
    ("CstmrCdtTrfInitn", &["GrpHdr", "PmtInf"]),
    ("CstmrCdtTrfInitn/GrpHdr", &["MsgId", "CreDtTm", "NbOfTxs", "CtrlSum", "InitgPty"]),
    (
        "CstmrCdtTrfInitn/PmtInf",
        &[
            "PmtInfId",
            "PmtMtd",
            "BtchBookg",
            "NbOfTxs",
            "CtrlSum",
            "PmtTpInf",
            "ReqdExctnDt",
            "Dbtr",
            "DbtrAcct",
            "DbtrAgt",
            "ChrgBr",
            "CdtTrfTxInf",
        ],
    ),
    (
        "CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf",
        &["PmtId", "PmtTpInf", "Amt", "ChrgBr", "CdtrAgt", "Cdtr", "CdtrAcct", "RmtInf"],
    ),
    ("CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf/PmtId", &["InstrId", "EndToEndId", "UETR"]),
    ("CstmrPmtStsRpt", &["GrpHdr", "OrgnlGrpInfAndSts", "OrgnlPmtInfAndSts"]),
    ("CstmrPmtStsRpt/GrpHdr", &["MsgId", "CreDtTm"]),
    ("CstmrPmtStsRpt/OrgnlGrpInfAndSts", &["OrgnlMsgId", "OrgnlMsgNmId", "GrpSts", "StsRsnInf"]),
    ("CstmrPmtStsRpt/OrgnlPmtInfAndSts", &["OrgnlPmtInfId", "PmtInfSts", "StsRsnInf", "TxInfAndSts"]),
    ("CstmrPmtStsRpt/OrgnlPmtInfAndSts/TxInfAndSts", &["OrgnlInstrId", "OrgnlEndToEndId", "TxSts", "StsRsnInf"]),
    ("BkToCstmrStmt", &["GrpHdr", "Stmt"]),
    ("BkToCstmrStmt/Stmt", &["Id", "CreDtTm", "Acct", "Bal", "Ntry"]),
    (
        "BkToCstmrStmt/Stmt/Ntry",
        &["NtryRef", "Amt", "CdtDbtInd", "RvslInd", "Sts", "BookgDt", "ValDt", "AcctSvcrRef", "BkTxCd", "NtryDtls"],
    ),
    ("BkToCstmrStmt/Stmt/Ntry/NtryDtls/TxDtls", &["Refs", "Amt", "CdtDbtInd", "RtrInf"]),
];

const REQUIRED: &[(&str, &[&str])] = &[
    ("CstmrCdtTrfInitn/GrpHdr", &["MsgId", "CreDtTm", "NbOfTxs", "InitgPty"]),
    ("CstmrCdtTrfInitn/PmtInf", &["PmtInfId", "PmtMtd", "ReqdExctnDt", "Dbtr", "DbtrAcct", "DbtrAgt", "CdtTrfTxInf"]),
    ("CstmrCdtTrfInitn/PmtInf/CdtTrfTxInf", &["PmtId", "Amt"]),
    ("CstmrPmtStsRpt", &["GrpHdr", "OrgnlGrpInfAndSts"]),
    ("BkToCstmrStmt/Stmt", &["Id", "Acct"]),
    ("BkToCstmrStmt/Stmt/Ntry", &["Amt", "CdtDbtInd", "Sts", "BkTxCd"]),
];

#[track_caller]
fn assert_structure(text: &str) {
    let document = xml::parse(text).unwrap();
    fn walk(element: &Element, path: &str) {
        let names: Vec<&str> = element.children.iter().map(|child| child.name.as_str()).collect();
        if let Some((_, order)) = STRUCTURE.iter().find(|(known, _)| *known == path) {
            let places: Vec<usize> = names
                .iter()
                .map(|name| order.iter().position(|known| known == name).unwrap_or_else(|| panic!("{path}/{name}")))
                .collect();
            assert!(places.windows(2).all(|pair| pair[0] <= pair[1]), "{path}: {names:?}");
        }
        for required in REQUIRED.iter().filter(|(known, _)| *known == path).flat_map(|(_, required)| *required) {
            assert!(names.contains(required), "{path} has no {required}");
        }
        for child in &element.children {
            let inner = if path.is_empty() { child.name.clone() } else { format!("{path}/{}", child.name) };
            if child.name == "MsgId" || child.name == "EndToEndId" || child.name == "PmtInfId" {
                assert!((1..=35).contains(&child.text().len()), "{inner} is a Max35Text");
            }
            walk(child, &inner);
        }
    }
    walk(&document, "");
}

fn instruction() -> pain001::Instruction {
    let beneficiary = iban("GB29NWBK60161331926819", None, "Acme & Söhne");
    let message_id = end_to_end_id(withdrawal_id());
    pain001::Instruction { message_id, withdrawal_id: withdrawal_id(), amount: money(105_000, "EUR"), beneficiary }
}

#[test]
fn an_instruction_is_written_as_the_schema_says_and_read_as_it_was_meant() {
    let plain = |number: &str, bic: Option<&str>| {
        let bic = bic.map(|bic| bic.parse().unwrap());
        BankDetails::new(BankNumber::Other(number.parse().unwrap()), bic, "Jane <Doe>").unwrap()
    };
    let table = [
        ("pain.001.iban.xml", order(money(105_000, "EUR"), iban("GB29NWBK60161331926819", None, "Acme & Söhne"))),
        ("pain.001.account_number.xml", order(money(1_050, "JPY"), plain("12345678", Some("CHASUS33")))),
        ("pain.001.no_bank.xml", order(money(1_050, "KWD"), plain("12345678", None))),
    ];
    for (name, order) in table {
        let written = pain001::write(&order, &debtor());
        golden(name, &written);
        assert_structure(&written);
        let read = pain001::read(&written).unwrap();
        assert_eq!((read.withdrawal_id, read.amount), (order.withdrawal_id, order.amount), "{name}");
        assert_eq!(read.beneficiary, order.beneficiary, "{name}");
        assert_eq!(pain001::write(&order, &debtor()), written, "a repeat is the same message");
    }
}

#[test]
fn an_instruction_whose_totals_are_wrong_is_void() {
    let written = pain001::write(&order(money(105_000, "EUR"), iban("GB29NWBK60161331926819", None, "A")), &debtor());
    for (from, to) in [
        ("<CtrlSum>1050.00</CtrlSum>", "<CtrlSum>1050.01</CtrlSum>"),
        ("<NbOfTxs>1</NbOfTxs>", "<NbOfTxs>2</NbOfTxs>"),
        ("GB29", "GB28"),
        ("pain.001.001.09\">", "pain.008.001.08\">"),
        ("<EndToEndId>wd-", "<EndToEndId>xx-"),
    ] {
        let changed = written.replacen(from, to, 1);
        assert_ne!(changed, written);
        assert!(pain001::read(&changed).is_err(), "{to}");
    }
}

#[test]
fn a_status_report_is_understood_code_by_code() {
    let table = [
        ("ACCP", None, Status::UnderWay),
        ("ACTC", None, Status::UnderWay),
        ("ACSP", None, Status::UnderWay),
        ("PDNG", None, Status::UnderWay),
        ("ACSC", None, Status::Settled),
        ("ACCC", None, Status::Settled),
        ("RJCT", Some("AC04"), Status::Rejected),
        ("RJCT", None, Status::Rejected),
        ("RJCT", Some("DU01"), Status::Duplicate),
        ("RJCT", Some("AM05"), Status::Duplicate),
    ];
    for (code, reason, status) in table {
        let written = pain002::write(&instruction(), "RPT-1", code, reason, at());
        assert_structure(&written);
        let expected =
            TransferStatus { withdrawal_id: Some(withdrawal_id()), status, reason: reason.map(str::to_owned) };
        assert_eq!(read(&written), Ok(FromBank::Status(vec![expected])), "{code} {reason:?}");
    }
    golden("pain.002.rejected.xml", &pain002::write(&instruction(), "RPT-1", "RJCT", Some("AC04"), at()));
}

#[test]
fn a_report_about_the_whole_message_speaks_for_its_transfer() {
    let written = pain002::write(&instruction(), "RPT-1", "RJCT", Some("AC04"), at());
    let (head, _) = written.split_once("<OrgnlPmtInfAndSts>").unwrap();
    let status = "<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Prtry>FF01</Prtry></Rsn></StsRsnInf></OrgnlGrpInfAndSts>";
    let head = head.replace("</OrgnlGrpInfAndSts>", status);
    let message = format!("{head}</CstmrPmtStsRpt></Document>");
    let Ok(FromBank::Status(told)) = read(&message) else { panic!("{message}") };
    assert_eq!((told[0].withdrawal_id, told[0].status), (Some(withdrawal_id()), Status::Rejected));
    assert_eq!(told[0].reason.as_deref(), Some("FF01"));
    let silent = message.replace("<GrpSts>RJCT</GrpSts>", "");
    assert!(read(&silent).is_err(), "a report without any status");
}

#[test]
fn a_statement_tells_what_was_paid_and_what_came_back() {
    for (name, side, return_reason) in
        [("camt.053.paid.xml", EntrySide::Debit, None), ("camt.053.returned.xml", EntrySide::Credit, Some("AC04"))]
    {
        let amount = money(105_000, "EUR");
        let booking = Booking { withdrawal_id: withdrawal_id(), side, amount, return_reason };
        let written = camt053::write(&booking, "DE02120300000000202051", "STM-1", at());
        golden(name, &written);
        assert_structure(&written);
        let expected = Entry {
            withdrawal_id: Some(withdrawal_id()),
            side,
            amount,
            return_reason: return_reason.map(str::to_owned),
            booking: Some("STM-1".to_owned()),
        };
        assert_eq!(read(&written), Ok(FromBank::Statement(vec![expected])), "{name}");

        let pending = written.replace("<Cd>BOOK</Cd>", "<Cd>PDNG</Cd>");
        assert_eq!(read(&pending), Ok(FromBank::Statement(vec![])), "what is only expected does not count");
    }
}

#[test]
fn older_and_foreign_statements_are_read_too() {
    let message = r#"<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>
        <GrpHdr><MsgId>M</MsgId></GrpHdr><Stmt><Id>S</Id>
        <Ntry><Amt Ccy="EUR">12.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts></Ntry>
        <Ntry><Amt Ccy="EUR">3.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><Sts>BOOK</Sts><NtryDtls>
            <TxDtls><Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs><Amt Ccy="EUR">1.00</Amt></TxDtls>
            <TxDtls><Refs><EndToEndId>wd-0190a7mx5qrvdsyejb8tfqn3c2</EndToEndId></Refs><Amt Ccy="EUR">2.00</Amt></TxDtls>
        </NtryDtls></Ntry></Stmt></BkToCstmrStmt></Document>"#;
    let Ok(FromBank::Statement(entries)) = read(message) else { panic!("{:?}", read(message)) };
    let told: Vec<_> = entries.iter().map(|entry| (entry.withdrawal_id, entry.side, entry.amount.minor())).collect();
    let expected = [
        (None, EntrySide::Credit, 1_200),
        (None, EntrySide::Debit, 100),
        (Some(withdrawal_id()), EntrySide::Debit, 200),
    ];
    assert_eq!(told, expected);
    for (from, to) in [("Ccy=\"EUR\"", ""), ("CRDT", "BOTH"), ("12.00", "12.001"), ("<Sts>BOOK</Sts>", "")] {
        assert!(read(&message.replacen(from, to, 1)).is_err(), "{from} -> {to:?}");
    }
}
