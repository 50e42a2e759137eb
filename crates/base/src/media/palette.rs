//! At most 256 colours for a picture, for GIF.

use super::image::Image;

/// Above this many samples NeuQuant learns from every tenth only.
const FINE_SAMPLES: usize = 1 << 17;
/// Columns of the picture that the samples are handed over in.
const SAMPLE_COLUMNS: usize = 512;
/// Above this many colours each is learnt from once only: 65,535 rows of samples then always suffice.
const MANY_COLOURS: usize = 1 << 20;

/// A picture as numbers into a palette of RGB bytes.
pub(super) struct Indexed {
    pub palette: Vec<u8>,
    pub indices: Vec<u8>,
}

/// How much of a picture one entry stands for.
#[derive(Clone, Default)]
struct Share {
    count: usize,
    sums: [usize; 3],
    largest: usize,
    commonest: [u8; 3],
}

/// A palette of the colours themselves where 256 do, else NeuQuant's. It learns from each colour once and once more
/// for every doubling of its count: large grounds would otherwise take the palette from small bright things. Then each
/// entry becomes the mean of what it stands for, or that colour exactly which is more than half of it.
pub(super) fn index(picture: &Image) -> Indexed {
    let pixels = || picture.pixels.chunks_exact(3).map(|p| [p[0], p[1], p[2]]);
    let colours = count(pixels());
    let (entry_of, palette) = match colours.len() {
        0..=256 => (
            (0..colours.len()).map(|at| at as u8).collect(),
            colours.iter().flat_map(|(colour, _)| *colour).collect(),
        ),
        _ => learn(&colours),
    };
    let entry = |colour: [u8; 3]| {
        let at = colours.partition_point(|(known, _)| *known < colour);
        entry_of.get(at).copied().unwrap_or(0)
    };
    Indexed {
        palette,
        indices: pixels().map(entry).collect(),
    }
}

/// All different colours in order, with how often each occurs.
fn count(pixels: impl Iterator<Item = [u8; 3]>) -> Vec<([u8; 3], usize)> {
    let mut sorted: Vec<[u8; 3]> = pixels.collect();
    sorted.sort_unstable();
    sorted
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0], same.len()))
        .collect()
}

/// The entry of each colour, and the palette.
fn learn(colours: &[([u8; 3], usize)]) -> (Vec<u8>, Vec<u8>) {
    let mut samples: Vec<u8> = Vec::new();
    let mut first_sample = Vec::with_capacity(colours.len());
    for (colour, count) in colours {
        first_sample.push(samples.len() / 3);
        let doublings = if colours.len() > MANY_COLOURS {
            0
        } else {
            count.ilog2()
        };
        (0..=doublings).for_each(|_| samples.extend_from_slice(colour));
    }
    let fine = samples.len() / 3 <= FINE_SAMPLES;
    let speed = if fine { 1 } else { 10 };
    // NeuQuant comes inside the GIF crate, which takes pictures: the last row is filled up with white.
    let rows = (samples.len() / 3).div_ceil(SAMPLE_COLUMNS);
    let rows = u16::try_from(rows).unwrap_or(u16::MAX);
    samples.resize(usize::from(rows) * SAMPLE_COLUMNS * 3, 255);
    let learnt = gif::Frame::from_rgb_speed(SAMPLE_COLUMNS as u16, rows, &samples, speed);
    let entry_of: Vec<u8> = first_sample
        .iter()
        .map(|&at| learnt.buffer.get(at).copied().unwrap_or(0))
        .collect();
    let mut palette = learnt.palette.unwrap_or_default();
    centre(colours, &entry_of, &mut palette);
    (entry_of, palette)
}

/// Moves each entry to what it stands for.
fn centre(colours: &[([u8; 3], usize)], entry_of: &[u8], palette: &mut [u8]) {
    let mut shares = vec![Share::default(); 256];
    for ((colour, count), entry) in colours.iter().zip(entry_of) {
        let share = &mut shares[usize::from(*entry)];
        share.count += count;
        for (sum, value) in share.sums.iter_mut().zip(colour) {
            *sum += usize::from(*value) * count;
        }
        if *count > share.largest {
            (share.largest, share.commonest) = (*count, *colour);
        }
    }
    for (entry, share) in palette.chunks_exact_mut(3).zip(shares) {
        if share.largest * 2 > share.count {
            entry.copy_from_slice(&share.commonest);
        } else {
            for (value, sum) in entry.iter_mut().zip(share.sums) {
                let mean = (sum + share.count / 2).checked_div(share.count);
                *value = mean.unwrap_or_default() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_colours_are_kept_exactly() {
        let mut picture = Image::filled(20, 20, [250, 251, 252]);
        (0..19).for_each(|i| picture.set(i, i, [i as u8, 7, 9]));
        let indexed = index(&picture);
        assert_eq!(indexed.palette.len(), 20 * 3);
        let shown = |at: usize| &indexed.palette[usize::from(indexed.indices[at]) * 3..][..3];
        for (at, pixel) in picture.pixels.chunks_exact(3).enumerate() {
            assert_eq!(shown(at), pixel);
        }
    }

    #[test]
    fn a_plain_ground_stays_exact_beside_many_colours() {
        let mut picture = Image::filled(64, 64, [241, 240, 239]);
        for y in 0..40 {
            for x in 0..40 {
                picture.set(x, y, [(x * 6) as u8, (y * 6) as u8, ((x + y) * 3) as u8]);
            }
        }
        let indexed = index(&picture);
        let last = usize::from(indexed.indices[64 * 64 - 1]);
        assert_eq!(indexed.palette[last * 3..][..3], [241, 240, 239]);
    }
}
