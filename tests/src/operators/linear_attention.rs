//! Cases of linear attention.

use super::{Fading, Shape, decays};
use crate::Inputs;
use crate::ladder::segments::Segmented;
use crate::ladder::{Change, MemoryOperator, Operator, Tolerance};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::linear_attention::{
    Decay, LinearAttentionOptions, LinearAttentionState, linear_attention, linear_attention_report,
};
use seqzoo::ops::{Form, Report, Segments};

/// The decay, and whether outputs are normalised.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the line above says it")]
pub struct Kind {
    pub decay: Fading,
    pub normalised: bool,
}

/// The inputs of linear attention.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `linear_attention` and the options of the same names")]
pub struct LinearAttention {
    pub query: Tensor<4>,
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    pub decay: Decay,
    pub scale: Option<f64>,
    pub normaliser: Option<f64>,
}

impl Operator for LinearAttention {
    type Kind = Kind;
    type Shape = Shape;
    type Output = Tensor<4>;
    type State = LinearAttentionState;

    const KINDS: &'static [Kind] = &[
        Kind { decay: Fading::None, normalised: false },
        Kind { decay: Fading::PerHead, normalised: false },
        Kind { decay: Fading::Scalar, normalised: false },
        Kind { decay: Fading::Vector, normalised: false },
        Kind { decay: Fading::None, normalised: true },
        Kind { decay: Fading::PerHead, normalised: true },
        Kind { decay: Fading::Scalar, normalised: true },
        Kind { decay: Fading::Vector, normalised: true },
    ];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-10, harsh: 1e-12, single: 3e-6 };

    fn shape(time: usize) -> Shape {
        super::shape(time)
    }

    /// A normalised case has positive queries and keys, as its feature maps give them.
    fn random(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> Self {
        let Shape { batch, time, key_heads, heads, key, value } = *shape;
        let low = if kind.normalised { 0.1 } else { -1.0 };
        let features = [batch, time, key_heads, key];
        Self {
            query: inputs.between(features, low, 1.0),
            key: inputs.between(features, low, 1.0),
            value: inputs.uniform([batch, time, heads, value]),
            decay: kind.decay.random(shape, inputs),
            scale: None,
            // With a tiny epsilon, a token that sees only itself has `o = v` and a gradient for q that
            // is pure cancellation; this one keeps every gradient well conditioned.
            normaliser: kind.normalised.then_some(0.05),
        }
    }

    fn random_state(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> LinearAttentionState {
        let Shape { batch, heads, key, value, .. } = *shape;
        LinearAttentionState {
            memory: inputs.uniform([batch, heads, key, value]),
            key_sum: kind.normalised.then(|| inputs.between([batch, heads, key], 0.1, 1.0)),
        }
    }

    fn random_output(shape: &Shape, inputs: &mut Inputs) -> Tensor<4> {
        inputs.uniform([shape.batch, shape.time, shape.heads, shape.value])
    }

    fn map(self, change: &mut impl Change) -> Self {
        let g = if matches!(self.decay, Decay::Vector(_)) { "gk" } else { "g" };
        Self {
            query: change.of("q", self.query),
            key: change.of("k", self.key),
            value: change.of("v", self.value),
            decay: decays::map(self.decay, g, change),
            ..self
        }
    }

    fn map_output(output: Tensor<4>, change: &mut impl Change) -> Tensor<4> {
        change.of("o", output)
    }

    fn map_state(state: LinearAttentionState, change: &mut impl Change) -> LinearAttentionState {
        LinearAttentionState {
            memory: change.of("state", state.memory),
            key_sum: state.key_sum.map(|sum| change.of("z", sum)),
        }
    }

    fn join(outputs: Vec<Tensor<4>>) -> Tensor<4> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<LinearAttentionState>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, LinearAttentionState) {
        self.call(LinearAttentionOptions { initial_state, resets, form, ..Default::default() })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        linear_attention_report(time, &LinearAttentionOptions { form, ..Default::default() }, device)
    }
}

impl LinearAttention {
    /// A call with these options, and the scale and the normaliser of the case.
    fn call(&self, options: LinearAttentionOptions) -> (Tensor<4>, LinearAttentionState) {
        let Self { query, key, value, decay, scale, normaliser } = self.clone();
        linear_attention(query, key, value, decay, LinearAttentionOptions { scale, normaliser, ..options })
    }
}

impl Segmented for LinearAttention {
    fn resized(shape: Shape, batch: usize, time: usize) -> Shape {
        Shape { batch, time, ..shape }
    }

    fn run_segments(
        &self,
        segments: Segments,
        initial_state: Option<LinearAttentionState>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, LinearAttentionState) {
        let segments = Some(segments);
        self.call(LinearAttentionOptions { initial_state, resets, segments, form, ..Default::default() })
    }
}

impl MemoryOperator for LinearAttention {
    const PLAIN: &'static [Kind] = Self::KINDS.split_at(4).0;

    fn kind(decay: Fading, normalised: bool) -> Kind {
        Kind { decay, normalised }
    }
}
