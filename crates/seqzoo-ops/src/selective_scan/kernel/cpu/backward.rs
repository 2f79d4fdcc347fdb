//! The backward pass: chunks in reverse. The states of a chunk are computed again from the one before it.

use super::call::Sequence;
use super::forward::{Place, Tokens, pack_rates};
use super::steps::step_gradient;
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::channels::blocks::{Block, Blocks, CHUNK};
use crate::kernel::cpu::channels::rows::{load, pack, store, unpack};
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::functions::sigmoid;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::vectorized::vectorized;
use crate::segments::Span;
use pulp::{Simd, WithSimd};
use std::f64::consts::LN_2;

/// Numbers of a state that stay in registers along a chunk.
const AT_ONCE: usize = 4;

/// The whole pass.
pub(super) struct Backward<'a, E> {
    pub sequence: Sequence<'a, E>,
    /// The states before the chunks.
    pub states: &'a [E],
    /// The gradients of the outputs and of the last states.
    pub upstream: &'a [E],
    pub upstream_last: &'a [E],
    pub d_input: Output<'a, E>,
    pub d_delta: Output<'a, E>,
    pub d_z: Option<Output<'a, E>>,
    pub d_start: Output<'a, E>,
    /// Of every sequence its own: `[b, e, n]`, `[b, e]`, `[b, e]`, or of segments in place of rows.
    pub d_a: Output<'a, E>,
    pub d_d: Option<Output<'a, E>>,
    pub d_bias: Option<Output<'a, E>>,
    /// Of every task its own: `[b, tasks, t, n]`.
    pub d_b: Output<'a, E>,
    pub d_c: Output<'a, E>,
}

impl<E: Real> WithSimd for Backward<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let Sequence { extents, spans, .. } = self.sequence;
        let blocks = Blocks::of::<S, E>(extents.channels, extents.groups);
        let tasks = blocks.tasks.len();
        let scratch = || Scratch::new::<S>(&blocks, extents.size);
        each(spans.len() * tasks, extents.steps(), scratch, |scratch, index| {
            let (span, task) = (spans[index / tasks], index % tasks);
            vectorized(simd, Run { pass: &self, blocks: &blocks, span, task, scratch });
        });
    }
}

/// What a task works in.
struct Scratch<E> {
    rates: Buffer<E>,          // a · log2 e: [blocks, n, lanes]
    gradients: Buffer<E>,      // of the states: [blocks, n, lanes]
    rate_gradients: Buffer<E>, // [blocks, n, lanes]
    skip_gradients: Buffer<E>, // [blocks, lanes]
    bias_gradients: Buffer<E>, // [blocks, lanes]
    chunk: ChunkScratch<E>,
}

/// What a task needs along a chunk.
struct ChunkScratch<E> {
    tokens: Tokens<E>,
    /// The gradients of what is read of the states, `[CHUNK, lanes]`.
    upstream: Buffer<E>,
    /// `Σ_n ḡ B` and `Σ_n A ḡ p`, `[CHUNK, lanes]`.
    through_writes: Buffer<E>,
    through_factors: Buffer<E>,
    /// The factors, and the states that they have multiplied, of the numbers at once.
    factors: Buffer<E>,
    faded: Buffer<E>,
    /// The gradients of `b` and `c`, lane by lane: `[CHUNK, n, lanes]`.
    b: Buffer<E>,
    c: Buffer<E>,
}

impl<E: Real> Scratch<E> {
    fn new<S: Simd>(blocks: &Blocks, size: usize) -> Self {
        let most = blocks.tasks.iter().map(|task| task.blocks).max().unwrap_or(0);
        let lanes = lanes::<S, E>();
        let [rates, gradients, rate_gradients] = [(); 3].map(|()| Buffer::new(most * size * lanes));
        let [skip_gradients, bias_gradients] = [(); 2].map(|()| Buffer::new(most * lanes));
        let [upstream, through_writes, through_factors] = [(); 3].map(|()| Buffer::new(CHUNK * lanes));
        let [factors, faded] = [(); 2].map(|()| Buffer::new(CHUNK * AT_ONCE * lanes));
        let [b, c] = [(); 2].map(|()| Buffer::new(CHUNK * size * lanes));
        let tokens = Tokens::new(lanes);
        let chunk = ChunkScratch { tokens, upstream, through_writes, through_factors, factors, faded, b, c };
        Self { rates, gradients, rate_gradients, skip_gradients, bias_gradients, chunk }
    }
}

