//! Every format against its sample file, and what becomes of files that are not of it.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::*;

fn tell(found: &Found) -> String {
    match found {
        Found::Line(line) => {
            let amounts = line.amounts;
            let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "-".to_owned());
            format!(
                "{} {} {} {} {} {} {} {}",
                line.number,
                line.kind,
                named(&line.reference),
                named(&line.own_reference),
                amounts.currency,
                amounts.gross,
                amounts.fee,
                &line.occurred_at.to_string()[..19]
            )
        }
        Found::Bad(bad) => format!("{} BAD {}", bad.number, bad.reason),
        Found::Closing(closing) => format!("closing {} {} {}", closing.currency, closing.amount, closing.before),
    }
}

fn read_file(format: &StatementFormat, path: &Path) -> Result<Vec<String>, Unreadable> {
    let mut told = vec![];
    read(format, File::open(path).unwrap(), &mut |found| {
        told.push(tell(&found));
        true
    })?;
    Ok(told)
}

#[track_caller]
fn check(format: &StatementFormat, name: &str, expected: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/statements").join(name);
    assert_eq!(read_file(format, &path).unwrap(), expected);
}

fn read_text(format: &StatementFormat, text: &[u8]) -> Result<Vec<String>, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text).unwrap();
    read_file(format, file.path()).map_err(|error| error.to_string())
}

#[test]
fn stripes_itemised_payout_reconciliation() {
    check(
        &StatementFormat::StripePayout,
        "stripe_payout.csv",
        &[
            "2 charge pi_3QLk2eLkdIwHu7ix1a0b0001 pay_01k9zc4x8me1wbn7t5c1vq0d21 USD 10000 320 2026-11-17T08:12:44",
            "3 charge pi_3QLk2eLkdIwHu7ix1a0b0002 pay_01k9zc4x8me1wbn7t5c1vq0d22 USD 5990 204 2026-11-17T09:40:02",
            "4 refund re_3QLk2eLkdIwHu7ix1a0b0001 re_01k9zc4x8me1wbn7t5c1vq0d31 USD -10000 0 2026-11-17T11:05:59",
            "5 charge pi_3QLk2eLkdIwHu7ix1a0b0003 pay_01k9zc4x8me1wbn7t5c1vq0d23 JPY 12000 432 2026-11-17T15:21:13",
            "6 dispute dp_1QM0aaLkdIwHu7ixxd5e0001 - USD -5990 1500 2026-11-18T02:00:31",
            "7 fee txn_radar_202611 - USD 0 125 2026-11-18T03:10:00",
            "9 BAD net is not gross less fee",
            "10 BAD an amount is not one of its currency",
            "11 dispute_reversal dp_1QM0aaLkdIwHu7ixxd5e0009 - USD -5990 -1500 2026-11-18T09:12:00",
        ],
    );
}

#[test]
fn paypals_settlement_report() {
    check(
        &StatementFormat::PaypalStl,
        "paypal_stl.csv",
        &[
            "5 charge 5TY05013RG002845M pay_01k9zc4x8me1wbn7t5c1vq0e21 USD 10000 379 2026-11-18T08:01:17",
            "6 charge 8AB12345CD678901E - USD 4550 207 2026-11-18T11:15:40",
            "7 refund 1RF98765GH432109K - USD -10000 0 2026-11-18T16:30:00",
            "8 dispute 3CB55555AA111111Z - USD -2500 0 2026-11-18T17:00:00",
            "9 fee 4FE66666CC333333X - USD -2000 0 2026-11-18T17:00:00",
            "10 payout 7BW44444DD444444W - USD -1000 0 2026-11-19T07:00:00",
            "11 BAD an amount is neither CR nor DR",
            "16 charge 2JP11111FF666666U - JPY 12000 472 2026-11-18T12:00:00",
            "closing USD 998464 2026-11-19T08:00:00.000000Z",
            "closing JPY 11528 2026-11-19T08:00:00.000000Z",
        ],
    );
}

#[test]
fn alipays_trade_bill() {
    check(
        &StatementFormat::AlipayBill,
        "alipay_bill.csv",
        &[
            "6 charge 2026111822001456780501000001 pay_01k9zc4x8me1wbn7t5c1vq0f21 CNY 12800 77 2026-11-18T01:15:04",
            "7 charge 2026111822001456780501000002 - CNY 6660 40 2026-11-18T02:01:09",
            "8 refund 2026111822001456780501000001 re_01k9zc4x8me1wbn7t5c1vq0f31 CNY -2800 -17 2026-11-18T13:40:12",
            "9 BAD a date cannot be read",
        ],
    );
}

