//! The parts that the layers on the delta rule share.

use super::{
    ConvStates, GatedRmsNorm, HeadLayout, ProjectionInit, ShortConvs, check_heads, join_heads, project,
    project_all, projection, split_heads,
};
use crate::ConfigError;
use crate::config::{MAX_CHANNELS, check_numbers};
use crate::ops::delta_rule::{
    Beta, Decay, DeltaRuleOptions, Keys, delta_rule, delta_rule_report, gated_delta_product,
};
use crate::ops::{Report, accumulator};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor, activation::sigmoid, activation::silu};

/// Stands in the root by which queries and keys are divided.
const KEY_EPSILON: f64 = 1e-6;

/// The memory `[B, H, K, V]`, and the last inputs of the query, key and value convolutions, if there are any.
pub(crate) type DeltaState = (Tensor<4>, ConvStates);

/// How many heads there are, how wide they are, and how often each writes per token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeltaLayout {
    /// Heads of queries and keys, dividing `heads`.
    pub key_heads: usize,
    /// Heads of values, each with a memory.
    pub heads: usize,
    /// Key channels per head.
    pub key: usize,
    /// Value channels per head.
    pub value: usize,
    /// Writes per token.
    pub steps: usize,
}

impl DeltaLayout {
    /// Divides `expand_k · d_model` key and `expand_v · d_model` value channels into heads.
    pub fn expanded(
        layer: &str,
        d_model: usize,
        heads: usize,
        expand_k: f64,
        expand_v: f64,
    ) -> Result<Self, ConfigError> {
        let HeadLayout { key, value, .. } =
            HeadLayout::expanded(layer, d_model, heads, None, expand_k, expand_v)?;
        Ok(Self { key_heads: heads, heads, key, value, steps: 1 })
    }

    /// `num_heads` heads of `head_dim` key channels, whatever `d_model` is, and `num_v_heads` of `expand_v · head_dim`
    /// value channels.
    pub fn of_heads(
        layer: &str,
        d_model: usize,
        num_heads: usize,
        num_v_heads: Option<usize>,
        head_dim: usize,
        expand_v: f64,
    ) -> Result<Self, ConfigError> {
        check_heads(layer, d_model, num_heads, num_heads)?;
        let heads = num_v_heads.unwrap_or(num_heads);
        ConfigError::unless(heads > 0 && heads.is_multiple_of(num_heads), layer, || {
            format!("num_v_heads = {heads} is not a multiple of num_heads = {num_heads}")
        })?;
        ConfigError::unless(head_dim > 0, layer, || "head_dim is 0; give it at least 1".into())?;
        let wide = head_dim as f64 * expand_v;
        let value = wide.round() as usize;
        // The factor may be a rounded fraction: 0.07 of 100 channels are 7.000000000000001.
        let whole = wide.is_finite() && (wide - value as f64).abs() <= 1e-5 * wide;
        ConfigError::unless(whole && value > 0, layer, || {
            format!(
                "expand_v = {expand_v} makes {wide} value channels of head_dim = {head_dim}, but a whole number of \
                 at least 1 is wanted"
            )
        })?;
        Ok(Self { key_heads: num_heads, heads, key: head_dim, value, steps: 1 })
    }

    /// Channels of queries, keys and values.
    fn channels(&self) -> [usize; 3] {
        let keys = self.key_heads.saturating_mul(self.key);
        let values = self.heads.saturating_mul(self.value);
        [keys, keys.saturating_mul(self.steps), values.saturating_mul(self.steps)]
    }

    /// The channels of all heads' outputs together.
    pub fn width(&self) -> usize {
        self.heads * self.value
    }
}

/// How [`DeltaHeads`] are made, beside their layout.
pub(crate) struct DeltaOptions {
    pub conv_size: Option<usize>,
    pub conv_bias: bool,
    /// Whether tokens choose their beta; it is 1 otherwise.
    pub use_beta: bool,
    pub allow_neg_eigval: bool,
    pub norm_epsilon: f64,
    pub initializer: ProjectionInit,
}

/// Heads with a matrix memory each, written by the delta rule: the projections of queries, keys, values and betas,
/// the short convolutions after the first three, and the norm and the projection of what is read.
///
/// ```text
/// q, k, v = silu(conv(W x))        q, k divided by √(Σ x² + 1e-6)
/// β       = σ(W_β x), or twice that
/// y       = W_o ( RMSNorm(o) ⊙ gate )
/// ```
///
/// Where `o` is the output of [`delta_rule`], or of [`gated_delta_product`] with several steps per token. Without
/// convolutions `silu` stands alone, and without `W_β` beta is 1, or 2. The layers differ in how their
/// memory fades and in what makes their gate.
#[derive(Module, Debug)]
pub struct DeltaHeads {
    /// `D` to `HK·K`.
    pub query: Linear,
    /// `D` to `N·HK·K`: all heads of the first step, then of the next.
    pub key: Linear,
    /// `D` to `N·H·V`: all heads of the first step, then of the next.
    pub value: Linear,
    /// `D` to `N·H`: all heads of the first step, then of the next.
    pub beta: Option<Linear>,
    /// The convolutions of query, key and value, if any.
    pub convolutions: ShortConvs,
    /// The norm of each head's output, gated where there is a gate.
    pub norm: GatedRmsNorm,
    /// `H·V` to `D`.
    pub output: Linear,
    /// The factor of beta.
    reach: f64,
    #[module(skip)]
    layout: DeltaLayout,
}

