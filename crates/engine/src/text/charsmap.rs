//! Tables of what characters become (`precompiled_charsmap`), looked through before they are used: their reader follows any step
//! that a table names. A table is the length of a double-array trie in bytes, the trie (32 bits a unit), and texts that end with
//! zero bytes; <https://github.com/google/sentencepiece>, `normalizer.cc`.

use serde_json::Value;

/// Whether each step of the trie stays in it and each of its values is the place of a text.
///
/// # Errors
/// In words, where not.
pub(super) fn check(charsmap: &[u8]) -> Result<(), &'static str> {
    const BROKEN: &str = "its table of characters is not whole";
    let (head, rest) = charsmap.split_first_chunk::<4>().ok_or(BROKEN)?;
    let length = u32::from_le_bytes(*head) as usize;
    let (trie, texts) = rest.split_at_checked(length).ok_or(BROKEN)?;
    let texts = std::str::from_utf8(texts).map_err(|_| BROKEN)?;
    let (units, []) = trie.as_chunks::<4>() else {
        return Err(BROKEN);
    };
    let unit = |at: usize| units.get(at).map(|unit| u32::from_le_bytes(*unit) as usize);
    if units.is_empty() {
        return Err(BROKEN);
    }
    for at in 0..units.len() {
        let Some(node) = unit(at).filter(|node| node & (1 << 31) == 0) else {
            continue;
        };
        let next = at ^ ((node >> 10) << ((node & (1 << 9)) >> 6));
        let leaf = node >> 8 & 1 == 1;
        let value = |unit: usize| unit & ((1 << 31) - 1);
        let steps = next | 0xff < units.len();
        let text = !leaf || unit(next).is_some_and(|it| texts.is_char_boundary(value(it)));
        if !steps || !text {
            return Err(BROKEN);
        }
    }
    Ok(())
}

/// [`check`] for all tables in a `tokenizer.json`, where they are in base64.
///
/// # Errors
/// In words.
pub(super) fn check_all(value: &Value) -> Result<(), &'static str> {
    match value {
        Value::Array(items) => items.iter().try_for_each(check_all),
        Value::Object(fields) => fields.iter().try_for_each(|(key, value)| match value {
            Value::String(text) if key == "precompiled_charsmap" => check(&bytes(text)),
            Value::String(_) => Ok(()),
            value => check_all(value),
        }),
        _ => Ok(()),
    }
}

/// The bytes of base64 up to the first character that is none.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let (mut buffer, mut bits) = (0_u32, 0);
    for c in text.bytes() {
        let six = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => break,
        };
        buffer = buffer << 6 | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((buffer >> bits) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trie of 256 units, the first as given, and a text.
    fn table(first: u32) -> Vec<u8> {
        let mut all = 1024_u32.to_le_bytes().to_vec();
        all.extend(first.to_le_bytes());
        all.extend([0; 1020]);
        all.extend(b"a\0");
        all
    }

    #[test]
    fn tables_whose_steps_or_values_lead_out_are_refused() {
        assert!(check(&table(0)).is_ok());
        // No unit at all: found by fuzzing.
        assert!(check(&[0; 8]).is_err());
        // A step to unit 256.
        assert!(check(&table(256 << 10)).is_err());
        // A leaf whose value lies behind the texts.
        let mut long = table(1 << 8 | 1 << 10);
        long[8..12].copy_from_slice(&9_u32.to_le_bytes());
        assert!(check(&long).is_err());
        assert!(check(&[]).is_err());
    }

    #[test]
    fn tables_in_json_are_found() {
        assert_eq!(bytes("AAECAw=="), [0, 1, 2, 3]);
        let json = serde_json::json!({"normalizer": {"normalizers": [{"precompiled_charsmap": "AAAAAAAA"}]}});
        assert!(check_all(&json).is_err());
        assert!(check_all(&serde_json::json!({"normalizer": null})).is_ok());
    }
}
