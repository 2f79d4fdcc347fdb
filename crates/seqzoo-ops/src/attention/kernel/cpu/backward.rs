//! The gradients: tile by tile, with the scores made once more.

use super::call::Call;
use super::forward::counting;
use super::gated::ThroughGate;
use super::packed::{Packed, padded};
use super::pieces::{Piece, Reading, longest, readings, together};
use super::places::{KEYS, QUERIES, Sequence};
use super::questions::{Questioned, Questions};
use super::scores::{Columns, Scores, load, over_columns, store};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::queue::{Tasks, share};
use pulp::{Simd, WithSimd};
use std::ops::Range;
use std::sync::Mutex;

/// Parts into which the keys of a long sequence are cut, each a task.
const PARTS: usize = 4;

/// Keys of a sequence that is cut, at least. It is cut by its length alone: sums are made in the same order whatever the batch
/// and the machine.
const LONG: usize = 1024;

/// All gradients.
pub(super) struct Backward<'a, E> {
    pub call: &'a Call<'a, E>,
    pub time: usize,
    pub cores: usize,
    pub output: &'a [E],        // [b, t, h, v]
    pub most: &'a [E],          // [b, t, h]
    pub share: &'a [E],         // [b, t, h]
    pub d_output: &'a [E],      // [b, t, h, v]
    pub d_log_sum: &'a [E],     // [b, t, h]
    pub d_query: Output<'a, E>, // [b, t, h, k]
    pub d_key: Output<'a, E>,   // [b, t, hk, k]
    pub d_value: Output<'a, E>, // [b, t, hk, v]
    pub d_cache: Option<DCache<'a, E>>,
}

/// The gradients of the cache.
pub(super) struct DCache<'a, E> {
    pub keys: Output<'a, E>,   // [n, s, hk, k]
    pub values: Output<'a, E>, // [n, s, hk, v]
    pub length: usize,
}

/// The gradients of the sums of log decays, of every sequence `[h, keys]`, in the order of the sequences.
pub(super) type DSums = Vec<f64>;

impl<E: Real> WithSimd for Backward<'_, E> {
    type Output = Option<DSums>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<DSums> {
        let Self { call, cores, .. } = &self;
        let packed = Packed::new(simd, call, *cores);
        let questions = Questions::new(simd, &self);
        let parts = parts(call);
        let found = parts.iter().map(|_| Mutex::new(None)).collect();
        let tasks = OverKeys { backward: &self, packed, questions, parts, found };
        share(simd, &tasks, *cores);
        let OverKeys { parts, found, packed, .. } = tasks;
        let found: Vec<Found<E>> = found
            .into_iter()
            .map(|found| found.into_inner().expect("no task panics").expect("every part has been worked on"))
            .collect();
        let mut of_sequence: Vec<Range<usize>> = Vec::with_capacity(call.sequences.len());
        for (number, _) in call.sequences.iter().enumerate() {
            let first = parts.partition_point(|part| part.sequence < number);
            of_sequence.push(first..parts.partition_point(|part| part.sequence <= number));
        }
        let sum = SumQueries {
            backward: &self,
            parts: &parts,
            found: &found,
            of_sequence,
            width: packed.key_width,
        };
        share(simd, &sum, *cores);
        call.log_decays.as_ref().map(|_| sum.of_log_decays())
    }
}

/// Some keys of a sequence and key head.
struct Part {
    sequence: usize,
    key_head: usize,
    keys: Range<usize>,
    /// The same, as their gradients are found.
    together: Vec<Range<usize>>,
    /// The tokens that see some of them.
    tokens: Range<usize>,
}

/// All parts, sequence by sequence and head by head.
fn parts<E>(call: &Call<'_, E>) -> Vec<Part> {
    let mut parts = Vec::new();
    for (number, sequence) in call.sequences.iter().enumerate() {
        let length = sequence.keys();
        let count = if length >= LONG { PARTS } else { 1 };
        // Where queries see all keys before them, the first keys are seen by most.
        let falling = !call.reach.bidirectional && call.reach.window >= length && sequence.cached == 0;
        let end = |part: usize| {
            let share = part as f64 / count as f64;
            let share = if falling { 1.0 - (1.0 - share).sqrt() } else { share };
            share * length as f64
        };
        let all = together(call, sequence);
        let first = |part: usize| match part == count {
            true => all.len(),
            false => all.partition_point(|keys| (keys.end as f64) <= end(part)),
        };
        for key_head in 0..call.key_heads {
            for part in 0..count {
                let together = &all[first(part)..first(part + 1)];
                let [Some(start), Some(end)] = [together.first(), together.last()] else { continue };
                let keys = start.start..end.end;
                let places = call.reach.queries(keys.clone(), sequence.end());
                let token = |place: usize| place.saturating_sub(sequence.cached);
                let tokens = token(places.start)..token(places.end);
                parts.push(Part { sequence: number, key_head, together: together.to_vec(), tokens, keys });
            }
        }
    }
    parts
}

