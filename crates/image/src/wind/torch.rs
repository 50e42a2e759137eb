//! PyTorch's CPU generator and the official seeds, for interoperability: 32-bit Mersenne twister (MT19937).

use sha2::{Digest, Sha256};

const STATE: usize = 624;
const SHIFT: usize = 397;

/// What `torch.manual_seed` starts.
#[derive(Clone, Debug)]
pub struct Generator {
    state: Vec<u32>,
    next: usize,
    spare: Option<f64>,
}

impl Generator {
    /// The generator of a seed, of which the lower 32 bits count.
    pub fn new(seed: u64) -> Self {
        let mut state = vec![seed as u32];
        for i in 1..STATE as u32 {
            let last = state[i as usize - 1];
            let mixed = (last ^ (last >> 30)).wrapping_mul(1_812_433_253);
            state.push(mixed.wrapping_add(i));
        }
        Self {
            state,
            next: STATE,
            spare: None,
        }
    }

    /// The next 32 random bits.
    pub fn word(&mut self) -> u32 {
        if self.next == STATE {
            for i in 0..STATE {
                let joined =
                    (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % STATE] & 0x7fff_ffff);
                let odd = (joined & 1) * 0x9908_b0df;
                self.state[i] = self.state[(i + SHIFT) % STATE] ^ (joined >> 1) ^ odd;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// `torch.rand` of `count` f32 values, in `[0, 1)`.
    pub fn rand(&mut self, count: usize) -> Vec<f32> {
        let mut one = || (self.word() & 0xff_ffff) as f32 * (1.0 / 16_777_216.0);
        (0..count).map(|_| one()).collect()
    }

    /// `torch.randint(0, below)` of `count` values, for `below` under 2³².
    pub fn randint(&mut self, below: u32, count: usize) -> Vec<i64> {
        (0..count)
            .map(|_| i64::from(self.word() % below.max(1)))
            .collect()
    }

    /// `torch.randn` of `count` f32 values: blocks of 16 from that many on, one by one below.
    pub fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < 16 {
            return (0..count).map(|_| self.normal() as f32).collect();
        }
        let mut values = self.rand(count);
        let whole = count / 16 * 16;
        values[..whole].chunks_exact_mut(16).for_each(transform);
        if whole < count {
            // The last 16 are drawn anew.
            let last = self.rand(16);
            values[count - 16..].copy_from_slice(&last);
            transform(&mut values[count - 16..]);
        }
        values
    }

    /// One normal value in f64; the second of each pair is kept.
    fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        let mut uniform = || {
            let [high, low] = [self.word(), self.word()].map(u64::from);
            (((high << 32) | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
        };
        let [angle, distance] = [uniform(), uniform()];
        let radius = libm::sqrt(-2.0 * libm::log1p(-distance));
        let angle = std::f64::consts::TAU * angle;
        self.spare = Some(radius * libm::sin(angle));
        radius * libm::cos(angle)
    }
}

/// Box–Muller over 16 uniform values: the first eight give radii, the others angles.
fn transform(values: &mut [f32]) {
    for k in 0..8 {
        let radius = libm::sqrtf(-2.0 * libm::logf(1.0 - values[k]));
        let angle = std::f32::consts::TAU * values[k + 8];
        values[k] = radius * libm::cosf(angle);
        values[k + 8] = radius * libm::sinf(angle);
    }
}

/// The official seed of noise `index`: SHA-256 of the decimal index, the salt, and twice a number that follows from the
/// groups, modulo 2³² − 1. `add` is 1 in the fast script and 0 in the inpainting script.
///
/// Official code draws a random number where `index mod groups` is 0, so that nobody can derive those noises again; this
/// function takes the 0.
pub fn official_seed(index: u64, salt: &[u8], groups: u64, add: u64) -> u64 {
    let group = index % groups.max(1);
    let second = match group {
        0 => add,
        group => index % group + add,
    };
    let mut hash = Sha256::new();
    hash.update(index.to_string());
    hash.update(salt);
    hash.update(group.to_string());
    hash.update(second.to_string());
    // 2³² is 1 modulo 2³² − 1, so the remainder is that of the sum of the words.
    let digest = hash.finalize();
    let words = digest.as_chunks::<4>().0.iter();
    let sum: u64 = words.map(|word| u64::from(u32::from_be_bytes(*word))).sum();
    sum % u64::from(u32::MAX)
}