/// One task of one sequence.
struct Run<'a, 'b, E> {
    pass: &'a Backward<'b, E>,
    blocks: &'a Blocks,
    span: Span,
    task: usize,
    scratch: &'a mut Scratch<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { pass, blocks, span, task: number, scratch } = self;
        let task = &blocks.tasks[number];
        let sequence = &pass.sequence;
        let extents = sequence.extents;
        let Scratch { rates, gradients, rate_gradients, skip_gradients, bias_gradients, chunk: within } =
            scratch;
        let lanes = lanes::<S, E>();
        let slot = extents.size * lanes;
        let before = span.number * extents.channels * extents.size;
        let own = blocks.blocks_of(task);
        for (k, block) in own.iter().enumerate() {
            pack_rates(simd, sequence, *block, &mut rates[k * slot..][..slot]);
            pack(simd, pass.upstream_last, before, *block, extents.size, &mut gradients[k * slot..][..slot]);
        }
        rate_gradients.fill(E::default());
        skip_gradients.fill(E::default());
        bias_gradients.fill(E::default());

        for chunk in (0..span.length.div_ceil(CHUNK)).rev() {
            let from = chunk * CHUNK;
            let length = CHUNK.min(span.length - from);
            within.b[..length * slot].fill(E::default());
            within.c[..length * slot].fill(E::default());
            for (k, block) in own.iter().enumerate() {
                let slots = sequence.chunks[span.number] + chunk;
                let states = &pass.states[(slots * blocks.all.len() + task.first + k) * slot..][..slot];
                within.begin(simd, pass, span, from, length, *block);
                let mut numbers = Numbers {
                    rates: &rates[k * slot..][..slot],
                    states,
                    gradients: &mut gradients[k * slot..][..slot],
                    rate_gradients: &mut rate_gradients[k * slot..][..slot],
                };
                let place = Place { span, from, length, group: task.group };
                retreat(simd, sequence, place, &mut numbers, within);
                let skip = &mut skip_gradients[k * lanes..][..lanes];
                let bias = &mut bias_gradients[k * lanes..][..lanes];
                within.finish(simd, pass, span, from, length, *block, skip, bias);
            }
            let (row, start) = (span.first / extents.time, span.first % extents.time);
            let row_of_task = row * blocks.tasks.len() + number;
            for i in 0..length {
                let at = (row_of_task * extents.time + start + from + i) * extents.size;
                // SAFETY: these rows are of this sequence, task and token alone.
                unsafe {
                    sum_lanes::<S, E>(simd, &within.b[i * slot..][..slot], &pass.d_b, at);
                    sum_lanes::<S, E>(simd, &within.c[i * slot..][..slot], &pass.d_c, at);
                }
            }
        }

        if sequence.a_log {
            // A = -exp(a), whose derivative is A itself.
            let scale = E::splat(simd, E::from_f64(LN_2));
            let rates = E::vectors::<S>(rates);
            for (gradient, rate) in E::vectors_mut::<S>(rate_gradients).iter_mut().zip(rates) {
                *gradient = E::times(simd, *gradient, E::times(simd, *rate, scale));
            }
        }
        for (k, block) in own.iter().enumerate() {
            let (skip, bias) = (&skip_gradients[k * lanes..][..lanes], &bias_gradients[k * lanes..][..lanes]);
            // SAFETY: the gradients of these channels and their states, of this sequence, are this task's alone.
            unsafe {
                unpack(simd, &gradients[k * slot..][..slot], &pass.d_start, before, *block, extents.size);
                unpack(simd, &rate_gradients[k * slot..][..slot], &pass.d_a, before, *block, extents.size);
                if let Some(d_d) = &pass.d_d {
                    store::<S, E>(d_d, span.number * extents.channels, *block, E::vectors::<S>(skip)[0]);
                }
                if let Some(d_bias) = &pass.d_bias {
                    store::<S, E>(d_bias, span.number * extents.channels, *block, E::vectors::<S>(bias)[0]);
                }
            }
        }
    }
}

/// Writes the sums over the lanes of vectors.
///
/// # Safety
///
/// No other thread may write or read what is at `at` meanwhile.
#[inline(always)]
unsafe fn sum_lanes<S: Simd, E: Real>(simd: S, vectors: &[E], output: &Output<'_, E>, at: usize) {
    for (n, vector) in E::vectors::<S>(vectors).iter().enumerate() {
        // SAFETY: as the caller promises.
        unsafe { output.write(at + n, &[E::sum(simd, *vector)]) };
    }
}

