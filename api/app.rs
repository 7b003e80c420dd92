//! Everything that handlers need, put together by the binary. Knows no adapter.

use std::ops::Deref;
use std::sync::Arc;

use commands::Executor;
use commands::channel_account::ChannelAccounts;
use commands::keys::ApiKeys;
use commands::payment::Payments;
use commands::ports::{Agenda, Clock, EventStore, JobBoard, Nonces};
use commands::reconciliation::Reconciliations;
use commands::settlement::Settlements;
use commands::story::Storyteller;
use commands::webhook::Webhooks;
use commands::withdrawal::Withdrawals;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::health::Readiness;
use crate::middleware::CallLimits;

/// Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

pub struct Parts {
    pub payments: Payments,
    pub channel_accounts: ChannelAccounts,
    pub reconciliations: Reconciliations,
    pub settlements: Settlements,
    pub keys: ApiKeys,
    pub nonces: Arc<dyn Nonces>,
    pub webhooks: Webhooks,
    pub withdrawals: Withdrawals,
    pub agenda: Arc<dyn Agenda>,
    pub jobs: Arc<dyn JobBoard>,
    pub storyteller: Storyteller,
    pub reader: projections::Reader,
    pub database: sqlx::PgPool,
    pub readiness: Arc<dyn Readiness>,
    pub metrics: PrometheusHandle,
    /// What becomes of a merchant's calls beyond those of its tier.
    pub call_limits: CallLimits,
    /// How many requests may run at once; more are told to come again.
    pub in_flight_max: usize,
}

impl App {
    pub fn new(parts: Parts) -> App {
        App(Arc::new(parts))
    }

    pub fn executor(&self) -> &Executor {
        &self.payments.executor
    }

    pub fn store(&self) -> &Arc<dyn EventStore> {
        self.payments.executor.store()
    }

    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.payments.clock
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
