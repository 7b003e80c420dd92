//! The sandbox payment provider: a small but real payment provider with its own durable book, fees,
//! webhooks, payouts and faults. It knows nothing of the ledger's types; the two meet over HTTP only.
//!
//! JSON in and out, bodies up to 64 kB, amounts in minor units (1 to 10^15 - 1), unknown fields
//! refused. Calls marked * need `Idempotency-Key`: the same key with the same body gets the first
//! answer again (refusals included) and takes effect once; with anything else 422
//! `idempotency_key_reused`. `{target}` is the client's reference or the provider's own id.
//!
//! | route | answers |
//! |---|---|
//! | `POST /charges` * `{reference, amount, currency, token, capture = true, return_url?}` | 201 charge, its `status` being the outcome (a decline is a 201 too); 409 `charge_cancelled` (tombstone) or `reference_in_use`, both with `charge` |
//! | `GET /charges?reference=`, `GET /charges/{target}` | 200 charge; 404 `charge_not_found` |
//! | `POST /charges/{target}/capture` * `{reference, amount?, final = false}` | 201 capture; 404; 409 `charge_captured`, `charge_cancelled`, `charge_failed`, `charge_not_authorized`, `reference_in_use`; 422 `amount_too_large` |
//! | `GET /captures?reference=`, `GET /captures/{target}` | 200 capture; 404 `capture_not_found` |
//! | `POST /charges/{target}/cancel` * | 200 charge: `cancelled` (also a reference never seen: a tombstone), `failed`, or `succeeded` where only the rest was released; 409 `charge_captured` with `charge` |
//! | `POST /refunds` * `{reference, charge, amount?}` (`charge`: reference or id of a charge or capture) | 201 refund, `succeeded` or `failed`; 404; 409 `charge_not_captured`, `charge_disputed`, `reference_in_use`; 422 `amount_too_large` |
//! | `GET /refunds?reference=`, `GET /refunds/{target}` | 200 refund; 404 `refund_not_found` |
//! | `GET /actions/{target}` | the page behind `next_action.url` |
//! | `POST /actions/{target}/complete?outcome=approve or decline` | 200 charge, also when repeated; 404; 409 `charge_not_waiting`, `charge_cancelled`, `charge_failed` |
//! | `GET /disputes?reference=`, `GET /disputes/{id}` | list; 200 dispute |
//! | `POST /disputes/{id}/accept` *, `POST /disputes/{id}/evidence` * `{text}` | 200 dispute; 404; 409 `dispute_closed`. Evidence with `winning_evidence` or `losing_evidence` in it decides the dispute |
//! | `GET /book?reference=`, `GET /book?after=&limit=` | every effective operation, once: `{seq, kind, reference, charge, charge_reference, idempotency_key, amount, currency, fee, time}`; kinds `charge`, `authorization`, `capture`, `cancel`, `refund`, `refund_reversal`, `dispute_withdrawal`, `dispute_reversal` |
//! | `POST /payouts/run`, `GET /payouts`, `GET /payouts/{id}`, `GET /payouts/{id}/statement?format=json or csv&after=&limit=` | payouts; the statement's lines (signed amounts; `capture`, `fee`, `refund`, ...) sum to the payout |
//! | `POST /faults`, `GET /faults` | the probabilities; what is left out is 0 |
//! | `GET /health` | 200 |
//!
//! Errors are `{"error": {code, message, field}}`: 400 malformed or no key, 404, 405, 409, 413, 422,
//! 503 for no effect, try again. Lists are `{object: "list", data, has_more, next_after}`.
//!
//! Webhooks: `{id, type, created_at, data: {object}}` with `Sandbox-Signature: t=<unix s>,v1=<hex
//! HMAC-SHA256(secret, "{t}.{body}")>`; types `charge.{authorized, succeeded, failed, cancelled,
//! captured, released}`, `refund.{succeeded, failed}`, `dispute.{opened, won, lost}`.

mod api;
mod book;
mod config;
mod connection;
mod desk;
mod faults;
mod journal;
mod money;
mod payouts;
mod render;
mod server;
mod tokens;
mod webhooks;

pub use config::SandboxConfig;
pub use journal::JournalError;
pub use server::{SandboxError, SandboxHandle, start};
pub use webhooks::{SIGNATURE_HEADER, sign};

#[cfg(test)]
mod tests;
