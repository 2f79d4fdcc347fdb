//! The backward pass: chunks in reverse. The states of a chunk are computed again from the one before it.

use super::call::Sequence;
use super::forward::{AT_ONCE, moved};
use super::packed::{Packed, packed_size, some};
use super::parts::Parts;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks, CHUNK};
use crate::kernel::cpu::channels::rows::{load, store};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};

/// The whole pass.
pub(super) struct Backward<'a, E> {
    pub sequence: Sequence<'a, E>,
    /// The states before the chunks.
    pub states: &'a [E],
    /// The gradients of the outputs and of the last states.
    pub upstream: &'a [E],
    pub upstream_last: Parts<&'a [E]>,
    pub d_input: Output<'a, E>,
    pub d_start: Parts<Output<'a, E>>,
    /// Of every sequence its own: `[b, e, n]`.
    pub d_eigenvalues: Parts<Output<'a, E>>,
    pub d_weights: Parts<Output<'a, E>>,
}

impl<E: Real> WithSimd for Backward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let extents = self.sequence.extents;
        let blocks = Blocks::of::<S, E>(extents.channels, 1).all;
        let scratch = || Scratch::new::<S>(extents.size);
        each(extents.batch * blocks.len(), extents.steps(), scratch, |scratch, index| {
            let (row, block) = (index / blocks.len(), blocks[index % blocks.len()]);
            vectorized(simd, Run { pass: &self, row, index, block, scratch });
        });
    }
}

/// What a task works in.
struct Scratch<E> {
    eigenvalues: Packed<E>,
    weights: Packed<E>,
    gradient: Packed<E>,
    d_eigenvalues: Packed<E>,
    d_weights: Packed<E>,
    /// `[CHUNK, lanes]`.
    inputs: Buffer<E>,
    upstream: Buffer<E>,
    d_inputs: Buffer<E>,
    /// The states before and after the tokens, of the numbers at once: `[CHUNK + 1, AT_ONCE, lanes]`.
    re: Buffer<E>,
    im: Buffer<E>,
}

impl<E: Real> Scratch<E> {
    fn new<S: Simd>(size: usize) -> Self {
        let [eigenvalues, weights, gradient, d_eigenvalues, d_weights] =
            [(); 5].map(|()| Packed::new::<S>(size));
        let [inputs, upstream, d_inputs] = [(); 3].map(|()| Buffer::new(CHUNK * lanes::<S, E>()));
        let [re, im] = [(); 2].map(|()| Buffer::new((CHUNK + 1) * AT_ONCE * lanes::<S, E>()));
        Self { eigenvalues, weights, gradient, d_eigenvalues, d_weights, inputs, upstream, d_inputs, re, im }
    }
}

/// One block of one sequence.
struct Run<'a, 'b, E> {
    pass: &'a Backward<'b, E>,
    row: usize,
    /// Of the block, among those of all sequences.
    index: usize,
    block: Block,
    scratch: &'a mut Scratch<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, row, index, block, scratch } = self;
        let sequence = &pass.sequence;
        let extents = sequence.extents;
        let before = row * extents.channels * extents.size;
        scratch.eigenvalues.pack(simd, sequence.eigenvalues, 0, block, extents.size);
        scratch.weights.pack(simd, sequence.weights, 0, block, extents.size);
        scratch.gradient.pack(simd, pass.upstream_last, before, block, extents.size);
        scratch.d_eigenvalues.clear();
        scratch.d_weights.clear();
        let (chunks, slot) = (extents.time.div_ceil(CHUNK), packed_size::<S, E>(extents.size));
        for chunk in (0..chunks).rev() {
            let from = chunk * CHUNK;
            let length = CHUNK.min(extents.time - from);
            let states = &pass.states[(index * chunks + chunk) * slot..][..slot];
            let inputs = &mut E::vectors_mut::<S>(&mut scratch.inputs)[..length];
            let upstream = &mut E::vectors_mut::<S>(&mut scratch.upstream)[..length];
            for i in 0..length {
                let token = extents.token(row, from + i);
                inputs[i] = load(simd, sequence.input, token, block);
                upstream[i] = load(simd, pass.upstream, token, block);
            }
            E::vectors_mut::<S>(&mut scratch.d_inputs)[..length].fill(E::splat(simd, E::default()));
            let whole = extents.size / AT_ONCE * AT_ONCE;
            let tokens = Tokens { row, from, length };
            for first in (0..whole).step_by(AT_ONCE) {
                retreat::<S, E, AT_ONCE>(simd, sequence, tokens, first, states, scratch);
            }
            for first in whole..extents.size {
                retreat::<S, E, 1>(simd, sequence, tokens, first, states, scratch);
            }
            let d_inputs = &E::vectors::<S>(&scratch.d_inputs)[..length];
            for (i, vector) in d_inputs.iter().enumerate() {
                // SAFETY: these channels of this token are this task's alone.
                unsafe { store::<S, E>(&pass.d_input, extents.token(row, from + i), block, *vector) };
            }
        }
        // SAFETY: what these channels of this sequence have is this task's alone.
        unsafe {
            scratch.gradient.unpack(simd, &pass.d_start, before, block, extents.size);
            scratch.d_eigenvalues.unpack(simd, &pass.d_eigenvalues, before, block, extents.size);
            scratch.d_weights.unpack(simd, &pass.d_weights, before, block, extents.size);
        }
    }
}

