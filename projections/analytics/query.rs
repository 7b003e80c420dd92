//! Answers from the rolled-up rows.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::{ChannelName, Country, Currency, MerchantId, Timestamp};

use super::fold::{BOTH, EVERYBODY, MERCHANTS, owner_of_both, owner_of_channel, owner_of_country, owner_of_merchant};
use super::latency::Latencies;
use super::measures::Measures;
use super::tallied::{Group, Tallied};
use crate::rollup::{self, Owners, Scan, TooMuch};
use crate::{ReadError, Snapshot};

/// What is asked: of whose payments, cut into which buckets, told apart by what. Currencies are always told apart.
#[derive(Debug, Clone)]
pub struct Question {
    pub merchant_id: Option<MerchantId>,
    pub channel: Option<ChannelName>,
    pub currency: Option<Currency>,
    pub country: Option<Country>,
    /// The edges of the buckets, ascending, one more than there are buckets, on quarters of an hour of UTC.
    pub bounds: Vec<Timestamp>,
    pub groups: Groups,
    /// Rows at most.
    pub rows_max: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Groups {
    pub merchant: bool,
    pub channel: bool,
    pub country: bool,
}

/// One bucket of one group. What was not told apart is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Which bucket, from 0.
    pub bucket: usize,
    pub currency: Currency,
    pub merchant_id: Option<MerchantId>,
    pub channel: Option<ChannelName>,
    pub country: Option<Country>,
    pub measures: Measures,
    /// Until a payment had succeeded or failed.
    pub latencies: Latencies,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// By bucket, then by currency, merchant, channel and country.
    pub rows: Vec<Figures>,
    /// How often each code of a failure was seen over all buckets, the most frequent first.
    pub failures: Vec<(String, i64)>,
}

/// Buckets without any event, and groups without any in a bucket, have no row.
pub async fn figures(view: &mut Snapshot, question: &Question) -> Result<Result<Answer, TooMuch>, ReadError> {
    let sums = rollup::sum(view, &question.scan(), |owner, group| question.told(owner, group)).await?;
    Ok(sums.map(answer))
}

type Told = (Currency, Option<MerchantId>, Option<ChannelName>, Option<Country>);

fn answer(sums: Vec<(usize, Told, Tallied)>) -> Answer {
    let mut failures: BTreeMap<String, i64> = BTreeMap::new();
    let mut rows = Vec::with_capacity(sums.len());
    for (bucket, (currency, merchant_id, channel, country), tallied) in sums {
        for (code, count) in tallied.failures {
            *failures.entry(code).or_default() += count;
        }
        let (measures, latencies) = (tallied.measures, tallied.latencies);
        rows.push(Figures { bucket, currency, merchant_id, channel, country, measures, latencies });
    }
    let mut failures: Vec<(String, i64)> = failures.into_iter().collect();
    failures.sort_by_key(|(_, count)| Reverse(*count));
    Answer { rows, failures }
}

impl Question {
    fn scan(&self) -> Scan<'_> {
        let by_merchant = self.merchant_id.is_some() || self.groups.merchant;
        let by_channel = self.channel.is_some() || self.groups.channel;
        let by_country = self.country.is_some() || self.groups.country;
        Scan {
            table: super::TABLE,
            owners: self.owners(by_merchant, by_channel, by_country),
            bounds: &self.bounds,
            totals_serve: !(by_merchant && by_country),
            has_hours: !by_merchant && !by_country,
            rows_max: self.rows_max,
        }
    }

    fn owners(&self, by_merchant: bool, by_channel: bool, by_country: bool) -> Owners {
        let channel = self.channel.as_ref().map(ChannelName::as_str);
        let country = self.country.as_ref().map(Country::code);
        if by_merchant {
            return match self.merchant_id {
                Some(merchant_id) => Owners::One(owner_of_merchant(merchant_id)),
                None => Owners::Under(MERCHANTS.to_owned()),
            };
        }
        match (by_channel, by_country) {
            (false, false) => Owners::One(EVERYBODY.to_owned()),
            (true, false) => channel
                .map_or_else(|| Owners::Under(owner_of_channel("")), |channel| Owners::One(owner_of_channel(channel))),
            (false, true) => country
                .map_or_else(|| Owners::Under(owner_of_country("")), |country| Owners::One(owner_of_country(country))),
            (true, true) => match (channel, country) {
                (Some(channel), Some(country)) => Owners::One(owner_of_both(channel, country)),
                (Some(channel), None) => Owners::Under(owner_of_both(channel, "")),
                (None, _) => Owners::Under(BOTH.to_owned()),
            },
        }
    }

    /// Under what a group is told, none if it was not asked for.
    fn told(&self, owner: &str, group: &Group) -> Option<Told> {
        let is_asked = self.currency.is_none_or(|currency| group.currency == currency)
            && self.channel.as_ref().is_none_or(|channel| group.channel.as_ref() == Some(channel))
            && self.country.is_none_or(|country| group.country == Some(country));
        if !is_asked {
            return None;
        }
        Some((
            group.currency,
            if self.groups.merchant { owner.parse().ok() } else { None },
            group.channel.clone().filter(|_| self.groups.channel),
            group.country.filter(|_| self.groups.country),
        ))
    }
}