impl<E: Real> ChunkScratch<E> {
    #[inline(always)]
    fn begin<S: Simd>(
        &mut self,
        simd: S,
        pass: &Backward<'_, E>,
        span: Span,
        from: usize,
        length: usize,
        block: Block,
    ) {
        let sequence = &pass.sequence;
        self.tokens.begin(simd, sequence, span, from, length, block);
        let upstream = &mut E::vectors_mut::<S>(&mut self.upstream)[..length];
        let through_writes = &mut E::vectors_mut::<S>(&mut self.through_writes)[..length];
        let through_factors = &mut E::vectors_mut::<S>(&mut self.through_factors)[..length];
        for i in 0..length {
            let token = sequence.extents.token(span, from + i);
            let mut gradient = load(simd, pass.upstream, token, block);
            if let Some(z) = sequence.z {
                let z = load(simd, z, token, block);
                gradient = E::times(simd, gradient, E::times(simd, z, sigmoid::<S, E>(simd, z)));
            }
            upstream[i] = gradient;
            through_writes[i] = E::splat(simd, E::default());
            through_factors[i] = E::splat(simd, E::default());
        }
    }

    /// Writes the gradients of the tokens of a block.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "where the tokens are, and two sums over them")]
    fn finish<S: Simd>(
        &mut self,
        simd: S,
        pass: &Backward<'_, E>,
        span: Span,
        from: usize,
        length: usize,
        block: Block,
        skip: &mut [E],
        bias: &mut [E],
    ) {
        let sequence = &pass.sequence;
        let skip = &mut E::vectors_mut::<S>(skip)[0];
        let bias = &mut E::vectors_mut::<S>(bias)[0];
        let d = sequence.d.map(|d| load(simd, d, 0, block));
        let steps = &E::vectors::<S>(&self.tokens.steps)[..length];
        let reads = &E::vectors::<S>(&self.tokens.reads)[..length];
        let upstream = &E::vectors::<S>(&self.upstream)[..length];
        let through_writes = &E::vectors::<S>(&self.through_writes)[..length];
        let through_factors = &E::vectors::<S>(&self.through_factors)[..length];
        let ln_2 = E::splat(simd, E::from_f64(LN_2));
        for i in 0..length {
            let token = sequence.extents.token(span, from + i);
            let u = load(simd, sequence.input, token, block);
            let mut d_u = E::times(simd, steps[i], through_writes[i]);
            let mut y = reads[i];
            if let Some(d) = d {
                d_u = E::mul_add(simd, d, upstream[i], d_u);
                y = E::mul_add(simd, d, u, y);
                *skip = E::mul_add(simd, u, upstream[i], *skip);
            }
            let through_factors = E::times(simd, through_factors[i], ln_2);
            let d_step = E::mul_add(simd, u, through_writes[i], through_factors);
            let d_delta = step_gradient(simd, sequence, token, block, d_step);
            *bias = E::plus(simd, *bias, d_delta);
            // SAFETY: these channels of this token are this task's alone.
            unsafe {
                store::<S, E>(&pass.d_input, token, block, d_u);
                store::<S, E>(&pass.d_delta, token, block, d_delta);
            }
            if let (Some(z), Some(d_z)) = (sequence.z, &pass.d_z) {
                // silu' = σ (1 + z (1 − σ))
                let z = load(simd, z, token, block);
                let one = E::splat(simd, E::ONE);
                let gate = sigmoid::<S, E>(simd, z);
                let slope = E::mul_add(simd, z, E::minus(simd, one, gate), one);
                let gradient = load(simd, pass.upstream, token, block);
                let gradient = E::times(simd, E::times(simd, gradient, y), E::times(simd, gate, slope));
                // SAFETY: as above.
                unsafe { store::<S, E>(d_z, token, block, gradient) };
            }
        }
    }
}

/// The numbers of a block's states, one vector each.
struct Numbers<'a, E> {
    rates: &'a [E],
    /// Before the chunk.
    states: &'a [E],
    /// Of the states after the chunk, then before it.
    gradients: &'a mut [E],
    rate_gradients: &'a mut [E],
}

