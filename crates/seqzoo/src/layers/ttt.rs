//! Test-time training as a layer: an inner model per head that learns while it reads.

use crate::ops::Report;
use crate::ops::ttt::{Residual, TttOptions, TttState as Inner, ttt, ttt_report};
use crate::parts::{
    ConvStates, GatedRmsNorm, HeadLayout, InitialModel, LearningRates, ProjectionInit, Rotary,
    ShortConvConfig, ShortConvs, check_heads, check_tokens, head_width, join_heads, matrix_shapes, project,
    project_all, projection, split_heads,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(Ttt, "ttt", TttConfig);

/// The learning rate of a linear inner model where none is given.
const LINEAR_RATE: f64 = 1.0;

/// That of a deeper one.
const DEEP_RATE: f64 = 0.1;

/// Configuration of [`Ttt`].
#[derive(Config, Debug)]
pub struct TttConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads, each with an inner model. Default: `4`.
    #[config(default = 4)]
    pub num_heads: usize,
    /// Channels per head, of queries, keys and values. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// Layers of each inner model, with GELU between them: 1 is TTT-Linear, 2 is TTT-MLP. Default: `1`.
    #[config(default = 1)]
    pub depth: usize,
    /// Channels between those layers, as a multiple of those of a head. Default: `4.0`.
    #[config(default = 4.0)]
    pub expand_hidden: f64,
    /// Tokens whose gradients are taken at the same weights (the mini-batch); 1 is online. Default: `16`.
    #[config(default = 16)]
    pub chunk: usize,
    /// The largest learning rate, before it is divided by the channels of a head. Default: `None`, 1 for a linear inner model
    /// and 0.1 for a deeper one.
    pub base_lr: Option<f64>,
    /// Whether queries and keys carry rotary positions, counted within the chunk. Default: `true`.
    #[config(default = true)]
    pub rotary: bool,
    /// The base of the rotary angles. Default: `10000.0`.
    #[config(default = 10000.0)]
    pub rotary_base: f64,
    /// Taps of the short convolutions after the query, key and value projections, at least 2. Default: `Some(4)`.
    #[config(default = "Some(4)")]
    pub conv_size: Option<usize>,
    /// Whether those convolutions have biases. Default: `false`.
    #[config(default = false)]
    pub conv_bias: bool,
    /// Whether the output passes a gate. Default: `true`.
    #[config(default = true)]
    pub output_gate: bool,
    /// The epsilon of the output norm. Default: `1e-5`.
    #[config(default = 1e-5)]
    pub norm_epsilon: f64,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl TttConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no heads, channels, layers or tokens in a chunk, the heads do not divide the channels, rotary positions
    /// are asked for an odd number of channels, the convolutions have fewer than 2 taps, or a number is out of its range.
    pub fn try_init(&self, device: &Device) -> Result<Ttt, ConfigError> {
        self.checked(|| {
            ConfigError::unless_finite(Self::KIND, "norm_epsilon", self.norm_epsilon)?;
            check_heads(Self::KIND, self.d_model, self.num_heads, self.num_heads)?;
            self.initializer.check(Self::KIND)?;
            let channels = head_width(Self::KIND, self.d_model, self.num_heads, self.head_dim)?;
            check_tokens(Self::KIND, "chunk", self.chunk)?;
            let shapes = matrix_shapes(Self::KIND, self.num_heads, channels, self.depth, self.expand_hidden)?;
            let layout = HeadLayout {
                heads: self.num_heads,
                key_value_heads: self.num_heads,
                key: channels,
                value: channels,
            };
            let width = self.num_heads * channels;
            let [query, key, value] = layout.projections(self.d_model, self.initializer, device);
            let rotary = match self.rotary {
                true => Some(Rotary::new(Self::KIND, self.rotary_base, channels)?),
                false => None,
            };
            let base = self.base_lr.unwrap_or(if self.depth == 1 { LINEAR_RATE } else { DEEP_RATE });
            let rates = LearningRates::try_init(
                Self::KIND,
                [self.d_model, self.num_heads],
                self.chunk,
                base / channels as f64,
                self.initializer,
                device,
            )?;
            let gate = || projection(self.d_model, width, self.initializer, device);
            Ok(Ttt {
                query,
                key,
                value,
                convolutions: self.convolutions(width, device)?,
                rates,
                initial: InitialModel::new(&shapes, device),
                gate: self.output_gate.then(gate),
                norm: GatedRmsNorm::new(channels, self.norm_epsilon, device),
                output: layout.output(self.d_model, self.initializer, device),
                heads: self.num_heads,
                chunk: self.chunk,
                rotary,
            })
        })
    }

    /// The convolutions over `width` channels, without an activation after them.
    fn convolutions(&self, width: usize, device: &Device) -> Result<ShortConvs, ConfigError> {
        let Some(taps) = self.conv_size else { return Ok(ShortConvs { convs: Vec::new() }) };
        let config =
            ShortConvConfig::new(width).with_width(taps).with_bias(self.conv_bias).with_activation(false);
        Ok(ShortConvs { convs: (0..3).map(|_| config.try_init(device)).collect::<Result<_, _>>()? })
    }
}

