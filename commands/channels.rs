//! The channels that are configured, and which one takes a payment.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ChannelName, Money, Rejection, RejectionClass};

use crate::executor::CommandError;
use crate::ports::Channel;

#[derive(Clone, Default)]
pub struct Channels {
    by_name: BTreeMap<ChannelName, Arc<dyn Channel>>,
    default: Option<ChannelName>,
}

impl Channels {
    /// The first channel is the default.
    pub fn of(channels: impl IntoIterator<Item = Arc<dyn Channel>>) -> Channels {
        let mut configured = Channels::default();
        for channel in channels {
            configured.default.get_or_insert_with(|| channel.name().clone());
            configured.by_name.insert(channel.name().clone(), channel);
        }
        configured
    }

    pub fn get(&self, name: &ChannelName) -> Option<&Arc<dyn Channel>> {
        self.by_name.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &ChannelName> {
        self.by_name.keys()
    }

    /// The wanted channel, or the default, if it can express the amount.
    pub fn choose(&self, wanted: Option<&ChannelName>, amount: Money) -> Result<&Arc<dyn Channel>, CommandError> {
        let channel = wanted.or(self.default.as_ref()).and_then(|name| self.get(name)).ok_or_else(|| {
            let names: Vec<&str> = self.by_name.keys().map(ChannelName::as_str).collect();
            CommandError::refused(ChannelRejection::Unknown { configured: names.join(", ") })
        })?;
        expresses(channel.as_ref(), amount)?;
        Ok(channel)
    }
}

pub(crate) fn expresses(channel: &dyn Channel, amount: Money) -> Result<(), CommandError> {
    channel.accepts(amount).map_err(|detail| CommandError::refused(ChannelRejection::AmountNotSupported { detail }))
}

/// Why no channel takes what a merchant asks for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChannelRejection {
    #[error("the channels of this installation are: {configured}")]
    Unknown { configured: String },
    #[error("{detail}")]
    AmountNotSupported { detail: String },
    #[error("channel {channel} cannot hold money without taking it")]
    PreAuthNotSupported { channel: ChannelName },
}

impl Rejection for ChannelRejection {
    fn code(&self) -> &'static str {
        match self {
            ChannelRejection::Unknown { .. } => "unknown_channel",
            ChannelRejection::AmountNotSupported { .. } => "amount_not_supported_by_channel",
            ChannelRejection::PreAuthNotSupported { .. } => "pre_auth_not_supported_by_channel",
        }
    }

    fn class(&self) -> RejectionClass {
        RejectionClass::Refused
    }

    fn retryable(&self) -> bool {
        false
    }

    fn pointer(&self) -> Option<&'static str> {
        match self {
            ChannelRejection::AmountNotSupported { .. } => Some("/amount"),
            ChannelRejection::Unknown { .. } | ChannelRejection::PreAuthNotSupported { .. } => Some("/channel"),
        }
    }
}
