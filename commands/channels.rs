//! The channels that are configured, and which one takes a payment.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ChannelName, Money};

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

    /// The one that takes what names none.
    pub fn default_name(&self) -> Option<&ChannelName> {
        self.default.as_ref()
    }

    pub fn names(&self) -> impl Iterator<Item = &ChannelName> {
        self.by_name.keys()
    }

    /// The wanted channel, or the default, if it can express the amount.
    pub fn choose(&self, wanted: Option<&ChannelName>, amount: Money) -> Result<&Arc<dyn Channel>, CommandError> {
        let channel = wanted.or(self.default.as_ref()).and_then(|name| self.get(name)).ok_or_else(|| {
            let names: Vec<&str> = self.by_name.keys().map(ChannelName::as_str).collect();
            CommandError::Invalid {
                code: "unknown_channel",
                pointer: "/channel",
                detail: format!("the channels of this installation are: {}", names.join(", ")),
            }
        })?;
        channel.accepts(amount).map_err(|detail| CommandError::Invalid {
            code: "amount_not_supported_by_channel",
            pointer: "/amount",
            detail,
        })?;
        Ok(channel)
    }
}
