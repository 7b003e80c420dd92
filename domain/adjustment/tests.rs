//! What may be proposed, who may approve it, and that what is posted always balances.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::merchant_account::{Action, Adjust};
use crate::money::AMOUNT_MAX;
use crate::{Account, Currency, DomainEvent, MerchantId, Side};

const NOW: &str = "2026-11-21T10:00:00Z";

fn leg(account: &str, side: Side, amount: i64) -> Leg {
    Leg { account: account.parse().unwrap(), side, amount, currency: Currency::USD }
}

fn owners_money(amount: i64) -> Vec<Leg> {
    vec![leg("bank:main:cash", Side::Debit, amount), leg("equity:owner", Side::Credit, amount)]
}

fn proposing(legs: Vec<Leg>) -> Propose {
    Propose {
        adjustment_id: AdjustmentId::from_uuid(Uuid::from_u128(1)),
        reason: "the owner's first money".to_owned(),
        legs,
        effective_at: None,
        closed_until: None,
        by: "anna".to_owned(),
        at: NOW.parse().unwrap(),
    }
}

fn approve(by: &str) -> Command {
    Command::Approve { by: by.to_owned(), closed_until: None, at: NOW.parse().unwrap() }
}

fn reject(by: &str) -> Command {
    Command::Reject { by: by.to_owned(), at: NOW.parse().unwrap() }
}

fn after(commands: &[Command]) -> State {
    commands.iter().fold(State::Absent, |state, command| {
        Adjustment::decide(&state, command.clone()).unwrap().iter().fold(state, Adjustment::evolve)
    })
}

fn types(decided: Result<Vec<Event>, AdjustmentRejection>) -> Result<Vec<&'static str>, AdjustmentRejection> {
    decided.map(|events| events.iter().map(DomainEvent::event_type).collect())
}

#[test]
fn what_may_be_proposed() {
    let merchant = MerchantId::from_uuid(Uuid::nil());
    let to = |account: &str| vec![leg("equity:owner", Side::Debit, 5), leg(account, Side::Credit, 5)];
    let of_merchant = |rest: &str| to(&format!("merchant:{merchant}:{rest}"));
    let at = |text: &str| Some(text.parse().unwrap());
    let base = || proposing(owners_money(5));
    let unbalanced = vec![leg("bank:main:cash", Side::Debit, 5), leg("equity:owner", Side::Credit, 4)];
    let closed = at("2026-11-01T00:00:00Z");
    let (pending, available) = (format!("merchant:{merchant}:pending"), format!("merchant:{merchant}:available"));
    let from_pending = vec![leg(&pending, Side::Debit, 5), leg(&available, Side::Credit, 5)];
    let three_legs =
        [owners_money(5), vec![leg(&available, Side::Debit, 1), leg("equity:owner", Side::Credit, 1)]].concat();
    let table = [
        (base(), Ok(())),
        (proposing(owners_money(AMOUNT_MAX)), Ok(())),
        (proposing(of_merchant("pending")), Ok(())),
        (proposing(to("channel:sandbox:receivable")), Ok(())),
        (Propose { effective_at: at(NOW), closed_until: closed, ..base() }, Ok(())),
        (Propose { effective_at: closed, closed_until: closed, ..base() }, Ok(())),
        (Propose { reason: " ".to_owned(), ..base() }, Err(AdjustmentRejection::InvalidReason)),
        (Propose { reason: "a\nb".to_owned(), ..base() }, Err(AdjustmentRejection::InvalidReason)),
        (Propose { reason: "x".repeat(REASON_MAX + 1), ..base() }, Err(AdjustmentRejection::InvalidReason)),
        (proposing(vec![owners_money(5); 51].concat()), Err(AdjustmentRejection::TooManyLegs)),
        (proposing(of_merchant("available")), Ok(())),
        (proposing(of_merchant("receivable")), Err(AdjustmentRejection::AccountNotAdjustable)),
        (proposing(three_legs), Err(AdjustmentRejection::AccountNotAdjustable)),
        (proposing(from_pending), Err(AdjustmentRejection::AccountNotAdjustable)),
        (proposing(to("memo:auth:sandbox")), Err(AdjustmentRejection::AccountNotAdjustable)),
        (proposing(owners_money(0)), Err(AdjustmentRejection::InvalidAmount)),
        (proposing(owners_money(AMOUNT_MAX + 1)), Err(AdjustmentRejection::InvalidAmount)),
        (proposing(unbalanced), Err(AdjustmentRejection::EntryUnbalanced)),
        (proposing(vec![]), Err(AdjustmentRejection::EntryUnbalanced)),
        (Propose { effective_at: at("2026-11-21T10:00:01Z"), ..base() }, Err(AdjustmentRejection::EffectiveInFuture)),
        (
            Propose { effective_at: at("2026-10-31T23:59:59Z"), closed_until: closed, ..base() },
            Err(AdjustmentRejection::PeriodClosed),
        ),
    ];
    for (propose, expected) in table {
        let decided = types(Adjustment::decide(&State::Absent, Command::Propose(propose.clone())));
        assert_eq!(decided, expected.map(|()| vec!["adjustment.proposed"]), "{propose:?}");
    }
}

