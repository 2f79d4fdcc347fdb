//! The triangle between what tokens find and what they write, by substitution.
//!
//! `N` is a chunk's strictly lower triangle of what keys hold of earlier ones, negated. Going down,
//! `r_i = d_i + Σ_{j<i} N_ij u_j` and `u_i = β_i ⊙ r_i`; going up, `g_i = w_i + Σ_{m>i} N_mi x_m` and `x_i = β_i ⊙ g_i`.
//! Tokens go in groups: a product adds what lies outside the group, and substitution, with the group in registers, what
//! lies inside. Value channels never meet, so any range of columns can be solved by itself.

use super::strengths::Strengths;
use crate::kernel::cpu::ahead::Ahead;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::matrix_memory::chunks::CHUNK;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use pulp::Simd;
use std::ops::Range;

/// Tokens in a group.
const GROUP: usize = 8;

/// Two matrices of one row per token, of `width` padded channels; `columns` of them are worked on.
pub(super) struct Sides<'a, E> {
    /// Right-hand sides in front, differences (or gradients of what is written) behind.
    pub open: &'a mut [E],
    /// `β` times that.
    pub solved: &'a mut [E],
    pub width: usize,
    pub columns: Range<usize>,
}

/// Substitution from the first token to the last.
#[inline(always)]
pub(super) fn down<S: Simd, E: Real>(
    simd: S,
    ahead: &Ahead,
    length: usize,
    triangle: &[E],
    strengths: &Strengths<E>,
    sides: Sides<'_, E>,
) {
    let Sides { open, solved, width, columns } = sides;
    for start in (0..length).step_by(GROUP) {
        let tokens = GROUP.min(length - start);
        product(
            simd,
            ahead,
            Extent { rows: tokens, depth: start, columns: columns.len() },
            Strided::rows(&triangle[start * CHUNK..], CHUNK),
            (&solved[columns.start..], width),
            (&mut open[start * width + columns.start..], width),
            Onto::Target,
        );
        for column in columns.clone().step_by(lanes::<S, E>()) {
            let mut group = [E::splat(simd, E::default()); GROUP];
            for i in 0..tokens {
                let row = &triangle[(start + i) * CHUNK + start..][..tokens];
                let at = (start + i) * width + column;
                let mut sum = E::vectors::<S>(&open[at..])[0];
                for j in 0..i {
                    sum = E::mul_add(simd, E::splat(simd, row[j]), group[j], sum);
                }
                E::vectors_mut::<S>(&mut open[at..])[0] = sum;
                group[i] = E::times(simd, strengths.at(simd, start + i, column), sum);
                E::vectors_mut::<S>(&mut solved[at..])[0] = group[i];
            }
        }
    }
}

/// Substitution from the last token to the first, with the transpose of the triangle.
#[inline(always)]
pub(super) fn up<S: Simd, E: Real>(
    simd: S,
    ahead: &Ahead,
    length: usize,
    triangle: &[E],
    strengths: &Strengths<E>,
    sides: Sides<'_, E>,
) {
    let Sides { open, solved, width, columns } = sides;
    for start in (0..length).step_by(GROUP).rev() {
        let tokens = GROUP.min(length - start);
        let end = start + tokens;
        if end < length {
            product(
                simd,
                ahead,
                Extent { rows: tokens, depth: length - end, columns: columns.len() },
                Strided::transposed(&triangle[end * CHUNK + start..], CHUNK),
                (&solved[end * width + columns.start..], width),
                (&mut open[start * width + columns.start..], width),
                Onto::Target,
            );
        }
        for column in columns.clone().step_by(lanes::<S, E>()) {
            let mut group = [E::splat(simd, E::default()); GROUP];
            for i in (0..tokens).rev() {
                let at = (start + i) * width + column;
                let mut sum = E::vectors::<S>(&open[at..])[0];
                for j in (i + 1..tokens).rev() {
                    let factor = E::splat(simd, triangle[(start + j) * CHUNK + start + i]);
                    sum = E::mul_add(simd, factor, group[j], sum);
                }
                E::vectors_mut::<S>(&mut open[at..])[0] = sum;
                group[i] = E::times(simd, strengths.at(simd, start + i, column), sum);
                E::vectors_mut::<S>(&mut solved[at..])[0] = group[i];
            }
        }
    }
}
