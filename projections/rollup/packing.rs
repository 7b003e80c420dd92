//! Numbers and texts as bytes, small ones in few: seven bits to a byte, the lowest first. Knows no figures.

/// Bytes that are still to be read. Whatever is not there, or is not what it should be, reads as none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packed<'b>(&'b [u8]);

/// The most bits that a number has.
const BITS_MAX: u32 = 128;

pub(crate) fn put(bytes: &mut Vec<u8>, mut number: u128) {
    loop {
        let low = u8::try_from(number & 0x7f).expect("it has seven bits");
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// Small ones of either sign take few bytes.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, number: i128) {
    put(bytes, ((number << 1) ^ (number >> 127)).cast_unsigned());
}

pub(crate) fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_bytes(bytes, text.as_bytes());
}

/// Behind their number, so that a reader may skip them.
pub(crate) fn put_bytes(bytes: &mut Vec<u8>, content: &[u8]) {
    put(bytes, u128::try_from(content.len()).expect("no more than memory holds"));
    bytes.extend_from_slice(content);
}

impl<'b> Packed<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Packed<'b> {
        Packed(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn number(&mut self) -> Option<u128> {
        // Nearly all numbers have few bits, for which arithmetic of 64 is faster.
        let mut low = 0_u64;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            low |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(low.into());
            }
        }
        let (mut number, mut shift) = (u128::from(low), 56);
        loop {
            let byte = self.byte()?;
            number |= u128::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < BITS_MAX)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
    }

    pub(crate) fn signed(&mut self) -> Option<i128> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(crate) fn count(&mut self) -> Option<i64> {
        self.signed()?.try_into().ok()
    }

    pub(crate) fn size(&mut self) -> Option<usize> {
        self.number()?.try_into().ok()
    }

    pub(crate) fn bytes(&mut self) -> Option<&'b [u8]> {
        let size = self.size()?;
        let (content, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(content)
    }

    pub(crate) fn text(&mut self) -> Option<&'b str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_cut_short_or_too_long_is_none() {
        assert_eq!(Packed::new(&[]).number(), None);
        assert_eq!(Packed::new(&[0x80; 4]).number(), None);
        assert_eq!(Packed::new(&[0xff; 40]).number(), None);
        assert_eq!(Packed::new(&[3, b'a']).text(), None);
        assert_eq!(Packed::new(&[1, 0xff]).text(), None);
        let mut longest = vec![];
        put(&mut longest, u128::MAX);
        assert_eq!((longest.len(), Packed::new(&longest).size()), (19, None));
    }

    proptest! {
        #[test]
        fn numbers_and_texts_read_back(number: u128, signed: i128, small in -300_i128..300, text: String) {
            let mut bytes = vec![];
            put(&mut bytes, number);
            put_signed(&mut bytes, signed);
            put_signed(&mut bytes, small);
            put_text(&mut bytes, &text);
            let mut packed = Packed::new(&bytes);
            prop_assert_eq!(packed.number(), Some(number));
            prop_assert_eq!(packed.signed(), Some(signed));
            prop_assert_eq!(packed.count().map(i128::from), Some(small));
            prop_assert_eq!(packed.text(), Some(text.as_str()));
            prop_assert!(packed.is_empty());
        }
    }
}
