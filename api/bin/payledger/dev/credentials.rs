//! The demo merchant and one key per role, made on the first start and kept in `credentials.json`, mode 0600.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use commands::Issued;
use commands::keys::IssueKey;
use commands::ports::Role;
use domain::merchant::Terms;
use domain::pricing::{PricingModel, RefundFeePolicy, Tier};
use domain::{Currency, MerchantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::database::write_secret;
use crate::ledger::Ledger;
use crate::operator::issued;

#[derive(Debug, Serialize, Deserialize)]
pub struct Credentials {
    pub base_url: String,
    pub sandbox_url: String,
    pub merchant: MerchantKey,
    pub finance: Key,
    /// A second person, for what two must approve.
    pub finance2: Key,
    pub auditor: Key,
    pub operator: Key,
    pub admin: Key,
    /// Further merchants, made for `--payments`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<MerchantKey>,
}

/// A merchant of the sample.
struct Profile {
    name: &'static str,
    principal: &'static str,
    tier: Tier,
    home_currency: Currency,
    time_zone: &'static str,
}

const SAMPLES: [Profile; 3] = [
    Profile {
        name: "Berlin Bikes",
        principal: "berlin-bikes",
        tier: Tier::Starter,
        home_currency: Currency::EUR,
        time_zone: "Europe/Berlin",
    },
    Profile {
        name: "Sakura Books",
        principal: "sakura-books",
        tier: Tier::Business,
        home_currency: Currency::JPY,
        time_zone: "Asia/Tokyo",
    },
    Profile {
        name: "Kuwait Lights",
        principal: "kuwait-lights",
        tier: Tier::Enterprise,
        home_currency: Currency::KWD,
        time_zone: "Asia/Kuwait",
    },
];

#[derive(Debug, Serialize, Deserialize)]
pub struct MerchantKey {
    pub merchant_id: String,
    pub key_id: String,
    pub secret: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Key {
    pub key_id: String,
    pub secret: String,
}

pub fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("credentials.json")
}

/// The sandbox that `dev` runs on this data folder at this moment, if somebody listens there.
pub fn sandbox_of_dev(data_dir: &Path) -> Option<String> {
    let known: Credentials = serde_json::from_str(&fs::read_to_string(file(data_dir)).ok()?).ok()?;
    let address = known.sandbox_url.strip_prefix("http://")?;
    std::net::TcpStream::connect(address).ok()?;
    Some(known.sandbox_url)
}

impl Credentials {
    /// Keys of an earlier start are kept; the addresses are those of this one.
    pub async fn find_or_create(
        data_dir: &Path,
        ledger: &Ledger,
        base_url: &str,
        sandbox_url: &str,
    ) -> anyhow::Result<Credentials> {
        let file = file(data_dir);
        let known = match fs::read_to_string(&file) {
            Ok(text) => {
                Some(serde_json::from_str(&text).with_context(|| format!("{} cannot be read", file.display()))?)
            }
            Err(_) => None,
        };
        let mut credentials: Credentials = match known {
            Some(known) => known,
            None => Credentials::create(ledger).await?,
        };
        credentials.base_url = base_url.to_owned();
        credentials.sandbox_url = sandbox_url.to_owned();
        write_secret(&file, &serde_json::to_string_pretty(&credentials)?)?;
        Ok(credentials)
    }

    /// The secrets of all merchants, the demo merchant's first.
    pub fn merchants(&self) -> Vec<&str> {
        std::iter::once(&self.merchant).chain(&self.samples).map(|merchant| merchant.secret.as_str()).collect()
    }

    /// Makes those merchants of the sample that are missing.
    pub async fn add_samples(&mut self, data_dir: &Path, ledger: &Ledger) -> anyhow::Result<()> {
        for profile in SAMPLES.iter().skip(self.samples.len()) {
            let terms = Terms {
                home_currency: Some(profile.home_currency),
                time_zone: Some(profile.time_zone.parse().map_err(anyhow::Error::msg)?),
                ..terms(ledger, profile.name, profile.tier)
            };
            let merchant_id = onboard(ledger, profile.principal, terms).await?;
            let Key { key_id, secret } = key(ledger, Role::Merchant, Some(merchant_id), profile.principal).await?;
            self.samples.push(MerchantKey { merchant_id: merchant_id.to_string(), key_id, secret });
            write_secret(&file(data_dir), &serde_json::to_string_pretty(self)?)?;
        }
        Ok(())
    }

    async fn create(ledger: &Ledger) -> anyhow::Result<Credentials> {
        let terms = terms(ledger, "Demo merchant", Tier::Premium);
        let merchant_id = onboard(ledger, "demo-merchant", terms).await?;
        let merchant = key(ledger, Role::Merchant, Some(merchant_id), "demo-merchant").await?;
        Ok(Credentials {
            base_url: String::new(),
            sandbox_url: String::new(),
            merchant: MerchantKey {
                merchant_id: merchant_id.to_string(),
                key_id: merchant.key_id,
                secret: merchant.secret,
            },
            finance: key(ledger, Role::Finance, None, "finance-one").await?,
            finance2: key(ledger, Role::Finance, None, "finance-two").await?,
            auditor: key(ledger, Role::Auditor, None, "auditor").await?,
            operator: key(ledger, Role::Operator, None, "operator").await?,
            admin: key(ledger, Role::Admin, None, "admin").await?,
            samples: vec![],
        })
    }
}

fn terms(ledger: &Ledger, name: &str, tier: Tier) -> Terms {
    Terms {
        merchant_id: MerchantId::from_uuid(Uuid::now_v7()),
        name: name.to_owned(),
        tier,
        pricing_model: PricingModel::CostPlus,
        refund_fee_policy: RefundFeePolicy::Retain,
        home_currency: None,
        time_zone: None,
        onboarded_at: ledger.payments.clock.now(),
    }
}

/// The same command each time, so that a start that died in between leaves one such merchant and not two.
async fn onboard(ledger: &Ledger, purpose: &str, terms: Terms) -> anyhow::Result<MerchantId> {
    let command = Issued::internally("dev", purpose, "dev");
    let receipt = commands::merchant::onboard(&ledger.payments.executor, command, terms).await?;
    receipt.object.parse().context("a merchant's id")
}

async fn key(ledger: &Ledger, role: Role, merchant_id: Option<MerchantId>, principal: &str) -> anyhow::Result<Key> {
    let issue = IssueKey { role, merchant_id, principal: Some(principal.to_owned()), signed_only: false };
    let made = ledger.keys.issue(issued(), issue).await?;
    let secret = made.secret.context("a fresh key has a secret")?;
    Ok(Key { key_id: made.key.key_id.to_string(), secret: secret.expose().to_owned() })
}