/// Test-time training (TTT-Linear and TTT-MLP): each head is an inner model that learns, by a step of gradient descent per
/// token, to answer keys with values.
///
/// ```text
/// f(x) = x + LN(x W + b)    or    x + LN(GELU(x W1 + b1) W2 + b2)
/// W_t  = W − η_t Σ λ_s ∇ ½ ‖f(k_s) − v_s‖²        over the tokens s of the chunk up to t, at the weights W before it
/// y_t  = W_o ( RMSNorm(f(q_t)) ⊙ silu(W_g x_t) )        f with the weights W_t
/// ```
///
/// Where
///
/// * `q`, `k`, `v` are projections of the input, each through a short convolution (optional), `q` and `k` rotated by their
///   places in the chunk (optional),
/// * `λ` is a learning rate per token and head, `η` one per place in the chunk; see
///   [`LearningRates`](crate::parts::LearningRates),
/// * `LN` is a layer norm with a gain and an offset per head, and GELU the exact one,
/// * the weights begin as learned ones; see [`InitialModel`](crate::parts::InitialModel),
/// * the norm before the output works on each head by itself, and the gate after it is optional.
///
/// The state is the weights before the chunk, the sums of its gradients so far, and the place in the chunk:
/// `8·H·P + 4` bytes per sequence, `P = d² + d` numbers in a linear inner model of `d` channels, `P = 2·d·h + h + d` in one
/// of two layers with `h` channels between them; and the last inputs of the convolutions.
///
/// The law is that of the authors' programs. Around it they differ, also from each other: their Transformer backbone has no
/// convolutions and no gate; their Mamba backbone has one projection for queries and keys, with a convolution each, none on
/// the values, and a gate with GELU; both have a layer norm over all heads where this layer has the norm and the gate of
/// [`NeuralMemory`](super::NeuralMemory), so that the two can be compared. Their GELU is the approximation by `tanh`.
///
/// Source: Sun et al. 2024, <https://arxiv.org/abs/2407.04620> (sec. 2).
///
/// Should be created with [`TttConfig`].
#[derive(Module, Debug)]
pub struct Ttt {
    /// `D` to `H·K`.
    pub query: Linear,
    /// `D` to `H·K`.
    pub key: Linear,
    /// `D` to `H·K`.
    pub value: Linear,
    /// The convolutions of query, key and value, if any.
    pub convolutions: ShortConvs,
    /// How fast the inner models learn.
    pub rates: LearningRates,
    /// What the inner models begin as, and their norm.
    pub initial: InitialModel,
    /// `D` to `H·K`.
    pub gate: Option<Linear>,
    /// The norm of each head's output, gated where there is a gate.
    pub norm: GatedRmsNorm,
    /// `H·K` to `D`.
    pub output: Linear,
    heads: usize,
    chunk: usize,
    #[module(skip)]
    rotary: Option<Rotary>,
}

crate::state! {
    /// State of [`Ttt`].
    pub struct TttState of Ttt {
        /// The inner models: weights before the chunk, the sums of its gradients, `[B, H, in, out]` and `[B, H, 1, out]` for
        /// each of their layers, and the place in the chunk.
        pub inner: Inner,
        /// The last inputs of the convolutions, if the layer has them.
        pub convolutions: ConvStates,
    }
}

impl Ttt {
    fn options(&self) -> TttOptions {
        // As published, queries are not scaled, and the inner model adds its input.
        TttOptions { chunk: self.chunk, scale: Some(1.0), residual: Residual::Query, ..Default::default() }
    }
}

impl SequenceMixer for Ttt {
    type State = TttState;

    fn d_model(&self) -> usize {
        self.query.weight.lazy_shape()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> TttState {
        let inner =
            Inner::new(self.initial.model().map(|tensor| tensor.to_device(device)), batch, self.chunk);
        TttState { inner, convolutions: self.convolutions.init_state(batch, device) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: TttState,
    ) -> (Tensor<3>, TttState) {
        let projected = project_all([&self.query, &self.key, &self.value], input.clone());
        let (tokens, convolutions) =
            self.convolutions.forward(projected, resets.as_ref(), state.convolutions);
        let [mut query, mut key, value] = tokens.map(|tokens| split_heads(tokens, self.heads));
        let [_, time, _, channels] = query.dims();
        let places = state.inner.places_of(time, resets.as_ref());
        if let Some(rotary) = &self.rotary {
            let rotation = rotary.at(0, self.chunk, channels, query.dtype(), &query.device()).select(&places);
            (query, key) = (rotation.apply(query), rotation.apply(key));
        }
        let steps = self.rates.forward(input.clone(), &places);
        let options = TttOptions { initial_state: Some(state.inner), resets, ..self.options() };
        let (read, inner) = ttt(query, key, value, steps, self.initial.model(), self.initial.norm(), options);
        let gate = self.gate.as_ref().map(|gate| split_heads(gate.forward(input), self.heads));
        let output = project(&self.output, join_heads(self.norm.forward(read, gate)));
        (output, TttState { inner, convolutions })
    }

    fn report(&self, time: usize, device: &Device) -> Report {
        ttt_report(time, &self.options(), device)
    }
}
