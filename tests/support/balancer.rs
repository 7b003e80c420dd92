//! Stands before several servers: each connection goes to the next one that takes it. Understands no protocol.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Forwards until it is dropped; dropping it cuts what is open.
pub struct Balancer {
    pub address: SocketAddr,
    task: AbortHandle,
}

impl Balancer {
    /// Before the servers that listen, or will listen, on these ports of this machine.
    pub async fn over(ports: Vec<u16>) -> std::io::Result<Balancer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        Ok(Balancer { address, task: tokio::spawn(accept(listener, ports.into())).abort_handle() })
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, ports: Arc<[u16]>) {
    let turn = Arc::new(AtomicUsize::new(0));
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (ports, turn) = (ports.clone(), turn.clone());
        connections.spawn(forward(client, ports, turn));
        while connections.try_join_next().is_some() {}
    }
}

/// A client whom no server takes finds its connection closed.
async fn forward(mut client: TcpStream, ports: Arc<[u16]>, turn: Arc<AtomicUsize>) {
    for _ in ports.iter() {
        let port = ports[turn.fetch_add(1, Ordering::Relaxed) % ports.len()];
        if let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await {
            // However it ends, both sides are closed.
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}
