//! Collects what belongs to a story: streams from the log, and what stands beside it about them.

use std::collections::{BTreeMap, BTreeSet};

use domain::merchant_account::{Holder, MerchantAccount};
use domain::{
    Account, Decider, DisputeId, DomainEvent, PaymentId, SettlementId, Side, Timestamp, WithdrawalId, dispute,
    merchant_account, payment, pre_auth, settlement, withdrawal,
};

use super::available::mover;
use super::trail::Settlements;
use super::{Happening, Mover, Reach, Story, StoryError, Storyteller, Trail};
use crate::ports::pending_activity::BatchPart;
use crate::ports::{Category, InboxError, RecordedEvent, StoreError, StreamId};

/// Events read at once.
const PAGE: usize = 1_000;

impl Storyteller {
    /// The story up to the event at `as_of`, or all of it; none if there is no such stream, or was none by then.
    pub async fn tell(
        &self,
        subject: &StreamId,
        reach: Reach,
        as_of: Option<u64>,
    ) -> Result<Option<Story>, StoryError> {
        let own = self.stream(subject, as_of).await?;
        if own.is_empty() {
            return Ok(None);
        }
        let mut gathering = Gathering { teller: self, as_of, found: Found::default() };
        match reach {
            Reach::Itself => {
                gathering.found.objects.extend(own.iter().filter_map(refund_requested));
                gathering.keep(own, subject);
            }
            Reach::Money => gathering.subject(subject, own).await?,
        }
        let Found { events, objects, trails, made_of } = gathering.found;
        let until = match as_of {
            None => None,
            Some(position) => Some(self.moment_of(position).await?),
        };
        let mut happenings = self.beside(&objects, until).await?;
        happenings.extend(events.into_values().map(|event| Happening::Event(Box::new(event))));
        happenings.sort_by_key(Happening::key);
        let due = if as_of.is_none() { self.due(&objects).await? } else { vec![] };
        Ok(Some(Story { subject: subject.clone(), happenings, due, trails, made_of }))
    }

    async fn stream(&self, stream: &StreamId, as_of: Option<u64>) -> Result<Vec<RecordedEvent>, StoryError> {
        let mut events: Vec<RecordedEvent> = vec![];
        loop {
            let after = events.last().map_or(0, |event| event.version);
            let page = self.store.read_stream(stream, after, PAGE).await?;
            let ended = page.len() < PAGE;
            let within = |event: &RecordedEvent| as_of.is_none_or(|as_of| event.position <= as_of);
            let read = page.len();
            let before = events.len();
            events.extend(page.into_iter().filter(within));
            if ended || events.len() - before < read {
                return Ok(events);
            }
        }
    }

    /// When the event at a position was recorded.
    async fn moment_of(&self, position: u64) -> Result<Timestamp, StoryError> {
        let event = self.store.read_all(position.saturating_sub(1), 1).await?;
        Ok(event.first().map_or_else(Timestamp::default, |event| event.recorded_at))
    }

    /// What went out and came in about these objects.
    async fn beside(&self, objects: &BTreeSet<String>, until: Option<Timestamp>) -> Result<Vec<Happening>, StoryError> {
        let ids: Vec<String> = objects.iter().cloned().collect();
        let calls = self.calls.about(&ids).await.map_err(|error| StoryError::Unavailable(error.to_string()))?;
        let webhooks = self.inbox.about(&ids).await?;
        let calls = calls.into_iter().map(|call| Happening::Call(Box::new(call)));
        let webhooks = webhooks.into_iter().map(|webhook| Happening::Webhook(Box::new(webhook)));
        let within = |happening: &Happening| until.is_none_or(|until| happening.at() <= until);
        Ok(calls.chain(webhooks).filter(within).collect())
    }

    async fn due(&self, objects: &BTreeSet<String>) -> Result<Vec<crate::ports::SagaStatus>, StoryError> {
        let mut due = vec![];
        for object in objects {
            let found = self.agenda.find(object).await;
            due.extend(found.map_err(|error| StoryError::Unavailable(error.to_string()))?);
        }
        due.sort_by_key(|saga| saga.due_at);
        Ok(due)
    }
}

#[derive(Default)]
struct Found {
    /// By position.
    events: BTreeMap<u64, RecordedEvent>,
    /// The ids that sagas, calls and webhooks are known by.
    objects: BTreeSet<String>,
    trails: Vec<Trail>,
    made_of: Vec<super::Flow>,
}

struct Gathering<'a> {
    teller: &'a Storyteller,
    as_of: Option<u64>,
    found: Found,
}

