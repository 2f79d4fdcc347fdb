//! Queries and the gradients of their outputs as the backward pass reads them: tile by tile, as rows and as columns.

use super::backward::Backward;
use super::forward::as_columns;
use super::packed::padded;
use super::places::{QUERIES, Sequence};
use super::scores::HIDDEN;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::matrix::MatRef;
use crate::kernel::cpu::output::{Output, filled, room};
use crate::kernel::cpu::queue::{Tasks, share};
use pulp::Simd;
use std::f64::consts::LOG2_E;

/// All tiles of queries.
///
/// An output that is NaN because of what its query sees is a constant: its query and its gradient are zeros here.
pub(super) struct Questions<E> {
    query_columns: Vec<E>, // of each tile [k, columns], times the scale, for logarithms to the base 2
    query_rows: Vec<E>,    // of each tile [queries, width]
    upstream_columns: Vec<E>, // of each tile [v, columns]
    upstream_rows: Vec<E>, // of each tile [queries, width]
    most: Vec<E>,          // of each tile [queries], the largest score
    shares: Vec<E>,        // of each tile [queries], 1 by the sum of exponentials
    deltas: Vec<E>,        // of each tile [queries]
    extents: Extents,
}

/// Numbers of a tile.
#[derive(Clone, Copy)]
struct Extents {
    heads: usize,
    queries: usize,
    query_columns: usize,
    query_rows: usize,
    upstream_columns: usize,
    upstream_rows: usize,
}

impl Extents {
    fn tile(&self, sequence: &Sequence, head: usize, tile: usize) -> usize {
        sequence.tiles_before * self.heads + head * sequence.tiles() + tile
    }
}

/// A tile of queries.
pub(super) struct Questioned<'a, E> {
    pub query_columns: &'a [E],
    pub query_rows: &'a [E],
    pub upstream_columns: &'a [E],
    pub upstream_rows: &'a [E],
    pub most: &'a [E],
    pub shares: &'a [E],
    pub deltas: &'a [E],
}

impl<E: Real> Questions<E> {
    #[inline(always)]
    pub fn new<S: Simd>(simd: S, backward: &Backward<'_, E>) -> Self {
        let call = backward.call;
        let queries = padded::<S, E>(QUERIES);
        let extents = Extents {
            heads: call.heads,
            queries,
            query_columns: call.query.channels * queries,
            query_rows: QUERIES * padded::<S, E>(call.query.channels),
            upstream_columns: call.value.channels * queries,
            upstream_rows: QUERIES * padded::<S, E>(call.value.channels),
        };
        let tiles = call.tiles() * call.heads;
        let mut rooms = [
            extents.query_columns,
            extents.query_rows,
            extents.upstream_columns,
            extents.upstream_rows,
            queries,
            queries,
            queries,
        ]
        .map(|numbers| room::<E>(tiles * numbers));
        let [a, b, c, d, e, f, g] = rooms.each_mut().map(|room| Output::new(room));
        let ask = Ask {
            backward,
            extents,
            all: call
                .sequences
                .iter()
                .enumerate()
                .flat_map(|(number, sequence)| {
                    (0..call.heads)
                        .flat_map(move |head| (0..sequence.tiles()).map(move |tile| (number, head, tile)))
                })
                .collect(),
            query_columns: a,
            query_rows: b,
            upstream_columns: c,
            upstream_rows: d,
            most: e,
            shares: f,
            deltas: g,
        };
        share(simd, &ask, backward.cores);
        // SAFETY: the tasks write all of every tile.
        let [query_columns, query_rows, upstream_columns, upstream_rows, most, shares, deltas] =
            rooms.map(|room| unsafe { filled(room) });
        Self { query_columns, query_rows, upstream_columns, upstream_rows, most, shares, deltas, extents }
    }

    #[inline(always)]
    pub fn tile(&self, sequence: &Sequence, head: usize, tile: usize) -> Questioned<'_, E> {
        let tile = self.extents.tile(sequence, head, tile);
        fn of<E>(all: &[E], tile: usize, numbers: usize) -> &[E] {
            &all[tile * numbers..][..numbers]
        }
        Questioned {
            query_columns: of(&self.query_columns, tile, self.extents.query_columns),
            query_rows: of(&self.query_rows, tile, self.extents.query_rows),
            upstream_columns: of(&self.upstream_columns, tile, self.extents.upstream_columns),
            upstream_rows: of(&self.upstream_rows, tile, self.extents.upstream_rows),
            most: of(&self.most, tile, self.extents.queries),
            shares: of(&self.shares, tile, self.extents.queries),
            deltas: of(&self.deltas, tile, self.extents.queries),
        }
    }
}

