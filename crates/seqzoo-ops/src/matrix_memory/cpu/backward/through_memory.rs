//! What rows and keys get through the memory.

use super::super::sequence::{Extents, Fading};
use super::super::tokens::{fade_from_the_start, fade_to_the_end, scale_rows};
use super::Backward;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;

impl<E: Real, const N: usize> Backward<E, N> {
    /// What the rows get from reading the memory before the chunk: `through ⊙ (dO Sᵀ)`, where channels
    /// fade apart without the part of `through` inside the block.
    #[inline(always)]
    pub(super) fn of_rows_through_memory<S: Simd>(
        &mut self,
        simd: S,
        extents: &Extents,
        length: usize,
        before: Option<&[E]>,
    ) {
        let (width, factors) = (self.keys.width, &self.keys.factors);
        for reader in &mut self.readers {
            let gradient = &mut reader.gradient[..length * width];
            let Some(before) = before else {
                gradient.fill(E::default());
                continue;
            };
            let rows = (&*reader.upstream, self.value_width);
            through(simd, &self.prefetch, extents, (length, rows), before, (gradient, width));
            match self.keys.fading {
                Fading::None => {}
                Fading::Alike => scale_rows(gradient, width, &factors.through),
                Fading::Channels => fade_from_the_start(length, width, factors, gradient),
            }
        }
    }

    /// What the keys get from having written into the memory: `after ⊙ (V dSᵀ)`, where channels fade apart
    /// without the part of `after` inside the block.
    #[inline(always)]
    pub(super) fn of_keys_through_memory<S: Simd>(
        &mut self,
        simd: S,
        extents: &Extents,
        length: usize,
        memory_gradient: &[E],
    ) {
        let (width, factors) = (self.keys.width, &self.keys.factors);
        let gradient = &mut self.key_gradient[..length * width];
        let rows = (&*self.value, self.value_width);
        through(simd, &self.prefetch, extents, (length, rows), memory_gradient, (gradient, width));
        match self.keys.fading {
            Fading::None => {}
            Fading::Alike => scale_rows(gradient, width, &factors.after),
            Fading::Channels => fade_to_the_end(length, width, factors, gradient),
        }
    }
}

/// `to = rows · memory`: a row of key channels for every row of value channels. The memory is turned.
#[inline(always)]
fn through<S: Simd, E: Real>(
    simd: S,
    prefetch: &Prefetch,
    extents: &Extents,
    (length, (rows, value_width)): (usize, (&[E], usize)),
    memory: &[E],
    (to, width): (&mut [E], usize),
) {
    product(
        simd,
        prefetch,
        Extent { rows: length, depth: extents.value, columns: width },
        Strided::rows(rows, value_width),
        (memory, width),
        (to, width),
        Onto::Nothing,
    );
}
