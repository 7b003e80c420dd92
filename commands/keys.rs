//! Issues and revokes API keys. The secret is drawn here, shown once, and known to nobody afterwards.

use std::sync::Arc;

use domain::merchant::MerchantRejection;
use domain::{ApiKeyId, MerchantId};
use rand::TryRngCore;
use rand::rngs::OsRng;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::executor::{CommandError, Executor, Issued};
use crate::merchant;
use crate::ports::keys::{CreatedBefore, Creation, NewApiKey};
use crate::ports::{Access, ApiKey, Clock, KeyDirectory, KeyDirectoryError, RejectionRecord, Role, Secret};

#[derive(Clone)]
pub struct ApiKeys {
    pub directory: Arc<dyn KeyDirectory>,
    pub executor: Executor,
    pub clock: Arc<dyn Clock>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct IssueKey {
    pub role: Role,
    /// Required for the role merchant, and for no other.
    pub merchant_id: Option<MerchantId>,
    /// Whom the key belongs to; by default the key is a principal of its own.
    pub principal: Option<String>,
    pub signed_only: bool,
}

#[derive(Debug, Clone)]
pub struct IssuedKey {
    pub key: ApiKey,
    /// Absent when the command is repeated: it was shown once.
    pub secret: Option<Secret>,
}

impl ApiKeys {
    pub async fn issue(&self, issued: Issued, issue: IssueKey) -> Result<IssuedKey, CommandError> {
        let access = Access::new(issue.role, issue.merchant_id).ok_or_else(|| merchant_mismatch(issue.role))?;
        if let Some(merchant_id) = access.merchant_id() {
            merchant::find(&self.executor, merchant_id).await?.ok_or_else(unknown_merchant)?;
        }
        let key_id = ApiKeyId::from_uuid(Uuid::now_v7());
        let principal = match issue.principal {
            Some(name) => checked_principal(name)?,
            None => format!("key:{key_id}"),
        };
        let created_at = self.clock.now();
        let key = ApiKey { key_id, access, principal, signed_only: issue.signed_only, created_at, revoked_at: None };
        let secret = draw_secret()?;
        let new = NewApiKey {
            key: key.clone(),
            secret: secret.clone(),
            command_id: issued.metadata.command_id,
            fingerprint: issued.fingerprint,
        };
        match self.directory.create(new).await? {
            Creation::Created => Ok(IssuedKey { key, secret: Some(secret) }),
            Creation::Before(CreatedBefore { fingerprint, .. }) if fingerprint != issued.fingerprint => {
                Err(CommandError::KeyReused)
            }
            Creation::Before(CreatedBefore { key, .. }) => Ok(IssuedKey { key, secret: None }),
        }
    }

    /// The key, revoked; `None` if there is none.
    pub async fn revoke(&self, key_id: ApiKeyId) -> Result<Option<ApiKey>, CommandError> {
        Ok(self.directory.revoke(key_id, self.clock.now()).await?)
    }

    /// Newest first: at most `limit`, older than `before`.
    pub async fn list(&self, before: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, CommandError> {
        Ok(self.directory.list(before, limit).await?)
    }
}

impl From<KeyDirectoryError> for CommandError {
    fn from(error: KeyDirectoryError) -> Self {
        match error {
            KeyDirectoryError::Unavailable(reason) => CommandError::Unavailable(reason),
            KeyDirectoryError::Damaged(reason) => CommandError::Bug(reason),
        }
    }
}

fn merchant_mismatch(role: Role) -> CommandError {
    let detail = match role {
        Role::Merchant => "a merchant's key needs the merchant it belongs to".to_owned(),
        _ => format!("a key of the role {role} belongs to no merchant"),
    };
    CommandError::Invalid { code: "merchant_id_mismatch", pointer: "/merchant_id", detail }
}

fn unknown_merchant() -> CommandError {
    let rejection: RejectionRecord = MerchantRejection::NotFound.into();
    CommandError::Refused(RejectionRecord { pointer: Some("/merchant_id".to_owned()), ..rejection })
}

/// Principals stand in events in clear, beside those of the ledger itself (`saga:payment`): so no colon, which would
/// let a key pass for one of those, no merchant id, which is a scope of idempotency keys, and no at sign, which would make it personal data.
fn checked_principal(name: String) -> Result<String, CommandError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) && name.parse::<MerchantId>().is_err() {
        return Ok(name);
    }
    Err(CommandError::Invalid {
        code: "invalid_principal",
        pointer: "/principal",
        detail: "a principal is 1 to 64 letters, digits, dots, underscores or hyphens".to_owned(),
    })
}

/// 32 bytes of the operating system's randomness in RFC 4648 base 32, lower case, without padding.
fn draw_secret() -> Result<Secret, CommandError> {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut bytes = Zeroizing::new([0_u8; 32]);
    OsRng.try_fill_bytes(bytes.as_mut()).map_err(|error| CommandError::Unavailable(error.to_string()))?;
    let mut text = Zeroizing::new(String::with_capacity("sk_".len() + 52));
    text.push_str("sk_");
    for group in bytes.chunks(5) {
        let mut padded = Zeroizing::new([0_u8; 8]);
        padded[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(*padded);
        for digit in 0..(group.len() * 8).div_ceil(5) {
            let index = usize::try_from((bits >> (35 - 5 * digit)) & 31).unwrap_or_default();
            text.push(char::from(ALPHABET[index]));
        }
    }
    Ok(Secret::new(text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_distinct_and_printable() {
        let secrets: Vec<Secret> = (0..100).map(|_| draw_secret().unwrap()).collect();
        for secret in &secrets {
            let digits = secret.expose().strip_prefix("sk_").unwrap();
            assert_eq!(digits.len(), 52);
            assert!(digits.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7')), "{digits}");
            assert_eq!(format!("{secret:?}"), "Secret(..)");
        }
        let distinct: std::collections::BTreeSet<&str> = secrets.iter().map(Secret::expose).collect();
        assert_eq!(distinct.len(), secrets.len());
        for place in 3..54 {
            let letters: std::collections::BTreeSet<u8> =
                secrets.iter().map(|s| s.expose().as_bytes()[place]).collect();
            assert!(letters.len() > 10, "place {place} hardly varies");
        }
    }

    #[test]
    fn a_named_principal_can_neither_pass_for_the_ledger_nor_be_an_address() {
        for name in ["alice", "payout-service", "a.b_c-9"] {
            assert_eq!(checked_principal(name.to_owned()), Ok(name.to_owned()));
        }
        let merchant = MerchantId::from_uuid(Uuid::nil()).to_string();
        for name in [merchant.as_str(), "", "saga:payment", "alice@example.com", "a b", "ä", &"a".repeat(65)] {
            assert!(checked_principal(name.to_owned()).is_err(), "{name}");
        }
    }
}
