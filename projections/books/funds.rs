//! What the books tell the command side: whether a merchant's money covers a refund.

use std::time::Duration;

use async_trait::async_trait;
use commands::ports::MerchantFunds;
use commands::ports::funds::FundsUnavailable;
use domain::{Currency, MerchantId};

use super::{Books, balances};
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
}

#[async_trait]
impl MerchantFunds for BooksFunds {
    async fn net_balance(
        &self,
        merchant: MerchantId,
        currency: Currency,
        position: u64,
    ) -> Result<i128, FundsUnavailable> {
        let unavailable = |error: crate::ReadError| FundsUnavailable(error.to_string());
        let mut view = self.reader.at_least(&[&Books], Some(position), WAIT).await.map_err(unavailable)?;
        let balances = balances(&mut view, merchant, None).await.map_err(unavailable)?;
        Ok(balances.iter().find(|balance| balance.currency == currency).map_or(0, |balance| balance.net()))
    }
}
