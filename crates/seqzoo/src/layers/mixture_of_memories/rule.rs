//! How each of several memories is written and read.

use crate::ops::delta_rule::{Beta, DeltaRuleOptions, Keys, delta_rule, delta_rule_report};
use crate::ops::linear_attention::{
    LinearAttentionOptions, LinearAttentionState, linear_attention, linear_attention_report,
};
use crate::ops::token_wise::pointwise::{elu_plus_one, log_sigmoid};
use crate::ops::{Decay, Form, Report, Segments, accumulator, to_dtype};
use crate::parts::{
    DecayGate, HeadLayout, ProjectionInit, SsdOptions, biased_projection, project, retention_decay,
    split_heads, ssd,
};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, Device, Tensor};

/// Stands in the root by which queries and keys are divided.
const KEY_EPSILON: f64 = 1e-6;

/// What divides the logits of the decays of gated linear attention, as published.
const GATE_NORMALIZER: f64 = 16.0;

/// The rank of the decays of gated linear attention, as published.
const GATE_RANK: usize = 16;

/// The rule of the memories of a [`MixtureOfMemories`](super::MixtureOfMemories).
#[derive(Config, Debug, PartialEq, Copy)]
pub enum MemoryRule {
    /// Outer products of `elu(k) + 1` and values; nothing fades.
    LinearAttention,
    /// Outer products that fade at a fixed rate per head, `1 − 2^(−5−h)`, with every token that the memory gets.
    Retention,
    /// Outer products that fade at a rate per token and key channel, `log σ(W₂ W₁ x + b) / 16`; `W₂` and `b` are those of
    /// all memories.
    GatedLinearAttention,
    /// The delta rule with a beta per token.
    DeltaRule,
    /// The delta rule with a beta and a decay per token, as published.
    GatedDeltaRule,
    /// Mamba-2's state space, without a skip: keys `B`, queries `C`, and a step per token, which multiplies the values.
    Mamba2,
}

impl MemoryRule {
    /// What a token has for a memory beside key and value, in numbers.
    pub(super) fn extra(self, heads: usize) -> usize {
        match self {
            Self::LinearAttention | Self::Retention => 0,
            Self::GatedLinearAttention => GATE_RANK,
            Self::DeltaRule | Self::Mamba2 => heads,
            Self::GatedDeltaRule => 2 * heads,
        }
    }
}

/// The parameters of a rule, which all memories share.
#[derive(Module, Debug)]
pub struct RuleParameters {
    /// Of gated linear attention: `W₂` and `b`, the rank to `H·K`.
    pub decay_up: Option<Linear>,
    /// Of the gated delta rule and of Mamba-2: the rates of the heads and the bias of the steps.
    pub decay: Option<DecayGate>,
    #[module(skip)]
    rule: MemoryRule,
}

impl RuleParameters {
    pub(super) fn new(rule: MemoryRule, layout: HeadLayout, init: ProjectionInit, device: &Device) -> Self {
        let heads = layout.heads;
        let up = || biased_projection(GATE_RANK, heads * layout.key, init, device);
        let decay = |least| DecayGate::new(heads, 1, (least, 16.0), device);
        Self {
            decay_up: (rule == MemoryRule::GatedLinearAttention).then(up),
            decay: match rule {
                MemoryRule::GatedDeltaRule => Some(decay(0.0)),
                MemoryRule::Mamba2 => Some(decay(1.0)),
                _ => None,
            },
            rule,
        }
    }

