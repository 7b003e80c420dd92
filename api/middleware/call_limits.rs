//! Meters the calls of each merchant on this node against what its tier, or its own agreement, allows in a minute. It
//! counts in memory alone: several nodes together let more through, and a restart begins anew.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use domain::MerchantId;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use lru::LruCache;
use metrics::counter;
use parking_lot::Mutex;

use crate::app::App;
use crate::auth::Caller;
use crate::errors;
use crate::problem::Problem;

/// What becomes of a call beyond what is allowed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallLimits {
    /// It is counted and answered.
    #[default]
    Observe,
    /// It is answered 429, before anything of it is recorded.
    Enforce,
}

/// How long a change of tier or agreement may go unnoticed.
const AGREED_FOR: Duration = Duration::from_secs(2);
/// Merchants that are remembered; beyond that the one that was longest silent is forgotten, and begins anew.
const MERCHANTS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).expect("it is not zero");
const MINUTE_S: u64 = 60;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

type Limiter = DefaultDirectRateLimiter<StateInformationMiddleware>;

pub struct CallMeter {
    limits: CallLimits,
    merchants: Mutex<LruCache<MerchantId, Metered>>,
}

#[derive(Clone)]
struct Metered {
    limiter: Arc<Limiter>,
    per_minute: NonZeroU32,
    looked_up_at: Instant,
}

/// One call as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    per_minute: u32,
    left: u32,
    /// Until the next call is allowed, where this one is not.
    wait: Option<Duration>,
}

