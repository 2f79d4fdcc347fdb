//! Extents of a call, in tensors and in scratch memory.

use crate::kernel::cpu::lanes::{Real, lanes};
use pulp::Simd;

/// Extents of a call. The heads are those of the values. A row of the batch is one sequence, or several segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    pub batch: usize,
    pub time: usize,
    pub heads: usize,
    pub key: usize,
    pub value: usize,
}

impl Extents {
    /// Heads of all rows of the batch together.
    pub fn all_heads(&self) -> usize {
        self.batch * self.heads
    }

    /// Elements of one memory.
    pub fn memory(&self) -> usize {
        self.key * self.value
    }
}

/// Widths of keys and values in scratch memory: whole vectors of this processor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Widths {
    pub key: usize,
    pub value: usize,
}

impl Widths {
    pub fn of<S: Simd, E: Real>(extents: &Extents) -> Self {
        let lanes = lanes::<S, E>();
        Self { key: extents.key.next_multiple_of(lanes), value: extents.value.next_multiple_of(lanes) }
    }
}
