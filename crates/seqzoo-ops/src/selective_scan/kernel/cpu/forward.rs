//! The forward pass: chunk by chunk, and within a chunk block by block of channels.

use super::call::Sequence;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks, CHUNK, Task};
use crate::kernel::cpu::channels::rows::{load, pack, store, unpack};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use crate::segments::Span;
use pulp::{Simd, WithSimd};
use std::f64::consts::LOG2_E;

/// Numbers of a state that stay in registers along a chunk.
const AT_ONCE: usize = 4;

/// The whole pass.
pub(super) struct Forward<'a, E> {
    pub sequence: Sequence<'a, E>,
    pub output: Output<'a, E>,
    pub last: Output<'a, E>,
    /// The states before the chunks, `[chunks, blocks, n, lanes]`, if they are to be saved.
    pub states: Option<Output<'a, E>>,
}

/// Numbers in the states before one chunk.
pub(super) fn saved_size<S: Simd, E: Real>(blocks: &Blocks, size: usize) -> usize {
    blocks.all.len() * size * lanes::<S, E>()
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Sequence { extents, spans, .. } = self.sequence;
        let blocks = Blocks::of::<S, E>(extents.channels, extents.groups);
        let tasks = blocks.tasks.len();
        let scratch = || Scratch::new::<S>(&blocks, extents.size);
        each(spans.len() * tasks, extents.steps(), scratch, |scratch, index| {
            let (span, task) = (spans[index / tasks], &blocks.tasks[index % tasks]);
            vectorized(simd, Run { pass: &self, blocks: &blocks, span, task, scratch });
        });
    }
}

/// What a task works in.
struct Scratch<E> {
    rates: Buffer<E>,  // a · log2 e: [blocks, n, lanes]
    states: Buffer<E>, // [blocks, n, lanes]
    tokens: Tokens<E>,
}

/// What the numbers of a state share along a chunk, each `[CHUNK, lanes]`.
pub(super) struct Tokens<E> {
    pub steps: Buffer<E>,
    /// The step times the input.
    pub writes: Buffer<E>,
    /// What has been read of the states so far.
    pub reads: Buffer<E>,
}

impl<E: Real> Tokens<E> {
    pub fn new(lanes: usize) -> Self {
        let [steps, writes, reads] = [(); 3].map(|()| Buffer::new(CHUNK * lanes));
        Self { steps, writes, reads }
    }

    /// Begins a chunk of `length` tokens from `from` on.
    #[inline(always)]
    pub fn begin<S: Simd>(
        &mut self,
        simd: S,
        sequence: &Sequence<'_, E>,
        span: Span,
        from: usize,
        length: usize,
        block: Block,
    ) {
        let steps = &mut E::vectors_mut::<S>(&mut self.steps)[..length];
        let writes = &mut E::vectors_mut::<S>(&mut self.writes)[..length];
        let reads = &mut E::vectors_mut::<S>(&mut self.reads)[..length];
        for i in 0..length {
            let token = sequence.extents.token(span, from + i);
            steps[i] = super::steps::step(simd, sequence, token, block);
            writes[i] = E::times(simd, steps[i], load(simd, sequence.input, token, block));
            reads[i] = E::splat(simd, E::default());
        }
    }
}

impl<E: Real> Scratch<E> {
    fn new<S: Simd>(blocks: &Blocks, size: usize) -> Self {
        let most = blocks.tasks.iter().map(|task| task.blocks).max().unwrap_or(0);
        let lanes = lanes::<S, E>();
        let [rates, states] = [(); 2].map(|()| Buffer::new(most * size * lanes));
        Self { rates, states, tokens: Tokens::new(lanes) }
    }
}

/// The rates of a block for [`Real::exp2`]: `A · log2 e`, one vector per number of the state.
#[inline(always)]
pub(super) fn pack_rates<S: Simd, E: Real>(simd: S, sequence: &Sequence<'_, E>, block: Block, to: &mut [E]) {
    pack(simd, sequence.a, 0, block, sequence.extents.size, to);
    let scale = E::splat(simd, E::from_f64(if sequence.a_log { -LOG2_E } else { LOG2_E }));
    for rate in E::vectors_mut::<S>(to) {
        let number = if sequence.a_log { E::exp(simd, *rate) } else { *rate };
        *rate = E::times(simd, number, scale);
    }
}

