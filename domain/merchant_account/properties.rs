//! Whatever is asked of an account, in any order: nothing goes below zero, and the books hold what the state says.

use proptest::prelude::*;
use uuid::Uuid;

use super::tests::Ledger;
use super::*;

/// What is asked, without what follows from where the account stands.
#[derive(Debug, Clone)]
enum Asked {
    Close { net: i64, gross: i64, percent: u32, days: u32 },
    Release(u64),
    ReleaseReserve(u64),
    Hold { id: u8, amount: i64, fee: i64, pending: i64 },
    Withdrawal { id: u8, what: u8, bank_fee: i64, return_fee: bool },
    Adjust { id: u8, what: u8, amount: i64 },
    Wait(u8),
}

fn asked() -> impl Strategy<Value = Asked> {
    let amount = -1..=1_000_i64;
    prop_oneof![
        (-1_500..=1_500_i64, 0..=2_000_i64, 0..=101_u32, 0..=9_u32)
            .prop_map(|(net, gross, percent, days)| Asked::Close { net, gross, percent, days }),
        (0..=30_u64).prop_map(Asked::Release),
        (0..=30_u64).prop_map(Asked::ReleaseReserve),
        (0..=4_u8, amount.clone(), -1..=9_i64, -300..=300_i64).prop_map(|(id, amount, fee, pending)| Asked::Hold {
            id,
            amount,
            fee,
            pending
        }),
        (0..=4_u8, 0..=3_u8, -1..=300_i64, any::<bool>())
            .prop_map(|(id, what, bank_fee, return_fee)| Asked::Withdrawal { id, what, bank_fee, return_fee }),
        (0..=4_u8, 0..=2_u8, amount).prop_map(|(id, what, amount)| Asked::Adjust { id, what, amount }),
        (0..=9_u8).prop_map(Asked::Wait),
    ]
}

fn action(asked: &Asked, state: &State, at: Timestamp) -> Option<Action> {
    let bank: BankName = "sandbox".parse().unwrap();
    let of_window = |nth: u64| SettlementId::of_window(MerchantId::from_uuid(Uuid::from_u128(7)), "USD", nth * 10);
    Some(match *asked {
        Asked::Close { net, gross, percent, days } => Action::CloseSettlement(CloseSettlement {
            window: Window { from: state.cut_off(), to: state.cut_off() + 10, cut_off_at: at },
            net: net.into(),
            gross_captured: gross.into(),
            items: 1,
            items_digest: String::new(),
            reserve: ReservePlan { rate: Decimal::new(percent.into(), 2), days },
        }),
        Asked::Release(nth) => Action::ReleaseSettlement { settlement_id: of_window(nth) },
        Asked::ReleaseReserve(nth) => Action::ReleaseReserve { settlement_id: of_window(nth) },
        Asked::Hold { id, amount, fee, pending } => {
            let withdrawal_id = WithdrawalId::from_uuid(Uuid::from_u128(id.into()));
            Action::HoldWithdrawal(HoldWithdrawal { withdrawal_id, amount, fee, pending: pending.into() })
        }
        Asked::Withdrawal { id, what, bank_fee, return_fee } => {
            let withdrawal_id = WithdrawalId::from_uuid(Uuid::from_u128(id.into()));
            match what {
                0 => Action::ReleaseWithdrawal { withdrawal_id, cause: ReleaseCause::Rejected },
                1 => Action::SendWithdrawal { withdrawal_id, bank },
                2 => Action::RecordWithdrawalPaid { withdrawal_id },
                _ => Action::RecordWithdrawalFailed(FailWithdrawal { withdrawal_id, bank_fee, return_fee }),
            }
        }
        Asked::Adjust { id, what, amount } => {
            let adjustment_id = AdjustmentId::from_uuid(Uuid::from_u128(id.into()));
            let adjust = Adjust { adjustment_id, counter: Account::BankCash(bank), amount };
            match what {
                0 => Action::CreditAvailable(adjust),
                1 => Action::DebitAvailable(adjust),
                _ => Action::WriteOff { adjustment_id, amount },
            }
        }
        Asked::Wait(_) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// `Ledger::act` checks the state, the books and that the two agree after every action.
    #[test]
    fn whatever_is_asked_the_books_hold_what_the_state_says(all in prop::collection::vec(asked(), 0..60)) {
        let (mut ledger, mut now) = (Ledger::default(), Timestamp::default());
        for asked in &all {
            if let Asked::Wait(days) = asked {
                now = now.plus(std::time::Duration::from_secs(86_400 * u64::from(*days)));
            }
            let Some(action) = action(asked, &ledger.state, now) else { continue };
            let before = ledger.state.clone();
            match ledger.act(action.clone(), now) {
                Ok(events) => {
                    let closes = matches!(action, Action::CloseSettlement(_));
                    prop_assert!(closes || ledger.act(action, now) == Ok(vec![]), "a repeat is no event: {events:?}");
                }
                Err(_) => prop_assert_eq!(&ledger.state, &before),
            }
        }
    }
}
