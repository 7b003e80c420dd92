//! The columns of each kind of export: what the kind's list shows, without what is sealed, so that no vault is opened and
//! a file holds no personal datum. Amounts in minor units.

use domain::payment::{self, Capture, Phase};
use domain::withdrawal::Phase as WithdrawalPhase;
use domain::{dispute, pre_auth, settlement, withdrawal};

use super::cell::Cell;
use super::sheet::Column;
use crate::StatusText;
use crate::books::EntryLine;
use crate::orders::OrderRow;
use crate::refunds::RefundRow;
use crate::statements::Movement;
use crate::streams::StreamRow;

type Payment = StreamRow<payment::State>;
type PreAuth = StreamRow<pre_auth::State>;
type Settlement = StreamRow<settlement::State>;
type Withdrawal = StreamRow<withdrawal::State>;
type Dispute = StreamRow<dispute::State>;

/// Why a row's state has a record.
const WRITTEN: &str = "only rows of streams that have begun are written";

fn of_payment(row: &Payment) -> &payment::Record {
    row.state.record().expect(WRITTEN)
}

fn captured(row: &Payment, amount: fn(&Capture) -> i64) -> Cell {
    Cell::number(of_payment(row).capture().map_or(0, amount))
}

fn failure_of(row: &Payment) -> Option<&payment::Failure> {
    match &of_payment(row).phase {
        Phase::Failed(failure) => Some(failure),
        _ => None,
    }
}

pub(super) const PAYMENTS: &[Column<Payment>] = &[
    ("id", |row| Cell::text(of_payment(row).terms.payment_id)),
    ("merchant_id", |row| Cell::text(of_payment(row).terms.merchant_id)),
    ("order_no", |row| Cell::text(&of_payment(row).terms.order_no)),
    ("amount", |row| Cell::number(of_payment(row).terms.amount)),
    ("currency", |row| Cell::text(of_payment(row).terms.currency)),
    ("status", |row| Cell::text(of_payment(row).status().as_str())),
    ("channel", |row| Cell::text(&of_payment(row).terms.channel)),
    ("channel_reference", |row| Cell::maybe(of_payment(row).channel_reference.as_ref())),
    ("amount_captured", |row| captured(row, |capture| capture.amount)),
    ("amount_refunded", |row| captured(row, Capture::amount_refunded)),
    ("amount_disputed", |row| captured(row, Capture::amount_disputed)),
    ("fee_channel", |row| of_payment(row).fees().channel.map_or(Cell::Absent, Cell::number)),
    ("fee_markup", |row| Cell::number(of_payment(row).fees().markup)),
    ("fee_total", |row| Cell::number(of_payment(row).fees().total())),
    ("failure_code", |row| Cell::maybe(failure_of(row).map(|failure| &failure.code))),
    ("decline_code", |row| Cell::maybe(failure_of(row).and_then(|failure| failure.decline_code.as_ref()))),
    ("pre_auth_id", |row| Cell::maybe(of_payment(row).terms.pre_auth_id)),
    ("created_at", |row| of_payment(row).terms.created_at.into()),
    ("updated_at", |row| row.updated_at.into()),
    ("expires_at", |row| of_payment(row).terms.expires_at.into()),
    ("version", |row| Cell::number(row.version)),
];

pub(super) const REFUNDS: &[Column<RefundRow>] = &[
    ("id", |row| Cell::text(row.refund_id)),
    ("merchant_id", |row| Cell::text(row.merchant_id)),
    ("payment_id", |row| Cell::text(row.payment_id)),
    ("order_no", |row| Cell::text(&row.order_no)),
    ("amount", |row| Cell::number(row.amount)),
    ("currency", |row| Cell::text(row.currency)),
    ("status", |row| Cell::text(row.status.as_str())),
    ("channel", |row| Cell::text(&row.channel)),
    ("failure_code", |row| Cell::maybe(row.failure.as_ref().map(|failure| &failure.code))),
    ("created_at", |row| row.created_at.into()),
    ("updated_at", |row| row.updated_at.into()),
];

fn of_pre_auth(row: &PreAuth) -> &pre_auth::Record {
    row.state.record().expect(WRITTEN)
}

fn held(row: &PreAuth, amount: fn(&pre_auth::Hold) -> i64) -> Cell {
    Cell::number(of_pre_auth(row).hold().map_or(0, amount))
}

