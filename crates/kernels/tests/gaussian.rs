//! Normal values against their definition, and the same bits at every level.
#![allow(clippy::unwrap_used)]

use kernels::{GAUSSIAN_BLOCK, Level, box_muller};

fn words(count: usize) -> Vec<u32> {
    let step = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let mut words: Vec<u32> = (0..count).map(|i| step(i) as u32).collect();
    // The ends of both ranges, and where quarters meet.
    for (at, word) in [0, u32::MAX, 1, 1 << 31, (1 << 31) - 1]
        .into_iter()
        .enumerate()
    {
        words[at] = word;
        words[16 + at] = word;
        words[32 + 16 + at] = (1 << 29) + (at as u32) * (1 << 29);
    }
    words
}

#[test]
fn values_are_those_of_the_definition_at_every_level() {
    let words = words(1 << 16);
    let mut expected = vec![0.0f32; words.len()];
    for (words, out) in words
        .chunks_exact(GAUSSIAN_BLOCK)
        .zip(expected.chunks_exact_mut(GAUSSIAN_BLOCK))
    {
        for k in 0..16 {
            let part = |word: u32, add: f64| (f64::from(word) + add) / 4_294_967_296.0;
            let radius = (-2.0 * part(words[k], 0.5).ln()).sqrt();
            let angle = std::f64::consts::TAU * part(words[16 + k], 0.0);
            out[k] = (radius * angle.cos()) as f32;
            out[16 + k] = (radius * angle.sin()) as f32;
        }
    }
    let mut first: Option<Vec<f32>> = None;
    for level in Level::all() {
        let mut out = vec![0.0; words.len()];
        box_muller(level, &words, &mut out).unwrap();
        let other = out
            .iter()
            .zip(&expected)
            .filter(|(a, b)| a.to_bits() != b.to_bits())
            .count();
        let furthest = out
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        println!(
            "{level:?}: {other} of {} differ, by {furthest:e} at most",
            out.len()
        );
        // Rounding to f32 may fall on the other side where an f64 is near the middle.
        assert!(
            other <= out.len() / 10_000 && furthest < 1e-6,
            "{other} differ by {furthest}"
        );
        assert_eq!(first.get_or_insert(out.clone()), &out, "{level:?}");
    }
}

#[test]
fn part_of_a_block_is_its_beginning() {
    let words = words(128);
    let [mut whole, mut part] = [vec![0.0; 128], vec![0.0; 101]];
    box_muller(Level::best(), &words, &mut whole).unwrap();
    box_muller(Level::best(), &words, &mut part).unwrap();
    assert_eq!(part, whole[..101]);
    assert!(box_muller(Level::best(), &words[..96], &mut part).is_err());
}
