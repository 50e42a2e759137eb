//! Where memory comes from: small pieces from mimalloc, which texts and trees ask for by the million; large buffers, which
//! tensors are made of, from the system's allocator, which keeps them for the next step (`base::memory`). mimalloc is built without
//! huge pages (`no_thp`): a short command would clear megabytes that it never uses.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// Bytes up to which a piece is small.
const SMALL: usize = 64 << 10;

/// Bytes from which glibc takes a piece from the system each time, whatever it is asked to keep.
const HUGE: usize = 32 << 20;

/// The allocator of the program.
pub struct Allocator;

fn small(size: usize) -> bool {
    size <= SMALL
}

/// Asks for huge pages under a piece that comes from the system afresh: with usual ones a picture's decoder spends a quarter of its
/// time on page faults.
fn advised(piece: *mut u8, size: usize) -> *mut u8 {
    #[cfg(target_os = "linux")]
    if size >= HUGE && !piece.is_null() {
        /// Bytes of a huge page.
        const PAGE: usize = 2 << 20;
        let skipped = piece.align_offset(PAGE);
        if skipped < size {
            // SAFETY: the range lies inside the piece; the advice changes no byte, and may be refused.
            unsafe {
                let from = piece.add(skipped);
                libc::madvise(from.cast(), size - skipped, libc::MADV_HUGEPAGE);
            }
        }
    }
    piece
}

// SAFETY: the size that a piece was asked for with, which callers must give back unchanged, tells whose it is; both
// allocators keep the promises of the trait.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: handed down.
        unsafe {
            if small(layout.size()) {
                MiMalloc.alloc(layout)
            } else {
                advised(System.alloc(layout), layout.size())
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: handed down.
        unsafe {
            if small(layout.size()) {
                MiMalloc.alloc_zeroed(layout)
            } else {
                advised(System.alloc_zeroed(layout), layout.size())
            }
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: the piece came from the same allocator, by its size.
        unsafe {
            if small(layout.size()) {
                MiMalloc.dealloc(piece, layout);
            } else {
                System.dealloc(piece, layout);
            }
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above; where the piece changes hands, as many bytes are copied as both have.
        unsafe {
            match (small(layout.size()), small(size)) {
                (true, true) => MiMalloc.realloc(piece, layout, size),
                (false, false) => System.realloc(piece, layout, size),
                _ => {
                    let grown = Layout::from_size_align_unchecked(size, layout.align());
                    let fresh = self.alloc(grown);
                    if !fresh.is_null() {
                        fresh.copy_from_nonoverlapping(piece, size.min(layout.size()));
                        self.dealloc(piece, layout);
                    }
                    fresh
                }
            }
        }
    }
}
