//! The sandbox provider from outside, over HTTP: every token, idempotency, tombstones, recovery,
//! webhooks, faults, payouts. Only `book` looks inside: at the pure core, under any history.

#![allow(clippy::unwrap_used)]

mod actions;
mod book;
mod captures;
mod charges;
mod crash;
mod disputes;
mod faults;
mod journal;
mod payouts;
mod refunds;
mod requests;
mod support;
mod tombstones;
mod unanswered;
mod webhooks;
