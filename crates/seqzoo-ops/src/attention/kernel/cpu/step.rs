//! The outputs of few tokens against many keys, read where they lie. The keys are cut, so that all cores read them.

use super::call::Call;
use super::packed::{finite, padded};
use super::places::Sequence;
use super::read::Read;
use super::scores::{HIDDEN, load, store};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::{Real, lanes};
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::{Output, room};
use crate::kernel::cpu::queue::{Tasks, share};
use crate::kernel::cpu::transpose::transpose;
use pulp::{Simd, WithSimd};
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// Tokens that are few: with more, tiles are faster.
pub(super) const FEW: usize = 4;

/// Keys of a task.
const STRETCH: usize = 256;

/// Keys, or values, that are read together.
const TOGETHER: usize = 16;

/// All outputs of sequences with few tokens.
pub(super) struct Step<'a, E> {
    pub call: &'a Call<'a, E>,
    pub read: Read<'a, E>,
    pub cores: usize,
}

impl<E: Real> WithSimd for Step<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let call = self.call;
        let width = padded::<S, E>(call.value.channels);
        let (mut stretches, mut found) = (Vec::new(), 0);
        for (number, sequence) in call.sequences.iter().enumerate() {
            let seen = seen(call, sequence);
            for key in seen.clone().step_by(STRETCH) {
                let keys = key..seen.end.min(key + STRETCH);
                stretches.push(Stretch { sequence: number, keys, found });
                found += sequence.tokens * call.heads;
            }
        }
        let (mut sums, mut softmax) = (room(found * width), room(found * 2));
        let tasks = OverStretches {
            call,
            stretches,
            width,
            sums: Output::new(&mut sums),
            softmax: Output::new(&mut softmax),
        };
        share(simd, &tasks, self.cores);
        tasks.join(simd, &self.read);
    }
}

/// The keys that some token of a sequence sees.
fn seen<E>(call: &Call<'_, E>, sequence: &Sequence) -> Range<usize> {
    let keys = |token: usize| call.reach.keys(sequence.cached + token, sequence.keys());
    match sequence.tokens {
        0 => 0..0,
        tokens => keys(0).start..keys(tokens - 1).end,
    }
}

/// Some keys of a sequence.
struct Stretch {
    sequence: usize,
    keys: Range<usize>,
    /// Where what is found of each token and head is written.
    found: usize,
}

struct OverStretches<'a, E> {
    call: &'a Call<'a, E>,
    stretches: Vec<Stretch>,
    width: usize,
    sums: Output<'a, E>,    // of each stretch [tokens, h, width]
    softmax: Output<'a, E>, // of each stretch [tokens, h, 2]
}

struct Buffers<E> {
    query: Buffer<E>,        // [h, width of keys]
    scores: Buffer<E>,       // [h, keys]
    softmax: Vec<[E; 2]>,    // [h], the largest score and the sum of exponentials
    sums: Buffer<E>,         // [h, width]
    partial: [Buffer<E>; 2], // of keys together, a vector each
}

impl<E: Real> Tasks for OverStretches<'_, E> {
    type Buffers = Buffers<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffers<E> {
        let heads = self.call.heads;
        Buffers {
            query: Buffer::new(heads * padded::<S, E>(self.call.query.channels)),
            scores: Buffer::new(heads * STRETCH),
            softmax: vec![[E::default(); 2]; heads],
            sums: Buffer::new(heads * self.width),
            partial: [(); 2].map(|()| Buffer::new(TOGETHER * lanes::<S, E>())),
        }
    }

    fn count(&self) -> usize {
        self.stretches.len()
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, buffers: &mut Buffers<E>, task: usize) {
        let Self { call, width, .. } = self;
        let Stretch { sequence, keys, found } = &self.stretches[task];
        let sequence = &call.sequences[*sequence];
        for token in 0..sequence.tokens {
            let seen = call.reach.keys(sequence.cached + token, sequence.keys());
            let first = keys.start.max(seen.start);
            let keys = first..keys.end.min(seen.end).max(first);
            self.scores(simd, buffers, sequence, token, &keys);
            // A loop, as closures of iterators are compiled without vectors.
            for head in 0..call.heads {
                let scores = &mut buffers.scores[head * STRETCH..][..STRETCH];
                buffers.softmax[head] = exponentials(simd, scores, keys.len());
            }
            self.values(simd, buffers, sequence, &keys);
            let place = found + token * call.heads;
            // SAFETY: what a stretch finds is its task's alone.
            unsafe {
                self.sums.write(place * width, &buffers.sums);
                self.softmax.write(place * 2, buffers.softmax.as_flattened());
            }
        }
    }
}

