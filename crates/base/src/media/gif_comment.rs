//! Comments of GIF files (GIF89a, section 24): texts without names.

/// Begins a comment block.
const COMMENT: [u8; 2] = [0x21, 0xFE];
/// Begins any extension.
const EXTENSION: u8 = 0x21;
/// Begins an image.
const IMAGE: u8 = 0x2C;

/// `gif` with `text` as its first comment; as it is where it is not a GIF.
pub(super) fn with_comment(gif: Vec<u8>, text: &str) -> Vec<u8> {
    let Some(at) = first_block(&gif) else {
        return gif;
    };
    let mut out = gif[..at].to_vec();
    out.extend(COMMENT);
    for part in text.as_bytes().chunks(255) {
        out.push(part.len() as u8);
        out.extend_from_slice(part);
    }
    out.push(0);
    out.extend_from_slice(&gif[at..]);
    out
}

/// The JSON object behind `KEY ` in the first comment that begins so, where it is at most `most` bytes long; none where there is
/// no such comment, or the file ends before it.
pub(super) fn comment(gif: &[u8], key: &str, most: usize) -> Option<Result<String, TooLong>> {
    let mut at = first_block(gif)?;
    let start = format!("{key} ");
    loop {
        match *gif.get(at)? {
            EXTENSION => {
                let is_comment = gif.get(at..at + 2)? == COMMENT;
                let end = end_of_data(gif, at + 2)?;
                if is_comment {
                    let data = parts(gif, at + 2);
                    let text: Vec<u8> = data.take(start.len() + most + 1).collect();
                    let rest = text.strip_prefix(start.as_bytes());
                    // Another key may begin with this one.
                    if let Some(rest) = rest.filter(|rest| rest.starts_with(b"{")) {
                        return Some(match rest.len() > most {
                            true => Err(TooLong),
                            false => Ok(String::from_utf8_lossy(rest).into_owned()),
                        });
                    }
                }
                at = end;
            }
            IMAGE => {
                let palette = palette(*gif.get(at + 9)?);
                // Behind the descriptor and its palette stands the size of a code.
                at = end_of_data(gif, at + 10 + palette + 1)?;
            }
            _ => return None,
        }
    }
}

/// A comment is longer than is read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// Where the blocks of a GIF begin: after its header and global palette.
fn first_block(gif: &[u8]) -> Option<usize> {
    let version = gif.get(..6)?;
    let at = 13 + palette(*gif.get(10)?);
    ([b"GIF89a", b"GIF87a"].contains(&version.try_into().ok()?) && at <= gif.len()).then_some(at)
}

/// Bytes of the palette that `flags` tell of.
fn palette(flags: u8) -> usize {
    match flags & 0x80 {
        0 => 0,
        _ => 3 << ((flags & 7) + 1),
    }
}

/// Behind the sub-blocks that begin at `at`.
fn end_of_data(gif: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*gif.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

/// The bytes of the sub-blocks that begin at `at`.
fn parts(gif: &[u8], mut at: usize) -> impl Iterator<Item = u8> {
    let blocks = std::iter::from_fn(move || {
        let length = usize::from(*gif.get(at)?);
        let block = gif.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        (length > 0).then_some(block)
    });
    blocks.flatten().copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::media::{Clip, Image, decode_clip, gif_bytes};

    #[test]
    fn comments_are_found_wherever_they_stand() {
        let clip = Clip::new(vec![Image::filled(4, 4, [9; 3]); 2], 100).unwrap();
        let plain = gif_bytes(&clip).unwrap();
        assert_eq!(comment(&plain, "key", 99), None);
        let long = format!("{{\"prompt\":\"{}\"}}", "빨강 ".repeat(200));
        let first = with_comment(plain.clone(), &format!("key {long}"));
        assert_eq!(decode_clip(&first, "a").unwrap(), clip);
        assert_eq!(comment(&first, "key", long.len()), Some(Ok(long.clone())));
        assert_eq!(comment(&first, "key", long.len() - 1), Some(Err(TooLong)));
        // Behind the comment of another program, and behind the last image.
        let second = with_comment(first, "made elsewhere");
        let second = with_comment(second, "key two {}");
        assert_eq!(comment(&second, "key", 9999), Some(Ok(long)));
        let mut last = plain[..plain.len() - 1].to_vec();
        last.extend(b"\x21\xfe\x05key {\x01}\0;");
        assert_eq!(comment(&last, "key", 99), Some(Ok("{}".into())));
        for end in 0..last.len() {
            comment(&last[..end], "key", 99);
        }
    }
}