/// What a part gives to the gradients that others give to as well.
struct Found<E> {
    queries: Vec<E>, // [group, tokens, width]
    /// The sums over the keys, and over the queries, of the gradients of scores; for log decays alone.
    scores: Option<[Vec<E>; 2]>, // [group, tokens] and [group, keys]
}

struct OverKeys<'a, E> {
    backward: &'a Backward<'a, E>,
    packed: Packed<E>,
    questions: Questions<E>,
    parts: Vec<Part>,
    found: Vec<Mutex<Option<Found<E>>>>,
}

struct Buffers<E> {
    scores: Buffer<E>,
    d_scores: Buffer<E>,
    d_keys: Buffer<E>,
    d_values: Buffer<E>,
    count: Buffer<E>,
    decays: [Buffer<E>; 2],
    prefetch: Prefetch,
}

impl<E: Real> Tasks for OverKeys<'_, E> {
    type Buffers = Buffers<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffers<E> {
        let queries = padded::<S, E>(QUERIES);
        let longest = longest(self.backward.call);
        Buffers {
            scores: Buffer::new(longest * queries),
            d_scores: Buffer::new(longest * queries),
            d_keys: Buffer::new(longest * self.packed.key_width),
            d_values: Buffer::new(longest * self.packed.value_width),
            count: counting(queries),
            decays: [Buffer::new(queries), Buffer::new(KEYS)],
            prefetch: Prefetch::default(),
        }
    }

    fn count(&self) -> usize {
        self.parts.len()
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, buffers: &mut Buffers<E>, task: usize) {
        let part = &self.parts[task];
        let call = self.backward.call;
        let sequence = &call.sequences[part.sequence];
        let group = call.group();
        let width = self.packed.key_width;
        let scores = call
            .log_decays
            .is_some()
            .then(|| [part.tokens.len(), part.keys.len()].map(|length| vec![E::default(); group * length]));
        let mut found = Found { queries: vec![E::default(); group * part.tokens.len() * width], scores };
        for keys in &part.together {
            buffers.d_keys.fill(E::default());
            buffers.d_values.fill(E::default());
            let seen = call.reach.queries(keys.clone(), sequence.end());
            let [first, end] = [seen.start, seen.end].map(|place| place.saturating_sub(sequence.cached));
            for member in 0..group {
                for tile in first / QUERIES..end.div_ceil(QUERIES) {
                    let places = sequence.places(&sequence.tile(tile));
                    for piece in readings(call, sequence, keys, &places).iter().flatten() {
                        self.tile(simd, buffers, part, Place { member, tile, piece }, &mut found);
                    }
                }
            }
            self.write(simd, buffers, sequence, part.key_head, keys);
        }
        *self.found[task].lock().expect("no task panics") = Some(found);
    }
}

/// A tile of queries of one of the heads that share a key head, and some keys.
#[derive(Clone, Copy)]
struct Place<'a> {
    member: usize,
    tile: usize,
    piece: &'a Piece,
}

