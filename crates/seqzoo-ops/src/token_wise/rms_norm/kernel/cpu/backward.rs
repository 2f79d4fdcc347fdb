//! The backward pass: row by row, with the gradient of `γ` as a sum of the rows of a task.

use super::row::Rows;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::rows::{load, store};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};

/// The whole pass.
#[derive(Clone, Copy)]
pub(super) struct Backward<'a, E> {
    pub rows: Rows<'a, E>,
    pub upstream: &'a [E],
    pub d_input: Output<'a, E>,
    /// One row per task.
    pub d_gamma: Output<'a, E>,
    pub d_gate: Option<Output<'a, E>>,
}

/// What a task works in, each one vector per vector of a row.
struct Scratch<E> {
    /// The gradient of the normed row.
    d_normed: Buffer<E>,
    d_gamma: Buffer<E>,
}

impl<E: Real> WithSimd for Backward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Self { rows, .. } = self;
        let scratch = || {
            let room = || Buffer::new(rows.gamma.len().next_multiple_of(lanes::<S, E>()));
            Scratch { d_normed: room(), d_gamma: room() }
        };
        each(rows.tasks(), rows.input.len(), scratch, |scratch, task| {
            vectorized(simd, Run { pass: self, scratch, task });
        });
    }
}

struct Run<'a, 'b, E> {
    pass: Backward<'a, E>,
    scratch: &'b mut Scratch<E>,
    task: usize,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Backward { rows, upstream, d_input, d_gamma, d_gate } = self.pass;
        let channels = rows.gamma.len();
        let sums = E::vectors_mut::<S>(&mut self.scratch.d_gamma);
        let d_normed = E::vectors_mut::<S>(&mut self.scratch.d_normed);
        sums.fill(E::splat(simd, E::default()));
        for index in rows.of(self.task) {
            let row = index * channels;
            let r = rows.scale(simd, row);
            let scale = E::splat(simd, r);
            let mut along = E::splat(simd, E::default());
            for (place, block) in rows.blocks::<S>().enumerate() {
                let gamma = load(simd, rows.gamma, 0, block);
                let normed = E::times(simd, load(simd, rows.input, row, block), scale);
                let mut above = load(simd, upstream, row, block);
                if let (Some(gate), Some(d_gate)) = (rows.gate, &d_gate) {
                    let [open, slope] = rows.activation(simd, load(simd, gate, row, block));
                    let all = E::times(simd, E::times(simd, above, slope), E::times(simd, gamma, normed));
                    // SAFETY: this row is this task's alone.
                    unsafe { store::<S, E>(d_gate, row, block, all) };
                    above = E::times(simd, above, open);
                }
                sums[place] = E::mul_add(simd, above, normed, sums[place]);
                let gradient = E::times(simd, above, gamma);
                along = E::mul_add(simd, gradient, normed, along);
                d_normed[place] = gradient;
            }
            let mean = E::splat(simd, E::from_f64(E::sum(simd, along).into_f64() / channels as f64));
            for (place, block) in rows.blocks::<S>().enumerate() {
                let normed = E::times(simd, load(simd, rows.input, row, block), scale);
                let across = E::minus(simd, d_normed[place], E::times(simd, normed, mean));
                // SAFETY: as above.
                unsafe { store::<S, E>(&d_input, row, block, E::times(simd, across, scale)) };
            }
        }
        // SAFETY: the sums of this task are its alone.
        unsafe { d_gamma.write(self.task * channels, &self.scratch.d_gamma[..channels]) };
    }
}
