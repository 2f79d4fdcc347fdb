//! One problem, run in any form, with the gradients of all its inputs.

use crate::decays;
pub use crate::decays::Fading;
pub use crate::shape::{Shape, shape};
use burn::tensor::{Bool, Device, FloatDType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, Keys, delta_rule};
use seqzoo_tests::{Inputs, Outcome};

/// The decay, and whether every value channel has a strength of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    pub decay: Fading,
    pub channels: bool,
}

pub const KINDS: [Kind; 6] = [
    Kind { decay: Fading::None, channels: false },
    Kind { decay: Fading::None, channels: true },
    Kind { decay: Fading::PerHead, channels: false },
    Kind { decay: Fading::Scalar, channels: false },
    Kind { decay: Fading::Vector, channels: false },
    Kind { decay: Fading::Vector, channels: true },
];

#[derive(Clone, Debug)]
pub struct Case {
    pub query: Tensor<4>,
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    pub beta: Beta,
    pub decay: Decay,
    pub memory: Option<Tensor<4>>,
    pub resets: Option<Tensor<2, Bool>>,
    pub scale: Option<f64>,
    pub keys: Keys,
    pub output_cotangent: Tensor<4>,
    pub memory_cotangent: Tensor<4>,
}

/// Rows of unit length.
pub fn unit(rows: Tensor<4>) -> Tensor<4> {
    rows.clone() / rows.square().sum_dim(3).sqrt()
}

impl Case {
    /// Random inputs with unit keys, strengths from 0 to 2, an initial memory and random cotangents on output and
    /// final memory.
    pub fn random(kind: Kind, shape: &Shape, seed: u64, device: &Device) -> Self {
        let Shape { batch, time, key_heads, heads, key, value } = *shape;
        let mut inputs = Inputs::new(seed, device);
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
            decay: kind.decay.random(shape, &mut inputs),
            memory: Some(inputs.uniform([batch, heads, key, value])),
            resets: None,
            scale: None,
            keys: Keys::Unbounded, // finite differences leave the unit sphere
            output_cotangent: inputs.uniform([batch, time, heads, value]),
            memory_cotangent: inputs.uniform([batch, heads, key, value]),
        }
    }

    /// The case with every tensor replaced.
    pub fn map(self, mut change: impl FnMut(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            query: change(self.query),
            key: change(self.key),
            value: change(self.value),
            beta: match self.beta {
                Beta::Scalar(beta) => Beta::Scalar(change(beta.unsqueeze_dim(3)).squeeze_dim(3)),
                Beta::Vector(beta) => Beta::Vector(change(beta)),
            },
            decay: decays::map(self.decay, &mut change),
            memory: self.memory.map(&mut change),
            output_cotangent: change(self.output_cotangent),
            memory_cotangent: change(self.memory_cotangent),
            ..self
        }
    }

    /// The case in another float type.
    pub fn cast(self, dtype: FloatDType) -> Self {
        self.map(|tensor| tensor.cast(dtype))
    }

    /// The case with tokens that forget almost everything among tokens that forget nothing.
    pub fn with_harsh_decays(self) -> Self {
        Self { decay: decays::harsh(self.decay), ..self }
    }

    /// The case with tokens that all forget almost everything.
    pub fn with_tiny_decays(self) -> Self {
        Self { decay: decays::tiny(self.decay), ..self }
    }

    pub fn options(&self, form: Form) -> DeltaRuleOptions {
        DeltaRuleOptions {
            initial_state: self.memory.clone(),
            scale: self.scale,
            keys: self.keys,
            resets: self.resets.clone(),
            form,
        }
    }

    pub fn output(&self, form: Form) -> (Tensor<4>, Tensor<4>) {
        let (q, k, v) = (self.query.clone(), self.key.clone(), self.value.clone());
        delta_rule(q, k, v, self.beta.clone(), self.decay.clone(), self.options(form))
    }

    /// The tokens `from .. to`, starting from `memory`.
    pub fn part(&self, from: usize, to: usize, memory: Option<Tensor<4>>) -> Self {
        let cut = |x: &Tensor<4>| x.clone().narrow(1, from, to - from);
        Self {
            query: cut(&self.query),
            key: cut(&self.key),
            value: cut(&self.value),
            beta: match &self.beta {
                Beta::Scalar(beta) => Beta::Scalar(beta.clone().narrow(1, from, to - from)),
                Beta::Vector(beta) => Beta::Vector(cut(beta)),
            },
            decay: decays::part(self.decay.clone(), from, to),
            memory,
            resets: self.resets.clone().map(|resets| resets.narrow(1, from, to - from)),
            output_cotangent: cut(&self.output_cotangent),
            ..self.clone()
        }
    }

    /// The sequence `row` of the batch alone.
    pub fn row(&self, row: usize) -> Self {
        let batch = self.query.dims()[0];
        let pick = |x: Tensor<4>| if x.dims()[0] == batch { x.narrow(0, row, 1) } else { x };
        let resets = self.resets.clone().map(|resets| resets.narrow(0, row, 1));
        Self { resets, ..self.clone().map(pick) }
    }

    /// All inputs as leaves whose gradients are recorded.
    pub fn tracked(mut self) -> Self {
        self.query = self.query.require_grad();
        self.key = self.key.require_grad();
        self.value = self.value.require_grad();
        self.beta = match self.beta {
            Beta::Scalar(beta) => Beta::Scalar(beta.require_grad()),
            Beta::Vector(beta) => Beta::Vector(beta.require_grad()),
        };
        self.decay = decays::tracked(self.decay);
        self.memory = self.memory.map(Tensor::require_grad);
        self
    }

    /// The scalar `Σ output · cotangent + Σ final memory · cotangent`.
    pub fn loss(&self, output: Tensor<4>, memory: Tensor<4>) -> Tensor<1> {
        (output * self.output_cotangent.clone()).sum() + (memory * self.memory_cotangent.clone()).sum()
    }

    /// Output, final memory and every gradient, computed by `run`.
    pub fn outcome_of(self, run: impl Fn(&Self) -> (Tensor<4>, Tensor<4>)) -> Outcome {
        let case = self.tracked();
        let (output, memory) = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        outcome.put("final_state", &memory);
        let gradients = case.loss(output, memory).backward();
        outcome.put_gradient("q", &case.query, &gradients);
        outcome.put_gradient("k", &case.key, &gradients);
        outcome.put_gradient("v", &case.value, &gradients);
        match &case.beta {
            Beta::Scalar(beta) => outcome.put_gradient("beta", beta, &gradients),
            Beta::Vector(beta) => outcome.put_gradient("beta", beta, &gradients),
        }
        decays::put_gradient(&mut outcome, "g", &case.decay, &gradients);
        if let Some(memory) = &case.memory {
            outcome.put_gradient("initial_state", memory, &gradients);
        }
        outcome
    }

    pub fn outcome(self, form: Form) -> Outcome {
        self.outcome_of(|case| case.output(form))
    }
}
