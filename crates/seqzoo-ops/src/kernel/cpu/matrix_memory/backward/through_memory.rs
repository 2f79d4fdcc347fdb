//! What rows and keys get through the memory.

use super::super::chunks::CHUNK;
use super::super::sequence::{Extents, Fading};
use super::super::tokens::{fade_from_the_start, fade_to_the_end, scale_rows};
use super::Backward;
use crate::kernel::cpu::ahead::Ahead;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
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
        let (width, gates) = (self.keys.width, &self.keys.gates);
        for reader in &mut self.readers {
            let gradient = &mut reader.gradient[..length * width];
            let Some(before) = before else {
                gradient.fill(E::default());
                continue;
            };
            let memory = (before, self.value_width);
            let turned = &mut self.columns;
            through(simd, &self.ahead, extents, memory, &reader.upstream_columns, turned, (gradient, width));
            match self.keys.fading {
                Fading::None => {}
                Fading::Alike => scale_rows(gradient, width, &gates.through),
                Fading::Channels => fade_from_the_start(length, width, gates, gradient),
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
        let (width, gates) = (self.keys.width, &self.keys.gates);
        let gradient = &mut self.key_gradient[..length * width];
        let memory = (memory_gradient, self.value_width);
        let turned = &mut self.columns;
        through(simd, &self.ahead, extents, memory, &self.value_columns, turned, (gradient, width));
        match self.keys.fading {
            Fading::None => {}
            Fading::Alike => scale_rows(gradient, width, &gates.after),
            Fading::Channels => fade_to_the_end(length, width, gates, gradient),
        }
    }
}

/// `to = (memory · columns)ᵀ`: a row of key channels for every token, of which `columns` has the values.
#[inline(always)]
fn through<S: Simd, E: Real>(
    simd: S,
    ahead: &Ahead,
    extents: &Extents,
    (memory, value_width): (&[E], usize),
    columns: &[E],
    turned: &mut [E],
    (to, width): (&mut [E], usize),
) {
    product(
        simd,
        ahead,
        Extent { rows: extents.key, depth: extents.value, columns: CHUNK },
        Strided::rows(memory, value_width),
        (columns, CHUNK),
        (turned, CHUNK),
        Onto::Nothing,
    );
    transpose(simd, (extents.key, to.len() / width), (turned, CHUNK), (to, width));
}
