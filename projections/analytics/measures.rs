//! What is counted and summed of payments.

use crate::rollup::{Packed, put_sparse, sparse};

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
            const COUNT: usize = [$(stringify!($count),)+ $(stringify!($amount)),+].len();

            fn numbers(&self) -> [i128; Measures::COUNT] {
                [$(self.$count.into(),)+ $(self.$amount),+]
            }

            /// Adds what [`Measures::pack`] wrote.
            pub(super) fn absorb(&mut self, packed: &mut Packed<'_>) -> Option<()> {
                let [$($count,)+ $($amount),+] = sparse::<{ Measures::COUNT }>(packed)?;
                *self += Measures { $($count: $count.try_into().ok()?,)+ $($amount),+ };
                Some(())
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
    /// Channels' fees that were passed on to merchants, those of disputes too, what came back taken off.
    fees_passed_on
    /// What merchants paid beside them, what refunds gave back taken off.
    markup
    /// What channels kept, whoever bore it.
    channel_costs;
}

impl Measures {
    pub(super) fn pack(&self, bytes: &mut Vec<u8>) {
        put_sparse(bytes, &self.numbers());
    }
}
