//! Levenshtein's edit distance of eight patterns at once.

use std::sync::OnceLock;

/// Patterns that are compared together.
pub(super) const EDIT_LANES: usize = 8;

/// What [`edit_columns`] is, compiled for one set of instructions.
type Version = fn(&[u64], &[u32], usize, &mut [u64], &mut [u64]);

/// The versions that this machine can run, fastest first.
fn versions() -> Vec<Version> {
    let mut versions: Vec<Version> = vec![columns];
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2")]
        fn avx2(masks: &[u64], text: &[u32], blocks: usize, up: &mut [u64], down: &mut [u64]) {
            columns(masks, text, blocks, up, down);
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
        fn avx512(masks: &[u64], text: &[u32], blocks: usize, up: &mut [u64], down: &mut [u64]) {
            columns(masks, text, blocks, up, down);
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the machine has these instructions.
            versions.push(|masks, text, blocks, up, down| unsafe {
                avx2(masks, text, blocks, up, down)
            });
        }
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
        {
            // SAFETY: as above.
            versions.push(|masks, text, blocks, up, down| unsafe {
                avx512(masks, text, blocks, up, down)
            });
        }
    }
    versions.reverse();
    versions
}

/// Takes eight patterns along a text and leaves the last column of each one's table.
///
/// The column is Myers' (JACM 46(3), 1999) in the form of Hyyrö (2003): a bit for each item of the pattern says
/// whether the table rises, or falls, going down. `masks` `[symbols, blocks, 8]` says where in each pattern a symbol
/// stands, 64 items a block; `text` holds symbols, each below the number of rows of `masks` (others count as the
/// first); `up` and `down` `[blocks, 8]` are overwritten. The distance is the length of the text, and one more for
/// each bit of the pattern that is set in `up`, one less for each in `down`.
pub(super) fn edit_columns(
    masks: &[u64],
    text: &[u32],
    blocks: usize,
    up: &mut [u64],
    down: &mut [u64],
) {
    static FASTEST: OnceLock<Version> = OnceLock::new();
    let fastest = FASTEST.get_or_init(|| versions().first().copied().unwrap_or(columns));
    fastest(masks, text, blocks, up, down);
}

/// [`edit_columns`], for whatever instructions its caller is compiled for.
#[inline(always)]
fn columns(masks: &[u64], text: &[u32], blocks: usize, up: &mut [u64], down: &mut [u64]) {
    up.fill(!0);
    down.fill(0);
    let width = blocks * EDIT_LANES;
    let (Some(first), Some(chunk)) = (masks.get(..width), masks.first_chunk()) else {
        return;
    };
    if let (1, Ok(ups), Ok(downs)) = (blocks, lanes(up), lanes(down)) {
        // One block stays in registers.
        let mut column = (*ups, *downs);
        for &symbol in text {
            let row = masks
                .get(symbol as usize * width..)
                .and_then(|rows| rows.first_chunk());
            let (rises, falls) = (&mut [1; EDIT_LANES], &mut [0; EDIT_LANES]);
            column = step(row.unwrap_or(chunk), &column.0, &column.1, rises, falls);
        }
        (*ups, *downs) = column;
        return;
    }
    for &symbol in text {
        let at = symbol as usize * width;
        let row = masks.get(at..at + width).unwrap_or(first);
        let (mut rises, mut falls) = ([1; EDIT_LANES], [0; EDIT_LANES]);
        let columns = up
            .chunks_exact_mut(EDIT_LANES)
            .zip(down.chunks_exact_mut(EDIT_LANES));
        for (equal, (up, down)) in row.chunks_exact(EDIT_LANES).zip(columns) {
            if let (Some(equal), Ok(up), Ok(down)) = (equal.first_chunk(), lanes(up), lanes(down)) {
                (*up, *down) = step(equal, up, down, &mut rises, &mut falls);
            }
        }
    }
}

#[inline(always)]
fn lanes(of: &mut [u64]) -> Result<&mut [u64; EDIT_LANES], std::array::TryFromSliceError> {
    of.try_into()
}

