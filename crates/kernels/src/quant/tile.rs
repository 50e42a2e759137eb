//! Products of a panel with a few rows, and how a whole product is cut into them.

use rayon::prelude::*;

use super::formats::{Format, STEPS, Scales};
use super::input::{GROUP, InputBlock, QuantRows};
use super::panels::{Panel, Panels};
use super::vectors::{LANES, Portable, Vectors};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};
#[cfg(target_arch = "x86_64")]
use crate::level::Kind;
use crate::level::Level;
use crate::parallel::{Fresh, Strips};

/// Bytes of weights that one task reads for a group of rows, or for several in turn; about.
const TASK: usize = 128 * 1024;
/// Rows that one task handles: their rounded values stay in the cache.
const ROWS: usize = 64;

/// The vectors to compute with.
#[derive(Clone, Copy)]
pub(super) enum Machine {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Machine {
    /// The best one for a level.
    pub(super) fn of(level: Level) -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if level.0 == Kind::Avx512 && is_x86_feature_detected!("avx512vnni") {
                return Self::Avx512;
            }
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c");
            if level.0 != Kind::Portable && avx2 {
                return Self::Avx2;
            }
        }
        let _ = level;
        Self::Portable
    }
}

/// Part of a product: rows of the input, panels of the weight.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) rows: [usize; 2],
    pub(super) panels: [usize; 2],
}

/// Where results go: `[rows, outputs]`.
pub(super) struct Target<'a> {
    out: Strips<'a>,
    outputs: usize,
}

impl<'a> Target<'a> {
    pub(super) fn new(out: &'a mut Fresh, outputs: usize) -> Self {
        Self {
            out: Strips::new(out),
            outputs,
        }
    }

    /// Writes the results of a panel for a row.
    ///
    /// # Safety
    /// Only one thread may write there.
    #[inline(always)]
    pub(super) unsafe fn write(&self, row: usize, panel: usize, results: &[f32; LANES]) {
        let lanes = LANES.min(self.outputs - panel * LANES);
        // SAFETY: handed down.
        let out = unsafe { self.out.row(row * self.outputs + panel * LANES, lanes) };
        out.write_copy_of_slice(&results[..lanes]);
    }
}

/// How a product is cut into tasks.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    rows: usize,
    /// Panels of the weight, of one task, and tasks that share the same rows.
    count: usize,
    step: usize,
    tasks: usize,
}

