//! Asking for memory ahead of its use.
//!
//! A kernel's tokens lie in rows that are far apart, which a processor does not foresee. So the lines that the
//! next chunk reads, and those that this one will write, are listed beforehand, and each product asks for a few
//! of them while its own operands are in cache: waiting and computing overlap.

use std::cell::Cell;

const CACHE_LINE: usize = 64;

/// Lines asked for at once: what a core can wait for, and somewhat more.
const BURST: usize = 24;

/// A list of cache lines.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    lines: Vec<*const i8>,
    asked: Cell<usize>,
}

impl Ahead {
    /// Begins a new list.
    pub fn clear(&mut self) {
        self.lines.clear();
        self.asked.set(0);
    }

    /// Lists the lines of `length` elements from `start` on. They are never read or written through the list,
    /// so they may hold anything, and need not exist.
    #[inline(always)]
    pub fn list<E>(&mut self, start: *const E, length: usize) {
        let start = start.cast::<i8>();
        for offset in (0..length * size_of::<E>()).step_by(CACHE_LINE) {
            self.lines.push(start.wrapping_add(offset));
        }
    }

    /// Asks for the next few lines.
    #[inline(always)]
    pub fn ask(&self) {
        let from = self.asked.get();
        let to = self.lines.len().min(from + BURST);
        for line in &self.lines[from..to] {
            hint(*line);
        }
        self.asked.set(to);
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn hint(line: *const i8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: prefetching has no effect but speed, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn hint(_: *const i8) {}