/// A block's next column. `rises` and `falls` say in bit 0 how the row above goes, and then how the last row does.
#[inline(always)]
fn step(
    equal: &[u64; EDIT_LANES],
    up: &[u64; EDIT_LANES],
    down: &[u64; EDIT_LANES],
    rises: &mut [u64; EDIT_LANES],
    falls: &mut [u64; EDIT_LANES],
) -> ([u64; EDIT_LANES], [u64; EDIT_LANES]) {
    let mut next = ([0; EDIT_LANES], [0; EDIT_LANES]);
    for lane in 0..EDIT_LANES {
        let (up, down) = (up[lane], down[lane]);
        let vertical = equal[lane] | down;
        let equal = equal[lane] | falls[lane];
        let diagonal = ((equal & up).wrapping_add(up) ^ up) | equal;
        let (rise, fall) = (down | !(diagonal | up), up & diagonal);
        let (below_rise, below_fall) = (rise << 1 | rises[lane], fall << 1 | falls[lane]);
        (rises[lane], falls[lane]) = (rise >> 63, fall >> 63);
        next.0[lane] = below_fall | !(vertical | below_rise);
        next.1[lane] = below_rise & vertical;
    }
    next
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The last column of the table, cell by cell, as differences going down.
    fn slow(pattern: &[u32], text: &[u32]) -> Vec<i64> {
        let mut column: Vec<i64> = (0..=pattern.len() as i64).collect();
        for (j, y) in text.iter().enumerate() {
            let mut corner = column[0];
            column[0] = j as i64 + 1;
            for (i, x) in pattern.iter().enumerate() {
                let replace = corner + i64::from(x != y);
                corner = column[i + 1];
                column[i + 1] = replace.min(column[i] + 1).min(corner + 1);
            }
        }
        column.windows(2).map(|two| two[1] - two[0]).collect()
    }

    #[test]
    fn columns_of_every_version_are_those_of_the_plain_table() {
        let mut state = 1_u64;
        let mut draw = |below: usize| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        let (most, lengths) = if cfg!(miri) {
            (2, [0, 1, 7, 12])
        } else {
            (3, [0, 1, 7, 150])
        };
        for blocks in 1..=most {
            for length in lengths {
                let symbols = 1 + draw(6);
                let patterns: Vec<Vec<u32>> = (0..EDIT_LANES)
                    .map(|_| {
                        (0..draw(blocks * 64 + 1))
                            .map(|_| draw(symbols) as u32)
                            .collect()
                    })
                    .collect();
                let text: Vec<u32> = (0..length).map(|_| draw(symbols) as u32).collect();
                let mut masks = vec![0; symbols * blocks * EDIT_LANES];
                for (lane, pattern) in patterns.iter().enumerate() {
                    for (at, &symbol) in pattern.iter().enumerate() {
                        let word = (symbol as usize * blocks + at / 64) * EDIT_LANES + lane;
                        masks[word] |= 1 << (at % 64);
                    }
                }
                for (version, columns) in versions().iter().enumerate() {
                    let mut found = [vec![7; blocks * EDIT_LANES], vec![7; blocks * EDIT_LANES]];
                    let [up, down] = &mut found;
                    columns(&masks, &text, blocks, up, down);
                    for (lane, pattern) in patterns.iter().enumerate() {
                        let bit = |of: &[u64], at: usize| {
                            (of[at / 64 * EDIT_LANES + lane] >> (at % 64) & 1) as i64
                        };
                        let found: Vec<i64> = (0..pattern.len())
                            .map(|at| bit(up, at) - bit(down, at))
                            .collect();
                        assert_eq!(
                            found,
                            slow(pattern, &text),
                            "version {version}, {blocks} blocks"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn symbols_that_no_row_stands_for_count_as_the_first() {
        let masks = [0b1; EDIT_LANES];
        let (mut up, mut down) = ([0; EDIT_LANES], [0; EDIT_LANES]);
        for text in [[0_u32], [9]] {
            edit_columns(&masks, &text, 1, &mut up, &mut down);
            assert_eq!((up[0] & 1, down[0] & 1), (0, 1), "{text:?}");
        }
    }
}
