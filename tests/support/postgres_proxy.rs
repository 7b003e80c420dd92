//! Stands between a client and Postgres and cuts the connection around a COMMIT, at moments that tests choose.
//! Understands just enough of the wire protocol to see where a commit is.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never sees the commit.
    BeforeServer,
    /// The server has the commit in hand; nobody waits for its answer.
    WhileServerWorks,
    /// The server has committed; its answer is dropped.
    AfterServer,
    /// The server has committed; its answer never comes, and the connection stays open.
    Silence,
}

const CUTS: [Cut; 4] = [Cut::BeforeServer, Cut::WhileServerWorks, Cut::AfterServer, Cut::Silence];

/// Accepts connections until it is dropped; dropping it cuts those that are open.
pub struct PostgresProxy {
    through: PgConnectOptions,
    plan: Arc<Plan>,
    task: AbortHandle,
}

struct Plan {
    /// Each commit with this number, counted over all connections, is cut; 0 cuts none.
    every: AtomicUsize,
    commits: AtomicUsize,
    cuts: AtomicUsize,
    /// Connections to the server are refused, and open ones closed at their next message.
    away: AtomicBool,
}

impl Plan {
    fn next_cut(&self) -> Option<Cut> {
        let every = self.every.load(Ordering::SeqCst);
        let commit = self.commits.fetch_add(1, Ordering::SeqCst) + 1;
        if every == 0 || !commit.is_multiple_of(every) {
            return None;
        }
        Some(CUTS[self.cuts.fetch_add(1, Ordering::SeqCst) % CUTS.len()])
    }
}

impl PostgresProxy {
    /// Forwards to the server of `options`, which must listen on TCP.
    pub async fn start(options: &PgConnectOptions) -> io::Result<PostgresProxy> {
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let plan = Arc::new(Plan {
            every: AtomicUsize::new(0),
            commits: AtomicUsize::new(0),
            cuts: AtomicUsize::new(0),
            away: AtomicBool::new(false),
        });
        let task = tokio::spawn(accept(listener, server, plan.clone())).abort_handle();
        let through = options.clone().host(&address.ip().to_string()).port(address.port());
        Ok(PostgresProxy { through: through.ssl_mode(PgSslMode::Disable), plan, task })
    }

    /// A pool that reaches the server through here, one connection when it needs one.
    pub fn pool(&self) -> PgPool {
        PgPoolOptions::new().connect_lazy_with(self.through.clone())
    }

    /// From now on every `every`-th commit is cut, in turn at each of the moments; 0 stops it.
    pub fn cut_every(&self, every: usize) {
        self.plan.every.store(every, Ordering::SeqCst);
    }

    /// How many commits were cut.
    pub fn cuts(&self) -> usize {
        self.plan.cuts.load(Ordering::SeqCst)
    }

    /// Whether the server cannot be reached.
    pub fn set_away(&self, away: bool) {
        self.plan.away.store(away, Ordering::SeqCst);
    }
}

impl Drop for PostgresProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: String, plan: Arc<Plan>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        if plan.away.load(Ordering::SeqCst) {
            continue;
        }
        let (server, plan) = (server.clone(), plan.clone());
        connections.spawn(async move {
            if let Ok(server) = TcpStream::connect(server).await {
                // However it ends, both sides are closed.
                let _ = forward(client, server, &plan).await;
            }
        });
    }
}

async fn forward(mut client: TcpStream, mut server: TcpStream, plan: &Plan) -> io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let mut session = Session::default();
    let (mut said, mut answered) = (Vec::new(), Vec::new());
    loop {
        tokio::select! {
            read = client.read_buf(&mut said) => {
                if read? == 0 || plan.away.load(Ordering::SeqCst) {
                    return Ok(());
                }
                while let Some(message) = session.next(&mut said) {
                    let cut = if session.commits(&message) { plan.next_cut() } else { None };
                    if let Some(cut) = cut {
                        return cut_at(cut, &message, &mut client, &mut server).await;
                    }
                    server.write_all(&message).await?;
                }
            }
            read = server.read_buf(&mut answered) => {
                if read? == 0 {
                    return Ok(());
                }
                client.write_all(&answered).await?;
                answered.clear();
            }
        }
    }
}

async fn cut_at(cut: Cut, message: &[u8], client: &mut TcpStream, server: &mut TcpStream) -> io::Result<()> {
    if cut == Cut::BeforeServer {
        return Ok(());
    }
    server.write_all(message).await?;
    if cut == Cut::WhileServerWorks {
        return Ok(());
    }
    let mut answer = Vec::new();
    while !is_ready_for_query(&answer) && server.read_buf(&mut answer).await? > 0 {}
    if cut == Cut::Silence {
        let mut ignored = Vec::new();
        while client.read_buf(&mut ignored).await? > 0 {}
    }
    Ok(())
}

fn is_ready_for_query(answer: &[u8]) -> bool {
    answer.len() >= 6 && answer[answer.len() - 6..].starts_with(b"Z\0\0\0\x05")
}

/// What must be remembered of a connection to see its commits.
#[derive(Default)]
struct Session {
    started: bool,
    in_transaction: bool,
    /// Names of the prepared statements that append events.
    appends: HashSet<Vec<u8>>,
    append_is_bound: bool,
}

impl Session {
    /// Takes the next whole message from the front of `bytes`. The first one has no type byte.
    fn next(&mut self, bytes: &mut Vec<u8>) -> Option<Vec<u8>> {
        let tag = usize::from(self.started);
        let length = bytes.get(tag..tag + 4)?;
        let length = tag + usize::try_from(u32::from_be_bytes(length.try_into().ok()?)).ok()?;
        if bytes.len() < length {
            return None;
        }
        self.started = true;
        let rest = bytes.split_off(length);
        Some(std::mem::replace(bytes, rest))
    }

    /// Does the server commit an append when it gets this message?
    fn commits(&mut self, message: &[u8]) -> bool {
        let body = message.get(5..).unwrap_or_default();
        match message.first() {
            Some(b'Q') if body.starts_with(b"COMMIT") => std::mem::take(&mut self.in_transaction),
            Some(b'Q') => {
                self.in_transaction = body.starts_with(b"BEGIN");
                false
            }
            Some(b'P') => {
                let mut parts = body.splitn(3, |byte| *byte == 0);
                let (name, statement) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                if String::from_utf8_lossy(statement).contains("INSERT INTO events") {
                    self.appends.insert(name.to_vec());
                }
                false
            }
            Some(b'B') => {
                let statement = body.splitn(3, |byte| *byte == 0).nth(1).unwrap_or_default();
                self.append_is_bound = !self.in_transaction && self.appends.contains(statement);
                false
            }
            Some(b'S') => std::mem::take(&mut self.append_is_bound),
            _ => false,
        }
    }
}
