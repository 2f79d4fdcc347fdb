//! What queries and keys get through the memory.

use super::Backward;
use crate::kernel::cpu::ahead::Ahead;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::transpose::transpose;
use crate::linear_attention::kernel::cpu::chunks::CHUNK;
use crate::linear_attention::kernel::cpu::sequence::{Extents, Fading};
use crate::linear_attention::kernel::cpu::tokens::{fade_from_the_start, fade_to_the_end, scale_rows};
use pulp::Simd;

impl<E: Real> Backward<E> {
    /// What the queries get from reading the memory before the chunk: `through ⊙ (dO Sᵀ)`, where channels
    /// fade apart without the part of `through` inside the block.
    #[inline(always)]
    pub(super) fn of_queries_through_memory<S: Simd>(
        &mut self,
        simd: S,
        extents: &Extents,
        fading: Fading,
        length: usize,
        before: Option<&[E]>,
    ) {
        let (width, gates) = (self.key_width, &self.gates);
        let gradient = &mut self.query_gradient[..length * width];
        let Some(before) = before else {
            gradient.fill(E::default());
            return;
        };
        let memory = (before, self.value_width);
        let turned = &mut self.columns;
        through(simd, &self.ahead, extents, memory, &self.upstream_columns, turned, (gradient, width));
        match fading {
            Fading::None => {}
            Fading::Alike => scale_rows(gradient, width, &gates.through),
            Fading::Channels => fade_from_the_start(length, width, gates, gradient),
        }
    }

    /// What the keys get from having written into the memory: `after ⊙ (V dSᵀ)`, where channels fade apart
    /// without the part of `after` inside the block.
    #[inline(always)]
    pub(super) fn of_keys_through_memory<S: Simd>(
        &mut self,
        simd: S,
        extents: &Extents,
        fading: Fading,
        length: usize,
        memory_gradient: &[E],
    ) {
        let (width, gates) = (self.key_width, &self.gates);
        let gradient = &mut self.key_gradient[..length * width];
        let memory = (memory_gradient, self.value_width);
        let turned = &mut self.columns;
        through(simd, &self.ahead, extents, memory, &self.value_columns, turned, (gradient, width));
        match fading {
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