/// Moves the gradients of a block's states back over a chunk, and sums what they owe to everything.
#[inline(always)]
fn retreat<S: Simd, E: Real>(
    simd: S,
    sequence: &Sequence<'_, E>,
    place: Place,
    numbers: &mut Numbers<'_, E>,
    within: &mut ChunkScratch<E>,
) {
    let size = sequence.extents.size;
    let whole = size / AT_ONCE * AT_ONCE;
    for first in (0..whole).step_by(AT_ONCE) {
        retreat_some::<S, E, AT_ONCE>(simd, sequence, place, first, numbers, within);
    }
    for first in whole..size {
        retreat_some::<S, E, 1>(simd, sequence, place, first, numbers, within);
    }
}

/// The same for `W` numbers of the states, from `first` on.
#[inline(always)]
fn retreat_some<S: Simd, E: Real, const W: usize>(
    simd: S,
    sequence: &Sequence<'_, E>,
    Place { span, from, length, group }: Place,
    first: usize,
    numbers: &mut Numbers<'_, E>,
    within: &mut ChunkScratch<E>,
) {
    let zero = E::splat(simd, E::default());
    let size = sequence.extents.size;
    let steps = &E::vectors::<S>(&within.tokens.steps)[..length];
    let writes = &E::vectors::<S>(&within.tokens.writes)[..length];
    let reads = &mut E::vectors_mut::<S>(&mut within.tokens.reads)[..length];
    let factors = &mut E::vectors_mut::<S>(&mut within.factors).as_chunks_mut::<W>().0[..length];
    let faded = &mut E::vectors_mut::<S>(&mut within.faded).as_chunks_mut::<W>().0[..length];
    let rates: [_; W] = std::array::from_fn(|n| E::vectors::<S>(numbers.rates)[first + n]);

    let mut h: [_; W] = std::array::from_fn(|n| E::vectors::<S>(numbers.states)[first + n]);
    for i in 0..length {
        let at = sequence.extents.shared(span, from + i, group);
        let b = sequence.of_token(sequence.b, at, first, W);
        let c = sequence.of_token(sequence.c, at, first, W);
        let clears = sequence.clears(span, from + i);
        let mut read = reads[i];
        for n in 0..W {
            let factor = E::exp2(simd, E::times(simd, steps[i], rates[n]));
            let (factor, old) = if clears { (zero, zero) } else { (factor, E::times(simd, factor, h[n])) };
            factors[i][n] = factor;
            faded[i][n] = old;
            h[n] = E::mul_add(simd, writes[i], E::splat(simd, b[n]), old);
            read = E::mul_add(simd, E::splat(simd, c[n]), h[n], read);
        }
        reads[i] = read;
    }

    let upstream = &E::vectors::<S>(&within.upstream)[..length];
    let through_writes = &mut E::vectors_mut::<S>(&mut within.through_writes)[..length];
    let through_factors = &mut E::vectors_mut::<S>(&mut within.through_factors)[..length];
    let (d_b, d_c) = (E::vectors_mut::<S>(&mut within.b), E::vectors_mut::<S>(&mut within.c));
    let gradients = E::vectors_mut::<S>(numbers.gradients);
    let rate_gradients = E::vectors_mut::<S>(numbers.rate_gradients);
    let mut g: [_; W] = std::array::from_fn(|n| gradients[first + n]);
    let mut d_rate: [_; W] = std::array::from_fn(|n| rate_gradients[first + n]);
    for i in (0..length).rev() {
        let at = sequence.extents.shared(span, from + i, group);
        let b = sequence.of_token(sequence.b, at, first, W);
        let c = sequence.of_token(sequence.c, at, first, W);
        let d_b = &mut d_b[i * size + first..][..W];
        let d_c = &mut d_c[i * size + first..][..W];
        let (mut write, mut factor) = (through_writes[i], through_factors[i]);
        for n in 0..W {
            let (b, c) = (E::splat(simd, b[n]), E::splat(simd, c[n]));
            let state = E::mul_add(simd, writes[i], b, faded[i][n]);
            d_c[n] = E::mul_add(simd, upstream[i], state, d_c[n]);
            g[n] = E::mul_add(simd, c, upstream[i], g[n]);
            d_b[n] = E::mul_add(simd, writes[i], g[n], d_b[n]);
            write = E::mul_add(simd, g[n], b, write);
            let through = E::times(simd, g[n], faded[i][n]);
            d_rate[n] = E::mul_add(simd, through, steps[i], d_rate[n]);
            factor = E::mul_add(simd, through, rates[n], factor);
            g[n] = E::times(simd, g[n], factors[i][n]);
        }
        through_writes[i] = write;
        through_factors[i] = factor;
    }
    gradients[first..first + W].copy_from_slice(&g);
    rate_gradients[first..first + W].copy_from_slice(&d_rate);
}
