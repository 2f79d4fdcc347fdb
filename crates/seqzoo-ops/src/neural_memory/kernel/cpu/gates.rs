//! What the gates of a block come to: how far everything before a token is in the weights that it reads.

use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::matrix_memory::kernel::cpu::chunks::Place;
use crate::matrix_memory::kernel::cpu::tokens::Tokens;
use pulp::Simd;

/// The gates of all tokens, `[b, t, h, 1]`.
#[derive(Clone, Copy)]
pub(super) struct Gates<'a, E> {
    pub forget: Tokens<'a, E>,
    pub momentum: Tokens<'a, E>,
    pub step: Tokens<'a, E>,
}

/// Coefficients of a block, as in the README: what token `t` finds in `W_t` and `S_t`.
pub(super) struct Mixing<E> {
    /// `1 - α`, `η` and `θ` of every token.
    keep: Buffer<E>,
    turn: Buffer<E>,
    pub step: Buffer<E>,
    /// `a`: of the weights before the block in `W_t`.
    pub weights: Buffer<E>,
    /// `m`: of the momentum before the block in `W_t`.
    pub momentum: Buffer<E>,
    /// `e`: of the momentum before the block in `S_t`.
    pub left: Buffer<E>,
    /// `N`: of what `s` writes in `W_t`, a square of rows `t`.
    pub written: Buffer<E>,
    /// `E`: of what `s` writes in `S_t`.
    pub moved: Buffer<E>,
    side: usize,
}

impl<E: Real> Mixing<E> {
    pub fn new(side: usize) -> Self {
        let [keep, turn, step, weights, momentum, left] = [(); 6].map(|()| Buffer::new(side));
        let [written, moved] = [(); 2].map(|()| Buffer::new(side * side));
        Self { keep, turn, step, weights, momentum, left, written, moved, side }
    }

    #[inline(always)]
    pub fn load(&mut self, gates: &Gates<'_, E>, Place { batch, head, chunk }: Place) {
        let side = self.side;
        let one = |tokens: &Tokens<'_, E>, t: usize| tokens.row(batch, chunk.start + t, head)[0];
        let (mut weights, mut momentum, mut left) = (E::ONE, E::default(), E::ONE);
        for t in 0..chunk.length {
            let (keep, turn) = (E::ONE - one(&gates.forget, t), one(&gates.momentum, t));
            (self.keep[t], self.turn[t], self.step[t]) = (keep, turn, one(&gates.step, t));
            (left, weights) = (turn * left, keep * weights);
            momentum = keep * momentum + left;
            (self.weights[t], self.momentum[t], self.left[t]) = (weights, momentum, left);
            let (moved_before, moved) = self.moved.split_at_mut(t * side);
            let (written_before, written) = self.written.split_at_mut(t * side);
            if t > 0 {
                let last = (t - 1) * side..(t - 1) * side + t;
                let (moved, written) = (&mut moved[..t], &mut written[..t]);
                let before = moved_before[last.clone()].iter().zip(&written_before[last]);
                for ((moved, written), before) in moved.iter_mut().zip(written).zip(before) {
                    *moved = turn * *before.0;
                    *written = keep * *before.1 + *moved;
                }
            }
            (moved[t], written[t]) = (E::ONE, E::ONE);
        }
    }

    /// How far the weights before a block of `length` tokens, and the momentum, are in the weights after it, and how far
    /// the momentum is in the momentum.
    pub fn after(&self, length: usize) -> [E; 3] {
        [&self.weights, &self.momentum, &self.left].map(|numbers| numbers[length - 1])
    }

    /// How far what the tokens write is in the weights and in the momentum after the block.
    pub fn last_rows(&self, length: usize) -> [&[E]; 2] {
        let row = (length - 1) * self.side..(length - 1) * self.side + length;
        [&self.written[row.clone()], &self.moved[row]]
    }
}

/// The gradients of the coefficients of a block, and of its gates.
pub(super) struct MixingGradient<E> {
    pub weights: Buffer<E>,
    pub momentum: Buffer<E>,
    pub left: Buffer<E>,
    pub written: Buffer<E>,
    pub moved: Buffer<E>,
    /// Of `α`, `η` and `θ`.
    pub gates: [Buffer<E>; 3],
    side: usize,
}

impl<E: Real> MixingGradient<E> {
    pub fn new(side: usize) -> Self {
        let [weights, momentum, left] = [(); 3].map(|()| Buffer::new(side));
        let [written, moved] = [(); 2].map(|()| Buffer::new(side * side));
        Self { weights, momentum, left, written, moved, gates: [(); 3].map(|()| Buffer::new(side)), side }
    }

    /// Begins a block.
    #[inline(always)]
    pub fn clear(&mut self, length: usize) {
        let Self { weights, momentum, left, written, moved, gates, side } = self;
        let [_, _, step] = gates;
        [weights, momentum, left, step].into_iter().for_each(|numbers| numbers.fill(E::default()));
        [written, moved].into_iter().for_each(|square| square[..length * *side].fill(E::default()));
    }

    /// Adds to what is after the block.
    pub fn add_after(&mut self, length: usize, [weights, momentum, left]: [E; 3]) {
        self.weights[length - 1] += weights;
        self.momentum[length - 1] += momentum;
        self.left[length - 1] += left;
    }

    /// From the gradients of all coefficients to those of `α` and `η`, from the last token to the first.
    #[inline(always)]
    pub fn gates<S: Simd>(&mut self, simd: S, mixing: &Mixing<E>, length: usize) {
        let side = self.side;
        for t in (1..length).rev() {
            let (keep, turn) = (mixing.keep[t], mixing.turn[t]);
            let momentum = self.momentum[t];
            self.left[t] += momentum;
            let (weights, left) = (self.weights[t], self.left[t]);
            let (moved_before, moved) = self.moved.split_at_mut(t * side);
            let (written_before, written) = self.written.split_at_mut(t * side);
            let (moved, written) = (&mut moved[..t], &written[..t]);
            for (moved, written) in moved.iter_mut().zip(written) {
                *moved += *written;
            }
            let last = (t - 1) * side..(t - 1) * side + t;
            let d_keep = dot(simd, written, &mixing.written[last.clone()])
                + momentum * mixing.momentum[t - 1]
                + weights * mixing.weights[t - 1];
            let d_turn = dot(simd, moved, &mixing.moved[last.clone()]) + left * mixing.left[t - 1];
            (self.gates[0][t], self.gates[1][t]) = (E::default() - d_keep, d_turn);
            for (before, written) in written_before[last.clone()].iter_mut().zip(written) {
                *before += keep * *written;
            }
            for (before, moved) in moved_before[last].iter_mut().zip(moved) {
                *before += turn * *moved;
            }
            self.momentum[t - 1] += keep * momentum;
            self.weights[t - 1] += keep * weights;
            self.left[t - 1] += turn * left;
        }
        // Before the first token the weights are all there, and so is the momentum.
        self.gates[0][0] = E::default() - self.weights[0];
        self.gates[1][0] = self.left[0] + self.momentum[0];
    }
}