#[test]
fn two_people_decide() {
    let proposed = || Command::Propose(proposing(owners_money(5)));
    let table = [
        (vec![], approve("ben"), Err(AdjustmentRejection::NotFound)),
        (vec![proposed()], proposed(), Err(AdjustmentRejection::AlreadyExists)),
        (vec![proposed()], approve("anna"), Err(AdjustmentRejection::ApproverIsRequester)),
        (vec![proposed()], approve("ben"), Ok(vec!["adjustment.approved"])),
        (vec![proposed()], reject("ben"), Ok(vec!["adjustment.rejected"])),
        (vec![proposed()], reject("anna"), Ok(vec!["adjustment.rejected"])),
        (vec![proposed(), approve("ben")], approve("ben"), Ok(vec![])),
        (vec![proposed(), approve("ben")], approve("clara"), Err(AdjustmentRejection::AlreadyDecided)),
        (vec![proposed(), approve("ben")], reject("clara"), Err(AdjustmentRejection::AlreadyDecided)),
        (vec![proposed(), reject("ben")], reject("ben"), Ok(vec![])),
        (vec![proposed(), reject("ben")], approve("clara"), Err(AdjustmentRejection::AlreadyDecided)),
    ];
    for (before, command, expected) in table {
        assert_eq!(types(Adjustment::decide(&after(&before), command.clone())), expected, "{before:?} {command:?}");
    }
}

#[test]
fn a_period_that_was_closed_meanwhile_refuses_the_approval() {
    let effective_at = Some("2026-10-31T12:00:00Z".parse().unwrap());
    let state = after(&[Command::Propose(Propose { effective_at, ..proposing(owners_money(5)) })]);
    let closed_until = Some("2026-11-01T00:00:00Z".parse().unwrap());
    let approve = Command::Approve { by: "ben".to_owned(), closed_until, at: NOW.parse().unwrap() };
    assert_eq!(Adjustment::decide(&state, approve), Err(AdjustmentRejection::PeriodClosed));
}

#[test]
fn a_merchants_account_posts_what_it_guards() {
    let merchant_id = MerchantId::from_uuid(Uuid::nil());
    let (available, owed) = (format!("merchant:{merchant_id}:available"), format!("merchant:{merchant_id}:receivable"));
    let adjustment_id = AdjustmentId::from_uuid(Uuid::from_u128(1));
    let adjust = |counter: &str| Adjust { adjustment_id, counter: counter.parse().unwrap(), amount: 5 };
    let table = [
        ("expense:merchant_loss", available.as_str(), Some(Action::CreditAvailable(adjust("expense:merchant_loss")))),
        (&available, "liability:tax", Some(Action::DebitAvailable(adjust("liability:tax")))),
        ("expense:merchant_loss", &owed, Some(Action::WriteOff { adjustment_id, amount: 5 })),
        ("bank:main:cash", "equity:owner", None),
    ];
    for (debit, credit, expected) in table {
        for reversed in [false, true] {
            let mut legs = vec![leg(debit, Side::Debit, 5), leg(credit, Side::Credit, 5)];
            if reversed {
                legs.reverse();
            }
            let state = after(&[Command::Propose(proposing(legs))]);
            let delegated = state.record().unwrap().proposal.delegated();
            assert_eq!(delegated.map(|delegated| delegated.action), expected, "{debit} {credit}");
            let approved = Adjustment::decide(&state, approve("ben")).unwrap();
            assert_eq!(approved[0].postings().is_some(), expected.is_none(), "{debit} {credit} is posted once");
        }
    }
}

proptest! {
    /// Whatever legs are proposed: what gets through and is approved posts exactly those legs, and they balance.
    #[test]
    fn what_is_approved_balances(legs in prop::collection::vec((0..4_usize, any::<bool>(), 0..4_i64), 0..6)) {
        let accounts = [
            Account::EquityOwner,
            Account::LiabilityTax,
            Account::ExpenseBankFee,
            Account::MerchantAvailable(MerchantId::from_uuid(Uuid::nil())),
        ];
        let leg = |(account, debit, amount): &(usize, bool, i64)| Leg {
            account: accounts[*account].clone(),
            side: if *debit { Side::Debit } else { Side::Credit },
            amount: *amount,
            currency: Currency::USD,
        };
        let legs: Vec<Leg> = legs.iter().map(leg).collect();
        let Ok(proposed) = Adjustment::decide(&State::Absent, Command::Propose(proposing(legs.clone()))) else {
            return Ok(());
        };
        let state = proposed.iter().fold(State::Absent, Adjustment::evolve);
        let approved = Adjustment::decide(&state, approve("ben")).unwrap();
        let delegated = state.record().and_then(|record| record.proposal.delegated());
        match approved[0].postings() {
            Some(posted) => {
                prop_assert_eq!(posted.legs(), legs.as_slice());
                prop_assert!(legs.iter().all(|leg| !leg.account.has_one_guard()));
            }
            None => prop_assert!(delegated.is_some()),
        }
        let sum: i64 = legs.iter().map(|leg| if leg.side == Side::Debit { leg.amount } else { -leg.amount }).sum();
        prop_assert_eq!(sum, 0);
    }
}
