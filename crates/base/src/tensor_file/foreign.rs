//! What a file is that is no file of weights: for messages.

/// How files of other kinds begin.
const BEGINNINGS: [(&[u8], &str); 8] = [
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"RIFF", "a WebP picture or another RIFF file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GGUF", "a GGUF file"),
    (b"%PDF", "a PDF document"),
];
/// Bytes that are looked at for text.
const LOOKED_AT: usize = 512;

/// What a file that begins with `bytes` is, with its article; none where it could be anything.
pub(super) fn kind(bytes: &[u8]) -> Option<&'static str> {
    let begins = |(beginning, _): &&(&[u8], _)| bytes.starts_with(beginning);
    match BEGINNINGS.iter().find(begins) {
        Some((_, kind)) => Some(kind),
        None => {
            is_text(bytes).then_some("a text, such as a page that a download left in its place")
        }
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(LOOKED_AT)];
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character is cut.
        Err(cut) if cut.error_len().is_none() => {
            std::str::from_utf8(&head[..cut.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|c| !c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::kind;

    #[test]
    fn what_is_no_file_of_weights_is_named() {
        assert_eq!(kind(b"\x89PNG\r\n\x1a\n"), Some("a PNG picture"));
        assert_eq!(kind(b"PK\x03\x04"), Some("a ZIP archive"));
        let text = format!("{}ü", "a".repeat(511));
        assert!(kind(text.as_bytes()).is_some_and(|kind| kind.contains("text")));
        // Safetensors that were cut off, and noise.
        assert_eq!(kind(b"\x40\0\0\0\0\0\0\0{\"a\""), None);
        assert_eq!(kind(b"\xfe\x01\x02"), None);
        assert_eq!(kind(b""), None);
    }
}
