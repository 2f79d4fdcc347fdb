//! Cases of test-time training.

use super::neural_memory::by_heads;
use super::{Shape, shape};
use crate::Inputs;
use crate::ladder::{Change, Operator, Tolerance};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::ttt::{InnerModel, InnerNorm, Residual, Steps, TttOptions, TttState, ttt, ttt_report};
use seqzoo::ops::{Form, Report};

/// The layers of the inner model, the tokens of a chunk, and the two laws of the literature.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Kind {
    pub depth: usize,
    pub chunk: usize,
    pub write: bool,
    pub residual: Residual,
}

/// The inputs of test-time training.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `ttt`")]
pub struct Ttt {
    pub query: Tensor<4>,
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    pub steps: Steps,
    /// Each `[H·in, out]`: what has more axes is a sequence.
    pub weights: Vec<Tensor<2>>,
    /// Each `[H, out]`.
    pub biases: Vec<Tensor<2>>,
    pub norm: InnerNorm,
    pub chunk: usize,
    pub scale: Option<f64>,
    pub residual: Residual,
}

impl Kind {
    /// The channels before and after every layer.
    fn widths(self, shape: &Shape) -> Vec<usize> {
        let inner = |edge| if edge == 0 || edge == self.depth { shape.key } else { 5 - edge };
        (0..=self.depth).map(inner).collect()
    }

    /// A random inner model per head.
    fn random(self, batch: usize, shape: &Shape, inputs: &mut Inputs) -> InnerModel {
        let widths = self.widths(shape);
        let mut layers = |bias: bool| -> Vec<Tensor<4>> {
            let edges = widths.windows(2);
            edges
                .map(|edge| inputs.uniform([batch, shape.heads, if bias { 1 } else { edge[0] }, edge[1]]))
                .collect()
        };
        InnerModel { weights: layers(false), biases: layers(true) }
    }
}

impl Operator for Ttt {
    type Kind = Kind;
    type Shape = Shape;
    type Output = Tensor<4>;
    type State = TttState;

    const KINDS: &'static [Kind] = &[
        Kind { depth: 1, chunk: 1, write: true, residual: Residual::Answer },
        Kind { depth: 1, chunk: 8, write: false, residual: Residual::Answer },
        Kind { depth: 2, chunk: 5, write: true, residual: Residual::Query },
        Kind { depth: 3, chunk: 16, write: false, residual: Residual::Query },
    ];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-10, harsh: 1e-10, single: 5e-5 };
    const HAS_KERNEL: bool = false;

    fn shape(time: usize) -> Shape {
        Shape { value: 5, ..shape(time) }
    }

    fn random(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> Self {
        let Shape { batch, time, key_heads, heads, key, .. } = *shape;
        let mut step = |high| inputs.between([batch, time, heads], 0.0, high);
        let (read, write) = (step(0.1), step(1.0));
        let InnerModel { weights, biases } = kind.random(1, shape, inputs);
        Self {
            query: inputs.uniform([batch, time, key_heads, key]),
            key: inputs.uniform([batch, time, key_heads, key]),
            value: inputs.uniform([batch, time, heads, key]),
            steps: Steps { read, write: kind.write.then_some(write) },
            weights: weights.into_iter().map(flat).collect(),
            biases: biases.into_iter().map(flat).collect(),
            norm: InnerNorm {
                gain: inputs.between([heads, key], 0.5, 1.5),
                offset: inputs.uniform([heads, key]),
            },
            chunk: kind.chunk,
            scale: None,
            residual: kind.residual,
        }
    }

    /// In the middle of a chunk.
    fn random_state(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> TttState {
        let model = kind.random(shape.batch, shape, inputs);
        let (device, dtype) = (model.weights[0].device(), model.weights[0].dtype());
        TttState {
            gradients: kind.random(shape.batch, shape, inputs),
            position: Tensor::full([shape.batch], (kind.chunk / 2) as f64, (&device, dtype)),
            chunk: kind.chunk,
            model,
        }
    }

    fn random_output(shape: &Shape, inputs: &mut Inputs) -> Tensor<4> {
        inputs.uniform([shape.batch, shape.time, shape.heads, shape.key])
    }

    fn map(self, change: &mut impl Change) -> Self {
        let mut layers = |name: &str, layers: Vec<Tensor<2>>| -> Vec<Tensor<2>> {
            let layers = layers.into_iter().enumerate();
            layers.map(|(layer, tensor)| change.of(&format!("{name}{layer}"), tensor)).collect()
        };
        let (weights, biases) = (layers("weights", self.weights), layers("biases", self.biases));
        Self {
            weights,
            biases,
            query: change.of("q", self.query),
            key: change.of("k", self.key),
            value: change.of("v", self.value),
            steps: Steps {
                read: change.of("eta", self.steps.read),
                write: self.steps.write.map(|write| change.of("lambda", write)),
            },
            norm: InnerNorm {
                gain: change.of("w", self.norm.gain),
                offset: change.of("b", self.norm.offset),
            },
            ..self
        }
    }

    fn map_output(output: Tensor<4>, change: &mut impl Change) -> Tensor<4> {
        change.of("o", output)
    }

    /// The place in the chunk stays; all sequences have the same, or the batch stays, too.
    fn map_state(state: TttState, change: &mut impl Change) -> TttState {
        let mut layers = |name: &str, layers: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
            let layers = layers.into_iter().enumerate();
            layers.map(|(layer, tensor)| change.of(&format!("state_{name}{layer}"), tensor)).collect()
        };
        let model =
            InnerModel { weights: layers("w", state.model.weights), biases: layers("b", state.model.biases) };
        let gradients = InnerModel {
            weights: layers("gw", state.gradients.weights),
            biases: layers("gb", state.gradients.biases),
        };
        let first = &model.weights[0];
        let position = state.position.narrow(0, 0, first.dims()[0]).into_data();
        let position = Tensor::from_data(position, (&first.device(), first.dtype()));
        TttState { model, gradients, position, chunk: state.chunk }
    }

    fn join(outputs: Vec<Tensor<4>>) -> Tensor<4> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<TttState>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, TttState) {
        let (model, Self { query, key, value, steps, norm, .. }) = (self.model(), self.clone());
        let options = TttOptions {
            initial_state,
            chunk: self.chunk,
            scale: self.scale,
            residual: self.residual,
            resets,
            form,
            ..Default::default()
        };
        ttt(query, key, value, steps, model, norm, options)
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        ttt_report(time, &TttOptions { form, ..Default::default() }, device)
    }
}

impl Ttt {
    /// The initial weights, as the operator takes them.
    pub fn model(&self) -> InnerModel {
        let heads = self.value.dims()[2];
        let layers = |layers: &[Tensor<2>]| layers.iter().map(|x| by_heads(x.clone(), heads)).collect();
        InnerModel { weights: layers(&self.weights), biases: layers(&self.biases) }
    }
}

/// `[1, H, in, out]` as `[H·in, out]`.
fn flat(weights: Tensor<4>) -> Tensor<2> {
    let [_, heads, from, to] = weights.dims();
    weights.reshape([heads * from, to])
}
