//! What becomes of an export whose node dies or sleeps: another attempt makes one whole file, and nobody sees anything of
//! the first.

use std::sync::Arc;
use std::time::Duration;

use domain::ExportId;
use futures::TryStreamExt;
use projections::exports::{
    self, Export, ExportStatus, ExportTerms, Exporter, Failure, Format, Kind, NewExport, Selection,
};
use projections::payments::Payments;
use projections::{Projection, Running};
use sha2::{Digest, Sha256};
use test_support::histories::{create, terms};
use test_support::read_models::{PATIENCE, ReadModels};
use test_support::wait::until;
use uuid::Uuid;

/// So that a handful of rows are many chunks, and nobody waits long for a node that is gone.
const TERMS: ExportTerms =
    ExportTerms { chunk_bytes: 500, lease: Duration::from_millis(600), kept_for: Duration::from_secs(3_600) };
const ROWS: u32 = 40;

struct Exports {
    models: ReadModels,
    _running: Running,
}

impl Exports {
    async fn new() -> Exports {
        let models = ReadModels::new().await;
        let running = models.start(vec![Arc::new(Payments) as Arc<dyn Projection>]);
        for n in 1..=ROWS {
            create(models.store.as_ref(), terms(n)).await;
        }
        models.view(&[&Payments]).await;
        Exports { models, _running: running }
    }

    fn node(&self) -> Exporter {
        Exporter::new(self.models.database.pool.clone(), self.models.reader.clone(), TERMS)
    }

    async fn ask(&self, min_position: u64) -> ExportId {
        let new = NewExport {
            export_id: ExportId::from_uuid(Uuid::now_v7()),
            owner: None,
            requested_by: "finance:anna".to_owned(),
            kind: Kind::Payments,
            format: Format::Ndjson,
            selection: Selection::default(),
            min_position,
        };
        exports::request(&self.models.database.pool, &new, 5).await.unwrap().unwrap();
        new.export_id
    }

    async fn find(&self, export_id: ExportId) -> Export {
        exports::find(&self.models.database.pool, export_id).await.unwrap().unwrap()
    }

    async fn chunks(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM export_chunks");
        count.fetch_one(&self.models.database.pool).await.unwrap()
    }

