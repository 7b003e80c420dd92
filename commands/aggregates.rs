//! Every aggregate of the ledger, one line each: what replays the log (the books, the audit, the operator's view of a
//! stream) finds here how a category's events are read. An aggregate that is not listed cannot be replayed.

use std::sync::LazyLock;

use domain::adjustment::Adjustment;
use domain::bank_account::BankAccount;
use domain::channel_account::ChannelAccount;
use domain::dispute::Dispute;
use domain::invariants::Violation;
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
use domain::{BalancedEntry, Decider, DomainEvent, Holding};
use serde_json::Value;

use crate::ports::{Category, RecordedEvent, StreamState, Unreadable, state_of};

/// What a replay can ask of one aggregate without knowing its types.
pub struct Aggregate {
    pub category: Category,
    /// Every `(type, schema version)` that it writes today.
    pub types: &'static [(&'static str, u16)],
    decode: fn(&RecordedEvent) -> Result<(), Unreadable>,
    postings: fn(&RecordedEvent) -> Result<Option<BalancedEntry>, Unreadable>,
    guarded: fn(&StreamState) -> Vec<Holding>,
    check: fn(&StreamState) -> Result<(), Violation>,
    show: fn(&StreamState) -> Value,
}

static ALL: LazyLock<Vec<Aggregate>> = LazyLock::new(|| {
    vec![
        Aggregate::of::<Adjustment>(),
        Aggregate::of::<BankAccount>(),
        Aggregate::of::<ChannelAccount>(),
        Aggregate::of::<Dispute>(),
        Aggregate::of::<Merchant>(),
        Aggregate::of::<MerchantAccount>(),
        Aggregate::of::<MerchantLimits>(),
        Aggregate::of::<Order>(),
        Aggregate::of::<OrderClaim>(),
        Aggregate::of::<Payment>(),
        Aggregate::of::<Period>(),
        Aggregate::of::<PreAuth>(),
        Aggregate::of::<Rates>(),
        Aggregate::of::<Reconciliation>(),
        Aggregate::of::<ReconciliationException>(),
        Aggregate::of::<Settlement>(),
        Aggregate::of::<Tier>(),
        Aggregate::of::<Withdrawal>(),
    ]
});

static CATEGORIES: LazyLock<Vec<&'static str>> = LazyLock::new(|| all().iter().map(|one| one.category.name).collect());

pub fn all() -> &'static [Aggregate] {
    &ALL
}

/// The category of every aggregate.
pub fn categories() -> &'static [&'static str] {
    &CATEGORIES
}

/// The aggregate of a category; none if this program knows no such category.
pub fn find(category: &str) -> Option<&'static Aggregate> {
    all().iter().find(|aggregate| aggregate.category.name == category)
}

impl Aggregate {
    fn of<D: Decider>() -> Aggregate {
        Aggregate {
            category: Category::of::<D>(),
            types: D::Event::TYPES,
            decode: |recorded| recorded.decoded::<D::Event>().map(|_| ()),
            postings: |recorded| Ok(recorded.decoded::<D::Event>()?.postings()),
            guarded: |stream| D::guarded(state_of::<D>(stream)),
            check: |stream| D::check(state_of::<D>(stream)),
            show: |stream| serde_json::to_value(state_of::<D>(stream)).unwrap_or_default(),
        }
    }

    /// Reads what the event says, for whoever asks for it after that.
    pub fn decode(&self, event: &RecordedEvent) -> Result<(), Unreadable> {
        (self.decode)(event)
    }

    /// What the event does to the books, if it moves money.
    pub fn postings(&self, event: &RecordedEvent) -> Result<Option<BalancedEntry>, Unreadable> {
        (self.postings)(event)
    }

    /// What the accounts that this stream alone guards must hold.
    pub fn guarded(&self, stream: &StreamState) -> Vec<Holding> {
        (self.guarded)(stream)
    }

    /// What must hold of the state whatever happened to it.
    pub fn check(&self, stream: &StreamState) -> Result<(), Violation> {
        (self.check)(stream)
    }

    /// The state as an operator sees it.
    pub fn show(&self, stream: &StreamState) -> Value {
        (self.show)(stream)
    }

    /// The stream folded from all of its events.
    pub fn fold(&self, events: &[RecordedEvent]) -> Result<StreamState, Unreadable> {
        let empty = self.category.empty();
        events.iter().try_fold(empty, |stream, event| self.category.apply_recorded(&stream, event))
    }
}
