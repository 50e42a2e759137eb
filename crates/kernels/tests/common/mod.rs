//! What the tests of all kernels share.
#![allow(dead_code, clippy::unwrap_used)]

/// `usual`, or `small` under Miri, which runs some ten thousand times slower.
pub fn sized<T>(usual: T, small: T) -> T {
    if cfg!(miri) { small } else { usual }
}

/// Numbers between −1 and 1 that look random and differ with `salt`.
pub fn noise(len: usize, salt: u64) -> Vec<f32> {
    let mut state = salt.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

pub fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Every value within `tolerance` of the expected one, relative to the largest expected one (at least 1).
pub fn assert_close(name: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{name}");
    let scale = want.iter().fold(1.0f64, |a, b| a.max(b.abs()));
    for (i, (&got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - want).abs();
        assert!(
            error <= tolerance * scale,
            "{name} at {i}: {got}, expected {want}"
        );
    }
}

/// Gradient of `f` at `x` by differences, in f64.
pub fn slopes(x: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut x = x.to_vec();
    (0..x.len())
        .map(|i| {
            let (at, step) = (x[i], 1e-5);
            x[i] = at + step;
            let up = f(&x);
            x[i] = at - step;
            let down = f(&x);
            x[i] = at;
            (up - down) / (2.0 * step)
        })
        .collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `run` gives the same result on pools of 1, 2 and 3 threads.
pub fn assert_thread_free<T: PartialEq + Send>(name: &str, run: impl Fn() -> T + Sync) {
    let [first, second, third] = [1, 2, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(&run)
    });
    assert!(
        first == second && second == third,
        "{name} depends on threads"
    );
}
