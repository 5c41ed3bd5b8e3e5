//! Bits of an H.264 parameter set: single bits, whole numbers, and Exp-Golomb codes.

/// Bits of a NAL unit whose emulation prevention bytes are gone. Every read says `None` at the end.
pub(super) struct Bits {
    bytes: Vec<u8>,
    at: usize,
}

impl Bits {
    /// The payload of a NAL unit: `00 00 03` becomes `00 00` (H.264, 7.4.1).
    pub(super) fn of_nal(payload: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(payload.len());
        let mut zeros = 0;
        for &byte in payload {
            if zeros >= 2 && byte == 3 {
                zeros = 0;
                continue;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            bytes.push(byte);
        }
        Self { bytes, at: 0 }
    }

    pub(super) fn bit(&mut self) -> Option<bool> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(bit == 1)
    }

    /// A number of up to 32 bits.
    pub(super) fn number(&mut self, bits: u32) -> Option<u32> {
        let mut number = 0;
        for _ in 0..bits {
            number = number << 1 | u32::from(self.bit()?);
        }
        Some(number)
    }

    /// `ue(v)`; codes that need more than 32 bits are none.
    pub(super) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        let rest = self.number(zeros)?;
        ((1u32 << zeros) - 1).checked_add(rest)
    }

    /// `se(v)`.
    pub(super) fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.unsigned()?);
        Some(match code % 2 {
            0 => -(code / 2),
            _ => (code + 1) / 2,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_the_standard_lists_them() {
        // 1 010 011 00100 00101: 0, 1, 2, 3, 4 (table 9-2).
        let mut bits = Bits::of_nal(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.unsigned().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut bits = Bits::of_nal(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        let codes: Vec<_> = (0..5).map(|_| bits.signed().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn emulation_prevention_is_no_payload() {
        let mut bits = Bits::of_nal(&[0, 0, 3, 1]);
        assert_eq!(bits.number(24), Some(1));
        assert_eq!(bits.bit(), None);
    }
}
