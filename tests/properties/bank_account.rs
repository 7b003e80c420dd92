//! Random commands of bank accounts.

use std::time::Duration;

use domain::bank_account::{BankAccount, Command, Registered, State};
use domain::{BankAccountId, MerchantId, Timestamp};

use crate::draw::{Draw, PEOPLE, sealed};
use crate::model::Model;

pub struct BankAccounts;

impl Model for BankAccounts {
    type D = BankAccount;

    const STREAMS: u128 = 1;

    fn command(stream: u128, _: &State, draw: &Draw, now: Timestamp) -> Command {
        match draw.kind % 2 {
            0 => Command::Register(Registered {
                bank_account_id: BankAccountId::from_uuid(draw.uuid_of(stream, 0)),
                merchant_id: MerchantId::from_uuid(draw.uuid_of(0, 1)),
                sealed: sealed(),
                registered_by: PEOPLE[0].to_owned(),
                registered_at: now,
            }),
            _ => {
                let cooling_off = draw.pick(&[Duration::ZERO, Duration::from_secs(86_400), Duration::MAX]);
                Command::Approve { by: draw.pick(&PEOPLE).to_owned(), cooling_off, at: now }
            }
        }
    }
}
