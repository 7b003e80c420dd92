//! What the books tell the command side: what covers a refund or a withdrawal.

use std::time::Duration;

use async_trait::async_trait;
use commands::ports::funds::FundsUnavailable;
use commands::ports::{MerchantFunds, PendingBalance};
use domain::{Currency, MerchantId};

use super::{Books, MerchantBalance, balances};
use crate::Reader;

/// How long a command waits for the books before it is told that they are not available.
const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct BooksFunds {
    reader: Reader,
}

impl BooksFunds {
    pub fn new(reader: Reader) -> BooksFunds {
        BooksFunds { reader }
    }

    async fn balance(
        &self,
        merchant: MerchantId,
        currency: Currency,
        position: u64,
    ) -> Result<MerchantBalance, FundsUnavailable> {
        let unavailable = |error: crate::ReadError| FundsUnavailable(error.to_string());
        let mut view = self.reader.at_least(&[&Books], Some(position), WAIT).await.map_err(unavailable)?;
        let balances = balances(&mut view, merchant, None).await.map_err(unavailable)?;
        let known = balances.into_iter().find(|balance| balance.currency == currency);
        Ok(known.unwrap_or_else(|| MerchantBalance::zero(currency)))
    }
}

#[async_trait]
impl MerchantFunds for BooksFunds {
    async fn net_balance(
        &self,
        merchant: MerchantId,
        currency: Currency,
        position: u64,
    ) -> Result<i128, FundsUnavailable> {
        Ok(self.balance(merchant, currency, position).await?.net())
    }
}

#[async_trait]
impl PendingBalance for BooksFunds {
    async fn pending(&self, merchant: MerchantId, currency: Currency, position: u64) -> Result<i128, FundsUnavailable> {
        Ok(self.balance(merchant, currency, position).await?.pending)
    }
}