impl<E: Real> OverStretches<'_, E> {
    #[inline(always)]
    fn scores<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Buffers<E>,
        sequence: &Sequence,
        token: usize,
        keys: &Range<usize>,
    ) {
        let Self { call, .. } = self;
        let (width, group) = (padded::<S, E>(call.query.channels), call.group());
        let factor = E::from_f64(call.scale * LOG2_E);
        for (head, to) in buffers.query.chunks_exact_mut(width).enumerate() {
            let query = call.query.at(sequence.row, sequence.start + token, head);
            to.iter_mut().zip(query).for_each(|(to, number)| *to = *number * factor);
        }
        let mut key = keys.start;
        while key < keys.end {
            let some = together(sequence, key, keys.end);
            for key_head in 0..call.key_heads {
                let [entries, _] = call.entries(sequence, key, key_head);
                for head in key_head * group..(key_head + 1) * group {
                    let query = &buffers.query[head * width..][..width];
                    let to = &mut buffers.scores[head * STRETCH + key - keys.start..][..some.len()];
                    dots(simd, query, entries, call.query.channels, &mut buffers.partial, to);
                }
            }
            key = some.end;
        }
        if let Some(log_decays) = &call.log_decays {
            for (head, scores) in buffers.scores.chunks_exact_mut(STRETCH).enumerate() {
                log_decays.add(sequence, head, sequence.cached + token, keys, scores);
            }
        }
    }

    #[inline(always)]
    fn values<S: Simd>(&self, simd: S, buffers: &mut Buffers<E>, sequence: &Sequence, keys: &Range<usize>) {
        let Self { call, width, .. } = self;
        let group = call.group();
        buffers.sums.fill(E::default());
        let mut key = keys.start;
        while key < keys.end {
            let some = together(sequence, key, keys.end);
            for key_head in 0..call.key_heads {
                let [_, values] = call.entries(sequence, key, key_head);
                for head in key_head * group..(key_head + 1) * group {
                    let weights = &buffers.scores[head * STRETCH + key - keys.start..][..some.len()];
                    add(
                        simd,
                        weights,
                        values,
                        call.value.channels,
                        &mut buffers.sums[head * width..][..*width],
                    );
                }
            }
            key = some.end;
        }
    }

    /// Puts the stretches of a sequence together.
    #[inline(always)]
    fn join<S: Simd>(&self, simd: S, read: &Read<'_, E>) {
        let Self { call, stretches, width, .. } = self;
        let mut sums = Buffer::<E>::new(*width);
        for stretches in stretches.chunk_by(|a, b| a.sequence == b.sequence) {
            let sequence = &call.sequences[stretches[0].sequence];
            for token in 0..sequence.tokens {
                for head in 0..call.heads {
                    let places = stretches.iter().map(|stretch| stretch.found + token * call.heads + head);
                    // SAFETY: all tasks are done.
                    let softmax = |place: usize| unsafe { self.softmax.read(place * 2, 2) };
                    let hidden = E::from_f64(HIDDEN);
                    let most = places.clone().fold(hidden, |most, place| {
                        let here = softmax(place)[0];
                        if here > most { here } else { most }
                    });
                    let mut sum = E::default();
                    sums.fill(E::default());
                    for place in places {
                        let fade = E::from_f64((softmax(place)[0] - most).into_f64().exp2());
                        sum += fade * softmax(place)[1];
                        let fade = E::splat(simd, fade);
                        // SAFETY: as above.
                        let given = unsafe { self.sums.read(place * width, *width) };
                        for (sum, given) in
                            E::vectors_mut::<S>(&mut sums).iter_mut().zip(E::vectors::<S>(given))
                        {
                            *sum = E::mul_add(simd, fade, *given, *sum);
                        }
                    }
                    let spoiled = !finite(simd, &[sum]) || !finite(simd, &sums);
                    // SAFETY: nobody else writes now.
                    unsafe { read.write(simd, call, sequence, token, head, &mut sums, [most, sum], spoiled) };
                }
            }
        }
    }
}

