//! What `payledger verify` checks of the log and the read models, on a running app.

use crate::app::TestApp;

/// Every invariant that the log alone can prove, and every read model against its rebuild.
pub async fn everything_holds(app: &TestApp) {
    let mut audit = commands::audit::replay(app.ledger.store.as_ref(), |_| {}).await.unwrap();
    for check in audit.checks() {
        assert!(check.ok, "{check:?}");
    }
    let verified = projections::verify::verify_all(&app.ledger.reader, app.ledger.store.as_ref()).await.unwrap();
    assert_eq!(verified.len(), projections::all().len(), "a read model has no verification");
    for verification in verified {
        assert!(verification.is_clean(), "{verification:?}");
    }
}
