//! Tiles of the Advanced Matrix Extensions: products of blocks of bf16 units.
//!
//! A tile holds 16 rows of 64 bytes: 16 units of two bf16 values each, or 16 sums. One instruction adds the product of two
//! tiles, 16 × 32 · 32 × 16 values, to a third. The rows of the right one are those of a panel of units as they lie in memory.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::sync::OnceLock;

/// Rows of a block.
pub(crate) const ROWS: usize = 32;
/// Columns of a wide block; a narrow one has half as many.
pub(crate) const COLUMNS: usize = 32;
/// Units of one step along the summed axis.
pub(crate) const STEP: usize = 16;

/// One block of a product and where its operands are. Distances are in values.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    /// Units of the left operand, [`ROWS`] rows, with the distance between rows.
    pub(crate) left: *const u32,
    pub(crate) left_step: usize,
    /// Units of the right operand, a row for every unit, with the distance between rows.
    pub(crate) right: *const u32,
    pub(crate) right_step: usize,
    /// Whether [`COLUMNS`] columns are worked out, or half as many.
    pub(crate) wide: bool,
    /// Steps of [`STEP`] units; at least one.
    pub(crate) steps: usize,
    /// What the product is added to, with the distance between rows.
    pub(crate) before: *const f32,
    pub(crate) before_step: usize,
    /// The result, with the distance between rows; may be `before`.
    pub(crate) out: *mut f32,
    pub(crate) out_step: usize,
}

/// Sums of [`ROWS`] rows and sixteen or [`COLUMNS`] columns over steps that lie anywhere.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a> {
    /// Where the left operand starts: a step has [`ROWS`] rows of [`STEP`] units, one after the other.
    pub(crate) left: *const u32,
    /// Where the right operand starts, with the distance between rows in values.
    pub(crate) right: *const u32,
    pub(crate) right_step: usize,
    /// Distance in values from the first sixteen columns to the second, where there are any.
    pub(crate) second: Option<usize>,
    /// The places of each step's operands, left and right, in bytes from their starts; at least one.
    pub(crate) steps: &'a [[usize; 2]],
    /// The sums: [`ROWS`] rows of [`COLUMNS`] values.
    pub(crate) out: *mut f32,
}

/// Shapes of the eight tiles, all of them 16 rows of 64 bytes, as the processor reads it.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static SHAPES: Shapes = Shapes {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Tiles that are ready on this thread, until this is dropped.
pub(crate) struct Tiles(());

