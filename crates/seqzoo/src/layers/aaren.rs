//! Attention as a recurrent network: a learned query per head, and softmax attention in constant memory.

use crate::ops::accumulator;
use crate::parts::{
    ProjectionInit, RunningSoftmax, check_heads, head_width, join_heads, project, projection,
    running_softmax, split_heads,
};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor};

crate::layer!(Aaren, "aaren", AarenConfig);

/// Configuration of [`Aaren`].
#[derive(Config, Debug)]
pub struct AarenConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Heads, each with a query of its own. Default: `8`.
    #[config(default = 8)]
    pub num_heads: usize,
    /// Channels per head. Default: `None`, `d_model / num_heads`.
    pub head_dim: Option<usize>,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl AarenConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If the heads do not divide the channels.
    pub fn try_init(&self, device: &Device) -> Result<Aaren, ConfigError> {
        self.checked(|| {
            let heads = self.num_heads;
            check_heads(Self::KIND, self.d_model, heads, heads)?;
            let head_dim = head_width(Self::KIND, self.d_model, heads, self.head_dim)?;
            self.initializer.check(Self::KIND)?;
            let input = || projection(self.d_model, heads * head_dim, self.initializer, device);
            Ok(Aaren {
                query: Initializer::Normal { mean: 0.0, std: 1.0 }.init([heads, head_dim], device),
                key: input(),
                value: input(),
                output: self.initializer.output_projection(heads * head_dim, self.d_model, device),
            })
        })
    }
}

/// Aaren: attention of a learned query to all tokens so far, as a recurrence.
///
/// ```text
/// s_t = qᵀ k_t / √d
/// m_t = max(m_{t-1}, s_t)
/// u_t = u_{t-1} exp(m_{t-1} − m_t) + exp(s_t − m_t)
/// w_t = w_{t-1} exp(m_{t-1} − m_t) + exp(s_t − m_t) v_t
/// y_t = W_o (w_t / u_t)
/// ```
///
/// Where `k` and `v` are projections of the input, and `q` is a learned vector per head, the same at every token. What is
/// read is softmax attention's output of that query over all tokens so far, so that the layer says how important each token
/// is once and for all, and forgets it only by comparison.
///
/// The state is `m`, `u` and `w`: `4·H·(d + 2)` bytes per sequence.
///
/// The paper has one learned token, of which `q` is a projection; a vector per head can be any such projection. It names no
/// scale; `d^-½` is usual. [`running_softmax`] is the computation.
///
/// Source: Feng et al. 2024, <https://arxiv.org/abs/2405.13956> (sec. 3.3).
///
/// Should be created with [`AarenConfig`].
#[derive(Module, Debug)]
pub struct Aaren {
    /// The query of each head, `[H, d]`.
    pub query: Param<Tensor<2>>,
    /// `D` to `H·d`.
    pub key: Linear,
    /// `D` to `H·d`.
    pub value: Linear,
    /// `H·d` to `D`.
    pub output: Linear,
}

crate::state! {
    /// State of [`Aaren`].
    pub struct AarenState of Aaren {
        /// The largest score so far, `m`, `[B, H]`; `-1e30` before the first token.
        pub max: Tensor<2> as Recurrent,
        /// The sum of the weights, `u`, `[B, H]`.
        pub weight_sum: Tensor<2> as Recurrent,
        /// The sum of the weighted values, `w`, `[B, H, d]`.
        pub weighted_values: Tensor<3> as Recurrent,
    }
}

impl From<RunningSoftmax> for AarenState {
    fn from(running: RunningSoftmax) -> Self {
        let RunningSoftmax { max, weight_sum, weighted_values } = running;
        Self { max, weight_sum, weighted_values }
    }
}

impl SequenceMixer for Aaren {
    type State = AarenState;

    fn d_model(&self) -> usize {
        self.key.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let [heads, channels] = self.query.dims();
        let dtype = accumulator(self.key.weight.val().dtype());
        RunningSoftmax::empty([batch, heads, channels], dtype, device).into()
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let [heads, channels] = self.query.dims();
        let key = split_heads(project(&self.key, input.clone()), heads);
        let value = split_heads(project(&self.value, input), heads);
        let query = self.query.val().mul_scalar((channels as f64).powf(-0.5));
        let scores = (key * query.unsqueeze::<4>()).sum_dim(3).squeeze_dim::<3>(3);
        let AarenState { max, weight_sum, weighted_values } = state;
        let before = RunningSoftmax { max, weight_sum, weighted_values };
        let (read, after) = running_softmax(scores, value, resets, before);
        (project(&self.output, join_heads(read)), after.into())
    }
}
