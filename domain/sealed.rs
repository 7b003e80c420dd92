//! Personal data and free text as events carry it: encrypted under a key that can be erased. Never opens it.

use serde::{Deserialize, Serialize};

/// Ciphertext of one subject's data: `key` names the subject's data key (held outside the log),
/// `nonce` and `data` are base64url without padding. Erasing the key erases the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    pub key: String,
    pub nonce: String,
    pub data: String,
}