/// Tokens of a sequence.
#[derive(Clone, Copy)]
struct Tokens {
    row: usize,
    from: usize,
    length: usize,
}

/// Moves the gradients of `W` numbers of a block's states, from `first` on, back over a chunk, and sums what they owe.
#[inline(always)]
fn retreat<S: Simd, E: Real, const W: usize>(
    simd: S,
    sequence: &Sequence<'_, E>,
    Tokens { row, from, length }: Tokens,
    first: usize,
    states: &[E],
    scratch: &mut Scratch<E>,
) {
    let zero = E::splat(simd, E::default());
    let negative = |vectors: [E::Vector<S>; W]| vectors.map(|vector| E::minus(simd, zero, vector));
    let eigenvalues = scratch.eigenvalues.some::<S, W>(first);
    let negative_im = negative(eigenvalues.im);
    let inputs = &E::vectors::<S>(&scratch.inputs)[..length];
    let re = &mut E::vectors_mut::<S>(&mut scratch.re).as_chunks_mut::<W>().0[..=length];
    let im = &mut E::vectors_mut::<S>(&mut scratch.im).as_chunks_mut::<W>().0[..=length];

    let mut h = some::<S, E, W>(states, first);
    (re[0], im[0]) = (h.re, h.im);
    for (i, input) in inputs.iter().enumerate() {
        if sequence.clears(row, from + i) {
            h = Parts { re: [zero; W], im: [zero; W] };
        }
        for (n, negative_im) in negative_im.iter().enumerate() {
            let eigenvalue = Parts { re: eigenvalues.re[n], im: eigenvalues.im[n] };
            let state = Parts { re: h.re[n], im: h.im[n] };
            let state = moved::<S, E>(simd, eigenvalue, *negative_im, state, *input);
            (h.re[n], h.im[n]) = (state.re, state.im);
        }
        (re[i + 1], im[i + 1]) = (h.re, h.im);
    }

    let weights = scratch.weights.some::<S, W>(first);
    let negative_weights = negative(weights.im);
    let upstream = &E::vectors::<S>(&scratch.upstream)[..length];
    let d_inputs = &mut E::vectors_mut::<S>(&mut scratch.d_inputs)[..length];
    let mut g = scratch.gradient.some::<S, W>(first);
    let mut d_eigenvalues = scratch.d_eigenvalues.some::<S, W>(first);
    let mut d_weights = scratch.d_weights.some::<S, W>(first);
    for i in (0..length).rev() {
        let clears = sequence.clears(row, from + i);
        let mut d_input = d_inputs[i];
        let negative_upstream = E::minus(simd, zero, upstream[i]);
        for n in 0..W {
            let (old_re, old_im) = if clears { (zero, zero) } else { (re[i][n], im[i][n]) };
            d_weights.re[n] = E::mul_add(simd, upstream[i], re[i + 1][n], d_weights.re[n]);
            d_weights.im[n] = E::mul_add(simd, negative_upstream, im[i + 1][n], d_weights.im[n]);
            let g_re = E::mul_add(simd, weights.re[n], upstream[i], g.re[n]);
            let g_im = E::mul_add(simd, negative_weights[n], upstream[i], g.im[n]);
            d_input = E::plus(simd, d_input, g_re);
            let overlap = E::mul_add(simd, g_im, old_im, d_eigenvalues.re[n]);
            d_eigenvalues.re[n] = E::mul_add(simd, g_re, old_re, overlap);
            let turn = E::minus(simd, d_eigenvalues.im[n], E::times(simd, g_re, old_im));
            d_eigenvalues.im[n] = E::mul_add(simd, g_im, old_re, turn);
            (g.re[n], g.im[n]) = if clears {
                (zero, zero)
            } else {
                let re = E::times(simd, eigenvalues.im[n], g_im);
                let im = E::times(simd, negative_im[n], g_re);
                (E::mul_add(simd, eigenvalues.re[n], g_re, re), E::mul_add(simd, eigenvalues.re[n], g_im, im))
            };
        }
        d_inputs[i] = d_input;
    }
    scratch.gradient.put::<S, W>(first, g);
    scratch.d_eigenvalues.put::<S, W>(first, d_eigenvalues);
    scratch.d_weights.put::<S, W>(first, d_weights);
}
