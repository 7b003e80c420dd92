//! What the sandbox provider's answers mean for a charge, an authorisation, a capture or a refund. Pure.

use commands::ports::{AuthorizationAnswer, ChannelAnswer, RefundAnswer};
use domain::Timestamp;
use domain::payment::Failure;
use serde::Deserialize;

use crate::channels::http::{Answer, Silence, safe_code};

#[derive(Debug, Deserialize)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) reference: String,
    status: String,
    #[serde(default)]
    amount: i64,
    amount_captured: i64,
    fee: i64,
    failure: Option<FailureBody>,
    next_action: Option<NextAction>,
    #[serde(default)]
    capture_before: Option<Timestamp>,
}

/// A capture of an authorised charge.
#[derive(Debug, Deserialize)]
pub(super) struct Capture {
    pub(super) id: String,
    pub(super) reference: String,
    pub(super) amount: i64,
    pub(super) fee: i64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Refund {
    id: String,
    pub(super) reference: String,
    pub(super) charge_reference: String,
    pub(super) capture_reference: Option<String>,
    status: String,
    failure: Option<FailureBody>,
}

#[derive(Debug, Deserialize)]
struct FailureBody {
    code: String,
    decline_code: Option<String>,
}

#[derive(Debug, Deserialize)]
struct NextAction {
    url: String,
}

/// A refusal; some show the charge as it stands.
#[derive(Debug, Deserialize)]
struct Refusal {
    error: ErrorBody,
    charge: Option<Charge>,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    code: String,
}

impl Charge {
    pub(super) fn into_answer(self) -> ChannelAnswer {
        let channel_reference = self.id;
        match (self.status.as_str(), self.next_action) {
            ("succeeded", _) => {
                ChannelAnswer::Captured { channel_reference, amount: self.amount_captured, fee: Some(self.fee) }
            }
            ("requires_action", Some(NextAction { url })) => ChannelAnswer::ActionRequired { channel_reference, url },
            ("pending" | "authorized", _) => ChannelAnswer::Accepted { channel_reference },
            ("failed", _) => ChannelAnswer::Declined {
                channel_reference: Some(channel_reference),
                failure: self.failure.map_or_else(unexplained, Failure::from),
            },
            ("cancelled", _) => ChannelAnswer::Voided,
            _ => ChannelAnswer::Unknown { reason: "the channel tells an unknown status".to_owned() },
        }
    }
}

impl Charge {
    /// The same object where it holds money instead of taking it.
    pub(super) fn into_authorization(self) -> AuthorizationAnswer {
        let channel_reference = self.id;
        match (self.status.as_str(), self.next_action) {
            ("authorized", _) => AuthorizationAnswer::Authorized {
                channel_reference,
                amount: self.amount,
                capture_before: self.capture_before,
            },
            ("requires_action", Some(NextAction { url })) => {
                AuthorizationAnswer::ActionRequired { channel_reference, url }
            }
            ("pending", _) => AuthorizationAnswer::Accepted { channel_reference },
            ("failed", _) => AuthorizationAnswer::Declined {
                channel_reference: Some(channel_reference),
                failure: self.failure.map_or_else(unexplained, Failure::from),
            },
            // All of it is captured or given back.
            ("cancelled" | "succeeded", _) => AuthorizationAnswer::Released,
            _ => AuthorizationAnswer::Unknown { reason: "the channel tells an unknown status".to_owned() },
        }
    }
}

impl Capture {
    pub(super) fn into_answer(self) -> ChannelAnswer {
        ChannelAnswer::Captured { channel_reference: self.id, amount: self.amount, fee: Some(self.fee) }
    }
}

impl Refund {
    pub(super) fn into_answer(self) -> RefundAnswer {
        match self.status.as_str() {
            // The provider keeps its fee.
            "succeeded" => RefundAnswer::Succeeded { channel_reference: self.id, fee_returned: 0 },
            "failed" => RefundAnswer::Failed { failure: self.failure.map_or_else(unexplained, Failure::from) },
            _ => RefundAnswer::Unknown { reason: "the channel tells an unknown status".to_owned() },
        }
    }
}

impl From<FailureBody> for Failure {
    fn from(body: FailureBody) -> Failure {
        Failure::new(&body.code, body.decline_code.as_deref())
    }
}

fn unexplained() -> Failure {
    refused("declined")
}

fn refused(code: &str) -> Failure {
    Failure::new(code, None)
}

pub(super) fn charge_answer(result: Result<Answer, Silence>) -> ChannelAnswer {
    let answer = match result {
        Ok(answer) => answer,
        Err(silence) => return ChannelAnswer::Unknown { reason: silence.to_string() },
    };
    if answer.is_success() {
        return match answer.read::<Charge>() {
            Ok(charge) => charge.into_answer(),
            Err(silence) => ChannelAnswer::Unknown { reason: silence.to_string() },
        };
    }
    match answer.read::<Refusal>() {
        Ok(Refusal { charge: Some(charge), .. }) => charge.into_answer(),
        Ok(Refusal { error, .. }) if error.code == "charge_not_found" => ChannelAnswer::NotFound,
        Ok(Refusal { error, .. }) if error.code == "invalid_request" => {
            ChannelAnswer::Declined { channel_reference: None, failure: refused("invalid_request") }
        }
        refusal => ChannelAnswer::Unknown { reason: unexpected(answer.status, refusal.ok()) },
    }
}

/// A charge that failed can take effect as little as one that was cancelled.
pub(super) fn void_answer(result: Result<Answer, Silence>) -> ChannelAnswer {
    match charge_answer(result) {
        ChannelAnswer::Declined { channel_reference: Some(_), .. } => ChannelAnswer::Voided,
        answer @ (ChannelAnswer::Voided | ChannelAnswer::Captured { .. } | ChannelAnswer::Unknown { .. }) => answer,
        _ => ChannelAnswer::Unknown { reason: "the channel neither cancelled nor captured".to_owned() },
    }
}

pub(super) fn authorization_answer(result: Result<Answer, Silence>) -> AuthorizationAnswer {
    let answer = match result {
        Ok(answer) => answer,
        Err(silence) => return AuthorizationAnswer::Unknown { reason: silence.to_string() },
    };
    if answer.is_success() {
        return match answer.read::<Charge>() {
            Ok(charge) => charge.into_authorization(),
            Err(silence) => AuthorizationAnswer::Unknown { reason: silence.to_string() },
        };
    }
    match answer.read::<Refusal>() {
        Ok(Refusal { charge: Some(charge), .. }) => charge.into_authorization(),
        Ok(Refusal { error, .. }) if error.code == "charge_not_found" => AuthorizationAnswer::NotFound,
        Ok(Refusal { error, .. }) if error.code == "invalid_request" => {
            AuthorizationAnswer::Declined { channel_reference: None, failure: refused("invalid_request") }
        }
        refusal => AuthorizationAnswer::Unknown { reason: unexpected(answer.status, refusal.ok()) },
    }
}

/// A refused capture is refused for good: the provider keeps its refusal under the key.
pub(super) fn capture_answer(result: Result<Answer, Silence>) -> ChannelAnswer {
    let answer = match result {
        Ok(answer) => answer,
        Err(silence) => return ChannelAnswer::Unknown { reason: silence.to_string() },
    };
    if answer.is_success() {
        return match answer.read::<Capture>() {
            Ok(capture) => capture.into_answer(),
            Err(silence) => ChannelAnswer::Unknown { reason: silence.to_string() },
        };
    }
    let refusal = answer.read::<Refusal>().ok();
    match refusal.as_ref().map(|refusal| refusal.error.code.as_str()) {
        Some("capture_not_found") => ChannelAnswer::NotFound,
        Some(
            code @ ("amount_too_large"
            | "charge_cancelled"
            | "charge_captured"
            | "charge_failed"
            | "charge_not_authorized"
            | "invalid_request"),
        ) => ChannelAnswer::Declined { channel_reference: None, failure: refused(code) },
        _ => ChannelAnswer::Unknown { reason: unexpected(answer.status, refusal) },
    }
}

pub(super) fn refund_answer(result: Result<Answer, Silence>) -> RefundAnswer {
    let answer = match result {
        Ok(answer) => answer,
        Err(silence) => return RefundAnswer::Unknown { reason: silence.to_string() },
    };
    if answer.is_success() {
        return match answer.read::<Refund>() {
            Ok(refund) => refund.into_answer(),
            Err(silence) => RefundAnswer::Unknown { reason: silence.to_string() },
        };
    }
    let refusal = answer.read::<Refusal>().ok();
    match refusal.as_ref().map(|refusal| refusal.error.code.as_str()) {
        Some("refund_not_found") => RefundAnswer::NotFound,
        Some(
            code @ ("charge_not_found"
            | "charge_not_captured"
            | "charge_disputed"
            | "amount_too_large"
            | "invalid_request"),
        ) => RefundAnswer::Failed { failure: refused(code) },
        _ => RefundAnswer::Unknown { reason: unexpected(answer.status, refusal) },
    }
}

pub(super) fn is_reference_in_use(answer: &Answer) -> bool {
    answer.read::<Refusal>().is_ok_and(|refusal| refusal.error.code == "reference_in_use")
}

/// The code of a refusal, if the answer is one.
pub(super) fn refusal_code(answer: &Answer) -> Option<String> {
    answer.read::<Refusal>().ok().map(|refusal| refusal.error.code)
}

pub(super) fn unexpected_answer(answer: &Answer) -> String {
    unexpected(answer.status, answer.read::<Refusal>().ok())
}

fn unexpected(status: u16, refusal: Option<Refusal>) -> String {
    let code = refusal.as_ref().and_then(|refusal| safe_code(&refusal.error.code)).unwrap_or("no code");
    format!("the channel answered {status} ({code})")
}
