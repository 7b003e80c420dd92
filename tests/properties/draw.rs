//! What chance says of one step. Every aggregate reads its commands from the same few numbers, so that a failing
//! sequence shrinks.

use domain::{Currency, Sealed, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Debug, Clone)]
pub struct Draw {
    /// Which stream: mostly one of the first few.
    pub stream: usize,
    /// Which command.
    pub kind: u8,
    /// Often plausible, sometimes at the ends of what a number can be.
    pub amount: i64,
    pub other_amount: i64,
    /// One of a few, so that the same id comes again.
    pub id: u8,
    pub choice: u8,
    /// Since the step before, in seconds; time may go back.
    pub passed: i64,
}

impl Draw {
    pub fn any() -> impl Strategy<Value = Draw> {
        let passed = prop_oneof![6 => 0..60_i64, 3 => 0..200_000_i64, 1 => -1_000..0_i64];
        let stream = prop_oneof![4 => 0..5_usize, 1 => 0..1_000_usize];
        (stream, any::<u8>(), amounts(), amounts(), 0..4_u8, any::<u8>(), passed).prop_map(
            |(stream, kind, amount, other_amount, id, choice, passed)| Draw {
                stream,
                kind,
                amount,
                other_amount,
                id,
                choice,
                passed,
            },
        )
    }

    /// One of the choices.
    pub fn pick<T: Clone>(&self, choices: &[T]) -> T {
        choices[usize::from(self.choice) % choices.len()].clone()
    }

    /// True once in `n` times.
    pub fn one_in(&self, n: u8) -> bool {
        self.choice.wrapping_mul(37) % n == 0
    }

    /// The same id whenever the same number is drawn for the same stream.
    pub fn uuid_of(&self, stream: u128, number: u8) -> Uuid {
        Uuid::from_u128((stream << 16) | u128::from(number) | (0x7_u128 << 76) | (0x8_u128 << 60))
    }

    pub fn uuid(&self, stream: u128) -> Uuid {
        self.uuid_of(stream, self.id)
    }
}

fn amounts() -> impl Strategy<Value = i64> {
    const LARGEST: i64 = 999_999_999_999_999;
    prop_oneof![
        8 => 1..20_000_i64,
        4 => 1..100_i64,
        1 => prop::sample::select(vec![0, -1, LARGEST, LARGEST + 1, i64::MAX, i64::MIN, i64::MIN + 1]),
        1 => any::<i64>(),
    ]
}

pub const CURRENCIES: [Currency; 3] = [Currency::USD, Currency::JPY, Currency::KWD];

/// So many seconds after a moment in November 2026.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000_i64.saturating_add(seconds.saturating_mul(1_000_000)))
}

/// The first of them asks for everything.
pub const PEOPLE: [&str; 3] = ["finance:ada", "finance:grace", "admin:edsger"];

pub fn sealed() -> Sealed {
    Sealed { key: "k".to_owned(), nonce: "n".to_owned(), data: "d".to_owned() }
}
