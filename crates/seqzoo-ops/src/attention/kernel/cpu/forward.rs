//! The outputs, tile by tile: the scores of no more than a tile exist at once.

use super::call::Call;
use super::packed::{Packed, padded};
use super::pieces::{Piece, Reading, longest, read_by};
use super::places::{KEYS, QUERIES, Sequence};
use super::read::Read;
use super::scores::{Running, Scores};
use crate::kernel::cpu::buffer::Buffer;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::{MatMut, MatRef};
use crate::kernel::cpu::prefetch::Prefetch;
use crate::kernel::cpu::product::{Extent, Onto, Strided, product};
use crate::kernel::cpu::queue::{Tasks, share};
use crate::kernel::cpu::transpose::transpose;
use pulp::{Simd, WithSimd};
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// All outputs.
pub(super) struct Forward<'a, E> {
    pub call: &'a Call<'a, E>,
    pub read: Read<'a, E>,
    pub cores: usize,
}

impl<E: Real> WithSimd for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let packed = Packed::new(simd, self.call, self.cores);
        share(simd, &OverTiles { forward: &self, packed, tiles: tiles(self.call) }, self.cores);
    }
}

/// A tile of queries.
struct Tile {
    sequence: usize,
    head: usize,
    tokens: Range<usize>,
}

/// All tiles; of a head those with most keys first.
fn tiles<E>(call: &Call<'_, E>) -> Vec<Tile> {
    let mut tiles = Vec::with_capacity(call.tiles() * call.heads);
    for (number, sequence) in call.sequences.iter().enumerate() {
        for head in 0..call.heads {
            let tile = |tile| Tile { sequence: number, head, tokens: sequence.tile(tile) };
            tiles.extend((0..sequence.tiles()).rev().map(tile));
        }
    }
    tiles
}

struct OverTiles<'a, E> {
    forward: &'a Forward<'a, E>,
    packed: Packed<E>,
    tiles: Vec<Tile>,
}

struct Buffers<E> {
    /// The queries of a tile, a column each, times the scale.
    queries: Buffer<E>,
    scores: Buffer<E>,
    output: Buffer<E>,
    running: Running<E>,
    /// 0, 1, 2, ...
    count: Buffer<E>,
    decays: [Buffer<E>; 2],
    prefetch: Prefetch,
}

/// 0, 1, 2, ...
pub(super) fn counting<E: Real>(length: usize) -> Buffer<E> {
    let mut count = Buffer::new(length);
    count.iter_mut().enumerate().for_each(|(index, number)| *number = E::from_f64(index as f64));
    count
}

impl<E: Real> Tasks for OverTiles<'_, E> {
    type Buffers = Buffers<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffers<E> {
        let queries = padded::<S, E>(QUERIES);
        Buffers {
            queries: Buffer::new(self.forward.call.query.channels * queries),
            scores: Buffer::new(longest(self.forward.call) * queries),
            output: Buffer::new(queries * self.packed.value_width),
            running: Running::new(queries),
            count: counting(queries),
            decays: [Buffer::new(queries), Buffer::new(KEYS)],
            prefetch: Prefetch::default(),
        }
    }

    fn count(&self) -> usize {
        self.tiles.len()
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, buffers: &mut Buffers<E>, task: usize) {
        let Self { forward: Forward { call, .. }, packed, tiles } = self;
        let Tile { sequence, head, tokens } = &tiles[task];
        let (sequence, head) = (&call.sequences[*sequence], *head);
        let Buffers { queries, scores, output, running, count, decays, prefetch } = buffers;
        let places = sequence.places(tokens);
        let columns = padded::<S, E>(tokens.len());
        let factor = E::from_f64(call.scale * LOG2_E);
        let rows = call.query.from(sequence.row, sequence.start + tokens.start, head);
        as_columns(simd, rows, (tokens.len(), call.query.channels), factor, queries, columns);

        running.restart();
        let mut onto_nothing = true;
        for Piece { keys, reading } in read_by(call, sequence, &places) {
            let mut tile = Scores { numbers: &mut scores[..keys.len() * columns], columns };
            product(
                simd,
                prefetch,
                Extent { rows: keys.len(), depth: call.query.channels, columns },
                Strided::of(packed.keys(sequence, head / call.group(), keys.start)),
                MatRef::new(queries, columns),
                MatMut::new(tile.numbers, columns),
                Onto::Nothing,
            );
            let read = match reading {
                Reading::Plain { until } => {
                    if let Some(log_decays) = &call.log_decays {
                        log_decays.add_to_tile(simd, &mut tile, (sequence, head), (&places, &keys), decays);
                    }
                    if until < places.end || !call.reach.whole(&places, &keys, sequence.keys()) {
                        tile.hide(simd, count, call.reach, &places, keys.clone(), until);
                    }
                    running.absorb(simd, &mut tile);
                    keys.len()
                }
                Reading::Gated { from } => {
                    tile.hide_gate(simd, count, &places, from);
                    running.absorb_gated(simd, &mut tile);
                    keys.len() - 1
                }
            };
            product(
                simd,
                prefetch,
                Extent { rows: tokens.len(), depth: read, columns: packed.value_width },
                Strided::transposed(tile.numbers, columns),
                packed.values(sequence, head / call.group(), keys.start),
                MatMut::new(output, packed.value_width),
                if onto_nothing { Onto::Nothing } else { Onto::Scaled(&running.fade) },
            );
            onto_nothing = false;
        }
        if onto_nothing {
            output.fill(E::default());
        }
        self.write(simd, buffers, sequence, head, tokens);
    }
}

impl<E: Real> OverTiles<'_, E> {
    #[inline(always)]
    fn write<S: Simd>(
        &self,
        simd: S,
        buffers: &mut Buffers<E>,
        sequence: &Sequence,
        head: usize,
        tokens: &Range<usize>,
    ) {
        let Self { forward: Forward { call, read, .. }, packed, .. } = self;
        for (index, token) in tokens.clone().enumerate() {
            let row = &mut buffers.output[index * packed.value_width..][..packed.value_width];
            let (most, sum) = (buffers.running.most[index], buffers.running.sum[index]);
            let spoiled = packed.spoiled(simd, call, sequence, head, token);
            // SAFETY: the outputs of this head and token are this task's alone.
            unsafe { read.write(simd, call, sequence, token, head, row, [most, sum], spoiled) };
        }
    }
}

/// Rows of a tile as columns, `stride` apart, each times `factor`; zeros where there are no more.
#[inline(always)]
pub(super) fn as_columns<S: Simd, E: Real>(
    simd: S,
    rows: MatRef<'_, E>,
    (count, channels): (usize, usize),
    factor: E,
    columns: &mut [E],
    stride: usize,
) {
    let factor = E::splat(simd, factor);
    transpose(simd, (count, channels), rows, MatMut::new(columns, stride));
    for row in columns.chunks_exact_mut(stride).take(channels) {
        row[count..].fill(E::default());
        for vector in E::vectors_mut::<S>(row) {
            *vector = E::times(simd, *vector, factor);
        }
    }
}
