//! One problem, run in any form, with the gradients of all its inputs.

use crate::decays;
pub use crate::decays::Fading as Kind;
pub use crate::shape::{Shape, shape};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, LinearAttentionState, linear_attention};
use seqzoo_tests::{Inputs, Outcome};

pub const KINDS: [Kind; 4] = [Kind::None, Kind::PerHead, Kind::Scalar, Kind::Vector];

#[derive(Clone, Debug)]
pub struct Case {
    pub query: Tensor<4>,
    pub key: Tensor<4>,
    pub value: Tensor<4>,
    pub decay: Decay,
    pub state: Option<LinearAttentionState>,
    pub resets: Option<Tensor<2, Bool>>,
    pub scale: Option<f64>,
    pub normaliser: Option<f64>,
    pub output_cotangent: Tensor<4>,
    pub memory_cotangent: Tensor<4>,
    pub key_sum_cotangent: Option<Tensor<3>>,
}

impl Case {
    /// Random inputs with an initial state and random cotangents on output and final state.
    /// A normalised case has positive queries and keys, as its feature maps give them.
    pub fn random(kind: Kind, shape: &Shape, normalised: bool, seed: u64, device: &Device) -> Self {
        let Shape { batch, time, key_heads, heads, key, value } = *shape;
        let mut inputs = Inputs::new(seed, device);
        let low = if normalised { 0.1 } else { -1.0 };
        let features = [batch, time, key_heads, key];
        Self {
            query: inputs.between(features, low, 1.0),
            key: inputs.between(features, low, 1.0),
            value: inputs.uniform([batch, time, heads, value]),
            decay: kind.random(shape, &mut inputs),
            state: Some(LinearAttentionState {
                memory: inputs.uniform([batch, heads, key, value]),
                key_sum: normalised.then(|| inputs.between([batch, heads, key], 0.1, 1.0)),
            }),
            resets: None,
            scale: None,
            // With a tiny epsilon, a token that sees only itself has `o = v` and a gradient for q that
            // is pure cancellation; this one keeps every gradient well conditioned.
            normaliser: normalised.then_some(0.05),
            output_cotangent: inputs.uniform([batch, time, heads, value]),
            memory_cotangent: inputs.uniform([batch, heads, key, value]),
            key_sum_cotangent: normalised.then(|| inputs.uniform([batch, heads, key])),
        }
    }

    /// The case with tokens that forget almost everything among tokens that forget nothing.
    pub fn with_harsh_decays(self) -> Self {
        Self { decay: decays::harsh(self.decay), ..self }
    }

    /// The case with tokens that all forget almost everything.
    pub fn with_tiny_decays(self) -> Self {
        Self { decay: decays::tiny(self.decay), ..self }
    }

    pub fn options(&self, form: Form) -> LinearAttentionOptions {
        LinearAttentionOptions {
            initial_state: self.state.clone(),
            scale: self.scale,
            normaliser: self.normaliser,
            resets: self.resets.clone(),
            form,
        }
    }

    pub fn output(&self, form: Form) -> (Tensor<4>, LinearAttentionState) {
        let (q, k, v) = (self.query.clone(), self.key.clone(), self.value.clone());
        linear_attention(q, k, v, self.decay.clone(), self.options(form))
    }

    /// The tokens `from .. to`, starting from `state`.
    pub fn part(&self, from: usize, to: usize, state: Option<LinearAttentionState>) -> Self {
        let cut = |x: &Tensor<4>| x.clone().narrow(1, from, to - from);
        Self {
            query: cut(&self.query),
            key: cut(&self.key),
            value: cut(&self.value),
            decay: decays::part(self.decay.clone(), from, to),
            state,
            resets: self.resets.clone().map(|resets| resets.narrow(1, from, to - from)),
            output_cotangent: cut(&self.output_cotangent),
            ..self.clone()
        }
    }

    /// All inputs as leaves whose gradients are recorded.
    pub fn tracked(mut self) -> Self {
        self.query = self.query.require_grad();
        self.key = self.key.require_grad();
        self.value = self.value.require_grad();
        self.decay = decays::tracked(self.decay);
        self.state = self.state.map(|state| LinearAttentionState {
            memory: state.memory.require_grad(),
            key_sum: state.key_sum.map(Tensor::require_grad),
        });
        self
    }

    /// The scalar `Σ output · cotangent + Σ final state · cotangent`.
    pub fn loss(&self, output: Tensor<4>, state: LinearAttentionState) -> Tensor<1> {
        let mut loss = (output * self.output_cotangent.clone()).sum()
            + (state.memory * self.memory_cotangent.clone()).sum();
        if let (Some(sum), Some(cotangent)) = (state.key_sum, &self.key_sum_cotangent) {
            loss = loss + (sum * cotangent.clone()).sum();
        }
        loss
    }

    /// Output, final state and every gradient, computed by `run`.
    pub fn outcome_of(self, run: impl Fn(&Self) -> (Tensor<4>, LinearAttentionState)) -> Outcome {
        let case = self.tracked();
        let (output, state) = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        outcome.put("final_state", &state.memory);
        if let Some(sum) = &state.key_sum {
            outcome.put("final_state.z", sum);
        }
        let gradients = case.loss(output, state).backward();
        outcome.put_gradient("q", &case.query, &gradients);
        outcome.put_gradient("k", &case.key, &gradients);
        outcome.put_gradient("v", &case.value, &gradients);
        let name = if matches!(case.decay, Decay::Vector(_)) { "gk" } else { "g" };
        decays::put_gradient(&mut outcome, name, &case.decay, &gradients);
        if let Some(state) = &case.state {
            outcome.put_gradient("initial_state", &state.memory, &gradients);
            if let Some(sum) = &state.key_sum {
                outcome.put_gradient("initial_z", sum, &gradients);
            }
        }
        outcome
    }

    pub fn outcome(self, form: Form) -> Outcome {
        self.outcome_of(|case| case.output(form))
    }
}
