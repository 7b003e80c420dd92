//! What must hold of the books every day, as far as the books, the merchants' statements and the banks' can tell.

use async_trait::async_trait;
use domain::Timestamp;

#[async_trait]
pub trait DailyAssertions: Send + Sync {
    /// Checks all of them, each on one view of what it compares.
    async fn check(&self, now: Timestamp) -> Result<Vec<Assertion>, AssertionsUnavailable>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion {
    /// In metrics and logs; never changes.
    pub name: &'static str,
    /// How many things were compared.
    pub checked: u64,
    /// What does not hold, in words without personal data; at most a few.
    pub failures: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the daily assertions cannot be checked: {0}")]
pub struct AssertionsUnavailable(pub String);
