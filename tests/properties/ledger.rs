//! Every aggregate side by side over one set of books.

use std::collections::BTreeSet;

use domain::invariants::{self, Books};

use crate::draw::{Draw, at};
use crate::model::{Stream, streams};
use crate::{
    adjustment, bank_account, channel_account, dispute, merchant, merchant_account, merchant_limits, order,
    order_claim, payment, period, pre_auth, rates, reconciliation, reconciliation_exception, settlement, tier,
    withdrawal,
};

pub struct Ledger {
    streams: Vec<Box<dyn Stream>>,
    books: Books,
    /// Seconds.
    now: i64,
    seen: BTreeSet<&'static str>,
}

impl Ledger {
    /// Streams are in another order for each `turn`, so that a sequence is mostly about a few of them.
    pub fn new(turn: usize) -> Ledger {
        let mut streams: Vec<Box<dyn Stream>> = streams::<adjustment::Adjustments>()
            .chain(streams::<bank_account::BankAccounts>())
            .chain(streams::<channel_account::ChannelAccounts>())
            .chain(streams::<dispute::Disputes>())
            .chain(streams::<merchant::Merchants>())
            .chain(streams::<merchant_account::MerchantAccounts>())
            .chain(streams::<merchant_limits::Limited>())
            .chain(streams::<order::Orders>())
            .chain(streams::<order_claim::OrderClaims>())
            .chain(streams::<payment::Payments>())
            .chain(streams::<period::Periods>())
            .chain(streams::<pre_auth::PreAuths>())
            .chain(streams::<rates::DailyRates>())
            .chain(streams::<reconciliation::Statements>())
            .chain(streams::<reconciliation_exception::Exceptions>())
            .chain(streams::<settlement::Settlements>())
            .chain(streams::<tier::Tiers>())
            .chain(streams::<withdrawal::Withdrawals>())
            .collect();
        let count = streams.len();
        streams.rotate_left(turn % count);
        Ledger { streams, books: Books::default(), now: 0, seen: BTreeSet::new() }
    }

    /// One random command. After it, each transaction balances and so do the books (invariant 1), no stream's state is
    /// one that must not be (4, 5), no available balance is below zero and every guarded account holds what its
    /// stream says (5), events and states read back as they were written, the same command again moves no more money,
    /// and nothing has panicked.
    pub fn step(&mut self, draw: &Draw) -> Result<(), String> {
        self.now = self.now.saturating_add(draw.passed).max(0);
        let count = self.streams.len();
        let types = self.streams[draw.stream % count].step(draw, at(self.now), &mut self.books)?;
        self.seen.extend(types);
        let guarded = self.streams.iter().flat_map(|stream| stream.guarded());
        invariants::holds(&self.books, guarded).map_err(|violation| violation.to_string())?;
        self.books.available_balances().map_err(|violation| violation.to_string())?;
        match self.books.totals().iter().find(|(_, total)| total.debits != total.credits) {
            Some((currency, total)) => Err(format!("the books do not balance in {currency}: {total:?}")),
            None => Ok(()),
        }
    }

    /// The types of event that happened.
    pub fn seen(&self) -> &BTreeSet<&'static str> {
        &self.seen
    }

    pub fn types(&self) -> impl Iterator<Item = &'static str> {
        self.streams.iter().flat_map(|stream| stream.types())
    }
}
