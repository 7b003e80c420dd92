//! `payledger keys`: issues, lists and revokes API keys. A secret is printed once, when its key is made.

use anyhow::{Context, anyhow, bail};
use commands::keys::IssueKey;
use commands::ports::ApiKey;
use serde_json::{Value, json};

use crate::cli::Keys;
use crate::operator::{Operator, issued};
use crate::output;

/// Keys shown at once.
const LIMIT: usize = 1_000;

pub async fn run(command: Keys, as_json: bool) -> anyhow::Result<()> {
    match command {
        Keys::Create { database, role, merchant, principal, signed_only } => {
            let role = role.parse().map_err(|reason| anyhow!("--role {reason}"))?;
            let merchant_id = merchant.map(|id| id.parse()).transpose().context("--merchant")?;
            let operator = Operator::open(&database).await?;
            let issue = IssueKey { role, merchant_id, principal, signed_only };
            let made = operator.ledger.keys.issue(issued(), issue).await?;
            operator.close().await?;
            let secret = made.secret.context("a fresh key has a secret")?;
            let mut object = object(&made.key);
            object["secret"] = Value::from(secret.expose());
            if as_json {
                return output::json(&object);
            }
            println!("key id  {}\nsecret  {}", made.key.key_id, secret.expose());
            eprintln!("The secret is shown this once.");
            Ok(())
        }
        Keys::List { database } => {
            let operator = Operator::open(&database).await?;
            let keys = operator.ledger.keys.list(None, LIMIT).await?;
            operator.close().await?;
            show(&keys, as_json)
        }
        Keys::Revoke { database, id } => {
            let key_id = id.parse().context("the key id")?;
            let operator = Operator::open(&database).await?;
            let revoked = operator.ledger.keys.revoke(key_id).await?;
            operator.close().await?;
            match revoked {
                Some(key) => show(&[key], as_json),
                None => bail!("there is no key {key_id}"),
            }
        }
    }
}

fn object(key: &ApiKey) -> Value {
    json!({
        "key_id": key.key_id,
        "role": key.access.role().as_str(),
        "merchant_id": key.access.merchant_id(),
        "principal": key.principal,
        "signed_only": key.signed_only,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    })
}

fn show(keys: &[ApiKey], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::json(&keys.iter().map(object).collect::<Vec<_>>());
    }
    let row = |key: &ApiKey| {
        let state = key.revoked_at.map_or_else(|| "active".to_owned(), |at| format!("revoked {at}"));
        let merchant = key.access.merchant_id().map(|id| id.to_string()).unwrap_or_default();
        vec![key.key_id.to_string(), key.access.role().to_string(), merchant, key.principal.clone(), state]
    };
    output::table(&["KEY", "ROLE", "MERCHANT", "PRINCIPAL", "STATE"], &keys.iter().map(row).collect::<Vec<_>>());
    Ok(())
}