impl Gathering<'_> {
    async fn subject(&mut self, subject: &StreamId, own: Vec<RecordedEvent>) -> Result<(), StoryError> {
        let category = subject.category.as_ref();
        match category {
            payment::Payment::CATEGORY => self.payment(subject, own).await,
            pre_auth::PreAuth::CATEGORY => self.pre_auth(subject, own).await,
            dispute::Dispute::CATEGORY => self.dispute(subject, own).await,
            settlement::Settlement::CATEGORY => self.settlement(subject, own).await,
            withdrawal::Withdrawal::CATEGORY => self.withdrawal(subject, own).await,
            _ => {
                self.keep(own, subject);
                Ok(())
            }
        }
    }

    fn keep(&mut self, events: impl IntoIterator<Item = RecordedEvent>, stream: &StreamId) {
        self.found.objects.insert(stream.id.clone());
        for event in events {
            self.found.events.insert(event.position, event);
        }
    }

    async fn read(&self, stream: &StreamId) -> Result<Vec<RecordedEvent>, StoryError> {
        self.teller.stream(stream, self.as_of).await
    }

    /// The captures are payments, each with a story of its own.
    async fn pre_auth(&mut self, stream: &StreamId, own: Vec<RecordedEvent>) -> Result<(), StoryError> {
        let mut captures: Vec<PaymentId> = vec![];
        for event in &own {
            if let pre_auth::Event::CaptureRequested(requested) = event.decode()? {
                captures.push(requested.payment_id);
            }
        }
        self.keep(own, stream);
        for payment_id in captures {
            let stream = Category::of::<payment::Payment>().stream(payment_id.to_string());
            let events = self.read(&stream).await?;
            self.payment(&stream, events).await?;
        }
        Ok(())
    }

    async fn payment(&mut self, stream: &StreamId, own: Vec<RecordedEvent>) -> Result<(), StoryError> {
        let (mut disputes, mut refunds, mut holder): (BTreeSet<DisputeId>, Vec<String>, _) = Default::default();
        let mut moved: Vec<(u64, i64)> = vec![];
        for event in &own {
            let decoded: payment::Event = event.decode()?;
            match &decoded {
                payment::Event::Created(created) => {
                    holder = Some(Holder { merchant_id: created.merchant_id, currency: created.currency });
                }
                payment::Event::DisputeOpened(opened) => {
                    disputes.insert(opened.money.dispute_id);
                }
                payment::Event::RefundRequested(requested) => refunds.push(requested.refund_id.to_string()),
                _ => {}
            }
            moved.push((event.position, pending_moved(&decoded)));
        }
        self.keep(own, stream);
        self.found.objects.extend(refunds);
        for dispute_id in disputes {
            let stream = Category::of::<dispute::Dispute>().stream(dispute_id.to_string());
            let events = self.read(&stream).await?;
            self.keep(events, &stream);
        }
        moved.retain(|(_, amount)| *amount != 0);
        match holder {
            Some(holder) if !moved.is_empty() => self.follow(&stream.id, holder, &moved).await,
            _ => Ok(()),
        }
    }

    /// Follows what a payment moved in the pending balance through the batches.
    async fn follow(&mut self, payment: &str, holder: Holder, moved: &[(u64, i64)]) -> Result<(), StoryError> {
        let account = self.account(holder).await?;
        let settlements = Settlements::of(&account.events);
        let (mut shares, mut settled) = (vec![], 0);
        for batch in settlements.batches() {
            let within =
                moved.iter().filter(|(position, _)| (batch.window.from + 1..=batch.window.to).contains(position));
            let brought: Vec<i64> = within.map(|(_, amount)| *amount).collect();
            if brought.is_empty() {
                continue;
            }
            settled += brought.iter().sum::<i64>();
            let part = self.teller.batches.part_of(holder, batch.window, payment).await;
            let part = part.map_err(|error| StoryError::Unavailable(error.to_string()))?;
            shares.push(settlements.share(batch, part));
        }
        for share in &shares {
            self.keep_settlement(&account, share.settlement_id).await?;
            self.keep_destinations(&account, &share.flows).await?;
        }
        let pending = moved.iter().map(|(_, amount)| *amount).sum::<i64>() - settled;
        self.found.trails.push(Trail { of: payment.to_owned(), currency: holder.currency, shares, pending });
        Ok(())
    }

    async fn dispute(&mut self, stream: &StreamId, own: Vec<RecordedEvent>) -> Result<(), StoryError> {
        let mut payment_id = None;
        for event in &own {
            match event.decode()? {
                dispute::Event::Inquired(terms) | dispute::Event::Opened(terms) => payment_id = Some(terms.payment_id),
                _ => {}
            }
        }
        self.keep(own, stream);
        let Some(payment_id) = payment_id else { return Ok(()) };
        let payment = Category::of::<payment::Payment>().stream(payment_id.to_string());
        let events = self.read(&payment).await?;
        let about = events.into_iter().filter(|event| event.payload.contains(&stream.id));
        self.found.events.extend(about.map(|event| (event.position, event)));
        Ok(())
    }

    async fn settlement(&mut self, stream: &StreamId, own: Vec<RecordedEvent>) -> Result<(), StoryError> {
        let closed = own.first().map(RecordedEvent::decode).transpose()?;
        self.keep(own, stream);
        let Some(settlement::Event::Closed(closed)) = closed else { return Ok(()) };
        let holder = Holder { merchant_id: closed.merchant_id, currency: closed.currency };
        let account = self.account(holder).await?;
        let settlements = Settlements::of(&account.events);
        let batch = settlements.batches().find(|batch| batch.settlement_id == closed.settlement_id);
        self.keep_settlement(&account, closed.settlement_id).await?;
        let Some(batch) = batch else { return Ok(()) };
        let whole = BatchPart { net: batch.net, before: 0, total: i128::from(batch.net) };
        let share = settlements.share(batch, whole);
        self.keep_destinations(&account, &share.flows).await?;
        let (of, currency) = (stream.id.clone(), holder.currency);
        self.found.trails.push(Trail { of, currency, shares: vec![share], pending: 0 });
        Ok(())
    }

    async fn withdrawal(&mut self, stream: &StreamId, own: Vec<RecordedEvent>) -> Result<(), StoryError> {
        let requested = own.first().map(RecordedEvent::decode).transpose()?;
        self.keep(own, stream);
        let Some(withdrawal::Event::Requested(requested)) = requested else { return Ok(()) };
        let account = self.account(Holder { merchant_id: requested.merchant_id, currency: requested.currency }).await?;
        self.keep_of_account(&account, |mover| *mover == Mover::Withdrawal(requested.withdrawal_id));
        self.found.made_of = Settlements::of(&account.events).available().made_of(requested.withdrawal_id);
        Ok(())
    }

    async fn account(&self, holder: Holder) -> Result<AccountHistory, StoryError> {
        let recorded = self.read(&Category::of::<MerchantAccount>().stream(holder.stream_id())).await?;
        let events = recorded.iter().map(RecordedEvent::decode).collect::<Result<Vec<_>, _>>()?;
        Ok(AccountHistory { recorded, events })
    }

    async fn keep_settlement(
        &mut self,
        account: &AccountHistory,
        settlement_id: SettlementId,
    ) -> Result<(), StoryError> {
        let stream = Category::of::<settlement::Settlement>().stream(settlement_id.to_string());
        let events = self.read(&stream).await?;
        self.keep(events, &stream);
        let own = [Mover::Settlement(settlement_id), Mover::Reserve(settlement_id)];
        self.keep_of_account(account, |mover| own.contains(mover));
        Ok(())
    }

    async fn keep_destinations(&mut self, account: &AccountHistory, flows: &[super::Flow]) -> Result<(), StoryError> {
        let portions = flows.iter().flat_map(|flow| &flow.to);
        let mut withdrawals: Vec<WithdrawalId> = vec![];
        for portion in portions {
            match portion.mover {
                Mover::Withdrawal(withdrawal_id) => withdrawals.push(withdrawal_id),
                other => self.keep_of_account(account, |mover| *mover == other),
            }
        }
        for withdrawal_id in withdrawals {
            let stream = Category::of::<withdrawal::Withdrawal>().stream(withdrawal_id.to_string());
            let events = self.read(&stream).await?;
            self.keep(events, &stream);
            self.keep_of_account(account, |mover| *mover == Mover::Withdrawal(withdrawal_id));
        }
        Ok(())
    }

    fn keep_of_account(&mut self, account: &AccountHistory, is_wanted: impl Fn(&Mover) -> bool) {
        for (recorded, event) in account.recorded.iter().zip(&account.events) {
            if is_wanted(&mover(event)) {
                self.found.events.insert(recorded.position, recorded.clone());
            }
        }
    }
}

/// A merchant's account, read.
struct AccountHistory {
    recorded: Vec<RecordedEvent>,
    events: Vec<merchant_account::Event>,
}

/// The refund that a payment's event begins.
fn refund_requested(event: &RecordedEvent) -> Option<String> {
    match event.decode() {
        Ok(payment::Event::RefundRequested(requested)) => Some(requested.refund_id.to_string()),
        _ => None,
    }
}

/// What an event adds to the merchant's pending balance.
fn pending_moved(event: &payment::Event) -> i64 {
    let entry = event.postings();
    let legs = entry.iter().flat_map(|entry| entry.legs());
    let pending = legs.filter(|leg| matches!(leg.account, Account::MerchantPending(_)));
    pending.map(|leg| if leg.side == Side::Credit { leg.amount } else { -leg.amount }).sum()
}

impl From<StoreError> for StoryError {
    fn from(error: StoreError) -> StoryError {
        StoryError::Unavailable(error.to_string())
    }
}

impl From<InboxError> for StoryError {
    fn from(error: InboxError) -> StoryError {
        match error {
            InboxError::Unavailable(reason) => StoryError::Unavailable(reason),
            InboxError::Damaged(reason) => StoryError::Damaged(reason),
        }
    }
}
