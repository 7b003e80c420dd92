//! The life of a merchant as tables.

use uuid::Uuid;

use super::*;
use crate::Currency;
use crate::pricing::{PricingModel, RefundFeePolicy};
use crate::tier::{self, Limits, SettlementCycle};

fn second(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn terms(name: &str) -> Terms {
    Terms {
        merchant_id: MerchantId::from_uuid(Uuid::nil()),
        name: name.to_owned(),
        tier: TierName::Starter,
        pricing_model: PricingModel::CostPlus,
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: None,
        time_zone: None,
        onboarded_at: second(0),
    }
}

fn run(commands: impl IntoIterator<Item = Command>) -> Result<(State, usize), MerchantRejection> {
    let mut count = 0;
    let mut state = State::Absent;
    for command in commands {
        let events = Merchant::decide(&state, command)?;
        count += events.len();
        state = events.iter().fold(state, Merchant::evolve);
    }
    Ok((state, count))
}

fn onboarded_and(commands: impl IntoIterator<Item = Command>) -> Result<(State, usize), MerchantRejection> {
    run(std::iter::once(Command::Onboard(terms("Acme"))).chain(commands))
}

fn record(state: &State) -> Record {
    state.record().unwrap().clone()
}

fn change(changes: Changes) -> Command {
    Command::ChangeTerms { changes: Box::new(changes), at: second(1) }
}

#[test]
fn a_merchant_is_onboarded_once() {
    let zone = |name: &str| Terms { time_zone: Some(name.parse().unwrap()), ..terms("Acme") };
    let table = [
        (vec![terms("Acme")], Ok(1)),
        (vec![terms("Acme"), terms("Acme")], Ok(1)),
        (vec![terms("Acme"), terms("Other")], Err(MerchantRejection::AlreadyOnboarded)),
        (vec![terms(" ")], Err(MerchantRejection::InvalidName)),
        (vec![terms("a\nb")], Err(MerchantRejection::InvalidName)),
        (vec![zone("Europe/Berlin")], Ok(1)),
        (vec![zone("Mars/Olympus")], Err(MerchantRejection::InvalidTimeZone)),
    ];
    for (commands, expected) in table {
        let decided = run(commands.clone().into_iter().map(Command::Onboard)).map(|(_, events)| events);
        assert_eq!(decided, expected, "{commands:?}");
    }
    let nobody = Merchant::decide(&State::Absent, Command::Suspend { at: second(1) });
    assert_eq!(nobody, Err(MerchantRejection::NotFound));
}

#[test]
fn a_merchant_is_suspended_and_closed() {
    let (suspend, activate) = (Command::Suspend { at: second(1) }, Command::Activate { at: second(2) });
    let close = Command::Close { at: second(3) };
    let table = [
        (vec![suspend.clone()], Ok((Status::Suspended, 2))),
        (vec![suspend.clone(), suspend.clone()], Ok((Status::Suspended, 2))),
        (vec![activate.clone()], Ok((Status::Active, 1))),
        (vec![suspend.clone(), activate.clone()], Ok((Status::Active, 3))),
        (vec![close.clone(), close.clone()], Ok((Status::Closed, 2))),
        (vec![suspend.clone(), close.clone()], Ok((Status::Closed, 3))),
        (vec![close.clone(), activate], Err(MerchantRejection::Closed)),
        (vec![close.clone(), suspend], Err(MerchantRejection::Closed)),
        (vec![close, change(Changes::default())], Err(MerchantRejection::Closed)),
    ];
    for (commands, expected) in table {
        let ended = onboarded_and(commands.clone()).map(|(state, events)| (record(&state).status, events));
        assert_eq!(ended, expected, "{commands:?}");
    }
}

#[test]
fn a_tier_changes_at_its_time() {
    let to = |tier, from: Option<i64>, at: i64| Command::ChangeTier {
        tier,
        effective_from: from.map(second),
        at: second(at),
    };
    use TierName::{Business, Enterprise, Premium, Starter};
    // Commands, and the tier at 5, 15, 25 and 35 s.
    let table = [
        (vec![to(Business, None, 10)], [Starter, Business, Business, Business]),
        (vec![to(Business, Some(20), 10)], [Starter, Starter, Business, Business]),
        (vec![to(Business, Some(20), 10), to(Premium, Some(30), 11)], [Starter, Starter, Business, Premium]),
        (vec![to(Premium, Some(30), 10), to(Business, Some(20), 11)], [Starter, Starter, Business, Business]),
        (vec![to(Premium, Some(20), 10), to(Starter, None, 12)], [Starter, Starter, Starter, Starter]),
        (
            vec![to(Business, None, 10), to(Enterprise, None, 20), to(Starter, None, 30)],
            [Starter, Business, Enterprise, Starter],
        ),
    ];
    for (commands, expected) in table {
        let mut state = onboarded_and([]).unwrap().0;
        let mut seen = vec![];
        let mut due = commands.clone().into_iter().peekable();
        for moment in [5, 15, 25, 35] {
            let begun = |command: &Command| matches!(command, Command::ChangeTier { at, .. } if *at <= second(moment));
            while let Some(command) = due.next_if(begun) {
                state = Merchant::decide(&state, command).unwrap().iter().fold(state, Merchant::evolve);
            }
            seen.push(record(&state).tier_at(second(moment)));
        }
        assert_eq!(seen, expected, "{commands:?}");
    }
    assert_eq!(onboarded_and([to(Starter, None, 1)]).map(|(_, events)| events), Ok(1), "nothing changes");
    assert_eq!(onboarded_and([to(Business, Some(9), 10)]), Err(MerchantRejection::InvalidEffectiveFrom));
    let planned = record(&onboarded_and([to(Business, Some(20), 10)]).unwrap().0);
    assert_eq!(planned.next_tier(second(10)).map(|next| next.tier), Some(Business));
    assert_eq!(planned.next_tier(second(20)), None);
}

#[test]
fn terms_change_in_parts() {
    let limits = |daily| Changes {
        limits: Some(OwnLimits { daily: Some(daily), ..OwnLimits::default() }),
        ..Changes::default()
    };
    let credit = |credit_limit| Changes { credit_limit: Some(credit_limit), ..Changes::default() };
    let reserve =
        |basis_points, days| Changes { reserve: Some(ReservePlan { basis_points, days }), ..Changes::default() };
    let table = [
        (Changes::default(), Ok(0)),
        (limits(5_000), Ok(1)),
        (limits(0), Err(MerchantRejection::InvalidOwnLimits)),
        (credit(Some(0)), Ok(1)),
        (credit(None), Ok(0)),
        (credit(Some(-1)), Err(MerchantRejection::InvalidCreditLimit)),
        (reserve(500, 90), Ok(1)),
        (reserve(10_001, 90), Err(MerchantRejection::InvalidReserve)),
        (reserve(500, 0), Err(MerchantRejection::InvalidReserve)),
        (reserve(0, 731), Err(MerchantRejection::InvalidReserve)),
        (Changes { withdrawal_two_person: Some(-1), ..Changes::default() }, Err(MerchantRejection::InvalidThreshold)),
        (
            Changes { time_zone: Some("Mars/Olympus".parse().unwrap()), ..Changes::default() },
            Err(MerchantRejection::InvalidTimeZone),
        ),
        (Changes { pre_auth: Some(false), ..Changes::default() }, Ok(1)),
    ];
    for (changes, expected) in table {
        let decided = onboarded_and([change(changes.clone())]).map(|(_, events)| events - 1);
        assert_eq!(decided, expected, "{changes:?}");
    }
    let (state, _) = onboarded_and([change(limits(5_000)), change(credit(Some(7)))]).unwrap();
    let agreement = record(&state).agreement;
    assert_eq!((agreement.limits.daily, agreement.credit_limit), (Some(5_000), Some(7)), "one change keeps the other");
}

fn enterprise() -> tier::Terms {
    tier::Terms {
        tier: TierName::Enterprise,
        limits: Limits { per_payment: 10, daily: 100, monthly: 1_000 },
        markup_rate: rust_decimal::Decimal::new(45, 4),
        settlement_cycle: SettlementCycle::SameBusinessDay,
        several_currencies: true,
        pre_auth: true,
        api_calls_per_minute: 7,
        effective_from: second(0),
    }
}

#[test]
fn the_tier_and_the_agreement_hold_together() {
    let tier = enterprise();
    let starter = tier::Terms { several_currencies: false, pre_auth: false, ..tier.clone() };
    let plain = record(&onboarded_and([]).unwrap().0);
    let in_force = InForce::of(&plain, &tier);
    assert_eq!((in_force.limits, in_force.credit_limit), (tier.limits, 10));
    assert_eq!(in_force.api_calls_per_minute, 7);
    assert_eq!((in_force.may_take(Currency::EUR), in_force.may_authorize()), (Ok(()), Ok(())));
    let in_force = InForce::of(&plain, &starter);
    assert_eq!(in_force.may_take(Currency::USD), Ok(()), "USD unless another one was agreed");
    assert_eq!(in_force.may_take(Currency::EUR), Err(MerchantRejection::CurrencyNotEnabled));
    assert_eq!(in_force.may_authorize(), Err(MerchantRejection::PreAuthNotEnabled));

    let changes = Changes {
        home_currency: Some(Currency::EUR),
        limits: Some(OwnLimits { per_payment: Some(20), api_calls_per_minute: Some(9), ..OwnLimits::default() }),
        credit_limit: Some(Some(3)),
        pre_auth: Some(false),
        several_currencies: Some(false),
        ..Changes::default()
    };
    let (state, _) = onboarded_and([change(changes), Command::Suspend { at: second(2) }]).unwrap();
    let in_force = InForce::of(&record(&state), &tier);
    assert_eq!(in_force.limits, Limits { per_payment: 20, ..tier.limits });
    assert_eq!(in_force.api_calls_per_minute, 9);
    assert_eq!(in_force.credit_limit, 3);
    assert_eq!(
        (in_force.may_take(Currency::EUR), in_force.may_take(Currency::USD)),
        (Ok(()), Err(MerchantRejection::CurrencyNotEnabled))
    );
    assert_eq!(in_force.may_authorize(), Err(MerchantRejection::PreAuthNotEnabled));
}

#[test]
fn a_merchant_that_left_takes_out_what_it_has_and_does_nothing_new() {
    let tier = enterprise();
    let suspended = [Command::Suspend { at: second(2) }];
    let closed = [Command::Close { at: second(2) }];
    let table = [
        (vec![], Ok(()), Ok(())),
        (suspended.to_vec(), Err(MerchantRejection::Suspended), Err(MerchantRejection::Suspended)),
        (closed.to_vec(), Err(MerchantRejection::Closed), Ok(())),
    ];
    for (commands, business, withdrawal) in table {
        let (state, _) = onboarded_and(commands.clone()).unwrap();
        let in_force = InForce::of(&record(&state), &tier);
        assert_eq!(
            (in_force.may_begin_new_business(), in_force.may_withdraw()),
            (business, withdrawal),
            "{commands:?}"
        );
    }
}