fn pre_auth_failure(row: &PreAuth) -> Option<&String> {
    match &of_pre_auth(row).phase {
        pre_auth::Phase::Failed(failure) => Some(&failure.code),
        _ => None,
    }
}

fn capture_ids(row: &PreAuth) -> Cell {
    let captures = of_pre_auth(row).hold().into_iter().flat_map(|hold| &hold.captures);
    Cell::texts(captures.map(|capture| capture.payment_id))
}

pub(super) const PRE_AUTHS: &[Column<PreAuth>] = &[
    ("id", |row| Cell::text(of_pre_auth(row).terms.pre_auth_id)),
    ("merchant_id", |row| Cell::text(of_pre_auth(row).terms.merchant_id)),
    ("order_no", |row| Cell::text(&of_pre_auth(row).terms.order_no)),
    ("amount", |row| Cell::number(of_pre_auth(row).terms.amount)),
    ("currency", |row| Cell::text(of_pre_auth(row).terms.currency)),
    ("status", |row| Cell::text(of_pre_auth(row).status().as_str())),
    ("channel", |row| Cell::text(&of_pre_auth(row).terms.channel)),
    ("channel_reference", |row| Cell::maybe(of_pre_auth(row).channel_reference.as_ref())),
    ("amount_authorized", |row| held(row, |hold| hold.amount)),
    ("amount_captured", |row| held(row, pre_auth::Hold::captured)),
    ("amount_capturable", |row| held(row, pre_auth::Hold::rest)),
    ("amount_released", |row| held(row, pre_auth::Hold::released)),
    ("captures", capture_ids),
    ("failure_code", |row| Cell::maybe(pre_auth_failure(row))),
    ("created_at", |row| of_pre_auth(row).terms.created_at.into()),
    ("updated_at", |row| row.updated_at.into()),
    ("expires_at", |row| {
        let record = of_pre_auth(row);
        record.hold().map_or(record.terms.expires_at, |hold| hold.expires_at).into()
    }),
    ("version", |row| Cell::number(row.version)),
];

pub(super) const ORDERS: &[Column<OrderRow>] = &[
    ("order_no", |row| Cell::text(&row.order_no)),
    ("merchant_id", |row| Cell::text(row.merchant_id)),
    ("status", |row| Cell::text(StatusText::as_str(&row.status))),
    ("amount", |row| Cell::number(row.amount)),
    ("amount_paid", |row| Cell::number(row.amount_paid)),
    ("amount_refunded", |row| Cell::number(row.amount_refunded)),
    ("currency", |row| Cell::text(row.currency)),
    ("channel", |row| Cell::maybe(row.channel.as_ref())),
    ("payment_ids", |row| Cell::texts(&row.payment_ids)),
    ("created_at", |row| row.created_at.into()),
    ("updated_at", |row| row.updated_at.into()),
];

fn of_settlement(row: &Settlement) -> &settlement::Record {
    row.state.record().expect(WRITTEN)
}

pub(super) const SETTLEMENTS: &[Column<Settlement>] = &[
    ("id", |row| Cell::text(of_settlement(row).terms.settlement_id)),
    ("merchant_id", |row| Cell::text(of_settlement(row).terms.merchant_id)),
    ("currency", |row| Cell::text(of_settlement(row).terms.currency)),
    ("status", |row| Cell::text(of_settlement(row).status.as_str())),
    ("amount", |row| Cell::number(of_settlement(row).terms.net)),
    ("gross_captured", |row| Cell::number(of_settlement(row).terms.gross_captured)),
    ("item_count", |row| Cell::number(of_settlement(row).terms.items)),
    ("items_digest", |row| Cell::text(&of_settlement(row).terms.items_digest)),
    ("window_from", |row| Cell::number(of_settlement(row).terms.window.from)),
    ("window_to", |row| Cell::number(of_settlement(row).terms.window.to)),
    ("cut_off_at", |row| of_settlement(row).terms.window.cut_off_at.into()),
    ("needs_approval", |row| Cell::Flag(of_settlement(row).terms.needs_approval)),
    ("release_due", |row| of_settlement(row).terms.release_due.into()),
    ("released_at", |row| Cell::maybe(of_settlement(row).released_at)),
    ("created_at", |row| of_settlement(row).terms.closed_at.into()),
    ("version", |row| Cell::number(row.version)),
];

fn of_withdrawal(row: &Withdrawal) -> &withdrawal::Record {
    row.state.record().expect(WRITTEN)
}