    /// What is read, `[1, n, H, V]`, and the memories after the last token, `[N, H, K, V]`.
    pub(super) fn forward(&self, tokens: Tokens, heads: usize, memory: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let Tokens { query, key, value, extra, resets, segments } = tokens;
        let (wide, device) = (accumulator(query.dtype()), query.device());
        let [query, key, value] = [query, key, value].map(|tokens| split_heads(tokens, heads));
        let call = Call { value, memory, resets, segments };
        let extra = || extra.expect("tokens have what the rule wants");
        match self.rule {
            MemoryRule::LinearAttention => call.linear_attention(
                elu_plus_one(query, Form::Auto),
                elu_plus_one(key, Form::Auto),
                Decay::None,
            ),
            MemoryRule::Retention => {
                call.linear_attention(query, key, Decay::PerHead(retention_decay(heads, wide, &device)))
            }
            MemoryRule::GatedLinearAttention => {
                let up = self.decay_up.as_ref().expect("gated linear attention has it");
                let log = log_sigmoid(project(up, extra()), 1.0 / GATE_NORMALIZER, None, Form::Auto);
                call.linear_attention(query, key, Decay::Vector(split_heads(log, heads)))
            }
            MemoryRule::DeltaRule => call.delta_rule(query, key, extra(), Decay::None),
            MemoryRule::GatedDeltaRule => {
                let extra = extra();
                let beta = extra.clone().narrow(2, 0, heads);
                let decay = self.gate().forward(extra.narrow(2, heads, heads)).squeeze_dim(3);
                call.delta_rule(query, key, beta, Decay::Scalar(decay))
            }
            MemoryRule::Mamba2 => call.mamba2(query, key, extra(), self.gate()),
        }
    }

    /// Which form the operator of the rule takes.
    pub(super) fn report(&self, time: usize, device: &Device) -> Report {
        match self.rule {
            MemoryRule::DeltaRule | MemoryRule::GatedDeltaRule => {
                delta_rule_report(time, &delta_options(), device)
            }
            _ => linear_attention_report(time, &LinearAttentionOptions::default(), device),
        }
    }

    fn gate(&self) -> &DecayGate {
        self.decay.as_ref().expect("the rule has decays")
    }
}

/// The tokens of all memories in one row, `[1, n, ...]`.
pub(super) struct Tokens {
    /// `[1, n, H·K]`.
    pub query: Tensor<3>,
    /// `[1, n, H·K]`.
    pub key: Tensor<3>,
    /// `[1, n, H·V]`.
    pub value: Tensor<3>,
    /// What a token has for its memory beside these, `[1, n, _]`, if the rule wants anything.
    pub extra: Option<Tensor<3>>,
    pub resets: Option<Tensor<2, Bool>>,
    pub segments: Segments,
}

/// What the operators have in common.
struct Call {
    value: Tensor<4>,
    memory: Tensor<4>,
    resets: Option<Tensor<2, Bool>>,
    segments: Segments,
}

impl Call {
    fn linear_attention(self, query: Tensor<4>, key: Tensor<4>, decay: Decay) -> (Tensor<4>, Tensor<4>) {
        let options = LinearAttentionOptions {
            initial_state: Some(LinearAttentionState { memory: self.memory, key_sum: None }),
            resets: self.resets,
            segments: Some(self.segments),
            ..Default::default()
        };
        let (read, state) = linear_attention(query, key, self.value, decay, options);
        (read, state.memory)
    }

    fn delta_rule(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        beta: Tensor<3>,
        decay: Decay,
    ) -> (Tensor<4>, Tensor<4>) {
        let options = DeltaRuleOptions {
            initial_state: Some(self.memory),
            resets: self.resets,
            segments: Some(self.segments),
            ..delta_options()
        };
        delta_rule(query, key, self.value, Beta::Scalar(sigmoid(beta)), decay, options)
    }

    fn mamba2(
        self,
        query: Tensor<4>,
        key: Tensor<4>,
        dt: Tensor<3>,
        gate: &DecayGate,
    ) -> (Tensor<4>, Tensor<4>) {
        let rates = gate.a_log.val();
        let wide = accumulator(rates.dtype());
        let options = SsdOptions {
            dt_bias: Some(gate.dt_bias.val()),
            dt_softplus: true,
            initial_state: Some(self.memory),
            resets: self.resets,
            segments: Some(self.segments),
            ..Default::default()
        };
        ssd(self.value, dt, to_dtype(rates, wide).exp().neg(), key, query, options)
    }
}

fn delta_options() -> DeltaRuleOptions {
    DeltaRuleOptions { keys: Keys::Normalise { epsilon: KEY_EPSILON }, ..Default::default() }
}
