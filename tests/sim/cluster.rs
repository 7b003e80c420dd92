//! The nodes that are up, and a call to any of them: it may end with the node, or its answer may be lost.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::node::{Node, Surroundings};
use crate::trace::Trace;

const NODES: usize = 2;

/// Whether the call took effect is not known.
#[derive(Debug, Clone, Copy)]
pub struct NoAnswer;

/// Clones share the nodes.
#[derive(Clone)]
pub struct Cluster {
    around: Surroundings,
    nodes: Arc<Mutex<Vec<Option<Arc<Node>>>>>,
    chance: Chance,
    trace: Trace,
}

impl Cluster {
    pub fn start(around: Surroundings, chance: Chance, trace: Trace) -> Cluster {
        let cluster = Cluster { around, nodes: Arc::new(Mutex::new(vec![None; NODES])), chance, trace };
        (0..NODES).for_each(|place| cluster.boot(place));
        cluster
    }

    fn boot(&self, place: usize) {
        let node = Node::start(&self.around, self.chance.millis(0..=1_500));
        self.nodes.lock()[place] = Some(Arc::new(node));
        self.trace.note(|| format!("      node {place} is up"));
    }

    fn any(&self) -> Option<Arc<Node>> {
        let up: Vec<Arc<Node>> = self.nodes.lock().iter().flatten().cloned().collect();
        if up.is_empty() { None } else { Some(self.chance.pick(&up)) }
    }

    pub async fn ask<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        call: impl FnOnce(Arc<Node>) -> F,
    ) -> Result<T, NoAnswer> {
        let node = self.any().ok_or(NoAnswer)?;
        let task = tokio::spawn(call(node.clone()));
        node.own(task.abort_handle());
        drop(node);
        if self.around.inside.is_rough() && self.chance.percent(5) {
            let (handle, patience) = (task.abort_handle(), self.chance.millis(0..=100));
            tokio::spawn(async move {
                sleep(patience).await;
                handle.abort();
            });
        }
        let answer = task.await.map_err(|_| NoAnswer)?;
        if self.around.inside.is_rough() && self.chance.percent(4) {
            return Err(NoAnswer);
        }
        Ok(answer)
    }

    /// Until the weather is calm: nodes die and come back, and what they stand on is gone for a while.
    pub async fn storm(self) {
        loop {
            sleep(self.chance.millis(500..=25_000)).await;
            if !self.around.inside.is_rough() {
                return;
            }
            match self.chance.below(5) {
                0 => self.outage("our own side", &self.around.inside.clone()),
                1 => self.outage("the channel", &self.around.outside.clone()),
                2 => (0..NODES).for_each(|place| self.kill(place)),
                _ => self.kill(self.chance.below(NODES)),
            }
        }
    }

    fn outage(&self, of: &str, weather: &crate::weather::Weather) {
        let duration = self.chance.millis(100..=15_000);
        self.trace.note(|| format!("      {of} is not to be reached for {duration:?}"));
        weather.break_down(duration);
    }

    fn kill(&self, place: usize) {
        let Some(node) = self.nodes.lock()[place].take() else { return };
        self.trace.note(|| format!("      node {place} is killed"));
        node.crash();
        let (cluster, down_for) = (self.clone(), self.chance.millis(0..=20_000));
        tokio::spawn(async move {
            sleep(down_for).await;
            if cluster.around.inside.is_rough() {
                cluster.boot(place);
            }
        });
    }

    /// All nodes are stopped in good order and started again, in whatever weather it is now.
    pub async fn restart(&self) {
        let up: Vec<Arc<Node>> = self.nodes.lock().iter_mut().filter_map(Option::take).collect();
        for node in up {
            node.stop().await;
        }
        sleep(Duration::from_secs(1)).await;
        (0..NODES).for_each(|place| self.boot(place));
    }
}
