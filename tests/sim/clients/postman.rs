//! The postman, who carries the channel's webhooks.

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::Clients;
use crate::channel::{CHANNEL, News, SIGNATURE};

impl Clients {
    /// Carries webhooks: late, twice, in another order, or not at all where somebody who asks would learn of it anyway.
    /// And now and then a forged one.
    pub fn carry(&self, mut mailbox: mpsc::UnboundedReceiver<News>) {
        let clients = self.clone();
        tokio::spawn(async move {
            while let Some(news) = mailbox.recv().await {
                let is_rough = clients.weather.is_rough();
                if is_rough && !news.is_owed && clients.chance.percent(25) {
                    continue;
                }
                let copies = if clients.chance.percent(20) { 2 } else { 1 };
                for _ in 0..copies {
                    let (carrier, event_id) = (clients.clone(), news.event_id.clone());
                    clients.start(async move { carrier.deliver(&event_id).await });
                }
            }
        });
    }

    async fn deliver(&self, event_id: &str) {
        sleep(self.chance.millis(0..=40_000)).await;
        let signature = if self.chance.percent(5) { "forged" } else { "valid" };
        for signature in
            [Some(signature).filter(|signature| *signature == "forged"), Some("valid")].into_iter().flatten()
        {
            loop {
                let event_id = event_id.to_owned();
                let received = self.cluster.ask(move |node| async move {
                    let header = move |name: &str| (name == SIGNATURE).then(|| signature.to_owned());
                    node.webhooks
                        .receive(&CHANNEL.parse().expect("a channel's name"), &header, event_id.as_bytes())
                        .await
                });
                match received.await {
                    Ok(Ok(_)) => {
                        assert_eq!(signature, "valid", "a forged webhook was taken");
                        break;
                    }
                    Ok(Err(commands::webhook::WebhookRefused::BadSignature)) => break,
                    _ => sleep(self.chance.millis(1_000..=30_000)).await,
                }
            }
        }
    }
}
