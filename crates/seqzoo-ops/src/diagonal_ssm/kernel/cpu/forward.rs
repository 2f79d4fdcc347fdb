//! The forward pass: a block of channels along the whole sequence, chunk by chunk.

use super::call::Sequence;
use super::packed::{Packed, packed_size};
use super::parts::Parts;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks, CHUNK};
use crate::kernel::cpu::channels::rows::{load, store};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use pulp::{Simd, WithSimd};

/// Numbers of a state that stay in registers along a chunk.
pub(super) const AT_ONCE: usize = 4;

/// The whole pass.
pub(super) struct Forward<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub output: Output<'a, E>,
    pub last: Parts<Output<'a, E>>,
    /// The states before the chunks, `[b, blocks, chunks, 2, n, lanes]`, if they are to be saved.
    pub states: Option<Output<'a, E>>,
}

impl<E: Real> WithSimd for Forward<'_, E> {
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
    state: Packed<E>,
    /// `[CHUNK, lanes]`.
    inputs: Buffer<E>,
    outputs: Buffer<E>,
}

impl<E: Real> Scratch<E> {
    fn new<S: Simd>(size: usize) -> Self {
        let [eigenvalues, weights, state] = [(); 3].map(|()| Packed::new::<S>(size));
        let [inputs, outputs] = [(); 2].map(|()| Buffer::new(CHUNK * lanes::<S, E>()));
        Self { eigenvalues, weights, state, inputs, outputs }
    }
}

/// One block of one sequence.
struct Run<'a, 'b, E> {
    pass: &'a Forward<'b, E>,
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
        let Self { pass: Forward { sequence, output, last, states }, row, index, block, scratch } = self;
        let extents = sequence.extents;
        let before = row * extents.channels * extents.size;
        scratch.eigenvalues.pack(simd, sequence.eigenvalues, 0, block, extents.size);
        scratch.weights.pack(simd, sequence.weights, 0, block, extents.size);
        scratch.state.pack(simd, sequence.start, before, block, extents.size);
        for (chunk, from) in (0..extents.time).step_by(CHUNK).enumerate() {
            let length = CHUNK.min(extents.time - from);
            if let Some(states) = states {
                let slot = index * extents.time.div_ceil(CHUNK) + chunk;
                // SAFETY: this slot is of this sequence, block and chunk alone.
                unsafe { states.write(slot * packed_size::<S, E>(extents.size), scratch.state.numbers()) };
            }
            let inputs = &mut E::vectors_mut::<S>(&mut scratch.inputs)[..length];
            for (i, input) in inputs.iter_mut().enumerate() {
                *input = load(simd, sequence.input, extents.token(row, from + i), block);
            }
            E::vectors_mut::<S>(&mut scratch.outputs)[..length].fill(E::splat(simd, E::default()));
            let whole = extents.size / AT_ONCE * AT_ONCE;
            for first in (0..whole).step_by(AT_ONCE) {
                advance::<S, E, AT_ONCE>(simd, sequence, row, from, length, first, scratch);
            }
            for first in whole..extents.size {
                advance::<S, E, 1>(simd, sequence, row, from, length, first, scratch);
            }
            let outputs = &E::vectors::<S>(&scratch.outputs)[..length];
            for (i, vector) in outputs.iter().enumerate() {
                // SAFETY: these channels of this token are this task's alone.
                unsafe { store::<S, E>(output, extents.token(row, from + i), block, *vector) };
            }
        }
        // SAFETY: the last states of these channels are this task's alone.
        unsafe { scratch.state.unpack(simd, last, before, block, extents.size) };
    }
}

/// `λ h + u`.
#[inline(always)]
pub(super) fn moved<S: Simd, E: Real>(
    simd: S,
    eigenvalue: Parts<E::Vector<S>>,
    negative_im: E::Vector<S>,
    state: Parts<E::Vector<S>>,
    input: E::Vector<S>,
) -> Parts<E::Vector<S>> {
    let re = E::mul_add(simd, negative_im, state.im, input);
    Parts {
        re: E::mul_add(simd, eigenvalue.re, state.re, re),
        im: E::mul_add(simd, eigenvalue.re, state.im, E::times(simd, eigenvalue.im, state.re)),
    }
}

/// Moves `W` numbers of a block's states, from `first` on, along a chunk and adds what is read of them.
#[inline(always)]
fn advance<S: Simd, E: Real, const W: usize>(
    simd: S,
    sequence: &Sequence<'_, E>,
    row: usize,
    from: usize,
    length: usize,
    first: usize,
    scratch: &mut Scratch<E>,
) {
    let zero = E::splat(simd, E::default());
    let eigenvalues = scratch.eigenvalues.some::<S, W>(first);
    let negative_im: [_; W] = std::array::from_fn(|n| E::minus(simd, zero, eigenvalues.im[n]));
    let weights = scratch.weights.some::<S, W>(first);
    let negative_weights: [_; W] = std::array::from_fn(|n| E::minus(simd, zero, weights.im[n]));
    let mut h = scratch.state.some::<S, W>(first);
    let inputs = &E::vectors::<S>(&scratch.inputs)[..length];
    let outputs = &mut E::vectors_mut::<S>(&mut scratch.outputs)[..length];
    for i in 0..length {
        if sequence.clears(row, from + i) {
            h = Parts { re: [zero; W], im: [zero; W] };
        }
        let mut output = outputs[i];
        for n in 0..W {
            let eigenvalue = Parts { re: eigenvalues.re[n], im: eigenvalues.im[n] };
            let state = Parts { re: h.re[n], im: h.im[n] };
            let state = moved::<S, E>(simd, eigenvalue, negative_im[n], state, inputs[i]);
            output = E::mul_add(simd, weights.re[n], state.re, output);
            output = E::mul_add(simd, negative_weights[n], state.im, output);
            (h.re[n], h.im[n]) = (state.re, state.im);
        }
        outputs[i] = output;
    }
    scratch.state.put::<S, W>(first, h);
}
