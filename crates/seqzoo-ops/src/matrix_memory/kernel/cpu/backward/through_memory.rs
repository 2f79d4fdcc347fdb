//! The gradients of rows and keys through the memory.

use super::super::extents::Extents;
use super::super::fade::{fade_from_the_start, fade_to_the_end, scale_rows};
use super::super::sequence::Fading;
use super::Backward;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;

impl<E: Real, const N: usize> Backward<E, N> {
    /// The gradient of the rows from reading the memory before the chunk: `through ⊙ (dO Sᵀ)`, where every
    /// channel has its own decay without the part of `through` inside the block.
    #[inline(always)]
    pub(super) fn d_rows_through_memory<S: Simd>(
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
            let rows = Strided::rows(&reader.upstream, self.value_width);
            through(simd, &self.prefetch, extents, length, rows, before, MatMut::new(&mut *gradient, width));
            match self.keys.fading {
                Fading::None => {}
                Fading::Shared => scale_rows(gradient, width, &factors.through),
                Fading::PerChannel => fade_from_the_start(length, width, factors, gradient),
            }
        }
    }

    /// The gradient of the keys from writing into the memory: `after ⊙ (V dSᵀ)`, where every channel has its own
    /// decay without the part of `after` inside the block.
    #[inline(always)]
    pub(super) fn d_keys_through_memory<S: Simd>(
        &mut self,
        simd: S,
        extents: &Extents,
        length: usize,
        memory_gradient: &[E],
    ) {
        let (width, factors) = (self.keys.width, &self.keys.factors);
        let gradient = &mut self.key_gradient[..length * width];
        let rows = Strided::rows(&self.value, self.value_width);
        let to = MatMut::new(&mut *gradient, width);
        through(simd, &self.prefetch, extents, length, rows, memory_gradient, to);
        match self.keys.fading {
            Fading::None => {}
            Fading::Shared => scale_rows(gradient, width, &factors.after),
            Fading::PerChannel => fade_to_the_end(length, width, factors, gradient),
        }
    }
}

/// `to = rows · memory`: a row of key channels for every row of value channels. The memory is transposed.
#[inline(always)]
fn through<S: Simd, E: Real>(
    simd: S,
    prefetch: &Prefetch,
    extents: &Extents,
    length: usize,
    rows: Strided<'_, E>,
    memory: &[E],
    to: MatMut<'_, E>,
) {
    let extent = Extent { rows: length, depth: extents.value, columns: to.stride };
    product(simd, prefetch, extent, rows, MatRef::new(memory, to.stride), to, Onto::Nothing);
}
