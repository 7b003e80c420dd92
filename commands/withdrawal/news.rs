//! Records what the bank has told, message by message. A message that was recorded half and comes again changes
//! nothing where it was recorded already.

use domain::Money;
use domain::withdrawal::{Command, Requested, TransferOutcome, Withdrawal};

use super::Withdrawals;
use crate::executor::{CommandError, Issued};
use crate::ports::{BankNews, TransferFact, state_of};

impl Withdrawals {
    /// Records everything that the bank has to tell and acknowledges it; how many messages that were.
    pub async fn record_news(&self) -> Result<usize, CommandError> {
        let Some(bank) = &self.bank else { return Ok(0) };
        let unavailable = |error: crate::ports::BankUnavailable| CommandError::Unavailable(error.to_string());
        let all = bank.news().await.map_err(unavailable)?;
        for news in &all {
            for fact in &news.facts {
                self.record(bank.name().as_str(), news, fact).await?;
            }
            bank.acknowledge(news).await.map_err(unavailable)?;
        }
        Ok(all.len())
    }

    /// What the ledger will not believe is told to a person, and holds up nothing else.
    async fn record(&self, bank: &str, news: &BankNews, fact: &TransferFact) -> Result<(), CommandError> {
        let TransferFact { withdrawal_id, outcome, moved } = fact;
        let stream = self.load(*withdrawal_id).await?;
        let doubtful = match state_of::<Withdrawal>(&stream).record() {
            None => Some("the ledger knows no such withdrawal".to_owned()),
            Some(record) if contradicts(&record.terms, outcome, *moved) => {
                Some("the amount or the currency is another one".to_owned())
            }
            Some(record) => {
                let purpose = format!("{}:{withdrawal_id}:{}", news.digest, kind(outcome));
                let issued = Issued::internally(&format!("bank:{bank}"), &purpose, &withdrawal_id.to_string());
                let command = Command::RecordOutcome { outcome: outcome.clone(), at: self.clock.now() };
                let receipt = self.decide_with_money(issued, &record.terms, command).await?;
                receipt.rejection.map(|rejection| rejection.detail)
            }
        };
        if let Some(reason) = doubtful {
            metrics::counter!("bank_news_doubtful_total").increment(1);
            tracing::error!(
                withdrawal.id = %withdrawal_id, bank, told = kind(outcome), message.digest = news.digest, reason,
                "the bank tells what cannot be: a person should look"
            );
        }
        Ok(())
    }
}

/// A statement says what moved: nothing but what was sent can have been paid, and nothing else can come back.
fn contradicts(terms: &Requested, outcome: &TransferOutcome, moved: Option<Money>) -> bool {
    moved.is_some_and(|moved| {
        let paid_another = *outcome == TransferOutcome::Paid && moved.minor() != terms.amount;
        moved.currency() != terms.currency || paid_another
    })
}

fn kind(outcome: &TransferOutcome) -> &'static str {
    match outcome {
        TransferOutcome::Paid => "paid",
        TransferOutcome::Refused(_) => "refused",
        TransferOutcome::Returned { .. } => "returned",
    }
}
