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
            let detail = format!("the channels of this installation are: {}", names.join(", "));
            CommandError::ruled_out("unknown_channel", "/channel", detail)
        })?;
        expresses(channel.as_ref(), amount)?;
        Ok(channel)
    }
}

pub(crate) fn expresses(channel: &dyn Channel, amount: Money) -> Result<(), CommandError> {
    let refused = |detail| CommandError::ruled_out("amount_not_supported_by_channel", "/amount", detail);
    channel.accepts(amount).map_err(refused)
}
