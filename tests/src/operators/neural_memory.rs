//! Cases of the neural memory.

use super::{Shape, delta_rule::unit, shape};
use crate::Inputs;
use crate::ladder::segments::Segmented;
use crate::ladder::{Change, Operator, Tolerance};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::neural_memory::{
    Gates, NeuralMemoryOptions, NeuralMemoryState, neural_memory, neural_memory_report,
};
use seqzoo::ops::{Form, Report, Segments};
use std::cmp::Ordering;

/// The layers of the memory, and the tokens of a chunk.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Kind {
    pub depth: usize,
    pub chunk: usize,
}

/// The inputs of the neural memory.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `neural_memory`")]
pub struct NeuralMemory {
    pub query: Tensor<4>,
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    pub gates: Gates,
    /// Each `[H·in, out]`: what has more axes is a sequence.
    pub weights: Vec<Tensor<2>>,
    pub chunk: usize,
    pub residual: bool,
}

impl Kind {
    /// The extents of the matrices, `[in, out]`.
    fn matrices(self, shape: &Shape) -> Vec<[usize; 2]> {
        let width = |layer| match layer {
            0 => shape.key,
            layer if layer == self.depth => shape.value,
            layer => 5 - layer,
        };
        (0..self.depth).map(|layer| [width(layer), width(layer + 1)]).collect()
    }

    /// A random matrix per layer and head.
    fn random(self, batch: usize, shape: &Shape, inputs: &mut Inputs) -> Vec<Tensor<4>> {
        let matrices = self.matrices(shape).into_iter();
        matrices.map(|[from, to]| inputs.uniform([batch, shape.heads, from, to])).collect()
    }
}

impl Operator for NeuralMemory {
    type Kind = Kind;
    type Shape = Shape;
    type Output = Tensor<4>;
    type State = NeuralMemoryState;

    const KINDS: &'static [Kind] = &[
        Kind { depth: 1, chunk: 1 },
        Kind { depth: 1, chunk: 8 },
        Kind { depth: 2, chunk: 5 },
        Kind { depth: 3, chunk: 16 },
    ];
    /// A linear memory, with chunks that are shorter and longer than blocks, and as long.
    const DEVICE_KINDS: &'static [Kind] = &[
        Kind { depth: 1, chunk: 1 },
        Kind { depth: 1, chunk: 7 },
        Kind { depth: 1, chunk: 16 },
        Kind { depth: 1, chunk: 40 },
    ];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-10, harsh: 1e-10, single: 5e-5 };

    fn shape(time: usize) -> Shape {
        shape(time)
    }

    fn random(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> Self {
        let Shape { batch, time, key_heads, heads, key, value } = *shape;
        let mut gate = |high| inputs.between([batch, time, heads], 0.0, high);
        let gates = Gates { forget: gate(1.0), momentum: gate(1.0), step: gate(0.1) };
        Self {
            query: inputs.uniform([batch, time, key_heads, key]),
            key: unit(inputs.uniform([batch, time, key_heads, key])),
            value: inputs.uniform([batch, time, heads, value]),
            gates,
            weights: kind.random(1, shape, inputs).into_iter().map(flat).collect(),
            chunk: kind.chunk,
            residual: false,
        }
    }

    /// In the middle of a chunk.
    fn random_state(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> NeuralMemoryState {
        let weights = kind.random(shape.batch, shape, inputs);
        let position =
            Tensor::full([shape.batch], (kind.chunk / 2) as f64, (&weights[0].device(), weights[0].dtype()));
        NeuralMemoryState {
            weights,
            momentum: kind.random(shape.batch, shape, inputs),
            start: kind.random(shape.batch, shape, inputs),
            position,
            chunk: kind.chunk,
            surprise: None,
        }
    }

    fn random_output(shape: &Shape, inputs: &mut Inputs) -> Tensor<4> {
        inputs.uniform([shape.batch, shape.time, shape.heads, shape.value])
    }

    fn map(self, change: &mut impl Change) -> Self {
        let weights = self.weights.into_iter().enumerate();
        let weights = weights.map(|(layer, weights)| change.of(&format!("w{layer}"), weights));
        Self {
            weights: weights.collect(),
            query: change.of("q", self.query),
            key: change.of("k", self.key),
            value: change.of("v", self.value),
            gates: Gates {
                forget: change.of("alpha", self.gates.forget),
                momentum: change.of("eta", self.gates.momentum),
                step: change.of("theta", self.gates.step),
            },
            ..self
        }
    }

    fn map_output(output: Tensor<4>, change: &mut impl Change) -> Tensor<4> {
        change.of("o", output)
    }

    /// The place in the chunk stays; all sequences have the same, or the batch stays, too.
    fn map_state(state: NeuralMemoryState, change: &mut impl Change) -> NeuralMemoryState {
        let mut layers = |name: &str, layers: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
            let layers = layers.into_iter().enumerate();
            layers.map(|(layer, tensor)| change.of(&format!("state_{name}{layer}"), tensor)).collect()
        };
        let (weights, momentum, start) =
            (layers("w", state.weights), layers("s", state.momentum), layers("start", state.start));
        let (device, dtype) = (weights[0].device(), weights[0].dtype());
        let (rows, places) = (weights[0].dims()[0], state.position.dims()[0]);
        let position = match rows.cmp(&places) {
            Ordering::Equal => state.position,
            Ordering::Less => state.position.narrow(0, 0, rows),
            Ordering::Greater => state.position.narrow(0, 0, 1).repeat_dim(0, rows),
        };
        let position = Tensor::from_data(position.into_data(), (&device, dtype));
        NeuralMemoryState { weights, momentum, start, position, chunk: state.chunk, surprise: None }
    }

    fn join(outputs: Vec<Tensor<4>>) -> Tensor<4> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<NeuralMemoryState>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, NeuralMemoryState) {
        self.call(NeuralMemoryOptions { initial_state, resets, form, ..Default::default() })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        neural_memory_report(time, 1, &NeuralMemoryOptions { form, ..Default::default() }, device)
    }
}

impl NeuralMemory {
    fn call(&self, options: NeuralMemoryOptions) -> (Tensor<4>, NeuralMemoryState) {
        let Self { query, key, value, gates, weights, chunk, residual } = self.clone();
        let options = NeuralMemoryOptions { chunk, residual, ..options };
        let heads = value.dims()[2];
        let weights = weights.into_iter().map(|weights| by_heads(weights, heads)).collect();
        neural_memory(query, key, value, gates, weights, options)
    }
}

impl Segmented for NeuralMemory {
    fn resized(shape: Shape, batch: usize, time: usize) -> Shape {
        Shape { batch, time, ..shape }
    }

    fn run_segments(
        &self,
        segments: Segments,
        initial_state: Option<NeuralMemoryState>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, NeuralMemoryState) {
        let segments = Some(segments);
        self.call(NeuralMemoryOptions { initial_state, resets, segments, form, ..Default::default() })
    }
}

/// `[1, H, in, out]` as `[H·in, out]`.
fn flat(weights: Tensor<4>) -> Tensor<2> {
    let [_, heads, from, to] = weights.dims();
    weights.reshape([heads * from, to])
}

/// `[H·in, out]` as `[1, H, in, out]`.
pub fn by_heads(weights: Tensor<2>, heads: usize) -> Tensor<4> {
    let [rows, to] = weights.dims();
    weights.reshape([1, heads, rows / heads, to])
}
