//! Authenticated encryption as everything sealed here uses it.
//!
//! XChaCha20-Poly1305 with a random nonce of 192 bits. Several nodes seal under one key without talking to each other,
//! so a counter is out of the question; with random nonces a repetition has a probability of about 2^-33 after 2^80
//! messages under one key, far beyond what any subject will ever have. With the 96 bits of plain ChaCha20-Poly1305 the
//! same bound would be reached after 2^32 messages, which a large merchant's own key could see.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use commands::ports::VaultError;
use rand::TryRngCore;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

pub const NONCE_LENGTH: usize = 24;

/// A key ready for use; wiped when dropped.
pub struct Cipher(XChaCha20Poly1305);

impl Cipher {
    pub fn new(key: &Zeroizing<[u8; 32]>) -> Cipher {
        Cipher(XChaCha20Poly1305::new(&Key::from(**key)))
    }

    /// The nonce, then the ciphertext with its tag. The same `context` must be given to open it.
    pub fn seal(&self, context: &[&[u8]], plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0_u8; NONCE_LENGTH];
        fill_random(&mut nonce)?;
        let payload = Payload { msg: plaintext, aad: &length_prefixed(context) };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::Damaged)?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// `None` if it was sealed under another key, in another context, or changed since.
    pub fn open(&self, context: &[&[u8]], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, data) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let payload = Payload { msg: data, aad: &length_prefixed(context) };
        self.0.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }
}

pub(super) fn draw_key() -> Result<Zeroizing<[u8; 32]>, VaultError> {
    let mut key = Zeroizing::new([0_u8; 32]);
    fill_random(key.as_mut())?;
    Ok(key)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), VaultError> {
    OsRng.try_fill_bytes(bytes).map_err(|error| VaultError::Unavailable(format!("no randomness: {error}")))
}

/// So that ("ab", "c") is another context than ("a", "bc").
fn length_prefixed(parts: &[&[u8]]) -> Vec<u8> {
    parts.iter().flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_context_open_it_unchanged() {
        let cipher = Cipher::new(&Zeroizing::new([1; 32]));
        let sealed = cipher.seal(&[b"a", b"bc"], b"text").unwrap();
        assert_eq!(cipher.open(&[b"a", b"bc"], &sealed).unwrap().as_slice(), b"text");
        assert!(cipher.open(&[b"ab", b"c"], &sealed).is_none());
        assert!(Cipher::new(&Zeroizing::new([2; 32])).open(&[b"a", b"bc"], &sealed).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(cipher.open(&[b"a", b"bc"], &changed).is_none(), "byte {index}");
            assert!(cipher.open(&[b"a", b"bc"], &sealed[..index]).is_none(), "cut at {index}");
        }
    }

    #[test]
    fn sealing_twice_gives_two_nonces() {
        let cipher = Cipher::new(&Zeroizing::new([1; 32]));
        assert_ne!(cipher.seal(&[], b"text").unwrap()[..24], cipher.seal(&[], b"text").unwrap()[..24]);
    }
}
