//! Base64 as requests and answers have it.

use ::base64::Engine;
use ::base64::alphabet;
use ::base64::engine::general_purpose::STANDARD;
use ::base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// With padding.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of a text in either alphabet, padded or not, which may be a `data:` address; none where it is neither.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(";base64,")?.1,
        None => text,
    };
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [&alphabet::STANDARD, &alphabet::URL_SAFE]
        .into_iter()
        .find_map(|letters| GeneralPurpose::new(letters, config).decode(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for length in 0..20u8 {
            let bytes: Vec<u8> = (0..length).map(|at| at.wrapping_mul(83)).collect();
            let text = encode(&bytes);
            assert_eq!(decode(&text), Some(bytes.clone()));
            assert_eq!(
                decode(&format!("data:image/png;base64,{text}")),
                Some(bytes)
            );
        }
        assert_eq!(encode(b"Man"), "TWFu");
        for wrong in ["a", "a b=", "data:x", "é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
