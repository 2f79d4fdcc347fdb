//! A modern Hopfield network as a layer: attention that retrieves more than once.

use crate::ops::attention::hopfield::{RetrievalOptions, retrieve};
use crate::ops::attention::{AttentionOptions, AttentionState, attention, attention_report};
use crate::ops::{Report, accumulator, checks};
use crate::parts::{
    ProjectionInit, biased_projection, check_heads, empty_cache, head_width, join_heads, map_cache, project,
    projection, split_heads,
};
use crate::state::StateMapper;
use crate::{ConfigError, Layer, LayerConfig, MixerState, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::{LayerNorm, LayerNormConfig, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(Hopfield, "hopfield", HopfieldConfig);

/// More steps than this are taken for a mistake.
const MAX_STEPS: usize = 1 << 10;

/// Configuration of [`Hopfield`].
#[derive(Config, Debug)]
pub struct HopfieldConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads. Default: `1`.
    #[config(default = 1)]
    pub num_heads: usize,
    /// Channels per head. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// How often a state pattern is replaced by what it retrieves before the reading. Default: `0`, attention.
    #[config(default = 0)]
    pub steps: usize,
    /// The inverse temperature `β`. Default: `None`, `head_dim^-½`.
    pub beta: Option<f64>,
    /// Whether the input passes a layer norm before each of the three projections. Default: `true`.
    #[config(default = true)]
    pub normalise: bool,
    /// The epsilon of those norms. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// Whether the projections have biases. Default: `true`.
    #[config(default = true)]
    pub bias: bool,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl HopfieldConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels, there are more than 1024 steps, or `beta` is not above 0.
    pub fn try_init(&self, device: &Device) -> Result<Hopfield, ConfigError> {
        self.checked(|| {
            let heads = self.num_heads;
            check_heads(Self::KIND, self.d_model, heads, heads)?;
            let head_dim = head_width(Self::KIND, self.d_model, heads, self.head_dim)?;
            ConfigError::unless(self.steps <= MAX_STEPS, Self::KIND, || {
                format!("steps = {}, but at most {MAX_STEPS} are wanted", self.steps)
            })?;
            let beta = self.beta.unwrap_or((head_dim as f64).powf(-0.5));
            ConfigError::unless(beta.is_finite() && beta > 0.0, Self::KIND, || {
                format!("beta = {beta}, but a finite number above 0 is wanted")
            })?;
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            self.initializer.check(Self::KIND)?;
            let norm = || {
                let config = LayerNormConfig::new(self.d_model).with_epsilon(self.norm_epsilon);
                self.normalise.then(|| config.init(device))
            };
            let into = if self.bias { biased_projection } else { projection };
            let input = || into(self.d_model, heads * head_dim, self.initializer, device);
            let output = match self.bias {
                true => self.initializer.biased_output_projection(heads * head_dim, self.d_model, device),
                false => self.initializer.output_projection(heads * head_dim, self.d_model, device),
            };
            Ok(Hopfield {
                state_norm: norm(),
                stored_norm: norm(),
                projection_norm: norm(),
                state: input(),
                stored: input(),
                projection: input(),
                output,
                heads,
                steps: self.steps,
                beta,
            })
        })
    }
}

/// A modern Hopfield network whose stored patterns are the tokens so far.
///
/// ```text
/// ξ ← Σ_{j ≤ t} softmax_j(β ξᵀ x_j) x_j        `steps` times, from ξ = W_q norm(i_t)
/// y_t = W_o Σ_{j ≤ t} softmax_j(β ξᵀ x_j) v_j
/// ```
///
/// Where
///
/// * `ξ` is the state pattern of a token, `x` the stored pattern and `v` the pattern projection of each, projections of the
///   inputs `i`, each behind a layer norm of its own (optional),
/// * with `steps = 0` it is softmax attention; every step replaces the query by what it retrieves, so that it ends nearer to
///   one stored pattern, or to the mean of several that are close to one another.
///
/// Each step is [`attention`](crate::ops::attention::attention) with the keys as values. There is no early stop, as the
/// authors' program has it when all sequences of the batch have converged: a token's output would depend on the batch.
/// [`retrieve`](Self::retrieve) is the layer over patterns of one's own, which are stored all at once.
///
/// The state is the cache of stored patterns and their projections: `8·H·d` bytes per token and sequence. Tokens before a
/// reset of every sequence leave it. A step over the cache copies the stored patterns.
///
/// Source: Ramsauer et al. 2020, <https://arxiv.org/abs/2008.02217> (sec. 3), with the defaults of the authors' program.
///
/// Should be created with [`HopfieldConfig`].
#[derive(Module, Debug)]
pub struct Hopfield {
    /// The norm before the state patterns.
    pub state_norm: Option<LayerNorm>,
    /// The norm before the stored patterns.
    pub stored_norm: Option<LayerNorm>,
    /// The norm before the pattern projections.
    pub projection_norm: Option<LayerNorm>,
    /// `D` to `H·d`: the state patterns, queries.
    pub state: Linear,
    /// `D` to `H·d`: the stored patterns, keys.
    pub stored: Linear,
    /// `D` to `H·d`: the pattern projections, values.
    pub projection: Linear,
    /// `H·d` to `D`.
    pub output: Linear,
    heads: usize,
    steps: usize,
    beta: f64,
}

/// State of [`Hopfield`].
#[derive(Clone, Debug)]
pub struct HopfieldState {
    /// Stored patterns, the keys, and their projections, the values; of no tokens before the first one.
    pub cache: AttentionState,
}

impl Hopfield {
    /// What state patterns of `input`, `[B, S, D]`, retrieve from all of `stored`, `[B, L, D]`: `[B, S, D]`. There is no
    /// order among them, and no state.
    ///
    /// # Panics
    ///
    /// If there are no patterns, other channels than the layer's, or the batches differ.
    #[track_caller]
    pub fn retrieve(&self, input: Tensor<3>, stored: Tensor<3>) -> Tensor<3> {
        checks::not_empty("input", "time", input.dims()[1]);
        checks::not_empty("stored", "time", stored.dims()[1]);
        let state = self.heads(&self.state_norm, &self.state, input);
        let (patterns, projection) = self.stored(stored);
        let options = RetrievalOptions { beta: Some(self.beta), steps: self.steps, epsilon: None };
        project(&self.output, join_heads(retrieve(state, patterns, projection, options).output))
    }

    /// Stored patterns and their projections, `[B, T, H, d]` both.
    #[track_caller]
    fn stored(&self, input: Tensor<3>) -> (Tensor<4>, Tensor<4>) {
        (
            self.heads(&self.stored_norm, &self.stored, input.clone()),
            self.heads(&self.projection_norm, &self.projection, input),
        )
    }

    #[track_caller]
    fn heads(&self, norm: &Option<LayerNorm>, linear: &Linear, input: Tensor<3>) -> Tensor<4> {
        checks::channels("input", input.dims()[2], self.d_model());
        let normed = match norm {
            Some(norm) => norm.forward(input),
            None => input,
        };
        split_heads(project(linear, normed), self.heads)
    }
}

impl SequenceMixer for Hopfield {
    type State = HopfieldState;

    fn d_model(&self) -> usize {
        self.state.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let weight = self.stored.weight.val();
        let shape = [batch, self.heads, weight.dims()[1] / self.heads];
        HopfieldState { cache: empty_cache(shape, accumulator(weight.dtype()), device) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let mut pattern = self.heads(&self.state_norm, &self.state, input.clone());
        let (stored, projection) = self.stored(input);
        let options = |initial_state| AttentionOptions {
            initial_state: Some(initial_state),
            scale: Some(self.beta),
            resets: resets.clone(),
            ..Default::default()
        };
        for _ in 0..self.steps {
            let AttentionState { keys, visible, .. } = state.cache.clone();
            let patterns = AttentionState { values: keys.clone(), keys, log_decays: None, visible };
            (pattern, _) = attention(pattern, stored.clone(), stored.clone(), options(patterns));
        }
        let (read, cache) = attention(pattern, stored, projection, options(state.cache));
        (project(&self.output, join_heads(read)), HopfieldState { cache })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        attention_report(time, &AttentionOptions::default(), device)
    }
}

// Not declared by `state!`, as its tensors must be of one length.
impl MixerState for HopfieldState {
    fn layer(&self) -> String {
        Hopfield::KIND.into()
    }

    fn map_state<M: StateMapper>(self, mapper: &mut M) -> Self {
        Self { cache: map_cache(self.cache, mapper) }
    }
}