    /// The file is whole, what its digest says, and of one attempt alone.
    async fn assert_whole(&self, export_id: ExportId, rows: u32) {
        let export = self.find(export_id).await;
        assert_eq!(export.status, ExportStatus::Ready);
        let file = export.file.clone().unwrap();
        let parts = exports::read(self.models.database.pool.clone(), &export, 0..file.bytes);
        let bytes = parts.try_collect::<Vec<_>>().await.unwrap().concat();
        assert_eq!((file.digest, file.bytes), (hex::encode(Sha256::digest(&bytes)), bytes.len() as u64));
        let lines: Vec<&[u8]> = bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
        assert_eq!((lines.len(), file.rows), (rows as usize, u64::from(rows)));
        let sum: i64 = sqlx::query_scalar("SELECT sum(length(bytes)) FROM export_chunks")
            .fetch_one(&self.models.database.pool)
            .await
            .unwrap();
        assert_eq!(u64::try_from(sum).unwrap(), file.bytes, "chunks of another attempt are left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_between_two_chunks_leaves_a_whole_file_to_another() {
    let exports = Exports::new().await;
    let pool = &exports.models.database.pool;
    let gate = "CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_advisory_xact_lock(77); RETURN NEW; END $$;
                CREATE TRIGGER gate BEFORE INSERT ON export_chunks FOR EACH ROW WHEN (NEW.start > 3000 AND NEW.attempt = 1)
                EXECUTE FUNCTION wait_at_the_gate();";
    sqlx::raw_sql(gate).execute(pool).await.unwrap();
    let mut keeper = pool.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(77)").execute(&mut *keeper).await.unwrap();
    let export_id = exports.ask(0).await;
    let first = tokio::spawn(exports.node().run(std::future::pending()));
    until("some chunks are stored", PATIENCE, || async { (exports.chunks().await > 3).then_some(()) }).await;
    until("the next one waits at the gate", PATIENCE, || async {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        (sqlx::query_scalar::<_, i64>(waiting).fetch_one(pool).await.unwrap() > 0).then_some(())
    })
    .await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    sqlx::query("SELECT pg_advisory_unlock(77)").execute(&mut *keeper).await.unwrap();
    assert_eq!(exports.find(export_id).await.status, ExportStatus::Running);

    // What was recorded since belongs to the file: its snapshot is taken anew.
    create(exports.models.store.as_ref(), terms(ROWS + 1)).await;
    exports.models.view(&[&Payments]).await;
    let second = tokio::spawn(exports.node().run(std::future::pending()));
    until("the other node has made it", PATIENCE, || async {
        (exports.find(export_id).await.status == ExportStatus::Ready).then_some(())
    })
    .await;
    second.abort();
    exports.assert_whole(export_id, ROWS + 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_wakes_up_too_late_writes_nothing() {
    let exports = Exports::new().await;
    let (sleeper, other) = (exports.node(), exports.node());
    let export_id = exports.ask(0).await;
    let old = sleeper.claim().await.unwrap().unwrap();
    assert_eq!(other.claim().await.unwrap(), None, "it is held");
    let new = until("the hold lapses", PATIENCE, || async { other.claim().await.unwrap() }).await;
    assert_eq!(sleeper.carry_out(&old).await, Err(Failure::Lost));
    assert_eq!(exports.chunks().await, 0);
    assert_eq!(other.carry_out(&new).await, Ok(()));
    exports.assert_whole(export_id, ROWS).await;
    assert_eq!(sleeper.carry_out(&old).await, Err(Failure::Lost));
    assert_eq!(other.carry_out(&new).await, Err(Failure::Lost), "a file is made once");
    exports.assert_whole(export_id, ROWS).await;
    assert_eq!(other.claim().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_make_each_export_once_and_a_node_that_stops_leaves_its_own_at_once() {
    let exports = Exports::new().await;
    let ids = [exports.ask(0).await, exports.ask(0).await, exports.ask(0).await];
    let claims = [exports.node().claim().await.unwrap().unwrap(), exports.node().claim().await.unwrap().unwrap()];
    assert_ne!(claims[0].export_id, claims[1].export_id);
    // One that waits for a position that nobody has written is put back, and does not fail for it.
    let far = exports.ask(1_000_000).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let node = tokio::spawn(exports.node().run(async move { drop(stopped.await) }));
    until("the others are ready and the last one is taken up", PATIENCE, || async {
        let mut statuses = vec![];
        for export_id in ids.into_iter().chain([far]) {
            statuses.push(exports.find(export_id).await.status);
        }
        let (last, others) = statuses.split_last().unwrap();
        (others.iter().all(|status| *status == ExportStatus::Ready) && *last == ExportStatus::Running).then_some(())
    })
    .await;
    stop.send(()).unwrap();
    node.await.unwrap();
    assert_eq!(exports.find(far).await.status, ExportStatus::Pending);
    let taken = exports.node().claim().await.unwrap().unwrap();
    assert_eq!(taken.export_id, far);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_again_and_again_is_given_up_and_leaves_no_chunk() {
    let exports = Exports::new().await;
    let export_id = exports.ask(0).await;
    for _ in 0..5 {
        let claim = until("it can be taken up", PATIENCE, || async { exports.node().claim().await.unwrap() }).await;
        assert_eq!(claim.export_id, export_id);
        let pool = &exports.models.database.pool;
        let chunk = "INSERT INTO export_chunks SELECT export_id, attempt, 0, 'x' FROM exports";
        sqlx::query(chunk).execute(pool).await.unwrap();
        sqlx::query("UPDATE exports SET held_until = clock_timestamp()").execute(pool).await.unwrap();
    }
    assert_eq!(exports.node().claim().await.unwrap(), None);
    assert_eq!(exports.find(export_id).await.status, ExportStatus::Failed);
    assert_eq!(exports.chunks().await, 5);
    exports.node().tidy().await.unwrap();
    assert_eq!(exports.chunks().await, 0);
}
