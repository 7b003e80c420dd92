//! What payouts and their differences do, as tables and over random sequences.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::invariants::Books;
use crate::{Account, DomainEvent, Side};

fn payout(reference: &str, amount: i64, expected: i64) -> PayoutReceived {
    PayoutReceived {
        channel: "sandbox".parse().unwrap(),
        currency: Currency::USD,
        payout: reference.to_owned(),
        bank: "sandbox".parse().unwrap(),
        amount,
        expected,
        statement_lines: 2,
        statement_digest: "00".repeat(32),
        paid_at: Timestamp::default(),
    }
}

fn receive(reference: &str, amount: i64, expected: i64) -> Command {
    Command::ReceivePayout(payout(reference, amount, expected))
}

fn resolve(reference: &str, reason: DifferenceReason, by: &str) -> Command {
    Command::ResolveDifference { payout: reference.to_owned(), reason, by: by.to_owned(), at: Timestamp::default() }
}

fn after(commands: &[Command]) -> State {
    commands.iter().fold(State::default(), |state, command| {
        let events = ChannelAccount::decide(&state, command.clone()).unwrap();
        events.iter().fold(state, ChannelAccount::evolve)
    })
}

fn check(before: &[Command], command: Command, expected: Result<&[&str], ChannelAccountRejection>) {
    let decided = ChannelAccount::decide(&after(before), command.clone());
    let types = decided.map(|events| events.iter().map(DomainEvent::event_type).collect::<Vec<_>>());
    assert_eq!(types, expected.map(<[&str]>::to_vec), "{before:?} {command:?}");
}

const RECEIVED: &[&str] = &["channel_account.payout_received"];
const REQUESTED: &[&str] = &["channel_account.resolution_requested"];
const RESOLVED: &[&str] = &["channel_account.difference_resolved"];

#[test]
fn a_payout_is_booked_once() {
    check(&[], receive("po_1", 990, 990), Ok(RECEIVED));
    check(&[], receive("po_1", -990, -990), Ok(RECEIVED));
    check(&[], receive("po_1", AMOUNT_MAX, -AMOUNT_MAX), Ok(RECEIVED));
    check(&[receive("po_1", 990, 990)], receive("po_1", 990, 990), Ok(&[]));
    check(&[receive("po_1", 990, 990)], receive("po_2", 990, 990), Ok(RECEIVED));
    let contradicts = Err(ChannelAccountRejection::ContradictsPayout);
    check(&[receive("po_1", 990, 990)], receive("po_1", 991, 990), contradicts);
    check(&[receive("po_1", 990, 990)], receive("po_1", 990, 991), contradicts);
    check(&[], receive("", 990, 990), Err(ChannelAccountRejection::InvalidReference));
    check(&[], receive(&"x".repeat(256), 990, 990), Err(ChannelAccountRejection::InvalidReference));
    check(&[], receive("po_1", AMOUNT_MAX + 1, 990), Err(ChannelAccountRejection::AmountOutOfRange));
    check(&[], receive("po_1", 990, i64::MIN), Err(ChannelAccountRejection::AmountOutOfRange));
}

#[test]
fn a_difference_is_explained_once_and_a_large_one_by_two() {
    use DifferenceReason::{BankFee, WriteOff};
    let small = [receive("po_1", 900, 10_900)];
    let large = [receive("po_1", 900, 10_901)];
    let requested = [&large[..], &[resolve("po_1", BankFee, "anna")]].concat();
    let resolved = [&requested[..], &[resolve("po_1", BankFee, "ben")]].concat();
    check(&[], resolve("po_1", BankFee, "anna"), Err(ChannelAccountRejection::PayoutNotFound));
    check(&[receive("po_1", 5, 5)], resolve("po_1", BankFee, "anna"), Err(ChannelAccountRejection::NoDifference));
    check(&small, resolve("po_1", BankFee, "anna"), Ok(RESOLVED));
    check(&large, resolve("po_1", BankFee, "anna"), Ok(REQUESTED));
    check(&[receive("po_1", 10_901, 900)], resolve("po_1", BankFee, "anna"), Ok(REQUESTED));
    check(&requested, resolve("po_1", BankFee, "anna"), Err(ChannelAccountRejection::ApproverIsRequester));
    check(&requested, resolve("po_1", BankFee, "ben"), Ok(RESOLVED));
    // Another reason is another request, which its own second person must approve.
    check(&requested, resolve("po_1", WriteOff, "ben"), Ok(REQUESTED));
    check(&resolved, resolve("po_1", BankFee, "clara"), Err(ChannelAccountRejection::NoDifference));
}

