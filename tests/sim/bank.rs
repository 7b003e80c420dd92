//! A bank of ours with a book of its own, and the ledger's line to it. It makes each instruction once, by the
//! instruction's own ids; it pays, refuses, pays what it had refused, and lets paid money come back. Its messages wait
//! until they are acknowledged; it repeats itself, and tells older things after newer ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use commands::ports::{Bank, BankNews, BankUnavailable, TransferFact, TransferOrder};
use domain::withdrawal::{Failure, TransferOutcome};
use domain::{BankName, Money, WithdrawalId};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::canary::Tampering;
use crate::chance::Chance;
use crate::trace::Trace;
use crate::weather::{Fate, Weather};

pub const BANK: &str = "simulated";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    Taken,
    Refused,
    Paid,
    /// Paid before; so many minor units came back.
    Returned(i64),
}

#[derive(Debug, Clone)]
pub struct Transfer {
    pub withdrawal_id: WithdrawalId,
    pub amount: Money,
    /// Whose account it goes to.
    pub number: String,
    pub state: TransferState,
    /// What was told of it so far.
    told: Vec<TransferOutcome>,
}

/// By the ids of the instruction: with other ids, it is another one.
pub type Transfers = BTreeMap<String, Transfer>;

/// Clones share the book.
#[derive(Clone)]
pub struct House {
    transfers: Arc<Mutex<Transfers>>,
    /// Not acknowledged yet.
    news: Arc<Mutex<Vec<BankNews>>>,
    messages: Arc<AtomicUsize>,
    /// How many things it has still in mind to do.
    plans: Arc<AtomicUsize>,
    chance: Chance,
    trace: Trace,
}

impl House {
    pub fn new(chance: Chance, trace: Trace) -> House {
        let (transfers, news, messages, plans) = (Arc::default(), Arc::default(), Arc::default(), Arc::default());
        House { transfers, news, messages, plans, chance, trace }
    }

    pub fn transfers(&self) -> MutexGuard<'_, Transfers> {
        self.transfers.lock()
    }

    /// It will do nothing more by itself, and everything it told was heard.
    pub fn is_done(&self) -> bool {
        self.plans.load(Ordering::Relaxed) == 0 && self.news.lock().is_empty()
    }

    fn after(&self, wait: Duration, then: impl FnOnce(&House) + Send + 'static) {
        let house = self.clone();
        house.plans.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(async move {
            sleep(wait).await;
            then(&house);
            house.plans.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn take(&self, order: &TransferOrder) {
        let id = format!("{}/{}", order.withdrawal_id, order.ordered_at);
        if self.transfers().contains_key(&id) {
            return;
        }
        self.trace.note(|| format!("      bank takes {id}: {:?}", order.amount));
        let transfer = Transfer {
            withdrawal_id: order.withdrawal_id,
            amount: order.amount,
            number: order.beneficiary.number.as_str().to_owned(),
            state: TransferState::Taken,
            told: vec![],
        };
        self.transfers().insert(id.clone(), transfer);
        let end = self.chance.weighted(&[(75, TransferState::Paid), (25, TransferState::Refused)]);
        self.turn(id, end, 20_000);
    }

    /// Later, and then what follows of it.
    fn turn(&self, id: String, state: TransferState, within_s: u64) {
        self.after(self.chance.seconds(1..=within_s), move |house| {
            house.change(&id, state);
            let amount = house.transfers()[&id].amount.minor();
            match state {
                TransferState::Refused if house.chance.percent(20) => house.turn(id, TransferState::Paid, 9_000),
                TransferState::Paid if house.chance.percent(25) => {
                    let kept = house.chance.pick(&[0, 0, 1, amount / 100]).min(amount - 1);
                    house.turn(id, TransferState::Returned(amount - kept), 40_000);
                }
                _ => {}
            }
        });
    }

    fn change(&self, id: &str, state: TransferState) {
        let mut transfers = self.transfers();
        let Some(transfer) = transfers.get_mut(id) else { return };
        transfer.state = state;
        let failure = Failure::of_bank_code(Some("AC04"));
        let (outcome, moved) = match state {
            TransferState::Refused => (TransferOutcome::Refused(failure), None),
            TransferState::Returned(amount) => (
                TransferOutcome::Returned { amount, failure, booking: None },
                Money::new(amount, transfer.amount.currency()).ok(),
            ),
            _ => (TransferOutcome::Paid, Some(transfer.amount)),
        };
        transfer.told.push(outcome.clone());
        let fact = |outcome| TransferFact { withdrawal_id: transfer.withdrawal_id, outcome, moved: None };
        let whole: Vec<TransferFact> = transfer.told.iter().cloned().map(fact).collect();
        let news = vec![TransferFact { moved, ..fact(outcome) }];
        drop(transfers);
        self.tell(news);
        // A statement of the day tells it all again, and the file may come twice.
        if self.chance.percent(25) {
            self.after(self.chance.seconds(0..=30_000), move |house| house.tell(whole));
        }
    }

    fn tell(&self, facts: Vec<TransferFact>) {
        let number = self.messages.fetch_add(1, Ordering::Relaxed);
        self.trace.note(|| format!("      bank sends message {number}: {facts:?}"));
        for copy in 0..self.chance.pick(&[1, 1, 1, 1, 2]) {
            let (digest, source) = (format!("message-{number}"), format!("message-{number}.{copy}"));
            let mut news = self.news.lock();
            let place = if self.chance.percent(15) { self.chance.below(news.len() + 1) } else { news.len() };
            news.insert(place, BankNews { digest, source, facts: facts.clone() });
        }
    }
}

/// A node's line to the bank: slow, and losing answers. What was lost on its way may still arrive.
pub struct BankLine {
    name: BankName,
    house: House,
    weather: Weather,
    tampering: Arc<Tampering>,
}

impl BankLine {
    pub fn new(house: House, weather: Weather, tampering: Arc<Tampering>) -> BankLine {
        BankLine { name: BANK.parse().expect("a bank's name"), house, weather, tampering }
    }
}

fn lost() -> BankUnavailable {
    BankUnavailable("the line was cut".to_owned())
}

#[async_trait]
impl Bank for BankLine {
    fn name(&self) -> &BankName {
        &self.name
    }

    fn expresses(&self, _: Money) -> bool {
        true
    }

    async fn send(&self, order: &TransferOrder) -> Result<(), BankUnavailable> {
        let order = self.tampering.instruction(order);
        let fate = self.weather.there().await;
        if fate == Fate::LostBefore {
            if self.house.chance.percent(30) {
                self.house.after(self.house.chance.millis(1..=90_000), move |house| house.take(&order));
            }
            return Err(lost());
        }
        self.house.take(&order);
        self.weather.back().await;
        if fate == Fate::LostAfter { Err(lost()) } else { Ok(()) }
    }

    async fn news(&self) -> Result<Vec<BankNews>, BankUnavailable> {
        if self.weather.there().await != Fate::Arrives {
            return Err(lost());
        }
        let mut news = self.house.news.lock().clone();
        if let Some(lost) = news.pop_if(|_| self.tampering.loses_bank_news()) {
            self.house.news.lock().retain(|message| message.source != lost.source);
        }
        self.weather.back().await;
        Ok(news)
    }

    async fn acknowledge(&self, news: &BankNews) -> Result<(), BankUnavailable> {
        let fate = self.weather.there().await;
        if fate == Fate::LostBefore {
            return Err(lost());
        }
        self.house.news.lock().retain(|message| message.source != news.source);
        self.weather.back().await;
        if fate == Fate::LostAfter { Err(lost()) } else { Ok(()) }
    }
}
