//! The forward pass: row by row.

use super::row::Rows;
use crate::kernel::cpu::channels::rows::{load, store};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};

/// The whole pass.
#[derive(Clone, Copy)]
pub(super) struct Forward<'a, E> {
    pub rows: Rows<'a, E>,
    pub output: Output<'a, E>,
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, .. } = self;
        each(rows.tasks(), rows.input.len(), || (), |(), task| vectorized(simd, Run { pass: self, task }));
    }
}

struct Run<'a, E> {
    pass: Forward<'a, E>,
    task: usize,
}

impl<E: Real> WithSimd for Run<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Forward { rows, output } = self.pass;
        let channels = rows.gamma.len();
        for index in rows.of(self.task) {
            let row = index * channels;
            let scale = E::splat(simd, rows.scale(simd, row));
            for block in rows.blocks::<S>() {
                let normed = E::times(simd, load(simd, rows.input, row, block), scale);
                let mut y = E::times(simd, normed, load(simd, rows.gamma, 0, block));
                if let Some(gate) = rows.gate {
                    let [open, _] = rows.activation(simd, load(simd, gate, row, block));
                    y = E::times(simd, y, open);
                }
                // SAFETY: this row is this task's alone.
                unsafe { store::<S, E>(&output, row, block, y) };
            }
        }
    }
}
