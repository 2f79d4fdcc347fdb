//! Cases of the delta rule.

use super::{Fading, Shape, decays};
use crate::Inputs;
use crate::ladder::segments::Segmented;
use crate::ladder::{Case, Change, MemoryOperator, Operator, Tolerance};
use burn::tensor::{Bool, DType, Device, Tensor};
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, Keys, delta_rule, delta_rule_report};
use seqzoo::ops::{Form, Report, Segments};

/// The decay, and whether every value channel has a beta of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs, reason = "the line above says it")]
pub struct Kind {
    pub decay: Fading,
    pub channels: bool,
}

/// The inputs of the delta rule.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the arguments of `delta_rule` and the options of the same names")]
pub struct DeltaRule {
    pub query: Tensor<4>,
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    pub beta: Beta,
    pub decay: Decay,
    pub scale: Option<f64>,
    pub keys: Keys,
}

/// Rows of unit length.
pub fn unit(rows: Tensor<4>) -> Tensor<4> {
    rows.clone() / rows.square().sum_dim(3).sqrt()
}

/// The betas changed, under their name.
pub fn map_beta(beta: Beta, change: &mut impl Change) -> Beta {
    match beta {
        Beta::Scalar(beta) => Beta::Scalar(change.of("beta", beta)),
        Beta::Vector(beta) => Beta::Vector(change.of("beta", beta)),
    }
}

/// A key that hardly changes from token to token, by `noise`, with the same beta at all of them; nothing fades.
pub fn nearly_one_key(time: usize, noise: f64, beta: f64, device: &Device) -> Case<DeltaRule> {
    let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: 64, value: 16 };
    let mut case = Case::random(DeltaRule::KINDS[0], &shape, 3, device);
    let mut inputs = Inputs::new(9, device);
    let one = unit(inputs.uniform([1, 1, 1, 64])).expand([1, time, 1, 64]);
    case.inputs = DeltaRule {
        key: unit(one + inputs.uniform([1, time, 1, 64]) * (noise / 8.0)),
        beta: Beta::Scalar(Tensor::full([1, time, 1], beta, (device, DType::F64))),
        ..case.inputs
    };
    case
}

impl Operator for DeltaRule {
    type Kind = Kind;
    type Shape = Shape;
    type Output = Tensor<4>;
    type State = Tensor<4>;

    const KINDS: &'static [Kind] = &[
        Kind { decay: Fading::None, channels: false },
        Kind { decay: Fading::None, channels: true },
        Kind { decay: Fading::PerHead, channels: false },
        Kind { decay: Fading::Scalar, channels: false },
        Kind { decay: Fading::Vector, channels: false },
        Kind { decay: Fading::Vector, channels: true },
    ];
    const TOLERANCE: Tolerance = Tolerance { exact: 1e-9, harsh: 1e-11, single: 1e-5 };

    fn shape(time: usize) -> Shape {
        super::shape(time)
    }

    /// Unit keys, and betas from 0 to 2.
    fn random(kind: Kind, shape: &Shape, inputs: &mut Inputs) -> Self {
        let Shape { batch, time, key_heads, heads, key, value } = *shape;
        let features = [batch, time, key_heads, key];
        Self {
            query: inputs.uniform(features),
            key: unit(inputs.uniform(features)),
            value: inputs.uniform([batch, time, heads, value]),
            beta: if kind.channels {
                Beta::Vector(inputs.between([batch, time, heads, value], 0.0, 2.0))
            } else {
                Beta::Scalar(inputs.between([batch, time, heads], 0.0, 2.0))
            },
            decay: kind.decay.random(shape, inputs),
            scale: None,
            keys: Keys::Unbounded, // finite differences leave the unit sphere
        }
    }

    fn random_state(_: Kind, shape: &Shape, inputs: &mut Inputs) -> Tensor<4> {
        inputs.uniform([shape.batch, shape.heads, shape.key, shape.value])
    }

    fn random_output(shape: &Shape, inputs: &mut Inputs) -> Tensor<4> {
        inputs.uniform([shape.batch, shape.time, shape.heads, shape.value])
    }

    fn map(self, change: &mut impl Change) -> Self {
        Self {
            query: change.of("q", self.query),
            key: change.of("k", self.key),
            value: change.of("v", self.value),
            beta: map_beta(self.beta, change),
            decay: decays::map(self.decay, "g", change),
            ..self
        }
    }

    fn map_output(output: Tensor<4>, change: &mut impl Change) -> Tensor<4> {
        change.of("o", output)
    }

    fn map_state(state: Tensor<4>, change: &mut impl Change) -> Tensor<4> {
        change.of("state", state)
    }

    fn join(outputs: Vec<Tensor<4>>) -> Tensor<4> {
        Tensor::cat(outputs, 1)
    }

    fn run(
        &self,
        initial_state: Option<Tensor<4>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, Tensor<4>) {
        self.call(DeltaRuleOptions { initial_state, resets, form, ..Default::default() })
    }

    fn report(time: usize, form: Form, device: &Device) -> Report {
        delta_rule_report(time, &DeltaRuleOptions { form, ..Default::default() }, device)
    }
}

impl DeltaRule {
    /// A call with these options, and the scale and the policy on keys of the case.
    fn call(&self, options: DeltaRuleOptions) -> (Tensor<4>, Tensor<4>) {
        let Self { query, key, value, beta, decay, scale, keys } = self.clone();
        delta_rule(query, key, value, beta, decay, DeltaRuleOptions { scale, keys, ..options })
    }
}

impl Segmented for DeltaRule {
    fn resized(shape: Shape, batch: usize, time: usize) -> Shape {
        Shape { batch, time, ..shape }
    }

    fn run_segments(
        &self,
        segments: Segments,
        initial_state: Option<Tensor<4>>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Tensor<4>, Tensor<4>) {
        let segments = Some(segments);
        self.call(DeltaRuleOptions { initial_state, resets, segments, form, ..Default::default() })
    }
}

impl MemoryOperator for DeltaRule {
    const PLAIN: &'static [Kind] = Self::KINDS;

    fn kind(decay: Fading, channels: bool) -> Kind {
        Kind { decay, channels }
    }
}
