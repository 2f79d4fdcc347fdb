//! A feed-forward of many, of which every token takes a few.

use super::{Dispatch, ProjectionInit, Router, RoutingLoad, SwiGlu, cut, project, projection};
use crate::ConfigError;
use crate::config::{check_channels, check_numbers};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation::sigmoid};

/// More experts than this are taken for a mistake.
const MAX_EXPERTS: usize = 1 << 12;

/// Configuration of a [`MixtureOfExperts`].
#[derive(Config, Debug, PartialEq, Copy)]
pub struct MixtureOfExpertsConfig {
    /// Experts that tokens are sent to.
    pub num_experts: usize,
    /// Experts that every token goes to.
    pub top_k: usize,
    /// Hidden channels of each expert.
    pub hidden: usize,
    /// Hidden channels of one more expert, which every token goes to. Default: `None`, there is none.
    pub shared_hidden: Option<usize>,
    /// Whether the weights of a token's experts sum to 1; they are their probabilities among all experts otherwise.
    /// Default: `true`.
    #[config(default = true)]
    pub normalise: bool,
    /// Multiplies the load-balancing loss. Default: `0.001`.
    #[config(default = 0.001)]
    pub balance: f64,
}

impl MixtureOfExpertsConfig {
    /// Says why `subject` cannot have such experts on `d_model` channels, if anything is wrong with them.
    pub(crate) fn check(&self, subject: &str, d_model: usize) -> Result<(), ConfigError> {
        let Self { num_experts, top_k, hidden, shared_hidden, balance, .. } = *self;
        ConfigError::unless((1..=MAX_EXPERTS).contains(&num_experts), subject, || {
            format!("num_experts = {num_experts}, but from 1 to {MAX_EXPERTS} experts are wanted")
        })?;
        ConfigError::unless((1..=num_experts).contains(&top_k), subject, || {
            format!(
                "top_k = {top_k}, but every token goes to at least 1 and at most num_experts = {num_experts}"
            )
        })?;
        check_channels(subject, "the hidden width of the experts", hidden)?;
        check_numbers(subject, "each expert", &[d_model, hidden])?;
        if let Some(shared) = shared_hidden {
            check_channels(subject, "the hidden width of the shared expert", shared)?;
            check_numbers(subject, "the shared expert", &[d_model, shared])?;
        }
        ConfigError::unless_finite(subject, "balance", balance)
    }
}

/// Many gated feed-forwards, the experts, of which every token goes to a few.
///
/// ```text
/// p = softmax(W_r x)        e ∈ top k of p        w_e = p_e / Σ_{top k} p, or p_e
/// y = Σ_e w_e expert_e(x) + σ(w_sᵀ x) shared(x)
/// ```
///
/// Where
///
/// * an expert is a [`SwiGlu`]; the shared one, which every token goes to, is optional,
/// * of experts that a token likes equally the first ones are taken.
///
/// The tokens of a call are sorted by expert, stably, and each expert runs once over those that it got: the cost grows
/// with `k`, not with the number of experts, and no token is dropped, however many go to one expert. The choices are read
/// from the device in every call.
///
/// Source: Shazeer et al. 2017, <https://arxiv.org/abs/1701.06538> (sec. 2); the shared expert with its gate: transformers,
/// `Qwen3NextSparseMoeBlock`.
#[derive(Module, Debug)]
pub struct MixtureOfExperts {
    /// `W_r`.
    pub router: Router,
    /// The experts that tokens are sent to.
    pub experts: Vec<SwiGlu>,
    /// The expert that every token goes to, if there is one.
    pub shared: Option<SharedExpert>,
    balance: f64,
}

/// The expert of a [`MixtureOfExperts`] that every token goes to.
#[derive(Module, Debug)]
pub struct SharedExpert {
    /// `w_s`, `D` to 1.
    pub gate: Linear,
    /// The feed-forward.
    pub expert: SwiGlu,
}

impl MixtureOfExperts {
    /// For `d_model` channels; the configuration is [checked](MixtureOfExpertsConfig::check).
    pub(crate) fn new(
        config: &MixtureOfExpertsConfig,
        d_model: usize,
        init: ProjectionInit,
        device: &Device,
    ) -> Self {
        let MixtureOfExpertsConfig { num_experts, top_k, .. } = *config;
        let expert = |hidden| SwiGlu::new(d_model, hidden, init, device);
        Self {
            router: Router::new(d_model, num_experts, top_k, init, device).normalised(config.normalise),
            experts: (0..num_experts).map(|_| expert(config.hidden)).collect(),
            shared: config.shared_hidden.map(|hidden| SharedExpert {
                gate: projection(d_model, 1, init, device),
                expert: expert(hidden),
            }),
            balance: config.balance,
        }
    }

    /// `[B, T, D]` to `[B, T, D]`, and how evenly the tokens went to the experts; `None` where there are no tokens.
    ///
    /// # Panics
    ///
    /// If the input has other channels.
    #[track_caller]
    pub fn forward(&self, input: Tensor<3>) -> (Tensor<3>, Option<RoutingLoad>) {
        let [batch, time, channels] = input.dims();
        if batch * time == 0 {
            return (self.experts[0].forward(input), None);
        }
        let routing = self.router.forward(input.clone());
        let dispatch = Dispatch::new(&routing.by_destination(), routing.top_k());
        let tokens = input.reshape([batch * time, channels]);
        let sorted = tokens.clone().select(0, dispatch.order(&tokens.device()));
        let parts = dispatch.touched.iter().zip(cut(sorted, &dispatch.counts));
        let parts = parts.map(|(expert, tokens)| self.experts[*expert].forward(tokens));
        let routed = dispatch.combine(Tensor::cat(parts.collect(), 0), &routing);
        let output = match &self.shared {
            Some(SharedExpert { gate, expert }) => {
                routed + sigmoid(project(gate, tokens.clone())) * expert.forward(tokens)
            }
            None => routed,
        };
        (output.reshape([batch, time, channels]), Some(routing.load()))
    }

    /// What is to be added to the loss for a call with this load, `[1]`: `balance` times its
    /// [load-balancing loss](RoutingLoad::balance_loss), if that counts at all.
    pub fn auxiliary_loss(&self, load: &RoutingLoad) -> Option<Tensor<1>> {
        (self.balance > 0.0).then(|| load.balance_loss().mul_scalar(self.balance))
    }
}
