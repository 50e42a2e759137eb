//! MinHash signatures (Broder 1997) and the bands that bring near-duplicates together.
//!
//! A permutation is `a·x + b` modulo 2³² with an odd `a`, of a well-mixed 32-bit hash of each gram: every such map is a
//! permutation of all 32-bit values, and 8 or 16 of them fit one vector instruction. The classic family modulo 2⁶¹ − 1 needs
//! 128-bit products, which no vector unit has.

use base::rng::Rng;

/// Lanes that stay in registers while the grams go by.
const LANES: usize = 64;

/// Permutations of 32-bit values.
#[derive(Clone, Debug)]
pub struct MinHash {
    factors: Vec<u32>,
    shifts: Vec<u32>,
    wanted: usize,
}

impl MinHash {
    /// `count` permutations drawn from `seed`.
    pub fn new(count: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed).child("minhash");
        let padded = count.max(1).next_multiple_of(LANES);
        Self {
            factors: (0..padded).map(|_| rng.bits() as u32 | 1).collect(),
            shifts: (0..padded).map(|_| rng.bits() as u32).collect(),
            wanted: count.max(1),
        }
    }

    /// The least value of each permutation over `grams`; all ones for no gram.
    pub fn signature(&self, grams: &[u32]) -> Vec<u32> {
        let mut least = vec![u32::MAX; self.factors.len()];
        let lanes = least.chunks_exact_mut(LANES);
        let factors = self.factors.chunks_exact(LANES);
        for ((least, a), b) in lanes.zip(factors).zip(self.shifts.chunks_exact(LANES)) {
            if let (Ok(least), Ok(a), Ok(b)) = (least.try_into(), a.try_into(), b.try_into()) {
                lower(least, a, b, grams);
            }
        }
        least.truncate(self.wanted);
        least
    }
}

/// The share of equal minima: an estimate of the Jaccard similarity.
pub fn estimate(a: &[u32], b: &[u32]) -> f64 {
    let same = a.iter().zip(b).filter(|(a, b)| a == b).count();
    same as f64 / a.len().max(1) as f64
}

/// Lowers `least` to the values of the grams.
fn lower(least: &mut [u32; LANES], a: &[u32; LANES], b: &[u32; LANES], grams: &[u32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512F, as was just asked.
            return unsafe { lower_512(least, a, b, grams) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as was just asked.
            return unsafe { lower_256(least, a, b, grams) };
        }
    }
    lower_any::<16>(least, a, b, grams);
}

/// With 64 lanes at a time: four registers each of minima, factors and shifts.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn lower_512(least: &mut [u32; LANES], a: &[u32; LANES], b: &[u32; LANES], grams: &[u32]) {
    lower_any::<64>(least, a, b, grams);
}

/// With 32 lanes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn lower_256(least: &mut [u32; LANES], a: &[u32; LANES], b: &[u32; LANES], grams: &[u32]) {
    lower_any::<32>(least, a, b, grams);
}

#[inline(always)]
fn lower_any<const N: usize>(
    least: &mut [u32; LANES],
    a: &[u32; LANES],
    b: &[u32; LANES],
    grams: &[u32],
) {
    for from in (0..LANES).step_by(N) {
        let part = |all: &[u32; LANES]| std::array::from_fn::<u32, N, _>(|lane| all[from + lane]);
        let (a, b, mut now) = (part(a), part(b), part(least));
        for &gram in grams {
            for lane in 0..N {
                let value = a[lane].wrapping_mul(gram).wrapping_add(b[lane]);
                now[lane] = now[lane].min(value);
            }
        }
        least[from..from + N].copy_from_slice(&now);
    }
}

/// Bands and rows of a band.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Bands {
    /// How many there are.
    pub bands: usize,
    /// Values of each.
    pub rows: usize,
}

impl Bands {
    /// The bands of `permutations` values that err least about `threshold`: the areas under the probabilities that a pair
    /// below it becomes a candidate, and that one above it does not, have the smallest sum.
    pub fn best(permutations: usize, threshold: f64) -> Self {
        let mut best = (f64::INFINITY, Self { bands: 1, rows: 1 });
        for bands in 1..=permutations.max(1) {
            for rows in 1..=permutations / bands {
                let candidate = |similarity: f64| {
                    let equal = similarity.powi(rows as i32);
                    1.0 - (1.0 - equal).powi(bands as i32)
                };
                let wrong = area(0.0, threshold, &candidate)
                    + area(threshold, 1.0, &|s| 1.0 - candidate(s));
                if wrong < best.0 {
                    best = (wrong, Self { bands, rows });
                }
            }
        }
        best.1
    }

    /// A 64-bit key of band `band`: documents with the same one are candidates.
    pub fn key(self, signature: &[u32], band: usize) -> u64 {
        let values = signature.get(band * self.rows..(band + 1) * self.rows);
        let values = values.unwrap_or_default();
        xxhash_rust::xxh3::xxh3_64_with_seed(bytemuck::cast_slice(values), band as u64)
    }
}

/// The area under `curve`, by the middle of small steps.
fn area(from: f64, to: f64, curve: &dyn Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 0.001;
    let steps = ((to - from) / STEP).round().max(0.0) as usize;
    (0..steps)
        .map(|at| curve(from + (at as f64 + 0.5) * STEP))
        .sum::<f64>()
        * STEP
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_those_of_the_specification() {
        assert_eq!(Bands::best(128, 0.8), Bands { bands: 9, rows: 13 });
        assert_eq!(
            Bands::best(256, 0.85),
            Bands {
                bands: 13,
                rows: 19
            }
        );
    }

    #[test]
    fn estimates_scatter_as_they_must() {
        let hashes = MinHash::new(128, 7);
        let mut rng = Rng::new(3);
        let mut errors = Vec::new();
        for similarity in [0.3, 0.5, 0.8, 0.95] {
            for _ in 0..40 {
                let shared = (1000.0 * similarity) as usize;
                let own = (1000 - shared) / 2;
                let mut draw = |n: usize| (0..n).map(|_| rng.bits() as u32).collect::<Vec<u32>>();
                let both = draw(shared);
                let [a, b] = [0, 1].map(|_| [both.clone(), draw(own)].concat());
                let real = shared as f64 / (shared + 2 * own) as f64;
                let found = estimate(&hashes.signature(&a), &hashes.signature(&b));
                errors.push((found - real) / (real * (1.0 - real) / 128.0).sqrt());
            }
        }
        let n = errors.len() as f64;
        let mean = errors.iter().sum::<f64>() / n;
        let spread = (errors.iter().map(|e| e * e).sum::<f64>() / n).sqrt();
        assert!(
            mean.abs() < 0.35 && (0.8..1.2).contains(&spread),
            "{mean} {spread}"
        );
    }

    #[test]
    fn all_widths_of_vectors_give_the_same() {
        let hashes = MinHash::new(100, 1);
        let grams: Vec<u32> = (0..999u32).map(|x| x.wrapping_mul(2_654_435_761)).collect();
        let slow = (0..100).map(|at| {
            let value = |x: &u32| {
                hashes.factors[at]
                    .wrapping_mul(*x)
                    .wrapping_add(hashes.shifts[at])
            };
            grams.iter().map(value).min().unwrap_or(u32::MAX)
        });
        assert_eq!(hashes.signature(&grams), slow.collect::<Vec<u32>>());
    }
}
