//! The chunks of a PNG file, looked at before anything in them is unpacked.

use std::borrow::Cow;

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// Chunks that may unpack to any size and say nothing of the pixels as they are read here.
const LEFT_OUT: [&[u8; 4]; 4] = [b"iCCP", b"zTXt", b"iTXt", b"tEXt"];
/// Longest keyword of a text (PNG, third edition, section 11.3.3).
const LONGEST_KEYWORD: usize = 79;

/// The chunks after the signature as (name, whole chunk with length and checksum), as far as they are whole.
fn chunks(png: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = png.strip_prefix(SIGNATURE).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?) as usize;
        let (chunk, after) = rest.split_at_checked(length.checked_add(12)?)?;
        rest = after;
        Some((chunk.get(4..8)?, chunk))
    })
}

/// The file without texts and colour profiles. What follows the last whole chunk stays, for the decoder to complain of.
pub(super) fn pixels_only(png: &[u8]) -> Cow<'_, [u8]> {
    let left_out = |name: &[u8]| LEFT_OUT.iter().any(|known| *known == name);
    if !chunks(png).any(|(name, _)| left_out(name)) {
        return Cow::Borrowed(png);
    }
    let mut kept = SIGNATURE.to_vec();
    let mut seen = SIGNATURE.len();
    for (name, chunk) in chunks(png) {
        seen += chunk.len();
        if !left_out(name) {
            kept.extend_from_slice(chunk);
        }
    }
    kept.extend_from_slice(&png[seen..]);
    Cow::Owned(kept)
}

/// A PNG that holds nothing but the header and the first text of `png` called `key`; none where there is no such text.
/// Texts of other names are not unpacked.
///
/// # Errors
/// When the file ends before its last chunk.
pub(super) fn text_only(png: &[u8], key: &str) -> Result<Option<Vec<u8>>, String> {
    let mut kept = SIGNATURE.to_vec();
    let mut found = None;
    let mut whole = false;
    for (name, chunk) in chunks(png) {
        match name {
            b"IHDR" => kept.extend_from_slice(chunk),
            b"zTXt" | b"iTXt" | b"tEXt" if found.is_none() && keyword(chunk) == Some(key) => {
                found = Some(chunk);
            }
            b"IEND" => whole = true,
            _ => {}
        }
    }
    if !whole {
        return Err("the end of the PNG is missing".into());
    }
    Ok(found.map(|text| {
        kept.extend_from_slice(text);
        // A reader of headers stops at the first pixel chunk: an empty one, with its checksum.
        kept.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        kept
    }))
}

fn keyword(chunk: &[u8]) -> Option<&str> {
    let content = chunk.get(8..)?;
    let end = content
        .iter()
        .take(LONGEST_KEYWORD + 1)
        .position(|&byte| byte == 0)?;
    std::str::from_utf8(&content[..end]).ok()
}
