//! One text in the EXIF block of JPEG and WebP files: the `ImageDescription` of the first directory (TIFF 6.0, tag 270).

/// Longest text that is written: a JPEG segment holds no more than 65,533 bytes.
pub(super) const LONGEST: usize = 60_000;
const HEADER: &[u8; 8] = b"II\x2a\0\x08\0\0\0";
const DESCRIPTION: u16 = 270;
const ASCII: u16 = 2;
/// Entries of a directory that are looked at.
const MOST_ENTRIES: usize = 512;

/// A TIFF block that holds `text`, which should be ASCII.
pub(super) fn with_description(text: &str) -> Vec<u8> {
    let mut block = HEADER.to_vec();
    block.extend(1u16.to_le_bytes());
    block.extend(DESCRIPTION.to_le_bytes());
    block.extend(ASCII.to_le_bytes());
    block.extend((text.len() as u32 + 1).to_le_bytes());
    // Behind header, count, this entry and the mark that no directory follows.
    block.extend(26u32.to_le_bytes());
    block.extend(0u32.to_le_bytes());
    // Texts of four bytes or fewer would stand in the entry itself; ours are longer.
    block.extend_from_slice(text.as_bytes());
    block.push(0);
    block
}

/// The description in a TIFF block of either byte order; none where there is no readable one.
pub(super) fn description(block: &[u8]) -> Option<String> {
    let little = match block.get(..4)? {
        b"II\x2a\0" => true,
        b"MM\0\x2a" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = block.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match little {
            true => u16::from_le_bytes(bytes),
            false => u16::from_be_bytes(bytes),
        })
    };
    let u32_at = |at: usize| {
        let bytes = block.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match little {
            true => u32::from_le_bytes(bytes),
            false => u32::from_be_bytes(bytes),
        } as usize)
    };
    let directory = u32_at(4)?;
    let entries = usize::from(u16_at(directory)?).min(MOST_ENTRIES);
    let entry = (0..entries)
        .map(|i| directory + 2 + 12 * i)
        .find(|&at| u16_at(at) == Some(DESCRIPTION) && u16_at(at + 2) == Some(ASCII))?;
    let length = u32_at(entry + 4)?;
    let start = match length {
        ..=4 => entry + 8,
        _ => u32_at(entry + 8)?,
    };
    let text = block.get(start..start.checked_add(length)?)?;
    let end = text
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(text.len());
    String::from_utf8(text[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_comes_back_and_damage_is_no_panic() {
        let block = with_description("orrery {\"prompt\":\"fox\"}");
        assert_eq!(
            description(&block).as_deref(),
            Some("orrery {\"prompt\":\"fox\"}")
        );
        for at in 0..block.len() {
            description(&block[..at]);
            for value in [0, 0x7f, 0xff] {
                let mut damaged = block.clone();
                damaged[at] = value;
                description(&damaged);
            }
        }
    }
}
