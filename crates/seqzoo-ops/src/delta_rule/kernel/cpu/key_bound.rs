//! The check of the keys' lengths, before any work.

use crate::delta_rule::keys::refuse;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::matrix_memory::kernel::cpu::division::cores;
use crate::matrix_memory::kernel::cpu::extents::Extents;
use crate::matrix_memory::kernel::cpu::sequence::Sequence;
use crate::matrix_memory::kernel::cpu::tokens::Tokens;
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Panics if some `β ‖k‖²` exceeds 2.
pub(super) fn check<E: Real>(sequence: &Sequence<'_, E>, beta: Tokens<'_, E>) {
    let Extents { batch, time, .. } = sequence.extents;
    let (tokens, pieces) = (batch * time, cores(&sequence.extents));
    let max = |piece: usize| {
        let tokens = piece * tokens / pieces..(piece + 1) * tokens / pieces;
        Arch::new().dispatch(Bound { sequence, beta, tokens })
    };
    refuse(if pieces == 1 { max(0) } else { (0..pieces).into_par_iter().map(max).reduce(|| 0.0, f64::max) });
}

/// The largest `β ‖k‖²` of a range of the tokens of all sequences; a NaN does not count.
struct Bound<'a, E> {
    sequence: &'a Sequence<'a, E>,
    beta: Tokens<'a, E>,
    tokens: Range<usize>,
}

impl<E: Real> WithSimd for Bound<'_, E> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let Self { sequence, beta, tokens } = self;
        let Extents { time, heads, .. } = sequence.extents;
        let group = sequence.key.layout.group;
        let mut max = E::default();
        for token in tokens {
            let (batch, token) = (token / time, token % time);
            for head in (0..heads).step_by(group) {
                let key = sequence.key.row(batch, token, head);
                let squared = dot(simd, key, key);
                for each in head..head + group {
                    for beta in beta.row(batch, token, each) {
                        let bound = *beta * squared;
                        max = if bound > max { bound } else { max };
                    }
                }
            }
        }
        max.into_f64()
    }
}
