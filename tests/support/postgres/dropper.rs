//! Deletes the databases of finished tests one after the other, in a thread of its own: no test waits for it, and the
//! checkpoints that each deletion costs do not pile up.

use std::sync::mpsc::{Receiver, Sender, channel};

use sqlx::{Connection, Executor, PgConnection};

#[derive(Debug)]
pub(super) struct Dropper {
    names: Sender<String>,
}

impl Dropper {
    /// `admin_url` is a database of the same server that is not going to be deleted.
    pub fn new(admin_url: String) -> Self {
        let (names, due) = channel();
        std::thread::spawn(move || run(&admin_url, &due));
        Self { names }
    }

    pub fn drop_later(&self, name: String) {
        // Without the thread the database goes with its cluster.
        let _ = self.names.send(name);
    }
}

fn run(admin_url: &str, due: &Receiver<String>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    while let Ok(name) = due.recv() {
        let dropped = runtime.block_on(async {
            let mut connection = PgConnection::connect(admin_url).await?;
            let sql = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
            connection.execute(sql.as_str()).await?;
            connection.close().await
        });
        if let Err(error) = dropped {
            tracing::debug!(%error, database = name, "a test's database was not deleted");
        }
    }
}