#[test]
fn a_banks_statement() {
    check(
        &StatementFormat::Camt053,
        "camt053.xml",
        &[
            "closing USD 183000 2026-11-19T00:00:00.000000Z",
            "1 transfer po_1QNfH2LkdIwHu7ixT9aVbW3c - USD 98000 0 2026-11-18T00:00:00",
            "2 withdrawal - wd_01k9zc4x8me1wbn7t5c1vq0h21 USD -10000 0 2026-11-18T00:00:00",
            "3 withdrawal - wd_01k9zc4x8me1wbn7t5c1vq0h22 USD -5000 0 2026-11-18T00:00:00",
            "4 BAD an amount is not one of USD",
            "5 transfer FEE-2026-11 - USD -50 0 2026-11-18T00:00:00",
        ],
    );
}

#[test]
fn a_table_with_a_column_map() {
    let map = "reference=Transaction ID,own_reference=Our ID,kind=Type,gross=Amount,fee=Commission,net=Net Amount,\
               currency=Ccy,date=Txn Date,balance=Balance";
    check(
        &StatementFormat::Csv(map.parse().unwrap()),
        "columns.csv",
        &[
            "2 charge T-1 pay_01k9zc4x8me1wbn7t5c1vq0g21 USD 10000 100 2026-11-18T10:00:00",
            "3 charge T-2 - USD 2000 20 2026-11-18T11:00:00",
            "4 refund T-3 re_01k9zc4x8me1wbn7t5c1vq0g31 USD -500 0 2026-11-18T11:30:00",
            "5 payout PO-1 - USD -9400 0 2026-11-18T00:00:00",
            "6 BAD an amount is not one of its currency",
            "7 BAD the kind is none of those that are known",
            "8 BAD the currency is not known",
            "9 BAD net is not gross less fee",
            "closing USD 11380 2026-11-18T11:30:01.000000Z",
        ],
    );
}

#[test]
fn a_file_of_another_format_is_told_apart() {
    let csv = StatementFormat::Csv(commands::ports::statements::ColumnMap::default());
    let table: [(StatementFormat, &[u8], &str); 9] = [
        (StatementFormat::StripePayout, b"", "the file is empty"),
        (StatementFormat::StripePayout, b"a,b\n1,2\n", "the file has no column created_utc or created"),
        (StatementFormat::PaypalStl, b"a,b\n", "the report does not begin with RH"),
        (StatementFormat::PaypalStl, b"\"RH\",x\n\"SB\",1\n", "a section has no line of headings"),
        (StatementFormat::PaypalStl, b"\"RH\",x\n", "the report breaks off: its last record, FF, is missing"),
        (StatementFormat::AlipayBill, b"#only a comment\n", "the bill has no line of headings"),
        (StatementFormat::Camt053, b"<a/>", "this is no document of ISO 20022"),
        (StatementFormat::Camt053, b"not xml", "the message is not well-formed XML"),
        (csv.clone(), b"gross,currency\n", "the file has no column date"),
    ];
    for (format, text, expected) in table {
        assert_eq!(read_text(&format, text), Err(expected.to_owned()), "{}", format.as_str());
    }
    assert!("gross=A,gross=B".parse::<commands::ports::statements::ColumnMap>().is_err());
    assert!("colour=A".parse::<commands::ports::statements::ColumnMap>().is_err());
}

#[test]
fn a_section_that_lost_lines_says_so() {
    let text = "\"RH\",x\n\"CH\",\"Transaction ID\",\"Transaction Event Code\",\"Transaction Initiation Date\",\
                \"Transaction Debit or Credit\",\"Gross Transaction Amount\",\"Gross Transaction Currency\",\
                \"Fee Debit or Credit\",\"Fee Amount\"\n\"SB\",\"T1\",\"T0006\",2026/11/18 00:01:17 -0800,\"CR\",5,\"USD\",\"\",\n\
                \"SC\",2\n\"FF\",1\n";
    let told = read_text(&StatementFormat::PaypalStl, text.as_bytes()).unwrap();
    let expected =
        ["3 charge T1 - USD 5 0 2026-11-18T08:01:17", "4 BAD the section has another number of lines than it says"];
    assert_eq!(told, expected);
}

#[test]
fn reading_ends_when_nobody_wants_more() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"gross,currency,date\n1,USD,2026-11-18\n2,USD,2026-11-18\n").unwrap();
    let format = StatementFormat::Csv(commands::ports::statements::ColumnMap::default());
    let mut taken = 0;
    let read = read(&format, File::open(file.path()).unwrap(), &mut |_| {
        taken += 1;
        false
    });
    assert_eq!((read, taken), (Err(Unreadable::GivenUp), 1));
}
