//! Every trait that an adapter implements, and the values that cross it.

pub mod agenda;
pub mod authorizations;
pub mod bank;
pub mod channel;
pub mod clock;
pub mod disputes;
pub mod event;
pub mod event_store;
pub mod funds;
pub mod inbox;
pub mod jobs;
pub mod keys;
pub mod nonces;
pub mod overdue;
pub mod pending_activity;
pub mod request;
pub mod stream_state;
pub mod vault;

pub use agenda::{Agenda, AgendaUnavailable, SagaId, SagaState, SagaStatus};
pub use authorizations::{AuthorizationAnswer, AuthorizationOrder, Authorizations, CaptureOrder};
pub use bank::{Bank, BankNews, BankUnavailable, TransferFact, TransferOrder};
pub use channel::{Channel, ChannelAnswer, ChargeOrder, RefundAnswer, RefundOrder, WebhookFact};
pub use clock::Clock;
pub use disputes::{DisputeAnswer, DisputeOrder, DisputeReport, ReportedStage};
pub use event::{Metadata, RecordedEvent, StreamId, Unreadable};
pub use event_store::{EventStore, StoreError};
pub use funds::{MerchantFunds, PendingBalance};
pub use inbox::{InboxError, WebhookInbox};
pub use jobs::{JobBoard, JobBoardUnavailable};
pub use keys::{Access, ApiKey, KeyDirectory, KeyDirectoryError, Role, Secret};
pub use nonces::{Nonces, NoncesUnavailable};
pub use overdue::OverduePayments;
pub use pending_activity::PendingActivity;
pub use request::{Decision, Expected, NewEvent, Receipt, RejectionRecord, Request, StreamRef};
pub use stream_state::{Category, StreamState, nth_state, state_of};
pub use vault::{BlindIndex, Subject, Vault, VaultError};
