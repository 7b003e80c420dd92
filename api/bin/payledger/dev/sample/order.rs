//! An order of a few items that is paid in two parts and then shipped, refunded or cancelled, as its number has it.

use serde_json::{Value, json};

use super::client::Client;

/// Minor units; `first` is the part that is paid first.
pub struct Sample<'a> {
    pub number: u32,
    pub currency: &'a str,
    pub amount: i64,
    pub first: i64,
    /// What becomes of the second part.
    pub token: &'a str,
}

impl Sample<'_> {
    pub async fn play(&self, client: &Client, secret: &str) -> anyhow::Result<()> {
        let (order_no, key) = (format!("SAMPLE-{:05}", self.number), format!("sample-{}-order", self.number));
        let rest = self.amount - self.first;
        let mut items = vec![json!({"name": "Sample teapot", "sku": "TP-1", "quantity": 1, "unit_amount": self.first})];
        if rest > 0 {
            items.push(json!({"name": "Sample tray", "quantity": 1, "unit_amount": rest}));
        }
        let request = json!({
            "order_no": order_no, "currency": self.currency, "items": items, "total": self.amount,
            "customer": {"email": format!("customer{}@example.com", self.number % 50), "name": "A Customer"},
            "description": format!("Sample order {}", self.number),
        });
        let order = client.post("/orders", secret, &key, &request).await?;
        if order["id"].is_null() {
            return Ok(());
        }
        let act = async |action: &str, body: Value| {
            let path = format!("/orders/{order_no}/{action}");
            client.post(&path, secret, &format!("{key}-{action}-{}", body["amount"]), &body).await
        };
        let method = |token: &str| json!({"type": "card", "token": token});
        act("pay", json!({"payment_method": method("tok_success"), "amount": self.first})).await?;
        act("pay", json!({"payment_method": method(self.token)})).await?;
        match self.number / EVERY % 4 {
            0 | 1 => {
                act("ship", json!({})).await?;
                act("complete", json!({})).await?;
            }
            2 => drop(act("refund", json!({"amount": self.first, "reason": "sample refund"})).await?),
            _ => drop(act("cancel", json!({})).await?),
        }
        Ok(())
    }
}

/// One deal in so many is an order.
pub const EVERY: u32 = 15;