impl Tiles {
    /// # Safety
    /// [`available`] must have said so.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: the shapes are valid for palette 1; tiles hold nothing that anyone needs.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const SHAPES, options(nostack, readonly, preserves_flags));
        }
        Self(())
    }

    /// Works out a block.
    ///
    /// # Safety
    /// All places that the block speaks of must be there.
    pub(crate) unsafe fn block(&self, block: &Block) {
        // SAFETY: the tiles are ready, and the caller promises the places.
        unsafe {
            if block.wide {
                wide(block);
            } else {
                narrow(block);
            }
        }
    }

    /// Works out the sums of a walk.
    ///
    /// # Safety
    /// All places that the walk speaks of must be there, and it must have a step.
    pub(crate) unsafe fn walk(&self, walk: &Walk<'_>) {
        // SAFETY: the tiles are ready, and the caller promises the places.
        unsafe {
            match walk.second {
                Some(second) => walk_wide(walk, second),
                None => walk_narrow(walk),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: the machine has tiles, or there were none to drop.
        unsafe { asm!("tilerelease", options(nomem, nostack, preserves_flags)) };
    }
}

/// Two by two tiles.
///
/// # Safety
/// As for [`Tiles::block`], with tiles that are ready.
unsafe fn wide(block: &Block) {
    // SAFETY: reads and writes rows of 64 bytes at the places that the caller promises; no other code uses tiles.
    unsafe {
        asm!(
            "tileloadd tmm0, [{before} + {before_step}]",
            "tileloadd tmm1, [{before} + {before_step} + 64]",
            "tileloadd tmm2, [{before_low} + {before_step}]",
            "tileloadd tmm3, [{before_low} + {before_step} + 64]",
            "2:",
            "tileloadd tmm4, [{left} + {left_step}]",
            "tileloadd tmm6, [{right} + {right_step}]",
            "tileloadd tmm7, [{right} + {right_step} + 64]",
            "tileloadd tmm5, [{low} + {left_step}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {left}, 64",
            "add {low}, 64",
            "add {right}, {right_move}",
            "dec {steps}",
            "jnz 2b",
            "mov {left}, {out}",
            "mov {left_step}, {out_step}",
            "tilestored [{left} + {left_step}], tmm0",
            "tilestored [{left} + {left_step} + 64], tmm1",
            "shl {out_step}, 4",
            "add {left}, {out_step}",
            "tilestored [{left} + {left_step}], tmm2",
            "tilestored [{left} + {left_step} + 64], tmm3",
            before = in(reg) block.before,
            before_low = in(reg) block.before.wrapping_add(16 * block.before_step),
            before_step = in(reg) 4 * block.before_step,
            left = inout(reg) block.left => _,
            low = inout(reg) block.left.wrapping_add(16 * block.left_step) => _,
            left_step = inout(reg) 4 * block.left_step => _,
            right = inout(reg) block.right => _,
            right_step = in(reg) 4 * block.right_step,
            right_move = in(reg) 4 * STEP * block.right_step,
            steps = inout(reg) block.steps => _,
            out = in(reg) block.out,
            out_step = inout(reg) 4 * block.out_step => _,
            options(nostack),
        );
    }
}

/// Two tiles, one below the other.
///
/// # Safety
/// As for [`wide`].
unsafe fn narrow(block: &Block) {
    // SAFETY: as in `wide`.
    unsafe {
        asm!(
            "tileloadd tmm0, [{before} + {before_step}]",
            "tileloadd tmm2, [{before_low} + {before_step}]",
            "2:",
            "tileloadd tmm4, [{left} + {left_step}]",
            "tileloadd tmm6, [{right} + {right_step}]",
            "tileloadd tmm5, [{low} + {left_step}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "add {left}, 64",
            "add {low}, 64",
            "add {right}, {right_move}",
            "dec {steps}",
            "jnz 2b",
            "mov {left}, {out}",
            "mov {left_step}, {out_step}",
            "tilestored [{left} + {left_step}], tmm0",
            "shl {out_step}, 4",
            "add {left}, {out_step}",
            "tilestored [{left} + {left_step}], tmm2",
            before = in(reg) block.before,
            before_low = in(reg) block.before.wrapping_add(16 * block.before_step),
            before_step = in(reg) 4 * block.before_step,
            left = inout(reg) block.left => _,
            low = inout(reg) block.left.wrapping_add(16 * block.left_step) => _,
            left_step = inout(reg) 4 * block.left_step => _,
            right = inout(reg) block.right => _,
            right_step = in(reg) 4 * block.right_step,
            right_move = in(reg) 4 * STEP * block.right_step,
            steps = inout(reg) block.steps => _,
            out = in(reg) block.out,
            out_step = inout(reg) 4 * block.out_step => _,
            options(nostack),
        );
    }
}

/// Two by two tiles.
///
/// # Safety
/// As for [`Tiles::walk`], with tiles that are ready.
unsafe fn walk_wide(walk: &Walk<'_>, second: usize) {
    // SAFETY: reads and writes rows of 64 bytes at the places that the caller promises; no other code uses tiles.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "mov {left_at}, [{list}]",
            "mov {right_at}, [{list} + 8]",
            "add {left_at}, {left}",
            "add {right_at}, {right}",
            "tileloadd tmm4, [{left_at} + {line}]",
            "tileloadd tmm6, [{right_at} + {right_step}]",
            "add {right_at}, {second}",
            "tileloadd tmm7, [{right_at} + {right_step}]",
            "tileloadd tmm5, [{left_at} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {list}, 16",
            "dec {steps}",
            "jnz 2b",
            "shl {line}, 1",
            "tilestored [{out} + {line}], tmm0",
            "tilestored [{out} + {line} + 64], tmm1",
            "tilestored [{out} + {line} + 2048], tmm2",
            "tilestored [{out} + {line} + 2112], tmm3",
            left_at = out(reg) _,
            right_at = out(reg) _,
            left = in(reg) walk.left,
            right = in(reg) walk.right,
            right_step = in(reg) 4 * walk.right_step,
            second = in(reg) 4 * second,
            list = inout(reg) walk.steps.as_ptr() => _,
            steps = inout(reg) walk.steps.len() => _,
            line = inout(reg) 64_usize => _,
            out = in(reg) walk.out,
            options(nostack),
        );
    }
}

