//! A point in the books: what was known by then, and what of it had taken effect by then.

use domain::Timestamp;
use sqlx::{Postgres, QueryBuilder};

use crate::{ReadError, Snapshot};

/// The default is everything that the view knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct At {
    /// Nothing that was recorded behind this position.
    pub as_of: Option<u64>,
    /// Nothing that takes effect after this moment. What is booked late counts where it belongs.
    pub effective_at: Option<Timestamp>,
}

impl From<Option<u64>> for At {
    fn from(as_of: Option<u64>) -> At {
        At { as_of, effective_at: None }
    }
}

impl At {
    /// Everything that the view knows, which the sums have ready.
    pub(super) fn is_now(&self) -> bool {
        *self == At::default()
    }

    /// Appends the condition on lines of the journal.
    pub(super) fn push(&self, query: &mut QueryBuilder<'_, Postgres>, view: &Snapshot) -> Result<(), ReadError> {
        query.push(" position <= ").push_bind(view.up_to(self.as_of)?);
        if let Some(moment) = self.effective_at {
            query.push(" AND effective_at <= ").push_bind(moment.to_datetime());
        }
        Ok(())
    }

    /// The position that the answer speaks for.
    pub fn position(&self, view: &Snapshot) -> u64 {
        self.as_of.unwrap_or(view.position)
    }
}