/// Puts exponentials in place of the first `length` scores; the largest score and the sum of exponentials less it. The sum
/// is NaN where a score is not finite.
#[inline(always)]
fn exponentials<S: Simd, E: Real>(simd: S, scores: &mut [E], length: usize) -> [E; 2] {
    let hidden = E::from_f64(HIDDEN);
    let all = padded::<S, E>(length);
    scores[length..all].fill(hidden);
    let scores = &mut scores[..all];
    let mut most = E::splat(simd, hidden);
    for scores in E::vectors::<S>(scores) {
        most = E::if_less(simd, most, *scores, *scores, most);
    }
    let most = largest(most);
    let wild = !finite(simd, scores);
    let less = E::splat(simd, most);
    let mut sum = E::splat(simd, E::default());
    for scores in E::vectors_mut::<S>(scores) {
        *scores = E::exp2(simd, E::minus(simd, *scores, less));
        sum = E::plus(simd, sum, *scores);
    }
    let sum = match (length, wild) {
        (0, _) => E::default(),
        (_, true) => E::from_f64(f64::NAN),
        _ => E::sum(simd, sum),
    };
    [most, sum]
}

/// The largest of all lanes.
#[inline(always)]
fn largest<S: Simd, E: Real>(vector: E::Vector<S>) -> E {
    let mut numbers = [E::from_f64(HIDDEN); 64];
    E::vectors_mut::<S>(&mut numbers)[0] = vector;
    numbers.into_iter().fold(numbers[0], |most, number| if number > most { number } else { most })
}

/// The next keys before `end` that are read together: all of the cache, or all of tokens.
#[inline(always)]
fn together(sequence: &Sequence, key: usize, end: usize) -> Range<usize> {
    let end = if key < sequence.cached { end.min(sequence.cached) } else { end };
    key..end.min(key + TOGETHER)
}

/// The products of a query, padded with zeros to whole vectors, and as many keys as there are `totals`.
#[inline(always)]
fn dots<S: Simd, E: Real>(
    simd: S,
    query: &[E],
    keys: MatRef<'_, E>,
    channels: usize,
    [sums, turned]: &mut [Buffer<E>; 2],
    totals: &mut [E],
) {
    let width = lanes::<S, E>();
    let query = E::vectors::<S>(query);
    for (index, sum) in E::vectors_mut::<S>(sums).iter_mut().enumerate().take(totals.len()) {
        let key = &keys.numbers[index * keys.stride..][..channels];
        let whole = E::vectors::<S>(key);
        *sum = E::splat(simd, E::default());
        for (query, key) in query.iter().zip(whole) {
            *sum = E::mul_add(simd, *query, *key, *sum);
        }
        if whole.len() < query.len() {
            let rest = E::load(simd, &key[whole.len() * width..]);
            *sum = E::mul_add(simd, query[whole.len()], rest, *sum);
        }
    }
    // A row of each key's lanes becomes a column, so that vectors are added.
    transpose(simd, (TOGETHER, width), MatRef::new(sums, width), MatMut::new(turned, TOGETHER));
    totals.fill(E::default());
    for row in turned.chunks_exact(TOGETHER) {
        for (total, number) in totals.iter_mut().zip(row) {
            *total += *number;
        }
    }
}

/// `sums += Σ weights · values`; what `sums` has more stays.
#[inline(always)]
fn add<S: Simd, E: Real>(simd: S, weights: &[E], values: MatRef<'_, E>, channels: usize, sums: &mut [E]) {
    let width = lanes::<S, E>();
    let whole = channels / width;
    let mut vector = 0;
    while vector + 4 <= whole {
        let values = values.columns_from(vector * width);
        add_vectors::<S, E, 4>(simd, weights, values, &mut sums[vector * width..]);
        vector += 4;
    }
    while vector < whole {
        let values = values.columns_from(vector * width);
        add_vectors::<S, E, 1>(simd, weights, values, &mut sums[vector * width..]);
        vector += 1;
    }
    for (channel, sum) in sums.iter_mut().enumerate().take(channels).skip(whole * width) {
        for (index, weight) in weights.iter().enumerate() {
            *sum += *weight * values.numbers[index * values.stride + channel];
        }
    }
}

/// The same for `N` vectors.
#[inline(always)]
fn add_vectors<S: Simd, E: Real, const N: usize>(
    simd: S,
    weights: &[E],
    values: MatRef<'_, E>,
    sums: &mut [E],
) {
    let mut totals = load::<S, E, N>(sums);
    for (index, weight) in weights.iter().enumerate() {
        let weight = E::splat(simd, *weight);
        let values = load::<S, E, N>(&values.numbers[index * values.stride..]);
        for (total, value) in totals.iter_mut().zip(values) {
            *total = E::mul_add(simd, weight, value, *total);
        }
    }
    store::<S, E, N>(sums, totals);
}
