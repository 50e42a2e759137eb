//! Tokens as bytes: what a vocabulary's pieces stand for.

use std::fmt::Write;

/// The sign that SentencePiece writes for a space.
pub(super) const SPACE: char = '\u{2581}';

/// How a vocabulary writes bytes in its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pieces {
    /// GPT-2: each byte is a printable character.
    ByteLevel,
    /// SentencePiece: U+2581 is a space, `<0x0A>` a byte.
    SentencePiece,
    /// BERT: `##` goes on with the word before.
    WordPiece,
    /// A mark at the end of a word, such as `</w>`.
    WordEnd(String),
    /// As they are.
    Plain,
}

impl Pieces {
    /// The bytes that `piece` stands for.
    pub fn bytes(&self, piece: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel => byte_level(piece).unwrap_or_else(|| piece.as_bytes().to_vec()),
            Self::SentencePiece => match byte_of(piece) {
                Some(byte) => vec![byte],
                None => piece.replace(SPACE, " ").into_bytes(),
            },
            Self::WordPiece => match piece.strip_prefix("##") {
                Some(rest) => rest.as_bytes().to_vec(),
                None => format!(" {piece}").into_bytes(),
            },
            Self::WordEnd(mark) => match piece.strip_suffix(mark.as_str()) {
                Some(word) if !mark.is_empty() => format!("{word} ").into_bytes(),
                _ => piece.as_bytes().to_vec(),
            },
            Self::Plain => piece.as_bytes().to_vec(),
        }
    }
}

/// The byte of `<0x0A>`.
fn byte_of(piece: &str) -> Option<u8> {
    let digits = piece.strip_prefix("<0x")?.strip_suffix('>')?;
    match digits.len() {
        2 => u8::from_str_radix(digits, 16).ok(),
        _ => None,
    }
}

/// Whether `piece` is written like a byte.
pub(super) fn is_byte_piece(piece: &str) -> bool {
    byte_of(piece).is_some()
}

/// How SentencePiece writes a byte that no piece has: `<0x0A>`.
pub(super) fn byte_piece(byte: u8) -> String {
    let mut piece = String::with_capacity(6);
    let _ = write!(piece, "<0x{byte:02X}>");
    piece
}

/// GPT-2's table (Radford et al. 2019, `bytes_to_unicode`): printable Latin-1 characters stand for themselves, the other
/// bytes in ascending order for U+0100 and up.
fn byte_level(piece: &str) -> Option<Vec<u8>> {
    piece.chars().map(byte_level_char).collect()
}

fn byte_level_char(c: char) -> Option<u8> {
    let printable = |code: u32| matches!(code, 33..=126 | 161..=172 | 174..=255);
    match u32::from(c) {
        code if printable(code) => u8::try_from(code).ok(),
        code @ 256..=323 => {
            let mut hidden = (0u8..=255).filter(|&byte| !printable(u32::from(byte)));
            hidden.nth((code - 256) as usize)
        }
        _ => None,
    }
}

/// The bytes of every token, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct TokenBytes {
    ends: Vec<usize>,
    data: Vec<u8>,
}

impl TokenBytes {
    /// The next token's bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.data.extend_from_slice(bytes);
        self.ends.push(self.data.len());
    }

    /// Tokens.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of token `id`.
    pub fn get(&self, id: u32) -> Option<&[u8]> {
        let at = id as usize;
        let end = *self.ends.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.data.get(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_one_character_of_the_byte_level_alphabet() {
        let mut bytes: Vec<u8> = (0..=0x17f)
            .filter_map(char::from_u32)
            .filter_map(byte_level_char)
            .collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(Pieces::ByteLevel.bytes("Ġthe"), b" the");
        assert_eq!(Pieces::ByteLevel.bytes("Ċ"), b"\n");
    }

    #[test]
    fn pieces_of_each_kind() {
        assert_eq!(Pieces::SentencePiece.bytes("\u{2581}the"), b" the");
        assert_eq!(Pieces::SentencePiece.bytes("<0x0A>"), b"\n");
        assert_eq!(Pieces::SentencePiece.bytes("<0x0A"), b"<0x0A");
        assert_eq!(Pieces::WordPiece.bytes("##ing"), b"ing");
        assert_eq!(Pieces::WordEnd("</w>".into()).bytes("cat</w>"), b"cat ");
        assert_eq!(byte_piece(10), "<0x0A>");
    }
}