fn returned(row: &Withdrawal) -> Cell {
    match &of_withdrawal(row).phase {
        WithdrawalPhase::Returned { amount, .. } => Cell::number(*amount),
        _ => Cell::number(0),
    }
}

pub(super) const WITHDRAWALS: &[Column<Withdrawal>] = &[
    ("id", |row| Cell::text(of_withdrawal(row).terms.withdrawal_id)),
    ("merchant_id", |row| Cell::text(of_withdrawal(row).terms.merchant_id)),
    ("amount", |row| Cell::number(of_withdrawal(row).terms.amount)),
    ("fee", |row| Cell::number(of_withdrawal(row).terms.fee)),
    ("currency", |row| Cell::text(of_withdrawal(row).terms.currency)),
    ("status", |row| Cell::text(of_withdrawal(row).status().as_str())),
    ("bank_account_id", |row| Cell::text(of_withdrawal(row).terms.bank_account_id)),
    ("failure_code", |row| Cell::maybe(of_withdrawal(row).failure().map(|failure| &failure.code))),
    ("bank_code", |row| Cell::maybe(of_withdrawal(row).failure().and_then(|failure| failure.bank_code.as_ref()))),
    ("amount_returned", returned),
    ("created_at", |row| of_withdrawal(row).terms.requested_at.into()),
    ("updated_at", |row| row.updated_at.into()),
    ("version", |row| Cell::number(row.version)),
];

fn of_dispute(row: &Dispute) -> &dispute::Record {
    row.state.record().expect(WRITTEN)
}

fn submitted_at(row: &Dispute) -> Cell {
    match &of_dispute(row).answer {
        dispute::Answer::Evidence { submitted_at, .. } => (*submitted_at).into(),
        _ => Cell::Absent,
    }
}

fn accepted_at(row: &Dispute) -> Cell {
    match &of_dispute(row).answer {
        dispute::Answer::Accepted { accepted_at, .. } => (*accepted_at).into(),
        _ => Cell::Absent,
    }
}

pub(super) const DISPUTES: &[Column<Dispute>] = &[
    ("id", |row| Cell::text(of_dispute(row).terms.dispute_id)),
    ("merchant_id", |row| Cell::text(of_dispute(row).terms.merchant_id)),
    ("payment_id", |row| Cell::text(of_dispute(row).terms.payment_id)),
    ("order_no", |row| Cell::text(&of_dispute(row).terms.order_no)),
    ("amount", |row| Cell::number(of_dispute(row).amount)),
    ("currency", |row| Cell::text(of_dispute(row).terms.currency)),
    ("status", |row| Cell::text(of_dispute(row).status().as_str())),
    ("reason", |row| Cell::text(&of_dispute(row).terms.reason)),
    ("channel", |row| Cell::text(&of_dispute(row).terms.channel)),
    ("channel_reference", |row| Cell::text(&of_dispute(row).terms.channel_reference)),
    ("evidence_submitted_at", submitted_at),
    ("evidence_due_by", |row| Cell::maybe(of_dispute(row).evidence_due_by)),
    ("accepted_at", accepted_at),
    ("created_at", |row| of_dispute(row).terms.opened_at.into()),
    ("updated_at", |row| row.updated_at.into()),
    ("version", |row| Cell::number(row.version)),
];

pub(super) const MOVEMENTS: &[Column<Movement>] = &[
    ("merchant_id", |row| Cell::text(row.merchant_id)),
    ("currency", |row| Cell::text(row.currency)),
    ("position", |row| Cell::number(row.position)),
    ("kind", |row| Cell::text(row.kind())),
    ("event_type", |row| Cell::text(&row.event_type)),
    ("reference", |row| Cell::text(&row.object)),
    ("amount", |row| Cell::Number(row.amount)),
    ("balance", |row| Cell::Number(row.balance)),
    ("recorded_at", |row| row.recorded_at.into()),
    ("effective_at", |row| row.effective_at.into()),
];

pub(super) const JOURNAL: &[Column<EntryLine>] = &[
    ("position", |row| Cell::number(row.position)),
    ("line", |row| Cell::number(row.line)),
    ("account", |row| Cell::text(&row.account)),
    ("currency", |row| Cell::text(row.currency)),
    ("debit", |row| Cell::number(row.debit)),
    ("credit", |row| Cell::number(row.credit)),
    ("recorded_at", |row| row.recorded_at.into()),
    ("effective_at", |row| row.effective_at.into()),
];
