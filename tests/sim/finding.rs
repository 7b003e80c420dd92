//! What the auditor objects to.

/// An invariant of the design that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub invariant: u8,
    pub detail: String,
}

impl Finding {
    pub fn of(invariant: u8, detail: impl Into<String>) -> Finding {
        Finding { invariant, detail: detail.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "invariant {} is broken: {}", self.invariant, self.detail)
    }
}
