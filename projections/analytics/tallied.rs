//! What is kept of payments' figures, and what they are told apart by.

use std::collections::BTreeMap;

use domain::{ChannelName, Country, Currency};

use super::latency::Latencies;
use super::measures::Measures;
use crate::rollup::{Key, Packed, Value, put, put_signed, put_text};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group {
    /// None where channels are not told apart.
    pub channel: Option<ChannelName>,
    pub currency: Currency,
    /// None where countries are not told apart, or the merchant did not say.
    pub country: Option<Country>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tallied {
    pub measures: Measures,
    /// Until a payment had succeeded or failed.
    pub latencies: Latencies,
    /// By code.
    pub failures: BTreeMap<String, i64>,
}

impl Key for Group {
    fn pack(&self, bytes: &mut Vec<u8>) {
        put_text(bytes, self.channel.as_ref().map_or("", ChannelName::as_str));
        put_text(bytes, self.currency.code());
        put_text(bytes, self.country.as_ref().map_or("", Country::code));
    }

    fn unpack(packed: &mut Packed<'_>) -> Option<Group> {
        let (channel, currency, country) = (packed.text()?, packed.text()?.parse().ok()?, packed.text()?);
        Some(Group {
            channel: if channel.is_empty() { None } else { Some(channel.parse().ok()?) },
            currency,
            country: if country.is_empty() { None } else { Some(country.parse().ok()?) },
        })
    }
}

impl From<Measures> for Tallied {
    fn from(measures: Measures) -> Tallied {
        Tallied { measures, ..Tallied::default() }
    }
}

impl Value for Tallied {
    fn add(&mut self, other: &Tallied) {
        self.measures += other.measures;
        self.latencies.add_all(&other.latencies);
        for (code, count) in &other.failures {
            *self.failures.entry(code.clone()).or_default() += count;
        }
    }

    fn is_nothing(&self) -> bool {
        self.measures == Measures::default() && self.latencies.is_empty() && self.failures.values().all(|n| *n == 0)
    }

    fn pack(&self, bytes: &mut Vec<u8>) {
        self.measures.pack(bytes);
        self.latencies.pack(bytes);
        put(bytes, self.failures.values().map(|_| 1).sum());
        for (code, count) in &self.failures {
            put_text(bytes, code);
            put_signed(bytes, (*count).into());
        }
    }

    fn absorb(&mut self, packed: &mut Packed<'_>) -> Option<()> {
        self.measures.absorb(packed)?;
        self.latencies.absorb(packed)?;
        for _ in 0..packed.size()? {
            let (code, count) = (packed.text()?, packed.count()?);
            match self.failures.get_mut(code) {
                Some(known) => *known += count,
                None => {
                    self.failures.insert(code.to_owned(), count);
                }
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::latency::class_of;
    use super::*;

    #[test]
    fn figures_read_back_from_their_bytes() {
        let mut figures =
            Tallied::from(Measures { created: 3, refunds: -1, channel_costs: i128::MIN / 2, ..Measures::default() });
        figures.latencies.add(class_of(Duration::from_millis(1_234)), 7);
        figures.latencies.add(class_of(Duration::MAX), 1);
        figures.failures = BTreeMap::from([("card_declined".to_owned(), 2), ("ü".to_owned(), 1)]);
        let group = Group {
            channel: Some("stripe".parse().unwrap()),
            currency: Currency::USD,
            country: Some("KW".parse().unwrap()),
        };
        for group in [group.clone(), Group { channel: None, country: None, ..group }] {
            let mut bytes = vec![];
            group.pack(&mut bytes);
            figures.pack(&mut bytes);
            let mut packed = Packed::new(&bytes);
            assert_eq!(Group::unpack(&mut packed), Some(group));
            let mut read = Tallied::default();
            assert_eq!((read.absorb(&mut packed), packed.is_empty()), (Some(()), true));
            assert_eq!(read, figures);
            let mut cut = Packed::new(&bytes[..bytes.len() - 1]);
            assert!(Group::unpack(&mut cut).is_some() && Tallied::default().absorb(&mut cut).is_none());
        }
    }
}
