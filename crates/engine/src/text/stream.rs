//! Text as it comes, token by token, without ever splitting a character.

/// Bytes of tokens in, whole characters out. Bytes that are not UTF-8 come out as U+FFFD, as soon as that is certain.
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// The characters that `bytes` complete.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.pending) {
                Ok(rest) => {
                    text.push_str(rest);
                    self.pending.clear();
                    return text;
                }
                Err(error) => {
                    let whole = error.valid_up_to();
                    text.push_str(&String::from_utf8_lossy(&self.pending[..whole]));
                    match error.error_len() {
                        // The first bytes of a character: the rest may still come.
                        None => {
                            self.pending.drain(..whole);
                            return text;
                        }
                        Some(wrong) => {
                            text.push(char::REPLACEMENT_CHARACTER);
                            self.pending.drain(..whole + wrong);
                        }
                    }
                }
            }
        }
    }

    /// What is left at the end: U+FFFD where a character was begun.
    pub fn finish(&mut self) -> String {
        let rest = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_gives_the_same_text() {
        let bytes = "a한🙂é\u{10ffff}z".as_bytes();
        for size in 1..=bytes.len() {
            let mut stream = Utf8Stream::default();
            let mut text = String::new();
            for part in bytes.chunks(size) {
                text += &stream.push(part);
            }
            text += &stream.finish();
            assert_eq!(text.as_bytes(), bytes, "pieces of {size}");
        }
    }

    #[test]
    fn wrong_bytes_are_replaced_one_by_one() {
        let bytes = b"a\xffb\xe2\x82c\xf0\x9f\x99";
        let mut stream = Utf8Stream::default();
        let text: String = bytes.iter().map(|&byte| stream.push(&[byte])).collect();
        let text = text + &stream.finish();
        assert_eq!(text, String::from_utf8_lossy(bytes));
    }
}