impl<E: Real> OverKeys<'_, E> {
    /// Adds what a tile of queries and keys gives.
    #[inline(always)]
    fn tile<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Buffers<E>,
        part: &Part,
        Place { member, tile, piece: Piece { keys, reading } }: Place<'_>,
        found: &mut Found<E>,
    ) {
        let Self { backward: Backward { call, .. }, packed, questions, .. } = self;
        let Buffers { scores, d_scores, d_keys, d_values, count, decays, prefetch } = buffers;
        let sequence = &call.sequences[part.sequence];
        let head = part.key_head * call.group() + member;
        // A tile may begin before the tokens that see the part: what these give is 0, and is left out.
        let tokens = sequence.tile(tile);
        let places = sequence.places(&tokens);
        let columns = padded::<S, E>(tokens.len());
        let asked = questions.tile(sequence, head, tile);
        let (rows, key_width, value_width) = (keys.len(), packed.key_width, packed.value_width);
        let packed_keys = packed.keys(sequence, part.key_head, keys.start);
        let packed_values = packed.values(sequence, part.key_head, keys.start);

        let mut scores = Scores { numbers: &mut scores[..rows * columns], columns };
        let d_scores = &mut d_scores[..rows * columns];
        product(
            simd,
            prefetch,
            Extent { rows, depth: call.query.channels, columns },
            Strided::of(packed_keys),
            MatRef::new(asked.query_columns, columns),
            MatMut::new(scores.numbers, columns),
            Onto::Nothing,
        );
        product(
            simd,
            prefetch,
            Extent { rows, depth: call.value.channels, columns },
            Strided::of(packed_values),
            MatRef::new(asked.upstream_columns, columns),
            MatMut::new(d_scores, columns),
            Onto::Nothing,
        );
        let Questioned { most, shares, deltas, .. } = asked;
        match *reading {
            Reading::Plain { until } => {
                if let Some(log_decays) = &call.log_decays {
                    log_decays.add_to_tile(simd, &mut scores, (sequence, head), (&places, keys), decays);
                }
                if until < places.end || !call.reach.whole(&places, keys, sequence.keys()) {
                    scores.hide(simd, count, call.reach, &places, keys.clone(), until);
                }
                let scores = &mut *scores.numbers;
                let mut through = ThroughSoftmax { scores, d_scores, most, shares, deltas, stride: columns };
                over_columns(simd, columns, &mut through);
            }
            Reading::Gated { from } => {
                scores.hide_gate(simd, count, &places, from);
                let scores = &mut *scores.numbers;
                let mut through = ThroughGate { scores, d_scores, most, shares, deltas, stride: columns };
                over_columns(simd, columns, &mut through);
            }
        }

        // The part's tokens of this tile.
        let (first, end) = (tokens.start.max(part.tokens.start), tokens.end.min(part.tokens.end));
        let (skipped, depth) = (first - tokens.start, end - first);
        product(
            simd,
            prefetch,
            Extent { rows, depth, columns: value_width },
            Strided::rows(&scores.numbers[skipped..], columns),
            MatRef::new(&asked.upstream_rows[skipped * value_width..], value_width),
            MatMut::new(d_values, value_width),
            Onto::Target,
        );
        product(
            simd,
            prefetch,
            Extent { rows, depth, columns: key_width },
            Strided::rows(&d_scores[skipped..], columns),
            MatRef::new(&asked.query_rows[skipped * key_width..], key_width),
            MatMut::new(d_keys, key_width),
            Onto::Target,
        );
        let of_member = member * part.tokens.len() + first - part.tokens.start;
        product(
            simd,
            prefetch,
            Extent { rows: depth, depth: rows, columns: key_width },
            Strided::transposed(&d_scores[skipped..], columns),
            packed_keys,
            MatMut::new(&mut found.queries[of_member * key_width..], key_width),
            Onto::Target,
        );
        if let Some([of_tokens, of_keys]) = &mut found.scores {
            let of_tokens = &mut of_tokens[of_member..][..depth];
            let first_key = member * part.keys.len() + keys.start - part.keys.start;
            for (row, of_key) in d_scores.chunks_exact(columns).zip(&mut of_keys[first_key..]) {
                for (gradient, of_token) in row[skipped..].iter().zip(of_tokens.iter_mut()) {
                    *of_token += *gradient;
                    *of_key += *gradient;
                }
            }
        }
    }

    /// Writes the gradients of keys and values.
    #[inline(always)]
    fn write<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Buffers<E>,
        sequence: &Sequence,
        head: usize,
        keys: &Range<usize>,
    ) {
        let Self { backward: Backward { call, time, d_key, d_value, d_cache, .. }, packed, .. } = self;
        let scale = E::splat(simd, E::from_f64(call.scale));
        for vector in E::vectors_mut::<S>(&mut buffers.d_keys) {
            *vector = E::times(simd, *vector, scale);
        }
        let (key_channels, value_channels) = (call.key.channels, call.value.channels);
        for (index, key) in keys.clone().enumerate() {
            let (d_key, d_value, row) = match d_cache {
                Some(cache) if key < sequence.cached => {
                    let row = sequence.cache_row * cache.length + sequence.cache_start + key;
                    (&cache.keys, &cache.values, row)
                }
                _ => (d_key, d_value, sequence.row * time + sequence.start + key - sequence.cached),
            };
            let place = row * call.key_heads + head;
            // SAFETY: the gradients of this key and head are this task's alone.
            unsafe {
                d_key
                    .write(place * key_channels, &buffers.d_keys[index * packed.key_width..][..key_channels]);
                let from = &buffers.d_values[index * packed.value_width..][..value_channels];
                d_value.write(place * value_channels, from);
            }
        }
    }
}

/// From scores to weights, and from the gradients of weights to those of scores.
struct ThroughSoftmax<'a, E> {
    scores: &'a mut [E],
    d_scores: &'a mut [E],
    most: &'a [E],
    shares: &'a [E],
    deltas: &'a [E],
    stride: usize,
}

