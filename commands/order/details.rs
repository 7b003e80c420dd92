//! What of an order is personal or free text: sealed before it enters an event, opened to be shown.

use std::collections::BTreeMap;
use std::fmt;

use domain::MerchantId;
use domain::order::Created;
use serde::{Deserialize, Serialize};

use super::Orders;
use crate::executor::CommandError;
use crate::payment::Customer;
use crate::ports::Subject;

/// The texts stand in the order of the items.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct OrderDetails {
    pub items: Vec<ItemText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Customer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemText {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<String>,
}

/// What a person bought may not end in a log.
impl fmt::Debug for OrderDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderDetails").finish_non_exhaustive()
    }
}

impl OrderDetails {
    pub(super) fn subject(&self, merchant_id: MerchantId) -> Subject {
        let customer = self.customer.as_ref().and_then(|customer| customer.email.clone());
        Subject { merchant_id, customer }
    }
}

impl Orders {
    /// The order's sealed details; `None` once their subject was erased.
    pub async fn details(&self, terms: &Created) -> Result<Option<OrderDetails>, CommandError> {
        let Some(text) = self.payments.vault.open(&terms.order_id.to_string(), &terms.sealed).await? else {
            return Ok(None);
        };
        let details = serde_json::from_slice(&text);
        details.map(Some).map_err(|_| CommandError::Bug("sealed details are not what was sealed".to_owned()))
    }

    /// Gets the keys that the details of these are sealed with, so that opening them one after another waits for none.
    pub async fn prepare_details(&self, terms: impl IntoIterator<Item = &Created>) -> Result<(), CommandError> {
        let sealed: Vec<_> = terms.into_iter().map(|terms| &terms.sealed).collect();
        Ok(self.payments.vault.prepare(&sealed).await?)
    }
}
