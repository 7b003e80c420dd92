//! API keys: who may call, as what, and the secret that proves it. What each role may do is not known here.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use domain::{ApiKeyId, MerchantId, Timestamp};
use uuid::Uuid;
use zeroize::Zeroizing;

/// Every adapter of it passes one contract suite.
///
/// - Neither the secret nor anything that could be used in its place is stored in clear.
/// - A key that was created, or revoked, by any node is one, or none, for every later call to any node; an adapter
///   that remembers keys must hear of revocations.
#[async_trait]
pub trait KeyDirectory: Send + Sync {
    /// Creates the key, unless the same command created one before: then that one is told and `key` is dropped.
    async fn create(&self, key: NewApiKey) -> Result<Creation, KeyDirectoryError>;

    /// Newest first, revoked ones included: at most `limit`, older than `before`.
    async fn list(&self, before: Option<ApiKeyId>, limit: usize) -> Result<Vec<ApiKey>, KeyDirectoryError>;

    /// The key, revoked from now on; a key that was revoked before keeps its first time. `None` if there is none.
    async fn revoke(&self, key_id: ApiKeyId, at: Timestamp) -> Result<Option<ApiKey>, KeyDirectoryError>;

    /// The key with its secret, to verify a signature. A revoked key is none.
    async fn find(&self, key_id: ApiKeyId) -> Result<Option<Credential>, KeyDirectoryError>;

    /// The key that this secret belongs to. A revoked key is none.
    async fn find_by_secret(&self, secret: &Secret) -> Result<Option<ApiKey>, KeyDirectoryError>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    pub key_id: ApiKeyId,
    pub access: Access,
    /// The person or system that the key belongs to: approvals compare principals, not keys.
    pub principal: String,
    /// A bearer secret alone is not enough for this key.
    pub signed_only: bool,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A key as it is to be stored, by the command that creates it.
#[derive(Debug, Clone)]
pub struct NewApiKey {
    pub key: ApiKey,
    pub secret: Secret,
    pub command_id: Uuid,
    /// Tells a repeat of the command from a reused idempotency key.
    pub fingerprint: Option<[u8; 32]>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Creation {
    Created,
    Before(CreatedBefore),
}

#[derive(Debug, Clone, PartialEq)]
pub struct CreatedBefore {
    pub key: ApiKey,
    pub fingerprint: Option<[u8; 32]>,
}

#[derive(Debug, Clone)]
pub struct Credential {
    pub key: ApiKey,
    pub secret: Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Merchant,
    Finance,
    Auditor,
    Operator,
    Admin,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Merchant, Role::Finance, Role::Auditor, Role::Operator, Role::Admin];

    pub fn as_str(&self) -> &'static str {
        match self {
            Role::Merchant => "merchant",
            Role::Finance => "finance",
            Role::Auditor => "auditor",
            Role::Operator => "operator",
            Role::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Role, &'static str> {
        let role = Role::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or("must be one of: merchant, finance, auditor, operator, admin")
    }
}

/// A role with what it is bound to: a merchant's key belongs to exactly one merchant, every other key to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    Merchant(MerchantId),
    Finance,
    Auditor,
    Operator,
    Admin,
}

impl Access {
    /// `None` unless there is a merchant exactly where the role needs one.
    pub fn new(role: Role, merchant_id: Option<MerchantId>) -> Option<Access> {
        match (role, merchant_id) {
            (Role::Merchant, Some(merchant_id)) => Some(Access::Merchant(merchant_id)),
            (Role::Finance, None) => Some(Access::Finance),
            (Role::Auditor, None) => Some(Access::Auditor),
            (Role::Operator, None) => Some(Access::Operator),
            (Role::Admin, None) => Some(Access::Admin),
            (Role::Merchant, None) | (_, Some(_)) => None,
        }
    }

    pub fn role(&self) -> Role {
        match self {
            Access::Merchant(_) => Role::Merchant,
            Access::Finance => Role::Finance,
            Access::Auditor => Role::Auditor,
            Access::Operator => Role::Operator,
            Access::Admin => Role::Admin,
        }
    }

    pub fn merchant_id(&self) -> Option<MerchantId> {
        match self {
            Access::Merchant(merchant_id) => Some(*merchant_id),
            Access::Finance | Access::Auditor | Access::Operator | Access::Admin => None,
        }
    }
}

/// A key's secret in clear: wiped when dropped, never printed.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(Zeroizing::new(text.into()))
    }

    /// For the one answer that shows it, and as the key of an HMAC.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyDirectoryError {
    #[error("the key directory is not available: {0}")]
    Unavailable(String),
    /// A stored key cannot be read: damage, or the master key of another installation.
    #[error("the key directory is damaged: {0}")]
    Damaged(String),
}
