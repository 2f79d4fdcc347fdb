//! What the forward pass writes.

use super::call::Call;
use super::places::Sequence;
use super::scores::HIDDEN;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use pulp::Simd;
use std::f64::consts::LOG2_E;

/// The outputs, and what the backward pass needs to make the weights again. The logarithm of the sum of exponentials alone
/// would not do: where scores are large it has lost the digits that count.
pub(super) struct Read<'a, E> {
    pub output: Output<'a, E>,  // [b, t, h, v]
    pub log_sum: Output<'a, E>, // [b, t, h]
    pub most: Output<'a, E>,    // [b, t, h], the largest score, to the base 2
    pub share: Output<'a, E>,   // [b, t, h], 1 by the sum of the exponentials of scores less the largest
    pub time: usize,
}

impl<E: Real> Read<'_, E> {
    /// Writes a token and head, whose weighted sum of values is to be divided by the sum of exponentials.
    ///
    /// # Safety
    ///
    /// No other thread may write or read this token and head meanwhile.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn write<S: Simd>(
        &self,
        simd: S,
        call: &Call<'_, E>,
        sequence: &Sequence,
        token: usize,
        head: usize,
        sums: &mut [E],
        [most, sum]: [E; 2],
        spoiled: bool,
    ) {
        let mut share = 1.0 / sum.into_f64();
        let mut log_sum = most.into_f64() / LOG2_E + sum.into_f64().ln();
        // What has seen nothing reads zeros. What it has summed up are numbers.
        if most <= E::from_f64(HIDDEN) {
            (share, log_sum) = (0.0, f64::NEG_INFINITY);
        }
        if spoiled {
            (share, log_sum) = (f64::NAN, f64::NAN);
        }
        let (share, channels) = (E::from_f64(share), call.value.channels);
        let factor = E::splat(simd, share);
        for vector in E::vectors_mut::<S>(sums) {
            *vector = E::times(simd, *vector, factor);
        }
        let place = (sequence.row * self.time + sequence.start + token) * call.heads + head;
        // SAFETY: as the caller promises.
        unsafe {
            self.output.write(place * channels, &sums[..channels]);
            self.log_sum.write(place, &[E::from_f64(log_sum)]);
            self.most.write(place, &[most]);
            self.share.write(place, &[share]);
        }
    }
}
