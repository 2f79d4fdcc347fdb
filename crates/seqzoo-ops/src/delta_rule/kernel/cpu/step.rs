//! One token: the recurrence itself.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::matrix_memory::kernel::cpu::sequence::{Fading, Sequence};
use crate::matrix_memory::kernel::cpu::tokens::Tokens;
use pulp::{Simd, WithSimd};

/// A forward pass over one token of every sequence.
pub(super) struct Step<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub beta: Tokens<'a, E>,
    /// `[b]`, other than 0 where the memory is cleared.
    pub resets: Option<&'a [E]>,
    pub memory: &'a [E],
    pub output: Output<'a, E>,
    pub last: Output<'a, E>,
}

impl<E: Real> WithSimd for Step<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        simd.vectorize(
            #[inline(always)]
            || self.run(),
        );
    }
}

impl<E: Real> Step<'_, E> {
    #[inline(always)]
    fn run(self) {
        let Self { sequence, beta, resets, memory, output, last } = self;
        let extents = &sequence.extents;
        let (width, decay) = (extents.value, &sequence.decay);
        let mut written = vec![E::default(); width];
        let mut sum = vec![E::default(); width];
        let mut after = vec![E::default(); width];
        let mut factors = vec![E::ONE; extents.key];
        for head in 0..extents.all_heads() {
            let (batch, own) = (head / extents.heads, head % extents.heads);
            let cleared = resets.is_some_and(|resets| resets[batch] != E::default());
            // Cut to lengths that the compiler knows, so that the loops have no checks of bounds.
            let query = &sequence.query.row(batch, 0, own)[..extents.key];
            let key = &sequence.key.row(batch, 0, own)[..extents.key];
            let value = &sequence.value.row(batch, 0, own)[..width];
            let memory = &memory[head * extents.memory()..][..extents.memory()];
            let logs = &decay.numbers[decay.at(batch, 0, own)..];
            match decay.fading {
                Fading::None => {}
                Fading::Shared => factors.fill(logs[0].exponential()),
                Fading::PerChannel => {
                    for (factor, log) in factors.iter_mut().zip(logs) {
                        *factor = log.exponential();
                    }
                }
            }

            // The value under the key, then the value that is written.
            sum.fill(E::default());
            if !cleared {
                for k in 0..extents.key {
                    let factor = key[k] * factors[k];
                    for (sum, held) in sum.iter_mut().zip(&memory[k * width..][..width]) {
                        *sum += factor * *held;
                    }
                }
            }
            let beta = beta.row(batch, 0, own);
            for v in 0..width {
                let beta = beta[if beta.len() == 1 { 0 } else { v }];
                written[v] = beta * (value[v] - sum[v]);
            }

            sum.fill(E::default());
            for k in 0..extents.key {
                let (query, key, own) = (query[k] * sequence.scale, key[k], factors[k]);
                let before = &memory[k * width..][..width];
                for v in 0..width {
                    let faded = if cleared { E::default() } else { own * before[v] };
                    after[v] = faded + key * written[v];
                    sum[v] += query * after[v];
                }
                // SAFETY: one thread writes, each row once.
                unsafe { last.write(head * extents.memory() + k * width, &after) };
            }
            // SAFETY: as above.
            unsafe { output.write(head * width, &sum) };
        }
    }
}
