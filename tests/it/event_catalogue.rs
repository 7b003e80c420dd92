//! One golden file per event type and version stays readable for ever, and `domain/EVENTS.md` shows them all.
//! `UPDATE_CATALOGUES=1` writes the catalogue anew; golden files are written by hand, once.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use commands::aggregates;

use domain::adjustment::Adjustment;
use domain::bank_account::BankAccount;
use domain::channel_account::ChannelAccount;
use domain::dispute::Dispute;
use domain::merchant::Merchant;
use domain::merchant_account::MerchantAccount;
use domain::merchant_limits::MerchantLimits;
use domain::order::Order;
use domain::order_claim::OrderClaim;
use domain::payment::Payment;
use domain::period::Period;
use domain::pre_auth::PreAuth;
use domain::rates::Rates;
use domain::reconciliation::Reconciliation;
use domain::reconciliation_exception::ReconciliationException;
use domain::settlement::Settlement;
use domain::tier::Tier;
use domain::withdrawal::Withdrawal;
use domain::{Decider, DomainEvent, Side};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn golden(event_type: &str, version: u16) -> String {
    let path = root().join(format!("tests/golden/events/{event_type}.v{version}.json"));
    fs::read_to_string(&path).unwrap_or_else(|_| panic!("{event_type} version {version} has no golden file"))
}

/// Every golden file of one aggregate decodes, encodes to the same JSON, and is listed.
fn describe<D: Decider>(page: &mut String) {
    writeln!(page, "\n## {}\n", D::CATEGORY).unwrap();
    for (event_type, version) in D::Event::TYPES {
        let text = golden(event_type, *version);
        let event: D::Event = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{event_type}: {error}"));
        assert_eq!((event.event_type(), event.schema_version()), (*event_type, *version));
        let (stored, written): (Value, Value) =
            (serde_json::from_str(&text).unwrap(), serde_json::to_value(&event).unwrap());
        assert_eq!(stored, written, "{event_type} is no longer written as it was");

        writeln!(page, "### {event_type} (version {version})\n\n```json").unwrap();
        writeln!(page, "{}\n```\n", serde_json::to_string_pretty(&stored[event_type]).unwrap()).unwrap();
        for leg in event.postings().iter().flat_map(|entry| entry.legs()) {
            let side = if leg.side == Side::Debit { "Dr" } else { "Cr" };
            writeln!(page, "- {side} `{}` {} {}", leg.account, leg.amount, leg.currency).unwrap();
        }
    }
}

#[test]
fn every_event_is_in_the_catalogue_and_stays_readable() {
    let mut page = "# Events\n\nGenerated from the code and the golden files. Amounts are minor units; what an event does to the books stands below it.\n".to_owned();
    describe::<Adjustment>(&mut page);
    describe::<BankAccount>(&mut page);
    describe::<ChannelAccount>(&mut page);
    describe::<Dispute>(&mut page);
    describe::<Merchant>(&mut page);
    describe::<MerchantAccount>(&mut page);
    describe::<MerchantLimits>(&mut page);
    describe::<Order>(&mut page);
    describe::<OrderClaim>(&mut page);
    describe::<Payment>(&mut page);
    describe::<Period>(&mut page);
    describe::<PreAuth>(&mut page);
    describe::<Rates>(&mut page);
    describe::<Reconciliation>(&mut page);
    describe::<ReconciliationException>(&mut page);
    describe::<Settlement>(&mut page);
    describe::<Tier>(&mut page);
    describe::<Withdrawal>(&mut page);
    let described = page.lines().filter_map(|line| line.strip_prefix("## ")).collect::<Vec<_>>();
    assert_eq!(described, aggregates::categories());
    let path = root().join("domain/EVENTS.md");
    if std::env::var_os("UPDATE_CATALOGUES").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "domain/EVENTS.md is out of date: run the tests once with UPDATE_CATALOGUES=1");
}

/// A golden file whose event no longer exists would go unread.
#[test]
fn every_golden_file_belongs_to_an_event() {
    let known: Vec<&str> = aggregates::all().iter().flat_map(|one| one.types).map(|(name, _)| *name).collect();
    for entry in fs::read_dir(root().join("tests/golden/events")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let event_type = name.rsplit_once(".v").map(|(event_type, _)| event_type.to_owned()).unwrap();
        assert!(known.contains(&event_type.as_str()), "{name} belongs to no event");
    }
}
