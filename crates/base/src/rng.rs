//! One seedable, splittable, platform-stable random generator.
//!
//! Every draw in Orrery comes from an [`Rng`] that somebody handed down. Two ways to get a new one:
//! [`Rng::child`] derives a generator from a *name* and leaves the parent untouched, so adding a consumer
//! never shifts the draws of another; [`Rng::split`] consumes one draw and is meant for loops.
//! The stream is ChaCha8, the normals are Box–Muller over `libm`: same seed, same bits, on every platform.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

/// A seeded random generator. Not for cryptography.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u64,
    inner: ChaCha8Rng,
    spare: Option<f32>,
}

/// Where a generator stands, for checkpoints. Restoring it continues the very same stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RngState {
    seed: u64,
    word: u64,
    spare: Option<f32>,
}

impl Rng {
    /// A generator that depends on `seed` only.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            inner: ChaCha8Rng::seed_from_u64(seed),
            spare: None,
        }
    }

    /// The seed this generator was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A generator named `name` under this one. Depends on this generator's seed and on the name,
    /// not on how much was drawn.
    pub fn child(&self, name: &str) -> Self {
        let mut hash = self.seed ^ 0x9e37_79b9_7f4a_7c15;
        for byte in name.bytes() {
            hash = mix(hash ^ u64::from(byte));
        }
        Self::new(mix(hash))
    }

    /// The `index`-th generator under this one, for items of a list that are made in any order.
    pub fn item(&self, index: u64) -> Self {
        Self::new(mix(mix(self.seed ^ 0xd1b5_4a32_d192_ed03) ^ index))
    }

    /// A fresh generator seeded by the next draw of this one.
    pub fn split(&mut self) -> Self {
        Self::new(self.inner.next_u64())
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.inner.next_u64()
    }

    /// Uniform in `[0, 1)`, 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.inner.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// `true` with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.uniform() < p
    }

    /// Uniform in `0..n` without bias; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        let n = n as u64;
        if n == 0 {
            return 0;
        }
        // Lemire's multiply-and-reject.
        loop {
            let wide = u128::from(self.inner.next_u64()) * u128::from(n);
            if (wide as u64) >= n.wrapping_neg() % n {
                return (wide >> 64) as usize;
            }
        }
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f32 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - self.uniform()));
        let angle = std::f32::consts::TAU * self.uniform();
        self.spare = Some(radius * libm::sinf(angle));
        radius * libm::cosf(angle)
    }

    /// `n` standard normals.
    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.normal()).collect()
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }

    /// Where this generator stands.
    pub fn state(&self) -> RngState {
        RngState {
            seed: self.seed,
            word: self.inner.get_word_pos() as u64,
            spare: self.spare,
        }
    }

    /// The generator that stands at `state`.
    pub fn restore(state: &RngState) -> Self {
        let mut inner = ChaCha8Rng::seed_from_u64(state.seed);
        inner.set_word_pos(u128::from(state.word));
        Self {
            seed: state.seed,
            inner,
            spare: state.spare,
        }
    }
}

/// SplitMix64's finaliser.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_do_not_depend_on_what_the_parent_drew() {
        let mut parent = Rng::new(7);
        let before = parent.child("noise").bits();
        parent.bits();
        assert_eq!(before, parent.child("noise").bits());
        assert_ne!(before, parent.child("mask").bits());
    }

    #[test]
    fn a_restored_generator_continues_the_stream() {
        let mut rng = Rng::new(3);
        rng.normals(5);
        let mut twin = Rng::restore(&rng.state());
        assert_eq!(rng.normals(9), twin.normals(9));
        assert_eq!(rng.bits(), twin.bits());
    }

    #[test]
    fn draws_are_the_same_on_every_platform() {
        let mut rng = Rng::new(42);
        let draws: Vec<u64> = (0..3).map(|_| rng.below(1000) as u64).collect();
        assert_eq!(draws, [681, 950, 427]);
    }

    #[test]
    fn normals_have_mean_zero_and_unit_variance() {
        let values = Rng::new(1).normals(20_000);
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let var = values.iter().map(|v| v * v).sum::<f32>() / 20_000.0 - mean * mean;
        assert!(
            mean.abs() < 0.03 && (var - 1.0).abs() < 0.05,
            "{mean} {var}"
        );
    }
}
