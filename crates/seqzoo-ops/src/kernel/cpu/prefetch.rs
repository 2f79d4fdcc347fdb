//! Asking for memory ahead of its use.
//!
//! A kernel's tokens lie in rows that are far apart, which a processor does not foresee. So what the
//! next chunk reads, and what this one will write, is listed beforehand, and each product asks for a few cache
//! lines of it while its own operands are in cache: waiting and computing overlap.

use std::cell::Cell;

const CACHE_LINE: usize = 64;

/// Lines asked for at once: what a core can wait for, and somewhat more.
const BURST: usize = 24;

/// Lines in a piece of memory that lies together.
const PIECE: usize = 4;

/// Memory in pieces at even distances, all in bytes.
#[derive(Clone, Copy, Debug)]
struct Pieces {
    start: *const i8,
    count: usize,
    stride: usize,
    length: usize,
}

/// A list of memory to prefetch, and how far that has been done: the entry, and the piece of it.
#[derive(Debug, Default)]
pub(crate) struct Prefetch {
    list: Vec<Pieces>,
    next: Cell<(usize, usize)>,
}

impl Prefetch {
    /// Begins a new list.
    pub fn clear(&mut self) {
        self.list.clear();
        self.next.set((0, 0));
    }

    /// Lists `count` rows of `length` elements, the first at `start` and each `stride` elements after the one
    /// before. They are never read or written through the list, so they may hold anything, and need not exist.
    #[inline(always)]
    pub fn rows<E>(&mut self, start: *const E, count: usize, stride: usize, length: usize) {
        let (stride, length) = (stride * size_of::<E>(), length * size_of::<E>());
        self.list.push(Pieces { start: start.cast(), count, stride, length });
    }

    /// Lists `length` elements that lie together.
    #[inline(always)]
    pub fn run<E>(&mut self, start: *const E, length: usize) {
        let piece = PIECE * CACHE_LINE / size_of::<E>();
        self.rows(start, length.div_ceil(piece), piece, piece);
    }

    /// Asks for the next few lines.
    #[inline(always)]
    pub fn ask(&self) {
        if self.next.get().0 < self.list.len() {
            self.ask_next();
        }
    }

    #[inline(never)]
    fn ask_next(&self) {
        let (mut entry, mut piece) = self.next.get();
        let mut asked = 0;
        while asked < BURST && entry < self.list.len() {
            let Pieces { start, count, stride, length } = self.list[entry];
            while asked < BURST && piece < count {
                let start = start.wrapping_add(piece * stride);
                for offset in (0..length).step_by(CACHE_LINE) {
                    hint(start.wrapping_add(offset));
                    asked += 1;
                }
                piece += 1;
            }
            if piece == count {
                (entry, piece) = (entry + 1, 0);
            }
        }
        self.next.set((entry, piece));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn hint(line: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
    // Into the second cache: the first is full of what the chunk works on.
    // SAFETY: prefetching has no effect but speed, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T1>(line) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn hint(_: *const i8) {}
