//! A year of payments as their events stand in the log, evenly spread, of few large and many small merchants. The same
//! size tells the same year. Nothing is decided and nothing is stored; events of one payment follow each other at once.

use commands::ports::event::Decoded;
use commands::ports::{RecordedEvent, StreamId};
use domain::chain::ChainHash;
use domain::payment::{Captured, Created, Event, Failed, Failure, RefundCause, RefundRequested, RefundSucceeded};
use domain::{Country, Currency, DomainEvent, RefundId, Timestamp};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use crate::histories::{merchant_id, payment_id, sealed, terms};

pub const DAYS: u64 = 365;
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
const CHANNELS: [&str; 3] = ["alipay", "paypal", "stripe"];
const CURRENCIES: [Currency; 4] = [Currency::USD, Currency::EUR, Currency::JPY, Currency::KWD];
const COUNTRIES: [&str; 20] = [
    "DE", "US", "GB", "FR", "JP", "KW", "CN", "IN", "BR", "NL", "ES", "IT", "PL", "SE", "CH", "AT", "NP", "AU", "CA",
    "MX",
];
const CODES: [&str; 5] =
    ["card_declined", "insufficient_funds", "expired_card", "fraud_suspected", "issuer_unavailable"];

#[derive(Debug, Clone)]
pub struct PaymentYear {
    pub payments: u32,
    pub merchants: u32,
    /// When the year ends.
    pub end: Timestamp,
}

impl PaymentYear {
    /// Every event of the payments from `first` on, at most `number` of them; none behind the last.
    pub fn events(&self, first: u32, number: u32) -> Vec<RecordedEvent> {
        let last = first.saturating_add(number).min(self.payments);
        let mut events = vec![];
        for n in first..last {
            self.payment(n, &mut events);
        }
        events
    }

    fn payment(&self, n: u32, events: &mut Vec<RecordedEvent>) {
        let mut random = StdRng::seed_from_u64(u64::from(n));
        let year = i64::try_from(DAYS).expect("a small number") * DAY_MICROS;
        let since = i128::from(year) * i128::from(n) / i128::from(self.payments);
        let since = i64::try_from(since).expect("less than a year");
        let created_at = Timestamp::from_micros(self.end.as_micros() - year + since);
        let terms = self.terms(n, created_at, &mut random);
        // From a fifth of a second to nearly an hour, most of them short.
        let waited = 200_000 << random.random_range(0..5) << random.random_range(0..5) << random.random_range(0..5);
        let ended_at = Timestamp::from_micros(created_at.as_micros() + waited + random.random_range(0..200_000));
        let captured = Captured::of(&terms, format!("ch_{n}"), terms.amount, Some(terms.amount / 40), ended_at);
        let mut story = vec![(created_at, Event::Created(Box::new(terms.clone())))];
        match random.random_range(0..100) {
            0..8 => {
                let failure = Failure::new(CODES[random.random_range(0..CODES.len())], None);
                story.push((ended_at, Event::Failed(Failed { channel_reference: None, failure, failed_at: ended_at })));
            }
            8..12 => story.push((ended_at, Event::Expired { payment_id: terms.payment_id })),
            12..17 => {
                story.push((ended_at, Event::Captured(captured.clone())));
                let days = random.random_range(0..20);
                refund(&terms, &captured, Timestamp::from_micros(ended_at.as_micros() + days * DAY_MICROS), &mut story);
            }
            _ => story.push((ended_at, Event::Captured(captured))),
        }
        for (version, (recorded_at, event)) in (1..).zip(story) {
            let position = u64::try_from(events.len()).expect("a small number") + 1;
            events.push(recorded(position, &terms, version, recorded_at, &event));
        }
    }

    fn terms(&self, n: u32, created_at: Timestamp, random: &mut StdRng) -> Created {
        // The product of two: few merchants have many payments.
        let merchants = u64::from(self.merchants);
        let merchant = random.random_range(0..merchants) * random.random_range(0..merchants) / merchants;
        let of_merchant = usize::try_from(merchant).expect("a small number");
        let country = COUNTRIES[random.random_range(0..COUNTRIES.len()).min(random.random_range(0..COUNTRIES.len()))];
        Created {
            payment_id: payment_id(u128::from(n) + 1),
            merchant_id: merchant_id(u128::from(merchant) + 1),
            amount: random.random_range(100..50_000),
            currency: CURRENCIES[(of_merchant + random.random_range(0..2)) % CURRENCIES.len()],
            channel: CHANNELS[(of_merchant + random.random_range(0..2)) % CHANNELS.len()].parse().expect("a name"),
            country: random.random_bool(0.9).then(|| country.parse::<Country>().expect("a country")),
            created_at,
            expires_at: created_at,
            ..terms(n)
        }
    }
}

fn refund(terms: &Created, captured: &Captured, at: Timestamp, story: &mut Vec<(Timestamp, Event)>) {
    let refund_id = RefundId::from_uuid(terms.payment_id.as_uuid());
    let amount = captured.amount / 2;
    let requested = RefundRequested {
        refund_id,
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        amount,
        currency: terms.currency,
        cause: RefundCause::Merchant,
        reason: Some(sealed()),
        requested_at: at,
    };
    let succeeded = RefundSucceeded {
        refund_id,
        payment_id: terms.payment_id,
        merchant_id: terms.merchant_id,
        channel: terms.channel.clone(),
        channel_reference: format!("rf_{refund_id}"),
        amount,
        currency: terms.currency,
        markup_returned: 0,
        channel_fee_returned: 0,
        pricing_model: captured.pricing_model,
    };
    story.push((at, Event::RefundRequested(requested)));
    story.push((at, Event::RefundSucceeded(succeeded)));
}

fn recorded(position: u64, terms: &Created, version: u64, recorded_at: Timestamp, event: &Event) -> RecordedEvent {
    RecordedEvent {
        position,
        event_id: Uuid::nil(),
        stream: StreamId::new("payment", terms.payment_id.to_string()),
        version,
        event_type: event.event_type().to_owned(),
        schema_version: event.schema_version(),
        payload: serde_json::to_string(event).expect("events can be written"),
        metadata: String::new(),
        decoded: Decoded::default(),
        recorded_at,
        effective_at: recorded_at,
        hash: ChainHash::GENESIS,
    }
}