#[test]
fn what_is_posted() {
    let state = after(&[receive("po_1", 990, 1_000)]);
    let resolved = |reason| ChannelAccount::decide(&state, resolve("po_1", reason, "anna")).unwrap().remove(0);
    let (receivable, cash, suspense) = ("channel:sandbox:receivable", "bank:sandbox:cash", "suspense:recon:sandbox");
    let table = [
        (Event::PayoutReceived(payout("po_1", 990, 990)), vec![(cash, receivable, 990)]),
        (Event::PayoutReceived(payout("po_1", -50, -50)), vec![(receivable, cash, 50)]),
        (Event::PayoutReceived(payout("po_1", 990, 1_000)), vec![(cash, receivable, 990), (suspense, receivable, 10)]),
        (
            Event::PayoutReceived(payout("po_1", 1_000, 990)),
            vec![(cash, receivable, 1_000), (receivable, suspense, 10)],
        ),
        (Event::PayoutReceived(payout("po_1", 0, 0)), vec![]),
        (resolved(DifferenceReason::BankFee), vec![("expense:bank_fee", suspense, 10)]),
        (resolved(DifferenceReason::FxDifference), vec![("fx:gain_loss", suspense, 10)]),
        (resolved(DifferenceReason::Rounding), vec![("expense:recon_writeoff", suspense, 10)]),
        (resolved(DifferenceReason::WriteOff), vec![("expense:recon_writeoff", suspense, 10)]),
    ];
    for (event, expected) in table {
        let legs = event.postings().map(|entry| entry.legs().to_vec()).unwrap_or_default();
        let transfers: Vec<_> = legs
            .chunks(2)
            .map(|pair| {
                assert_eq!((pair[0].side, pair[1].side), (Side::Debit, Side::Credit));
                (pair[0].account.to_string(), pair[1].account.to_string(), pair[0].amount)
            })
            .collect();
        let expected: Vec<_> =
            expected.into_iter().map(|(debit, credit, amount)| (debit.to_owned(), credit.to_owned(), amount)).collect();
        assert_eq!(transfers, expected, "{event:?}");
    }
}

fn write_off(exception: &str, amount: i64, reason: DifferenceReason) -> ExceptionWrittenOff {
    ExceptionWrittenOff {
        exception_id: ExceptionId::of_difference(&[exception]),
        channel: "sandbox".parse().unwrap(),
        currency: Currency::USD,
        amount,
        reason,
        written_off_at: Timestamp::default(),
    }
}

#[test]
fn a_difference_of_a_statement_is_written_off_once() {
    const WRITTEN_OFF: &[&str] = &["channel_account.exception_written_off"];
    let command = |name, amount| Command::WriteOffException(write_off(name, amount, DifferenceReason::WriteOff));
    check(&[], command("a", -5), Ok(WRITTEN_OFF));
    check(&[command("a", -5)], command("a", -5), Ok(&[]));
    check(&[command("a", -5)], command("b", -5), Ok(WRITTEN_OFF));
    for amount in [0, AMOUNT_MAX + 1, i64::MIN] {
        check(&[], command("a", amount), Err(ChannelAccountRejection::AmountOutOfRange));
    }
    let posted = |amount| {
        let entry = Event::ExceptionWrittenOff(write_off("a", amount, DifferenceReason::BankFee)).postings();
        let legs = entry.unwrap().legs().to_vec();
        (legs[0].account.to_string(), legs[1].account.to_string(), legs[0].amount)
    };
    let (receivable, fee) = ("channel:sandbox:receivable".to_owned(), "expense:bank_fee".to_owned());
    assert_eq!(posted(-5), (fee.clone(), receivable.clone(), 5), "the channel owes us less");
    assert_eq!(posted(5), (receivable, fee, 5), "the channel owes us more");
}

fn any_command() -> impl Strategy<Value = Command> {
    let reference = prop::sample::select(vec!["po_1", "po_2", "po_3"]);
    let reason = prop::sample::select(vec![DifferenceReason::BankFee, DifferenceReason::Rounding]);
    let by = prop::sample::select(vec!["anna", "ben", "clara"]);
    let amount = || -20_000..20_000_i64;
    prop_oneof![
        (reference.clone(), amount(), amount()).prop_map(|(reference, n, expected)| receive(reference, n, expected)),
        (reference, reason, by).prop_map(|(reference, reason, by)| resolve(reference, reason, by)),
    ]
}

proptest! {
    /// Whatever comes in whatever order: cash is the sum of the payouts, suspense the sum of what is not explained, and
    /// nobody explains a large difference alone.
    #[test]
    fn the_books_say_what_the_state_says(commands in prop::collection::vec(any_command(), 0..40)) {
        let (mut state, mut books) = (State::default(), Books::default());
        for command in commands {
            for event in ChannelAccount::decide(&state, command).unwrap_or_default() {
                if let Event::DifferenceResolved(resolved) = &event && resolved.difference.abs() > 10_000 {
                    prop_assert_ne!(&resolved.requested_by, &resolved.resolved_by);
                }
                books.post(event.postings().iter().flat_map(|entry| entry.legs()).cloned().collect::<Vec<_>>().as_slice()).unwrap();
                state = ChannelAccount::evolve(state, &event);
            }
        }
        let payouts: BTreeMap<_, _> = state.payouts;
        let open = payouts.values().filter(|payout| !payout.resolution.as_ref().is_some_and(|said| said.is_final));
        let cash: i64 = payouts.values().map(|payout| payout.amount).sum();
        let expected: i64 = payouts.values().map(|payout| payout.expected).sum();
        let unexplained: i64 = open.map(Payout::difference).sum();
        let balance = |path: &str| books.balance(&path.parse::<Account>().unwrap(), Currency::USD);
        prop_assert_eq!(balance("bank:sandbox:cash"), i128::from(cash));
        prop_assert_eq!(balance("channel:sandbox:receivable"), -i128::from(expected));
        prop_assert_eq!(balance("suspense:recon:sandbox"), -i128::from(unexplained));
    }
}