/// Middleware behind the authentication: calls of merchants are metered, nobody else's.
pub async fn meter_calls(
    State((app, meter)): State<(App, Arc<CallMeter>)>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = request.extensions().get::<Caller>();
    let Some(merchant_id) = caller.and_then(|caller| caller.access.merchant_id()) else {
        return Ok(next.run(request).await);
    };
    let Some(metered) = meter.of(&app, merchant_id).await else { return Ok(next.run(request).await) };
    let counted = metered.count();
    if let Some(wait) = counted.wait {
        counter!("api_calls_over_limit_total").increment(1);
        if meter.limits == CallLimits::Enforce {
            let problem = Problem::of(errors::CALL_LIMIT_EXCEEDED);
            let problem = problem.with_header(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
            return Err(counted
                .headers()
                .into_iter()
                .fold(problem, |problem, (name, value)| problem.with_header(name, value)));
        }
    }
    let mut response = next.run(request).await;
    response.headers_mut().extend(counted.headers());
    Ok(response)
}

impl CallMeter {
    pub fn new(limits: CallLimits) -> CallMeter {
        CallMeter { limits, merchants: Mutex::new(LruCache::new(MERCHANTS_MAX)) }
    }

    /// None where nobody can tell what the merchant is allowed: its call is let through.
    async fn of(&self, app: &App, merchant_id: MerchantId) -> Option<Metered> {
        let known = self.known(merchant_id);
        if let Some(known) = known.as_ref().filter(|known| known.looked_up_at.elapsed() < AGREED_FOR) {
            return Some(known.clone());
        }
        match commands::merchant::terms(app.executor(), merchant_id, app.clock().now()).await {
            Ok(terms) => {
                let per_minute = terms.and_then(|terms| NonZeroU32::new(terms.api_calls_per_minute))?;
                Some(self.remember(merchant_id, per_minute))
            }
            Err(error) => {
                tracing::debug!(%error, merchant.id = %merchant_id, "what a merchant may call is not known anew");
                known
            }
        }
    }

    /// What is known of the merchant. Of those that find it outdated, one looks it up again; the others go by it.
    fn known(&self, merchant_id: MerchantId) -> Option<Metered> {
        let mut merchants = self.merchants.lock();
        let known = merchants.get_mut(&merchant_id)?;
        let found = known.clone();
        if found.looked_up_at.elapsed() >= AGREED_FOR {
            known.looked_up_at = Instant::now();
        }
        Some(found)
    }

    /// A merchant that is allowed another number than before begins anew.
    fn remember(&self, merchant_id: MerchantId, per_minute: NonZeroU32) -> Metered {
        let mut merchants = self.merchants.lock();
        if let Some(known) = merchants.get_mut(&merchant_id).filter(|known| known.per_minute == per_minute) {
            return known.clone();
        }
        let metered = Metered::new(per_minute);
        merchants.put(merchant_id, metered.clone());
        metered
    }
}

impl Metered {
    /// A minute's calls may come at once.
    fn new(per_minute: NonZeroU32) -> Metered {
        let limiter = RateLimiter::direct(Quota::per_minute(per_minute)).with_middleware();
        Metered { limiter: Arc::new(limiter), per_minute, looked_up_at: Instant::now() }
    }

    fn count(&self) -> Counted {
        let per_minute = self.per_minute.get();
        match self.limiter.check() {
            Ok(state) => Counted { per_minute, left: state.remaining_burst_capacity(), wait: None },
            Err(until) => {
                let wait = until.wait_time_from(DefaultClock::default().now());
                Counted { per_minute, left: 0, wait: Some(wait) }
            }
        }
    }
}

impl Counted {
    /// As the IETF's draft on rate limit headers has them; `t` is when the whole allowance is back.
    fn headers(self) -> Vec<(HeaderName, HeaderValue)> {
        let Counted { per_minute, left, .. } = self;
        let used = u64::from(per_minute.saturating_sub(left));
        let whole_in_s = (used * MINUTE_S).div_ceil(u64::from(per_minute.max(1)));
        let policy = format!("\"minute\";q={per_minute};w={MINUTE_S}");
        let state = format!("\"minute\";r={left};t={whole_in_s}");
        let value = |text: String| HeaderValue::try_from(text).expect("it has only visible ASCII characters");
        vec![(RATE_LIMIT_POLICY, value(policy)), (RATE_LIMIT, value(state))]
    }
}

/// Rounded up, so that a caller who waits that long is not told to wait again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn merchant(number: u128) -> MerchantId {
        MerchantId::from_uuid(Uuid::from_u128(number))
    }

    fn calls(number: u32) -> NonZeroU32 {
        NonZeroU32::new(number).unwrap()
    }

    #[test]
    fn a_minutes_calls_may_come_at_once_and_no_more() {
        let metered = Metered::new(calls(3));
        let left: Vec<u32> = (0..3).map(|_| metered.count().left).collect();
        assert_eq!(left, [2, 1, 0]);
        let beyond = metered.count();
        let wait = whole_seconds(beyond.wait.unwrap());
        assert!((1..=20).contains(&wait), "a third of a minute, not {wait} s");
    }

    #[test]
    fn headers_say_what_is_allowed_what_is_left_and_when_all_of_it_is_back() {
        for (per_minute, left, state) in
            [(100, 99, "\"minute\";r=99;t=1"), (100, 50, "\"minute\";r=50;t=30"), (7, 0, "\"minute\";r=0;t=60")]
        {
            let headers = Counted { per_minute, left, wait: None }.headers();
            let policy = format!("\"minute\";q={per_minute};w=60");
            assert_eq!(headers, [(RATE_LIMIT_POLICY, policy.parse().unwrap()), (RATE_LIMIT, state.parse().unwrap())]);
        }
    }

    #[test]
    fn merchants_are_metered_apart_anew_after_a_change_and_not_remembered_for_ever() {
        let meter = CallMeter::new(CallLimits::Enforce);
        assert_eq!(meter.remember(merchant(1), calls(2)).count().left, 1);
        assert_eq!(meter.remember(merchant(2), calls(2)).count().left, 1);
        assert_eq!(meter.remember(merchant(1), calls(2)).count().left, 0, "the same allowance goes on");
        assert_eq!(meter.remember(merchant(1), calls(5)).count().left, 4);
        for number in 0..=MERCHANTS_MAX.get() as u128 {
            meter.remember(merchant(number), calls(2));
        }
        assert_eq!(meter.merchants.lock().len(), MERCHANTS_MAX.get());
        assert!(meter.known(merchant(0)).is_none(), "the one that was longest silent is forgotten");
    }

    #[test]
    fn of_many_that_find_it_outdated_one_looks_it_up() {
        let meter = CallMeter::new(CallLimits::Observe);
        meter.remember(merchant(1), calls(2));
        let outdated = Instant::now().checked_sub(AGREED_FOR).unwrap();
        meter.merchants.lock().get_mut(&merchant(1)).unwrap().looked_up_at = outdated;
        let fresh = |known: Metered| known.looked_up_at.elapsed() < AGREED_FOR;
        assert!(!fresh(meter.known(merchant(1)).unwrap()));
        assert!(fresh(meter.known(merchant(1)).unwrap()));
    }
}