/// Two tiles, one below the other.
///
/// # Safety
/// As for [`walk_wide`].
unsafe fn walk_narrow(walk: &Walk<'_>) {
    // SAFETY: as in `walk_wide`.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm2",
            "2:",
            "mov {left_at}, [{list}]",
            "mov {right_at}, [{list} + 8]",
            "add {left_at}, {left}",
            "add {right_at}, {right}",
            "tileloadd tmm4, [{left_at} + {line}]",
            "tileloadd tmm6, [{right_at} + {right_step}]",
            "tileloadd tmm5, [{left_at} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "add {list}, 16",
            "dec {steps}",
            "jnz 2b",
            "shl {line}, 1",
            "tilestored [{out} + {line}], tmm0",
            "tilestored [{out} + {line} + 2048], tmm2",
            left_at = out(reg) _,
            right_at = out(reg) _,
            left = in(reg) walk.left,
            right = in(reg) walk.right,
            right_step = in(reg) 4 * walk.right_step,
            list = inout(reg) walk.steps.as_ptr() => _,
            steps = inout(reg) walk.steps.len() => _,
            line = inout(reg) 64_usize => _,
            out = in(reg) walk.out,
            options(nostack),
        );
    }
}

/// Whether this machine has tiles, its system lets this process use them, and they multiply as they should.
pub(crate) fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    // SAFETY: `multiplies` runs only where the machine has tiles that this process may use.
    *AVAILABLE.get_or_init(|| present() && permitted() && unsafe { multiplies() })
}

/// Whether the processor has tiles with bf16 products, and the system keeps them apart for each thread.
fn present() -> bool {
    /// AMX-BF16 and AMX-TILE in the flags of leaf 7.
    const AMX: u32 = 1 << 22 | 1 << 24;
    /// That the system says which registers it keeps, in the flags of leaf 1.
    const KEEPS: u32 = 1 << 27;
    /// Shapes and contents of tiles among those registers.
    const KEPT: u64 = 1 << 17 | 1 << 18;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & KEEPS == 0 || __cpuid_count(7, 0).edx & AMX != AMX {
        return false;
    }
    // SAFETY: the flag above says that the instruction is there.
    unsafe { kept() & KEPT == KEPT }
}

/// The registers that the system keeps.
#[target_feature(enable = "xsave")]
fn kept() -> u64 {
    // SAFETY: register 0 is always there.
    unsafe { _xgetbv(0) }
}

/// Asks the system for tiles in this process: its threads may use them from then on.
fn permitted() -> bool {
    #[cfg(target_os = "linux")]
    {
        /// ARCH_REQ_XCOMP_PERM, and the number of the tiles' contents.
        const REQUEST: libc::c_long = 0x1023;
        const CONTENTS: libc::c_long = 18;
        // SAFETY: the call takes two numbers and changes nothing but what this process may use.
        unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST, CONTENTS) == 0 }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether a product of small whole numbers, which no rounding touches, comes out as it should.
///
/// # Safety
/// The machine must have tiles that this process may use.
unsafe fn multiplies() -> bool {
    const UNITS: usize = 2 * STEP;
    let unit = |low: usize, high: usize| {
        let [low, high] = [low, high].map(|value| (value as f32).to_bits() >> 16);
        low | high << 16
    };
    let left: Vec<u32> = (0..ROWS * UNITS).map(|i| unit(i % 7, i % 5)).collect();
    let right: Vec<u32> = (0..UNITS * COLUMNS).map(|i| unit(i % 3, i % 11)).collect();
    let product = |wide: bool, work: &dyn Fn(&Block)| -> Vec<f32> {
        let mut out: Vec<f32> = (0..ROWS * COLUMNS).map(|i| (i % 13) as f32).collect();
        let place = out.as_mut_ptr();
        work(&Block {
            left: left.as_ptr(),
            left_step: UNITS,
            right: right.as_ptr(),
            right_step: COLUMNS,
            wide,
            steps: UNITS / STEP,
            before: place,
            before_step: COLUMNS,
            out: place,
            out_step: COLUMNS,
        });
        out
    };
    [false, true].into_iter().all(|wide| {
        // SAFETY: the caller promises tiles; operands and result hold a whole block.
        unsafe {
            let found = product(wide, &|block| Tiles::new().block(block));
            found == product(wide, &|block| imitate(block))
        }
    })
}

/// What [`Tiles::block`] does, in plain steps.
///
/// # Safety
/// All places that the block speaks of must be there.
pub(crate) unsafe fn imitate(block: &Block) {
    let columns = if block.wide { COLUMNS } else { COLUMNS / 2 };
    let [low, high] = [16, 0].map(|shift| move |unit: u32| f32::from_bits(unit << shift & !0xffff));
    for row in 0..ROWS {
        for column in 0..columns {
            // SAFETY: promised.
            unsafe {
                let mut sum = *block.before.add(row * block.before_step + column);
                for unit in 0..block.steps * STEP {
                    let left = *block.left.add(row * block.left_step + unit);
                    let right = *block.right.add(unit * block.right_step + column);
                    sum += low(left) * low(right) + high(left) * high(right);
                }
                *block.out.add(row * block.out_step + column) = sum;
            }
        }
    }
}
