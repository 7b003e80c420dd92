//! Finance: whoever settles, agrees and refuses.

use std::sync::Arc;

use commands::Issued;
use commands::settlement::Scope;
use tokio::time::sleep;

use super::{Clients, Wish};
use crate::node::Node;

impl Clients {
    /// Finance settles everything at will, now and then.
    pub fn settle(&self) {
        let clients = self.clone();
        self.start(async move {
            for _ in 0..clients.chance.below(3) {
                sleep(clients.chance.millis(0..=200_000)).await;
                let ask = |node: Arc<Node>, issued: Issued| async move {
                    Ok(node.settlements.run(issued, Scope::default()).await?.receipt)
                };
                clients.insist(Wish::Settlement, "finance:ada", &clients.key(), ask).await;
            }
        });
    }
}
