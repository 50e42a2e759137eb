//! Annotation files as they come: Python writes `NaN` and `Infinity`, which are not JSON.

/// Puts a text of the same length in the place of each number that is none, so that the file can be read and the number is
/// found wrong where it stands.
pub(super) fn without_nan(bytes: &mut [u8]) {
    let (mut at, mut quoted) = (0, false);
    while at < bytes.len() {
        let rest = &mut bytes[at..];
        let word = [b"NaN".as_slice(), b"Infinity", b"-Infinity"]
            .into_iter()
            .find(|word| !quoted && rest.starts_with(word));
        at += match (word, rest[0]) {
            (Some(word), _) => {
                rest[..word.len()].fill(b'?');
                rest[0] = b'"';
                rest[word.len() - 1] = b'"';
                word.len()
            }
            (None, b'\\') => 2,
            (None, byte) => {
                quoted ^= byte == b'"';
                1
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_change() {
        let mut text = br#"{"NaN": [NaN, -Infinity, 1], "a\"NaN": Infinity, "N": "NaN"}"#.to_vec();
        without_nan(&mut text);
        let text = String::from_utf8_lossy(&text);
        assert_eq!(
            text,
            r#"{"NaN": ["?", "???????", 1], "a\"NaN": "??????", "N": "NaN"}"#
        );
    }
}
