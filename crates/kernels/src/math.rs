//! Scalar building blocks that LLVM turns into vector code when they are used in plain loops.

/// Simd of one accumulator: sums of a row are kept in this many partial sums at every level.
pub(crate) const LANES: usize = 16;

/// `a · b + c`, fused where that is one instruction.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `eˣ` with a relative error below 2·10⁻⁷.
///
/// Gives 0 below −87.33 (where the true value is denormal), infinity above 88.37, NaN for NaN. Range reduction by
/// the nearest multiple of ln 2, found by adding and subtracting 1.5·2²³; polynomial of the Cephes library.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    const LOWEST: f32 = -87.33;
    const HIGHEST: f32 = 89.0;
    // Written so that a NaN fails both comparisons and stays.
    let clamped = if x < LOWEST { LOWEST } else { x };
    let clamped = if clamped > HIGHEST { HIGHEST } else { clamped };
    let shifted = mul_add::<FMA>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FMA>(n, -0.693_359_4, clamped);
    let r = mul_add::<FMA>(n, 2.121_944_4e-4, r);
    let p = mul_add::<FMA>(r, 1.987_569_1e-4, 1.398_2e-3);
    let p = mul_add::<FMA>(r, p, 8.333_452e-3);
    let p = mul_add::<FMA>(r, p, 4.166_579_6e-2);
    let p = mul_add::<FMA>(r, p, 1.666_666_5e-1);
    let p = mul_add::<FMA>(r, p, 5e-1);
    // In this order, as the square of a tiny r is denormal, which takes a hundred times as long.
    let p = mul_add::<FMA>(p * r, r, r) + 1.0;
    // The low bits of `shifted` are n in two's complement: move them into the exponent.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let value = p * power;
    if x < LOWEST { 0.0 } else { value }
}

/// `1 / (1 + e⁻ˣ)`.
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// Sum of a slice, in 16 partial sums.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, tail) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] += chunk[i];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(tail) {
        *lane += x;
    }
    fold(lanes)
}

/// Adds up the lanes pairwise.
#[inline(always)]
pub(crate) fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}
