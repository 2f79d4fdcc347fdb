//! One token: the recurrence itself.

use super::beta::Beta;
use super::run_forward::Most;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::matrix_memory::cpu::sequence::{Fading, Sequence};
use pulp::{Simd, WithSimd};

/// A forward pass over one token of every sequence.
pub(super) struct Step<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub beta: Beta<'a, E>,
    /// `[b]`, other than 0 where the memory is cleared.
    pub resets: Option<&'a [E]>,
    pub memory: &'a [E],
    pub output: Output<'a, E>,
    pub last: Output<'a, E>,
    pub most: &'a Most,
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
        let Self { sequence, beta, resets, memory, output, last, most } = self;
        let extents = &sequence.extents;
        let (width, decay) = (extents.value, &sequence.decay);
        let mut written = vec![E::default(); width];
        let mut sum = vec![E::default(); width];
        let mut after = vec![E::default(); width];
        let mut kept = vec![E::ONE; extents.key];
        for head in 0..extents.all_heads() {
            let (row, of_row) = extents.at(head);
            let cleared = resets.is_some_and(|resets| resets[row] != E::default());
            let query = &sequence.query[head * extents.key..][..extents.key];
            let key = &sequence.key[head * extents.key..][..extents.key];
            let value = &sequence.value[head * width..][..width];
            let memory = &memory[head * extents.memory()..][..extents.memory()];
            let logs = &decay.numbers[decay.at(row, 0, of_row)..];
            match decay.fading {
                Fading::None => {}
                Fading::Alike => kept.fill(logs[0].exponential()),
                Fading::Channels => {
                    for (kept, log) in kept.iter_mut().zip(logs) {
                        *kept = log.exponential();
                    }
                }
            }

            // What the key finds in the memory, then what it writes.
            sum.fill(E::default());
            if !cleared {
                for k in 0..extents.key {
                    let factor = key[k] * kept[k];
                    for (sum, held) in sum.iter_mut().zip(&memory[k * width..][..width]) {
                        *sum += factor * *held;
                    }
                }
            }
            let strengths = &beta.numbers[head * beta.channels..][..beta.channels];
            let squared = key.iter().fold(E::default(), |sum, key| sum + *key * *key);
            let strongest =
                strengths.iter().fold(E::default(), |most, beta| if *beta > most { *beta } else { most });
            most.take(strongest * squared);
            for v in 0..width {
                let strength = strengths[if beta.channels == 1 { 0 } else { v }];
                written[v] = strength * (value[v] - sum[v]);
            }

            sum.fill(E::default());
            for k in 0..extents.key {
                let (query, key, kept) = (query[k] * sequence.scale, key[k], kept[k]);
                let before = &memory[k * width..][..width];
                for v in 0..width {
                    let faded = if cleared { E::default() } else { kept * before[v] };
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
