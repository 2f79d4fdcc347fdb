//! What both passes read, and the scale of a row.

use super::super::Settings;
use crate::kernel::cpu::channels::blocks::Block;
use crate::kernel::cpu::channels::rows::load;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::token_wise::rms_norm::GateActivation;
use pulp::Simd;

/// Numbers of a task, about: its rows stay in a core's cache. What rows have in common is summed within a task and then over
/// tasks, so this does not depend on the number of cores.
const AT_ONCE: usize = 16_384;

/// Rows of channels.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, E> {
    pub input: &'a [E],
    pub gamma: &'a [E],
    pub gate: Option<&'a [E]>,
    pub settings: Settings,
}

impl<'a, E: Real> Rows<'a, E> {
    fn count(&self) -> usize {
        self.input.len() / self.gamma.len()
    }

    fn rows_of_a_task(&self) -> usize {
        (AT_ONCE / self.gamma.len()).max(1)
    }

    pub fn tasks(&self) -> usize {
        self.count().div_ceil(self.rows_of_a_task())
    }

    /// The rows of a task.
    pub fn of(&self, task: usize) -> std::ops::Range<usize> {
        let first = task * self.rows_of_a_task();
        first..self.count().min(first + self.rows_of_a_task())
    }

    /// The vectors of a row.
    #[inline(always)]
    pub fn blocks<S: Simd>(&self) -> impl Iterator<Item = Block> + use<'a, S, E> {
        let (channels, lanes) = (self.gamma.len(), lanes::<S, E>());
        (0..channels.div_ceil(lanes)).map(move |index| {
            let first = index * lanes;
            Block { first, channels: lanes.min(channels - first) }
        })
    }

    /// `1 / sqrt(mean(x²) + ε)` of the row whose numbers begin at `row`.
    #[inline(always)]
    pub fn scale<S: Simd>(&self, simd: S, row: usize) -> E {
        let mut sum = E::splat(simd, E::default());
        for block in self.blocks::<S>() {
            let x = load(simd, self.input, row, block);
            sum = E::mul_add(simd, x, x, sum);
        }
        let mean = E::sum(simd, sum).into_f64() / self.gamma.len() as f64;
        E::from_f64((mean + self.settings.epsilon).sqrt().recip())
    }

    /// `act(g)` and its slope.
    #[inline(always)]
    pub fn activation<S: Simd>(&self, simd: S, gate: E::Vector<S>) -> [E::Vector<S>; 2] {
        let (one, open) = (E::splat(simd, E::ONE), sigmoid::<S, E>(simd, gate));
        let closed = E::minus(simd, one, open);
        match self.settings.activation {
            GateActivation::Sigmoid => [open, E::times(simd, open, closed)],
            // silu' = σ (1 + g (1 − σ))
            GateActivation::Silu => {
                let slope = E::times(simd, open, E::mul_add(simd, gate, closed, one));
                [E::times(simd, gate, open), slope]
            }
        }
    }
}
