//! What happens around every request, whatever its route: an id, a span, metrics, bounds, and the problem's body.

mod call_limits;
mod load;
mod observe;
mod request_id;

pub use call_limits::{CallLimits, CallMeter, meter_calls};
pub use load::shed;
pub use observe::{Finished, observe};
pub use request_id::RequestId;
