//! The kernel on Burn's Flex backend: row by row, on all cores.
//!
//! With the features `f` and their upstream gradient `df`:
//!
//! ```text
//! Taylor      dx_i = df(x_i) / d^¼ + 2 x_i df(x_i²) / √(2d) + Σ_{j≠i} x_j df(x_i x_j) / √d
//! Hedgehog    ds = f ⊙ (df − Σ f df)        dy = 2 (ds of 2y − ds of −2y)
//! ```
#![allow(unsafe_code, reason = "passes fill tensors in parallel")]

use super::{FeatureMapBackend, Inputs, Outputs, Saved};
use crate::kernel::cpu::channels::room::Room;
use crate::kernel::cpu::channels::tasks::each;
use crate::kernel::cpu::dot::dot;
use crate::kernel::cpu::lanes::Real;
use crate::kernel::cpu::output::Output;
use crate::kernel::cpu::tensors::numbers;
use crate::kernel::cpu::vectorized::vectorized;
use crate::token_wise::feature_maps::Map;
use burn::backend::flex::FlexTensor;
use burn::backend::{Element, Flex, TensorMetadata};
use burn::tensor::DType;
use pulp::{Arch, Simd, WithSimd};

/// Features of a task, about.
const AT_ONCE: usize = 8192;

impl FeatureMapBackend for Flex {
    fn feature_map(inputs: Inputs<Self>, map: Map) -> Outputs<Self> {
        let x = inputs.x.to_contiguous();
        match x.dtype() {
            DType::F64 => forward::<f64>(&x, map),
            _ => forward::<f32>(&x, map),
        }
    }

    fn feature_map_forward(inputs: Inputs<Self>, map: Map) -> (Outputs<Self>, Saved<Self>) {
        let inputs = Inputs { x: inputs.x.to_contiguous() };
        (Self::feature_map(inputs.clone(), map), inputs)
    }

    fn feature_map_vjp(saved: Saved<Self>, upstream: Outputs<Self>, map: Map) -> Inputs<Self> {
        let upstream = upstream.features.to_contiguous();
        match upstream.dtype() {
            DType::F64 => backward::<f64>(&saved.x, &upstream, map),
            _ => backward::<f32>(&saved.x, &upstream, map),
        }
    }
}

fn forward<E: Real + Element>(x: &FlexTensor, map: Map) -> Outputs<Flex> {
    let [rows, channels] = x.shape().dims();
    let mut features = Room::<E>::new([rows, map.features(channels)]);
    let to = To::Features(features.output());
    Arch::new().dispatch(Pass { map, x: numbers(x), channels, to });
    // SAFETY: the pass fills all rows.
    Outputs { features: unsafe { features.filled() } }
}

fn backward<E: Real + Element>(x: &FlexTensor, upstream: &FlexTensor, map: Map) -> Inputs<Flex> {
    let [_, channels] = x.shape().dims();
    let mut d_x = Room::<E>::new(x.shape());
    let to = To::Gradients { upstream: numbers(upstream), d_x: d_x.output() };
    Arch::new().dispatch(Pass { map, x: numbers(x), channels, to });
    // SAFETY: as above.
    Inputs { x: unsafe { d_x.filled() } }
}

/// A pass over all rows.
#[derive(Clone, Copy)]
struct Pass<'a, E> {
    map: Map,
    x: &'a [E],
    channels: usize,
    to: To<'a, E>,
}

/// What it makes.
#[derive(Clone, Copy)]
enum To<'a, E> {
    Features(Output<'a, E>),
    Gradients { upstream: &'a [E], d_x: Output<'a, E> },
}

impl<E: Real> WithSimd for Pass<'_, E> {
    type Output = ();

    fn with_simd<S: Simd>(self, simd: S) {
        let features = self.map.features(self.channels);
        let rows = self.x.len() / self.channels;
        let of_a_task = (AT_ONCE / features).max(1);
        each(
            rows.div_ceil(of_a_task),
            rows * features,
            || Scratch { features: vec![E::default(); features], d_x: vec![E::default(); self.channels] },
            |scratch, task| {
                let rows = task * of_a_task..rows.min((task + 1) * of_a_task);
                vectorized(simd, Run { pass: self, rows, scratch });
            },
        );
    }
}

/// A row of a task.
struct Scratch<E> {
    features: Vec<E>,
    d_x: Vec<E>,
}