impl<E: Real> Columns<E> for ThroughSoftmax<'_, E> {
    #[inline(always)]
    fn columns<S: Simd, const N: usize>(&mut self, simd: S, column: usize) {
        let most = load::<S, E, N>(&self.most[column..]);
        let shares = load::<S, E, N>(&self.shares[column..]);
        let deltas = load::<S, E, N>(&self.deltas[column..]);
        let rows = self.scores.chunks_exact_mut(self.stride).zip(self.d_scores.chunks_exact_mut(self.stride));
        for (scores, d_scores) in rows {
            let mut weights = load::<S, E, N>(&scores[column..]);
            let mut gradients = load::<S, E, N>(&d_scores[column..]);
            for vector in 0..N {
                let exponential = E::exp2(simd, E::minus(simd, weights[vector], most[vector]));
                weights[vector] = E::times(simd, exponential, shares[vector]);
                let less = E::minus(simd, gradients[vector], deltas[vector]);
                gradients[vector] = E::times(simd, weights[vector], less);
            }
            store::<S, E, N>(&mut scores[column..], weights);
            store::<S, E, N>(&mut d_scores[column..], gradients);
        }
    }
}

/// Sums what the parts gave to the queries.
struct SumQueries<'a, E> {
    backward: &'a Backward<'a, E>,
    parts: &'a [Part],
    found: &'a [Found<E>],
    /// The parts of each sequence, head by head.
    of_sequence: Vec<Range<usize>>,
    width: usize,
}

impl<E: Real> SumQueries<'_, E> {
    /// The parts of a sequence and key head, with what they gave.
    fn of(&self, sequence: usize, key_head: usize) -> impl Iterator<Item = (&Part, &Found<E>)> {
        let all = self.of_sequence[sequence].clone();
        let count = all.len() / self.backward.call.key_heads;
        let some = all.start + key_head * count..all.start + (key_head + 1) * count;
        self.parts[some.clone()].iter().zip(&self.found[some])
    }

    fn of_log_decays(&self) -> DSums {
        let call = self.backward.call;
        let mut all = Vec::with_capacity(call.keys() * call.heads);
        for (number, sequence) in call.sequences.iter().enumerate() {
            for head in 0..call.heads {
                let (key_head, member) = (head / call.group(), head % call.group());
                let first = all.len();
                all.resize(first + sequence.keys(), 0.0);
                let sums = &mut all[first..];
                for (part, found) in self.of(number, key_head) {
                    let [of_tokens, of_keys] = found.scores.as_ref().expect("there are log decays");
                    let of_tokens = &of_tokens[member * part.tokens.len()..];
                    for (sum, given) in sums[sequence.cached..][part.tokens.clone()].iter_mut().zip(of_tokens)
                    {
                        *sum += given.into_f64();
                    }
                    let of_keys = &of_keys[member * part.keys.len()..];
                    for (sum, given) in sums[part.keys.clone()].iter_mut().zip(of_keys) {
                        *sum -= given.into_f64();
                    }
                }
            }
        }
        all
    }
}

impl<E: Real> Tasks for SumQueries<'_, E> {
    type Buffers = Buffer<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffer<E> {
        Buffer::new(self.width)
    }

    fn count(&self) -> usize {
        self.backward.call.sequences.len() * self.backward.call.heads
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, sum: &mut Buffer<E>, task: usize) {
        let Self { backward: Backward { call, time, d_query, .. }, width, .. } = self;
        let (number, head) = (task / call.heads, task % call.heads);
        let sequence = &call.sequences[number];
        let (key_head, member) = (head / call.group(), head % call.group());
        let scale = E::splat(simd, E::from_f64(call.scale));
        let channels = call.query.channels;
        for token in 0..sequence.tokens {
            sum.fill(E::default());
            for (part, found) in self.of(number, key_head) {
                if part.tokens.contains(&token) {
                    let row = member * part.tokens.len() + token - part.tokens.start;
                    let given = &found.queries[row * width..][..*width];
                    for (sum, given) in E::vectors_mut::<S>(sum).iter_mut().zip(E::vectors::<S>(given)) {
                        *sum = E::plus(simd, *sum, *given);
                    }
                }
            }
            for sum in E::vectors_mut::<S>(sum) {
                *sum = E::times(simd, *sum, scale);
            }
            let place = (sequence.row * time + sequence.start + token) * call.heads + head;
            // SAFETY: the queries of this sequence and head are this task's alone.
            unsafe { d_query.write(place * channels, &sum[..channels]) };
        }
    }
}
