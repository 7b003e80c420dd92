//! What is counted and summed of payments.

/// Defines the measures with the columns that hold them.
macro_rules! measures {
    (counts: $($(#[$count_doc:meta])* $count:ident)+; amounts: $($(#[$amount_doc:meta])* $amount:ident)+;) => {
        /// Counts, and sums in minor units of one currency. Differences too, so any of them may be negative.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct Measures {
            $($(#[$count_doc])* pub $count: i64,)+
            $($(#[$amount_doc])* pub $amount: i128,)+
        }

        impl Measures {
            /// In the order of [`Measures::counts`].
            pub(crate) const COUNTS: &'static [&'static str] = &[$(stringify!($count)),+];
            /// In the order of [`Measures::amounts`].
            pub(crate) const AMOUNTS: &'static [&'static str] = &[$(stringify!($amount)),+];

            pub(crate) fn counts(&self) -> Vec<i64> {
                vec![$(self.$count),+]
            }

            pub(crate) fn amounts(&self) -> Vec<i128> {
                vec![$(self.$amount),+]
            }

            /// From a row with a column for each measure, sums as text.
            pub(crate) fn read(row: &sqlx::postgres::PgRow) -> Result<Measures, sqlx::Error> {
                Ok(Measures {
                    $($count: sqlx::Row::try_get(row, stringify!($count))?,)+
                    $($amount: crate::database::sum_of(row, stringify!($amount))?,)+
                })
            }
        }

        impl std::ops::AddAssign for Measures {
            fn add_assign(&mut self, other: Measures) {
                $(self.$count = self.$count.saturating_add(other.$count);)+
                $(self.$amount = self.$amount.saturating_add(other.$amount);)+
            }
        }
    };
}

measures! {
    counts:
    created
    succeeded
    failed
    cancelled
    expired
    /// That succeeded; one that came back later is taken off when it does.
    refunds
    /// That were opened.
    disputes;
    amounts:
    amount_created
    /// What was captured.
    amount_succeeded
    amount_failed
    amount_cancelled
    amount_expired
    amount_refunded
    amount_disputed
    /// What closed disputes have cost for good.
    amount_lost
    /// Channels' fees that were passed on to merchants, what refunds gave back taken off.
    fees_passed_on
    /// What merchants paid beside them, what refunds gave back taken off.
    markup
    /// What channels kept, whoever bore it.
    channel_costs;
}