/// One task of one sequence.
struct Run<'a, 'b, E> {
    pass: &'a Forward<'b, E>,
    blocks: &'a Blocks,
    span: Span,
    task: &'a Task,
    scratch: &'a mut Scratch<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, blocks, span, task, scratch } = self;
        let Forward { sequence, output, last, states: saved } = pass;
        let extents = sequence.extents;
        let Scratch { rates, states, tokens } = scratch;
        let slot = extents.size * lanes::<S, E>();
        let before = span.number * extents.channels * extents.size;
        let own = blocks.blocks_of(task);
        for (k, block) in own.iter().enumerate() {
            pack_rates(simd, sequence, *block, &mut rates[k * slot..][..slot]);
            pack(simd, sequence.start, before, *block, extents.size, &mut states[k * slot..][..slot]);
        }
        for (chunk, from) in (0..span.length).step_by(CHUNK).enumerate() {
            let length = CHUNK.min(span.length - from);
            for (k, block) in own.iter().enumerate() {
                let (rates, states) = (&rates[k * slot..][..slot], &mut states[k * slot..][..slot]);
                if let Some(saved) = saved {
                    let slots = sequence.chunks[span.number] + chunk;
                    // SAFETY: this slot is of this sequence, chunk and block alone.
                    unsafe { saved.write((slots * blocks.all.len() + task.first + k) * slot, states) };
                }
                tokens.begin(simd, sequence, span, from, length, *block);
                let place = Place { span, from, length, group: task.group };
                advance(simd, sequence, place, rates, states, tokens);
                let reads = &E::vectors::<S>(&tokens.reads)[..length];
                for (i, read) in reads.iter().enumerate() {
                    let token = extents.token(span, from + i);
                    let mut y = *read;
                    if let Some(d) = sequence.d {
                        let u = load(simd, sequence.input, token, *block);
                        y = E::mul_add(simd, load(simd, d, 0, *block), u, y);
                    }
                    if let Some(z) = sequence.z {
                        let z = load(simd, z, token, *block);
                        y = E::times(simd, y, E::times(simd, z, sigmoid::<S, E>(simd, z)));
                    }
                    // SAFETY: these channels of this token are this task's alone.
                    unsafe { store::<S, E>(output, token, *block, y) };
                }
            }
        }
        for (k, block) in own.iter().enumerate() {
            // SAFETY: the last states of these channels are this task's alone.
            unsafe { unpack(simd, &states[k * slot..][..slot], last, before, *block, extents.size) };
        }
    }
}

/// Tokens of a sequence, seen from the channels of a group.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub span: Span,
    pub from: usize,
    pub length: usize,
    pub group: usize,
}

/// Moves the states of a block along a chunk and adds what is read of them.
#[inline(always)]
fn advance<S: Simd, E: Real>(
    simd: S,
    sequence: &Sequence<'_, E>,
    place: Place,
    rates: &[E],
    states: &mut [E],
    tokens: &mut Tokens<E>,
) {
    let (rates, rates_left) = E::vectors::<S>(rates).as_chunks::<AT_ONCE>();
    let (states, states_left) = E::vectors_mut::<S>(states).as_chunks_mut::<AT_ONCE>();
    for (index, (rates, states)) in rates.iter().zip(states).enumerate() {
        advance_some(simd, sequence, place, index * AT_ONCE, rates, states, tokens);
    }
    let first = rates.len() * AT_ONCE;
    for (index, (rate, state)) in rates_left.iter().zip(states_left).enumerate() {
        let (rate, state) = (std::array::from_ref(rate), std::array::from_mut(state));
        advance_some(simd, sequence, place, first + index, rate, state, tokens);
    }
}

/// The same for `W` numbers of the state, from `first` on.
#[inline(always)]
fn advance_some<S: Simd, E: Real, const W: usize>(
    simd: S,
    sequence: &Sequence<'_, E>,
    Place { span, from, length, group }: Place,
    first: usize,
    rates: &[E::Vector<S>; W],
    states: &mut [E::Vector<S>; W],
    tokens: &mut Tokens<E>,
) {
    let steps = &E::vectors::<S>(&tokens.steps)[..length];
    let writes = &E::vectors::<S>(&tokens.writes)[..length];
    let reads = &mut E::vectors_mut::<S>(&mut tokens.reads)[..length];
    let mut h = *states;
    for i in 0..length {
        if sequence.clears(span, from + i) {
            h = [E::splat(simd, E::default()); W];
        }
        let at = sequence.extents.shared(span, from + i, group);
        let b = sequence.of_token(sequence.b, at, first, W);
        let c = sequence.of_token(sequence.c, at, first, W);
        let mut read = reads[i];
        for n in 0..W {
            let factor = E::exp2(simd, E::times(simd, steps[i], rates[n]));
            let written = E::times(simd, writes[i], E::splat(simd, b[n]));
            h[n] = E::mul_add(simd, factor, h[n], written);
            read = E::mul_add(simd, E::splat(simd, c[n]), h[n], read);
        }
        reads[i] = read;
    }
    *states = h;
}
