//! The sandbox provider from outside, over HTTP: every token, idempotency, tombstones, recovery,
//! webhooks, faults, payouts. Nothing here looks into the book.

#![allow(clippy::unwrap_used)]

mod actions;
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