/// Neighbouring rows of a pass.
struct Run<'a, 'b, E> {
    pass: Pass<'a, E>,
    rows: std::ops::Range<usize>,
    scratch: &'b mut Scratch<E>,
}

impl<E: Real> WithSimd for Run<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Pass { map, x, channels, to } = self.pass;
        let Scratch { features, d_x: d_row } = self.scratch;
        let count = features.len();
        for row in self.rows {
            let x = &x[row * channels..][..channels];
            match &to {
                To::Features(to) => {
                    match map {
                        Map::Taylor => taylor(x, features),
                        Map::Hedgehog => hedgehog(x, features),
                    }
                    // SAFETY: this row is this task's alone.
                    unsafe { to.write(row * count, features) };
                }
                To::Gradients { upstream, d_x } => {
                    let above = &upstream[row * count..][..count];
                    match map {
                        Map::Taylor => taylor_back(simd, x, above, d_row),
                        Map::Hedgehog => hedgehog_back(simd, x, above, features, d_row),
                    }
                    // SAFETY: as above.
                    unsafe { d_x.write(row * channels, d_row) };
                }
            }
        }
    }
}

/// What numbers, squares and products of two are multiplied by.
#[inline(always)]
fn factors<E: Real>(channels: usize) -> [E; 3] {
    let root = (channels as f64).sqrt();
    [root.sqrt().recip(), (root * 2f64.sqrt()).recip(), root.recip()].map(E::from_f64)
}

#[inline(always)]
fn taylor<E: Real>(x: &[E], features: &mut [E]) {
    let [of_one, of_square, of_two] = factors(x.len());
    let (first, features) = features.split_at_mut(1);
    let (ones, features) = features.split_at_mut(x.len());
    let (squares, mut pairs) = features.split_at_mut(x.len());
    first[0] = E::ONE;
    for index in 0..x.len() {
        ones[index] = x[index] * of_one;
        squares[index] = x[index] * x[index] * of_square;
    }
    for index in 0..x.len() {
        let (of_this, rest) = pairs.split_at_mut(x.len() - index - 1);
        let this = x[index] * of_two;
        for (pair, later) in of_this.iter_mut().zip(&x[index + 1..]) {
            *pair = *later * this;
        }
        pairs = rest;
    }
}

#[inline(always)]
fn taylor_back<S: Simd, E: Real>(simd: S, x: &[E], above: &[E], d_x: &mut [E]) {
    let [of_one, of_square, of_two] = factors(x.len());
    let (ones, above) = above[1..].split_at(x.len());
    let (squares, mut pairs) = above.split_at(x.len());
    let twice = of_square + of_square;
    for index in 0..x.len() {
        d_x[index] = ones[index] * of_one + x[index] * squares[index] * twice;
    }
    for index in 0..x.len() {
        let (of_this, rest) = pairs.split_at(x.len() - index - 1);
        let (this, later) = (x[index] * of_two, &x[index + 1..]);
        d_x[index] += dot(simd, of_this, later) * of_two;
        for (d_later, pair) in d_x[index + 1..].iter_mut().zip(of_this) {
            *d_later += *pair * this;
        }
        pairs = rest;
    }
}

#[inline(always)]
fn hedgehog<E: Real>(y: &[E], features: &mut [E]) {
    let (plus, minus) = features.split_at_mut(y.len());
    let mut largest = E::default();
    for y in y {
        let doubled = *y + *y;
        let size = if doubled < E::default() { E::default() - doubled } else { doubled };
        // A NaN stays one in what follows.
        largest = if largest < size { size } else { largest };
    }
    for index in 0..y.len() {
        let doubled = y[index] + y[index];
        plus[index] = (doubled - largest).exponential();
        minus[index] = (E::default() - doubled - largest).exponential();
    }
    let mut sum = E::default();
    for feature in &*features {
        sum += *feature;
    }
    for feature in features {
        *feature = *feature / sum;
    }
}

#[inline(always)]
fn hedgehog_back<S: Simd, E: Real>(simd: S, y: &[E], above: &[E], features: &mut [E], d_y: &mut [E]) {
    hedgehog(y, features);
    let mean = dot(simd, features, above);
    let channels = y.len();
    for index in 0..channels {
        let plus = features[index] * (above[index] - mean);
        let minus = features[channels + index] * (above[channels + index] - mean);
        d_y[index] = (plus - minus) + (plus - minus);
    }
}
