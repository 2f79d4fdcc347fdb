//! One token: the recurrence itself.

use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::matrix_memory::kernel::cpu::sequence::{Fading, Sequence};
use pulp::{Simd, WithSimd};

/// A forward pass over one token of every sequence.
pub(super) struct Step<'a, E> {
    pub sequence: Sequence<'a, E>,
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
        let Self { sequence, resets, memory, output, last } = self;
        let extents = &sequence.extents;
        let decay = &sequence.decay;
        let mut sum = vec![E::default(); extents.value];
        let mut after = vec![E::default(); extents.value];
        for head in 0..extents.all_heads() {
            let (batch, own) = (head / extents.heads, head % extents.heads);
            let cleared = resets.is_some_and(|resets| resets[batch] != E::default());
            // Cut to lengths that the compiler knows, so that the loops have no checks of bounds.
            let query = &sequence.query.row(batch, 0, own)[..extents.key];
            let key = &sequence.key.row(batch, 0, own)[..extents.key];
            let value = &sequence.value.row(batch, 0, own)[..extents.value];
            sum.fill(E::default());
            let memory = &memory[head * extents.memory()..][..extents.memory()];
            let logs = &decay.numbers[decay.at(batch, 0, own)..];
            let shared = if decay.fading == Fading::Shared { logs[0].exponential() } else { E::ONE };
            for k in 0..extents.key {
                let each = if decay.fading == Fading::PerChannel { logs[k].exponential() } else { shared };
                let (query, key) = (query[k] * sequence.scale, key[k]);
                let before = &memory[k * extents.value..][..extents.value];
                for v in 0..extents.value {
                    let faded = if cleared { E::default() } else { each * before[v] };
                    let written = faded + key * value[v];
                    after[v] = written;
                    sum[v] += query * written;
                }
                // SAFETY: one thread writes, each row once.
                unsafe { last.write(head * extents.memory() + k * extents.value, &after) };
            }
            // SAFETY: as above.
            unsafe { output.write(head * extents.value, &sum) };
        }
    }
}
