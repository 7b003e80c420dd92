//! Publishing what currencies are worth in USD, and the rates as they stand.

use chrono::NaiveDate;
use domain::Timestamp;
use domain::rates::{Command, Rates, STREAM, State, Table};

use crate::executor::{CommandError, Executor, Issued};
use crate::ports::{Category, Receipt, state_of};

pub async fn publish(
    executor: &Executor,
    issued: Issued,
    (date, usd): (NaiveDate, Table),
    at: Timestamp,
) -> Result<Receipt, CommandError> {
    executor.decide::<Rates>(issued, STREAM.to_owned(), Command::Publish { date, usd, at }).await
}

/// What the platform starts with, unless rates were published already.
pub async fn seed(executor: &Executor, (date, usd): (NaiveDate, Table), at: Timestamp) -> Result<(), CommandError> {
    if load(executor).await? == State::default() {
        publish(executor, Issued::internally("platform", "seed rates", "seeds"), (date, usd), at).await?;
    }
    Ok(())
}

/// The tables of the last days.
pub async fn load(executor: &Executor) -> Result<State, CommandError> {
    let stream = executor.store().load(Category::of::<Rates>(), STREAM).await?;
    Ok(state_of::<Rates>(&stream).clone())
}