/// Packs a tile per task.
struct Ask<'a, E> {
    backward: &'a Backward<'a, E>,
    extents: Extents,
    /// Sequence, head and tile.
    all: Vec<(usize, usize, usize)>,
    query_columns: Output<'a, E>,
    query_rows: Output<'a, E>,
    upstream_columns: Output<'a, E>,
    upstream_rows: Output<'a, E>,
    most: Output<'a, E>,
    shares: Output<'a, E>,
    deltas: Output<'a, E>,
}

/// The numbers of a tile, before they are written.
struct Buffers<E> {
    rows: [Vec<E>; 2],
    columns: [Vec<E>; 2],
    most: Vec<E>,
    shares: Vec<E>,
    deltas: Vec<E>,
}

impl<E: Real> Tasks for Ask<'_, E> {
    type Buffers = Buffers<E>;

    fn buffers<S: Simd>(&self, _: S) -> Buffers<E> {
        let of = |numbers| vec![E::default(); numbers];
        let Extents { queries, query_columns, query_rows, upstream_columns, upstream_rows, .. } =
            self.extents;
        Buffers {
            rows: [of(query_rows), of(upstream_rows)],
            columns: [of(query_columns), of(upstream_columns)],
            most: of(queries),
            shares: of(queries),
            deltas: of(queries),
        }
    }

    fn count(&self) -> usize {
        self.all.len()
    }

    #[inline(always)]
    fn run<S: Simd>(&self, simd: S, buffers: &mut Buffers<E>, task: usize) {
        let Self { backward, extents, .. } = self;
        let call = backward.call;
        let (number, head, tile) = self.all[task];
        let sequence = &call.sequences[number];
        let tokens = sequence.tile(tile);
        let (key_channels, value_channels) = (call.query.channels, call.value.channels);
        let widths = [key_channels, value_channels].map(padded::<S, E>);
        let Buffers { rows: [query_rows, upstream_rows], columns, most, shares, deltas } = buffers;
        query_rows.fill(E::default());
        upstream_rows.fill(E::default());
        // Where there is no query, the weights are 0.
        most.fill(E::from_f64(-HIDDEN));
        shares.fill(E::default());
        deltas.fill(E::default());
        for (index, token) in tokens.clone().enumerate() {
            let place = (sequence.row * backward.time + sequence.start + token) * call.heads + head;
            let share = backward.share[place].into_f64();
            let seen_nothing = share == 0.0;
            if share.is_nan() || seen_nothing {
                continue;
            }
            let query = call.query.at(sequence.row, sequence.start + token, head);
            query_rows[index * widths[0]..][..key_channels].copy_from_slice(query);
            let upstream = &backward.d_output[place * value_channels..][..value_channels];
            upstream_rows[index * widths[1]..][..value_channels].copy_from_slice(upstream);
            let output = &backward.output[place * value_channels..][..value_channels];
            most[index] = backward.most[place];
            shares[index] = backward.share[place];
            deltas[index] = dot(simd, upstream, output) - backward.d_log_sum[place];
        }
        let stride = padded::<S, E>(tokens.len());
        let factors = [E::from_f64(call.scale * LOG2_E), E::ONE];
        let channels = [key_channels, value_channels];
        for (side, rows) in [&*query_rows, &*upstream_rows].into_iter().enumerate() {
            let rows = MatRef::new(rows, widths[side]);
            as_columns(simd, rows, (tokens.len(), channels[side]), factors[side], &mut columns[side], stride);
        }
        let at = extents.tile(sequence, head, tile);
        // SAFETY: a tile is one task's alone.
        unsafe {
            self.query_columns.write(at * extents.query_columns, &columns[0]);
            self.query_rows.write(at * extents.query_rows, query_rows);
            self.upstream_columns.write(at * extents.upstream_columns, &columns[1]);
            self.upstream_rows.write(at * extents.upstream_rows, upstream_rows);
            self.most.write(at * extents.queries, most);
            self.shares.write(at * extents.queries, shares);
            self.deltas.write(at * extents.queries, deltas);
        }
    }
}