impl DeltaHeads {
    pub(crate) fn try_init(
        layer: &str,
        d_model: usize,
        layout: DeltaLayout,
        options: DeltaOptions,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let DeltaOptions { conv_size, conv_bias, use_beta, allow_neg_eigval, norm_epsilon, initializer } =
            options;
        initializer.check(layer)?;
        ConfigError::unless_finite(layer, "norm_epsilon", norm_epsilon)?;
        let channels = layout.channels();
        let max = channels.into_iter().fold(0, usize::max);
        ConfigError::unless(max <= MAX_CHANNELS, layer, || {
            format!("the heads have {max} channels together, but at most {MAX_CHANNELS} are wanted")
        })?;
        check_numbers(layer, "the state of each sequence", &[layout.heads, layout.key, layout.value])?;
        let linear = |to| projection(d_model, to, initializer, device);
        let [query, key, value] = channels.map(linear);
        Ok(Self {
            query,
            key,
            value,
            beta: use_beta.then(|| linear(layout.heads * layout.steps)),
            convolutions: ShortConvs::try_init(channels, conv_size, conv_bias, device)?,
            norm: GatedRmsNorm::new(layout.value, norm_epsilon, device),
            output: initializer.output_projection(layout.width(), d_model, device),
            reach: if allow_neg_eigval { 2.0 } else { 1.0 },
            layout,
        })
    }

    /// The channels of input and output.
    pub(crate) fn d_model(&self) -> usize {
        self.query.weight.dims()[0]
    }

    pub(crate) fn init_state(&self, batch: usize, device: &Device) -> DeltaState {
        let DeltaLayout { heads, key, value, .. } = self.layout;
        let dtype = accumulator(self.query.weight.val().dtype());
        (
            Tensor::zeros([batch, heads, key, value], (device, dtype)),
            self.convolutions.init_state(batch, device),
        )
    }

    /// `[B, T, D]` to `[B, T, D]`, and the state after the last token. `gate` is `[B, T, H·V]`.
    pub(crate) fn forward(
        &self,
        input: Tensor<3>,
        decay: Decay,
        gate: Option<Tensor<3>>,
        resets: Option<Tensor<2, Bool>>,
        (memory, convolutions): DeltaState,
    ) -> (Tensor<3>, DeltaState) {
        let DeltaLayout { key_heads, heads, steps, .. } = self.layout;
        let projected = project_all([&self.query, &self.key, &self.value], input.clone());
        let (tokens, convolutions) = self.convolutions.forward(projected, resets.as_ref(), convolutions);
        // The convolutions end in silu; where there are none it stands alone.
        let [query, key, value] = if self.convolutions.convs.is_empty() { tokens.map(silu) } else { tokens };
        let query = split_heads(query, key_heads);
        let key = split_heads(split_steps(key, steps), key_heads);
        let value = split_heads(split_steps(value, steps), heads);
        let beta = Beta::Scalar(self.beta(input));

        let options = DeltaRuleOptions { initial_state: Some(memory), resets, ..options() };
        let (read, memory) = match steps {
            1 => delta_rule(query, key, value, beta, decay, options),
            _ => gated_delta_product(query, key, value, beta, decay, steps, options),
        };
        let gate = gate.map(|gate| split_heads(gate, heads));
        (project(&self.output, join_heads(self.norm.forward(read, gate))), (memory, convolutions))
    }

    /// Which form the delta rule takes for `time` tokens.
    pub(crate) fn report(&self, time: usize, device: &Device) -> Report {
        delta_rule_report(time * self.layout.steps, &options(), device)
    }

    /// `[B, T, D]` to `[B, T·N, H]`.
    fn beta(&self, input: Tensor<3>) -> Tensor<3> {
        let DeltaLayout { heads, steps, .. } = self.layout;
        let [batch, time, _] = input.dims();
        let beta = match &self.beta {
            Some(linear) => split_steps(sigmoid(project(linear, input)), steps),
            None => Tensor::ones([batch, time * steps, heads], (&input.device(), input.dtype())),
        };
        if self.reach == 1.0 { beta } else { beta.mul_scalar(self.reach) }
    }
}

/// The options that are the same in every call.
fn options() -> DeltaRuleOptions {
    DeltaRuleOptions { keys: Keys::Normalise { epsilon: KEY_EPSILON }, ..Default::default() }
}

/// `[B, T, N·d]` as `[B, T·N, d]`.
fn split_steps(tokens: Tensor<3>, steps: usize) -> Tensor<3> {
    let [batch, time, channels] = tokens.dims();
    tokens.reshape([batch, time * steps, channels / steps])
}