impl Plan {
    /// For `rows` rows and a weight of `count` panels of `size` bytes, of which a task reads about `task`.
    pub(super) fn new(rows: usize, count: usize, size: usize, task: usize) -> Self {
        let groups = rows.min(ROWS).div_ceil(GROUP);
        let step = (task / (groups * size).max(1)).max(1);
        Self {
            rows,
            count,
            step,
            tasks: count.div_ceil(step),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.div_ceil(ROWS) * self.tasks
    }

    pub(super) fn part(&self, task: usize) -> Part {
        let (row, panel) = (task / self.tasks * ROWS, task % self.tasks * self.step);
        Part {
            rows: [row, self.rows.min(row + ROWS)],
            panels: [panel, self.count.min(panel + self.step)],
        }
    }
}

/// Calls `work` for all parts of a product, in parallel.
pub(super) fn split<F: Format>(
    rows: usize,
    panels: &Panels<F>,
    outputs: usize,
    out: &mut Fresh,
    work: impl Fn(Part, &Target<'_>) + Sync,
) {
    let plan = Plan::new(rows, outputs.div_ceil(LANES), panels.panel_size(), TASK);
    let target = Target::new(out, outputs);
    let run = |task: usize| work(plan.part(task), &target);
    match plan.len() {
        // Waking other threads would take longer.
        few @ ..=2 => (0..few).for_each(run),
        many => (0..many).into_par_iter().for_each(run),
    }
}

/// Writes `input · panelsᵀ` to `out` `[rows, outputs]`: every value. `input` has eight bits.
pub(super) fn multiply<F: Format>(
    machine: Machine,
    input: &QuantRows,
    panels: &Panels<F>,
    outputs: usize,
    out: &mut Fresh,
) {
    split(input.rows, panels, outputs, out, |part, target| {
        // SAFETY: parts do not overlap.
        unsafe { multiply_part(machine, part, input, panels, target) };
    });
}

/// Computes a part of a product.
///
/// # Safety
/// Nobody else may write the part's results.
pub(super) unsafe fn multiply_part<F: Format>(
    machine: Machine,
    part: Part,
    input: &QuantRows,
    panels: &Panels<F>,
    target: &Target<'_>,
) {
    // SAFETY: a `Machine` of a kind exists only where its features were detected; the rest is promised.
    unsafe {
        match machine {
            #[cfg(target_arch = "x86_64")]
            Machine::Avx512 => avx512(part, input, panels, target),
            #[cfg(target_arch = "x86_64")]
            Machine::Avx2 => avx2(part, input, panels, target),
            Machine::Portable => compute::<Portable, F>(part, input, panels, target),
        }
    }
}

/// [`compute`] with AVX-512.
///
/// # Safety
/// As for [`compute`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")]
unsafe fn avx512<F: Format>(
    part: Part,
    input: &QuantRows,
    panels: &Panels<F>,
    target: &Target<'_>,
) {
    // SAFETY: handed down.
    unsafe { compute::<Avx512, F>(part, input, panels, target) }
}

/// [`compute`] with AVX2.
///
/// # Safety
/// As for [`compute`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,f16c")]
unsafe fn avx2<F: Format>(part: Part, input: &QuantRows, panels: &Panels<F>, target: &Target<'_>) {
    // SAFETY: handed down.
    unsafe { compute::<Avx2, F>(part, input, panels, target) }
}

/// Computes a part.
///
/// # Safety
/// The machine must have the instructions of `V`; nobody else may write the part's results.
#[inline(always)]
unsafe fn compute<V: Vectors, F: Format>(
    part: Part,
    input: &QuantRows,
    panels: &Panels<F>,
    target: &Target<'_>,
) {
    for p in part.panels[0]..part.panels[1] {
        let panel = panels.panel(p);
        for first in (part.rows[0]..part.rows[1]).step_by(GROUP) {
            let (x, rows) = input.group(first);
            let x = Group {
                blocks: x,
                rows,
                first,
                terms: input.terms,
            };
            let mut row = 0;
            while row < rows {
                // SAFETY: handed down.
                row += unsafe {
                    match rows - row {
                        8.. if V::ROWS >= 8 => tile::<V, F, 8>(&panel, p, &x, row, target),
                        4.. if V::ROWS >= 4 => tile::<V, F, 4>(&panel, p, &x, row, target),
                        2.. => tile::<V, F, 2>(&panel, p, &x, row, target),
                        _ => tile::<V, F, 1>(&panel, p, &x, row, target),
                    }
                };
            }
        }
    }
}

/// Rows that lie together.
struct Group<'a> {
    blocks: &'a [InputBlock],
    rows: usize,
    /// Number of the first.
    first: usize,
    /// Rows whose sum is a row of the result.
    terms: usize,
}

/// Computes `N` rows, from number `row` of the group on; gives `N`.
///
/// # Safety
/// As for [`compute`].
#[inline(always)]
unsafe fn tile<V: Vectors, F: Format, const N: usize>(
    panel: &Panel<'_, F>,
    index: usize,
    group: &Group<'_>,
    row: usize,
    target: &Target<'_>,
) -> usize {
    // SAFETY: handed down.
    unsafe {
        let mut sums = [V::splat(0.0); N];
        let blocks = panel.blocks.chunks_exact(F::BLOCKS);
        let columns = blocks.zip(group.blocks.chunks_exact(F::BLOCKS * group.rows));
        for (header, (blocks, x)) in panel.headers.iter().zip(columns) {
            V::prefetch(header);
            for (b, (block, x)) in blocks.iter().zip(x.chunks_exact(group.rows)).enumerate() {
                V::prefetch(block);
                let bytes = F::unpack::<V>(block);
                let scales = F::scales::<V>(header, b);
                for (sum, x) in sums.iter_mut().zip(&x[row..row + N]) {
                    let value = term::<V, F>(&bytes, &scales, x);
                    *sum = V::add(*sum, V::mul(value, V::splat(x.scale)));
                }
            }
        }
        let first = (group.first + row) / group.terms;
        if N > 1 && group.terms == 2 {
            for (i, sums) in sums.chunks_exact(2).enumerate() {
                target.write(first + i, index, &V::array(V::add(sums[0], sums[1])));
            }
        } else {
            for (i, sum) in sums.into_iter().enumerate() {
                target.write(first + i, index, &V::array(sum));
            }
        }
    }
    N
}

/// The product of a block, before the scale of the input.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn term<V: Vectors, F: Format>(
    bytes: &[V::Bytes; STEPS],
    scales: &Scales<V>,
    x: &InputBlock,
) -> V::Floats {
    let [first, second] = scales.factors;
    let half = STEPS / 2;
    // SAFETY: handed down.
    unsafe {
        let first_sum = if F::SPLIT {
            x.halves[0]
        } else {
            x.halves[0] + x.halves[1]
        };
        let start = V::start(-F::OFFSET * first_sum, F::WIDE);
        let sums = dots::<V, F>(start, &bytes[..half], &x.values[..half]);
        let start = if F::SPLIT {
            V::start(-F::OFFSET * x.halves[1], F::WIDE)
        } else {
            sums
        };
        let rest = dots::<V, F>(start, &bytes[half..], &x.values[half..]);
        let mut value = V::mul(V::floats(rest), second);
        if F::SPLIT {
            value = V::add(V::mul(V::floats(sums), first), value);
        }
        if F::SHIFTED {
            let [first, second] = scales.shifts;
            let shift = if F::SPLIT {
                V::add(
                    V::mul(first, V::splat(x.halves[0] as f32)),
                    V::mul(second, V::splat(x.halves[1] as f32)),
                )
            } else {
                V::mul(first, V::splat(x.sum))
            };
            value = V::add(value, shift);
        }
        value
    }
}

/// Adds the products of some steps to `sums`.
///
/// # Safety
/// The machine must have the instructions of `V`.
#[inline(always)]
unsafe fn dots<V: Vectors, F: Format>(
    mut sums: V::Ints,
    bytes: &[V::Bytes],
    x: &[[i8; 4]],
) -> V::Ints {
    for (&bytes, &x) in bytes.iter().zip(x) {
        // SAFETY: handed down.
        sums = unsafe { V::dot(sums, bytes, x, F::WIDE) };
    }
    sums
}
