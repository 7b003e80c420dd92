//! What the provider pays out: all that it owes in a currency, with a statement that tells each fee once. Now and then
//! another amount arrives than its statement says.

use std::collections::BTreeMap;

use commands::ports::Clock;
use commands::ports::channel::{Payout, PayoutsAnswer, StatementAnswer, StatementLine, StatementLineKind};
use domain::{Currency, PaymentId};

use super::book::Book;
use super::{ChargeState, Provider, RefundState};

#[derive(Debug, Clone)]
pub struct PaidOut {
    pub payout: Payout,
    pub lines: Vec<StatementLine>,
}

impl PaidOut {
    /// Minor units, as its statement adds up.
    pub fn expected(&self) -> i64 {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

impl Book {
    pub fn payouts(&self) -> impl Iterator<Item = &PaidOut> {
        self.payouts.iter()
    }

    /// What the provider owes us in minor units, of each currency in which anything ever moved.
    pub fn owed(&self) -> BTreeMap<Currency, i64> {
        let mut owed: BTreeMap<Currency, i64> = BTreeMap::new();
        for charge in self.charges().filter(|charge| charge.state == ChargeState::Captured) {
            *owed.entry(charge.currency).or_default() += charge.amount - charge.fee;
        }
        for (_, refund) in self.refunds().filter(|(_, refund)| refund.state == RefundState::Succeeded) {
            *owed.entry(refund.currency).or_default() -= refund.amount - refund.fee_returned;
        }
        for (_, dispute) in self.disputes() {
            *owed.entry(dispute.currency).or_default() -= dispute.taken();
        }
        for paid in &self.payouts {
            *owed.entry(paid.payout.currency).or_default() -= paid.expected();
        }
        owed
    }

    /// The fees that no statement has told yet; from now on they are told.
    fn fees_to_tell(&mut self, currency: Currency) -> Vec<StatementLine> {
        let told: Vec<String> =
            self.payouts.iter().flat_map(|paid| &paid.lines).map(|line| line.reference.clone()).collect();
        let is_new = |payment_id: PaymentId| !told.contains(&payment_id.to_string());
        let captured =
            self.charges().filter(|charge| charge.state == ChargeState::Captured && charge.currency == currency);
        let fees: Vec<(PaymentId, i64)> = captured.map(|charge| (charge.payment_id, charge.fee)).collect();
        let mut lines = vec![];
        for (payment_id, fee) in fees.into_iter().filter(|(payment_id, _)| is_new(*payment_id)) {
            self.tell_fee(payment_id);
            let (kind, reference) = (StatementLineKind::Fee, payment_id.to_string());
            lines.push(StatementLine { kind, reference, amount: -fee });
        }
        lines
    }

    /// One to a page.
    pub fn payout_page(&self, page: Option<&str>) -> PayoutsAnswer {
        let place: usize = page.and_then(|page| page.parse().ok()).unwrap_or_default();
        let payouts: Vec<Payout> = self.payouts.get(place).map(|paid| paid.payout.clone()).into_iter().collect();
        let next = (place + 1 < self.payouts.len()).then(|| (place + 1).to_string());
        PayoutsAnswer::Page { payouts, next }
    }

    pub fn statement(&self, payout: &str) -> StatementAnswer {
        match self.payouts.iter().find(|paid| paid.payout.reference == payout) {
            Some(paid) => StatementAnswer::Lines(paid.lines.clone()),
            None => StatementAnswer::Unknown { reason: "there is no such payout".to_owned() },
        }
    }
}

impl Provider {
    /// Now and then in this world, it pays out what it owes by then.
    pub fn pay_out_at_times(&self) {
        for _ in 0..self.chance.below(3) {
            let within_s = self.chance.pick(&[240, 30_000]);
            self.after(self.chance.seconds(30..=within_s), Provider::pay_out);
        }
    }

    fn pay_out(&self) {
        let owed = self.book().owed();
        for (currency, owed) in owed.into_iter().filter(|(_, owed)| *owed != 0) {
            let mut book = self.book();
            let mut lines = book.fees_to_tell(currency);
            let fees: i64 = lines.iter().map(|line| line.amount).sum();
            let reference = format!("po_{}", book.payouts.len());
            let movements = StatementLine {
                kind: StatementLineKind::Movement,
                reference: format!("movements of {reference}"),
                amount: owed - fees,
            };
            lines.push(movements);
            let amount = owed + self.chance.weighted(&[(80, 0), (10, -1), (5, 2), (5, -200_000)]);
            let payout = Payout { reference, currency, amount, paid_at: self.clock.now() };
            self.trace.note(|| format!("      channel pays out {payout:?}"));
            book.payouts.push(PaidOut { payout, lines });
        }
    }
}
