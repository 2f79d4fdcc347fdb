//! The kernel gives the same on every kind of processor that this one can stand in for.

use super::backward::Backward;
use super::forward::Forward;
use super::numbers::{ComplexNumbers, Numbers, RealNumbers};
use super::pass::{Extents, Pass};
use super::rows::{Rows, RowsMut, Source};
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::{Output, filled};
use crate::kernel::cpu::processor_kinds::{Here, Narrow, Plain, Runner, numbers, room_of};
use crate::segments::{Segments, spans};
use std::marker::PhantomData;

const ROWS: usize = 2;
const TIME: usize = 70;
const CHANNELS: usize = 37;
const TOKENS: usize = ROWS * TIME;

/// Parts with this many rows.
fn parts<E: Real, const P: usize>(rows: usize, seed: f64) -> [Vec<E>; P] {
    std::array::from_fn(|p| numbers(rows * CHANNELS, seed + 1000.0 * p as f64))
}

fn rows<E: Real, const P: usize>(parts: &[Vec<E>; P], shared: bool) -> Rows<'_, E, P> {
    let stride = if shared { 0 } else { CHANNELS };
    Rows { parts: parts.each_ref().map(|part| part.as_slice()), stride }
}

/// Everything that both passes fill.
fn outcome<E: Real, A: Numbers<P>, const P: usize>(
    shared: bool,
    segments: Option<&Segments>,
    runner: impl Runner,
) -> Vec<f64> {
    let spans = spans(ROWS, TIME, segments);
    let extents = Extents { spans: &spans, tokens: TOKENS, channels: CHANNELS };
    let zeros =
        |rows: usize| -> [_; P] { std::array::from_fn(|_| room_of(vec![E::default(); rows * CHANNELS])) };
    let input = parts::<E, P>(TOKENS, 1.0);
    let factor = parts::<E, P>(if shared { 1 } else { TOKENS }, 2.0)
        .map(|part: Vec<E>| part.into_iter().map(|number| number * E::from_f64(0.7)).collect());
    let (start, upstream) = (parts::<E, P>(spans.len(), 3.0), parts::<E, P>(TOKENS, 4.0));
    let upstream_last = parts::<E, P>(spans.len(), 5.0);
    let mut resets = vec![E::default(); TOKENS];
    resets[7] = E::ONE;
    resets[80] = E::ONE;
    let mut rooms = [zeros(TOKENS), zeros(spans.len())];
    let [states, last] = rooms
        .each_mut()
        .map(|room| RowsMut { parts: room.each_mut().map(|part| Output::new(part)), stride: CHANNELS });
    runner.run(Pass::<E, _>::new(Forward {
        extents,
        input: Source::Apart(rows(&input, false)),
        factor: rows(&factor, shared),
        start: rows(&start, false),
        resets: Some(&resets),
        states,
        last,
        numbers: PhantomData::<A>,
    }));
    // SAFETY: made of zeros, and written over.
    let [states, last] = rooms.map(|room| room.map(|part| unsafe { filled(part) }));
    let mut rooms = [zeros(TOKENS), zeros(if shared { spans.len() } else { TOKENS }), zeros(spans.len())];
    let [d_input, d_factor, d_start] = rooms
        .each_mut()
        .map(|room| RowsMut { parts: room.each_mut().map(|part| Output::new(part)), stride: CHANNELS });
    runner.run(Pass::<E, _>::new(Backward {
        extents,
        factor: rows(&factor, shared),
        start: rows(&start, false),
        states: Source::Apart(rows(&states, false)),
        resets: Some(&resets),
        upstream: Source::Apart(rows(&upstream, false)),
        upstream_last: rows(&upstream_last, false),
        d_input,
        d_factor,
        d_start,
        numbers: PhantomData::<A>,
    }));
    // SAFETY: as above.
    let gradients = rooms.map(|room| room.map(|part| unsafe { filled(part) }));
    let all = [states, last].into_iter().chain(gradients).flatten().flatten();
    all.map(Real::into_f64).collect()
}

fn check<E: Real, A: Numbers<P>, const P: usize>(tolerance: f64) {
    let segments = Segments::new(TIME, [vec![5, 0, 65], vec![TIME]]);
    for (shared, segments) in [(false, None), (true, None), (false, Some(&segments)), (true, Some(&segments))]
    {
        let wanted = outcome::<f64, A, P>(shared, segments, Plain);
        let found = [
            outcome::<E, A, P>(shared, segments, Here),
            outcome::<E, A, P>(shared, segments, Narrow),
            outcome::<E, A, P>(shared, segments, Plain),
        ];
        for (found, wanted) in found.iter().flat_map(|found| found.iter().zip(&wanted)) {
            assert!((found - wanted).abs() < tolerance, "{found} where {wanted} was wanted");
        }
    }
}

#[test]
fn every_kind_of_processor_computes_the_same() {
    check::<f64, RealNumbers, 1>(1e-12);
    check::<f64, ComplexNumbers, 2>(1e-12);
    check::<f32, RealNumbers, 1>(1e-4);
    check::<f32, ComplexNumbers, 2>(1e-4);
}
