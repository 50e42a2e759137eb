//! Fingerprints that are the same on every machine and in every version.

/// Where FNV-1a begins.
pub const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, 64 bits, going on from `hash`: [`FNV_START`], or what earlier bytes gave. It tells files and texts apart; it
/// is not collision-resistant.
pub fn fnv1a(hash: u64, bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(hash, step)
}

#[cfg(test)]
mod tests {
    use super::{FNV_START, fnv1a};

    #[test]
    fn published_values_and_going_on() {
        assert_eq!(fnv1a(FNV_START, *b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(FNV_START, *b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(
            fnv1a(fnv1a(FNV_START, *b"foo"), *b"bar"),
            fnv1a(FNV_START, *b"foobar")
        );
    }
}
