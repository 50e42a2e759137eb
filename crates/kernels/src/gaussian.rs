//! Standard normal values from random words, the same bits on every machine.

use crate::error::{ShapeError, expect};
use crate::level::{Level, leveled};

/// Words of a block of [`box_muller`].
pub const GAUSSIAN_BLOCK: usize = 32;
const HALF: usize = GAUSSIAN_BLOCK / 2;

/// Standard normal values by Box and Muller's transform, computed in f64 and rounded to f32.
///
/// Words are taken in blocks of [`GAUSSIAN_BLOCK`]: word `k` and word `16 + k` of a block give the values `k` and `16 + k`,
/// `r·cos φ` and `r·sin φ` with `r = √(−2 ln((a + ½)/2³²))` and `φ = 2π·b/2³²`. There are as many words as values, rounded
/// up to whole blocks. Only additions, products, quotients and roots are used, each rounded once: every level and every
/// platform gives the same bits.
///
/// # Errors
/// [`ShapeError`] where the number of words does not fit.
pub fn box_muller(level: Level, words: &[u32], out: &mut [f32]) -> Result<(), ShapeError> {
    expect(
        "words",
        words.len(),
        out.len().next_multiple_of(GAUSSIAN_BLOCK),
    )?;
    let whole = out.len() / GAUSSIAN_BLOCK * GAUSSIAN_BLOCK;
    let (blocks, rest) = out.split_at_mut(whole);
    fill(level, &words[..whole], blocks);
    if !rest.is_empty() {
        let mut last = [0.0; GAUSSIAN_BLOCK];
        fill(level, &words[whole..], &mut last);
        rest.copy_from_slice(&last[..rest.len()]);
    }
    Ok(())
}

leveled! {
    fn fill(words: &[u32], out: &mut [f32]) {
        let blocks = words.as_chunks::<GAUSSIAN_BLOCK>().0;
        for (words, out) in blocks.iter().zip(out.as_chunks_mut::<GAUSSIAN_BLOCK>().0) {
            block(words, out);
        }
    }
}

#[inline(always)]
fn block(words: &[u32; GAUSSIAN_BLOCK], out: &mut [f32; GAUSSIAN_BLOCK]) {
    let mut radius = [0.0f64; HALF];
    for (radius, &word) in radius.iter_mut().zip(&words[..HALF]) {
        // −2 ln((a + ½)/2³²); the sum is exact.
        *radius = (44.361_419_555_836_5 - 2.0 * ln(f64::from(word) + 0.5))
            .max(0.0)
            .sqrt();
    }
    let (cosines, sines) = out.split_at_mut(HALF);
    let angles = &words[HALF..];
    for k in 0..HALF {
        let (sin, cos) = sin_cos(angles[k]);
        cosines[k] = (radius[k] * cos) as f32;
        sines[k] = (radius[k] * sin) as f32;
    }
}

/// The natural logarithm of a value of at least ½.
#[inline(always)]
fn ln(x: f64) -> f64 {
    /// √½, the lower end of the mantissas.
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    /// 2⁵²: what holds a small whole number in its lowest bits.
    const WHOLE: u64 = 0x4330_0000_0000_0000;
    // x ≥ ½ keeps the difference positive once a binade is added.
    let shifted = x.to_bits() - ROOT_HALF + (1 << 52);
    let exponent = f64::from_bits(WHOLE | (shifted >> 52)) - (f64::from_bits(WHOLE) + 1.0);
    let mantissa = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff) + ROOT_HALF);
    // ln m = 2·artanh s
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let mut sum = 2.0 / 21.0;
    for odd in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum * z + 2.0 / odd;
    }
    // ln 2 in two parts, of which the first times a whole exponent is exact.
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    exponent * HIGH + (2.0 * s + (s * z * sum + exponent * LOW))
}

/// Sine and cosine of `2π·word/2³²`.
#[inline(always)]
fn sin_cos(word: u32) -> (f64, f64) {
    /// 2π/2³².
    const STEP: f64 = 1.462_918_079_267_159_6e-9;
    let turned = word.wrapping_add(1 << 29);
    let quarter = turned >> 30;
    let t = f64::from((turned & 0x3fff_ffff) as i32 - (1 << 29)) * STEP;
    let z = t * t;
    let mut sin = -1.0 / 1_307_674_368_000.0;
    for term in [
        1.0 / 6_227_020_800.0,
        -1.0 / 39_916_800.0,
        1.0 / 362_880.0,
        -1.0 / 5040.0,
        1.0 / 120.0,
        -1.0 / 6.0,
    ] {
        sin = sin * z + term;
    }
    let sin = t + t * z * sin;
    let mut cos = 1.0 / 20_922_789_888_000.0;
    for term in [
        -1.0 / 87_178_291_200.0,
        1.0 / 479_001_600.0,
        -1.0 / 3_628_800.0,
        1.0 / 40_320.0,
        -1.0 / 720.0,
        1.0 / 24.0,
        -0.5,
    ] {
        cos = cos * z + term;
    }
    let cos = 1.0 + z * cos;
    let odd = quarter & 1 == 1;
    let (a, b) = if odd { (cos, sin) } else { (sin, cos) };
    let sign = |negative: bool| if negative { -1.0 } else { 1.0 };
    // Quarters: sine s, c, −s, −c; cosine c, −s, −c, s.
    (a * sign(quarter >= 2), b * sign((quarter + 1) & 2 == 2))
}
