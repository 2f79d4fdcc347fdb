//! The Legendre memory unit: a sliding window as Legendre coefficients.

use crate::config::{check_channels, check_numbers};
use crate::ops::{Form, Report, accumulator, to_dtype};
use crate::parts::{DelayNetwork, ProjectionInit, biased_projection, exact_gelu, project, projection};
use crate::{ConfigError, LayerConfig, SequenceMixer};
use burn::config::Config;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Bool, Device, Tensor, activation};

crate::layer!(Lmu, "lmu", LmuConfig);

/// An activation of [`Lmu`].
#[derive(Config, Debug, PartialEq, Copy)]
pub enum LmuActivation {
    /// None.
    Identity,
    /// `tanh(x)`.
    Tanh,
    /// `max(x, 0)`.
    Relu,
    /// `x Φ(x)`.
    Gelu,
}

impl LmuActivation {
    fn apply(self, input: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Identity => input,
            Self::Tanh => input.tanh(),
            Self::Relu => activation::relu(input),
            Self::Gelu => exact_gelu(input),
        }
    }
}

/// Configuration of [`Lmu`].
#[derive(Config, Debug)]
pub struct LmuConfig {
    /// Channels of input and output.
    pub d_model: usize,
    /// Signals `M` that are remembered, each in a memory of its own. Default: `1`.
    #[config(default = 1)]
    pub memory_channels: usize,
    /// Coefficients `d` of a memory, at most 512. Default: `64`; the published permuted MNIST has 256.
    #[config(default = 64)]
    pub order: usize,
    /// Tokens `θ` in the window, at least 1. Default: `784.0`, that of permuted MNIST.
    #[config(default = 784.0)]
    pub theta: f64,
    /// The activation `f` of what is remembered. Default: [`LmuActivation::Relu`].
    #[config(default = "LmuActivation::Relu")]
    pub input_activation: LmuActivation,
    /// The activation `g` of the output. Default: [`LmuActivation::Relu`].
    #[config(default = "LmuActivation::Relu")]
    pub output_activation: LmuActivation,
    /// How the projections are initialised. Default: [`ProjectionInit::Uniform`].
    #[config(default = "ProjectionInit::Uniform")]
    pub initializer: ProjectionInit,
}

impl LmuConfig {
    /// The layer.
    ///
    /// # Errors
    ///
    /// If there are no channels, `order` is 0 or more than 512, or `theta` is below 1.
    pub fn try_init(&self, device: &Device) -> Result<Lmu, ConfigError> {
        self.checked(|| {
            let (d_model, channels, order) = (self.d_model, self.memory_channels, self.order);
            check_channels(Self::KIND, "d_model", d_model)?;
            check_channels(Self::KIND, "memory_channels", channels)?;
            self.initializer.check(Self::KIND)?;
            let network = DelayNetwork::new(Self::KIND, order, self.theta)?;
            let memory = check_numbers(Self::KIND, "the state of each sequence", &[channels, order])?;
            Ok(Lmu {
                write: biased_projection(d_model, channels, self.initializer, device),
                read: projection(memory, d_model, self.initializer, device),
                skip: biased_projection(d_model, d_model, self.initializer, device),
                network,
                input_activation: self.input_activation,
                output_activation: self.output_activation,
            })
        })
    }
}

/// The Legendre memory unit, in its parallel form: a linear memory of the last `θ` tokens that is not learned, between
/// learned projections.
///
/// ```text
/// u_t = f(W_u x_t + b_u)
/// m_t = Ā m_{t-1} + B̄ u_t
/// y_t = g(W_m m_t + W_x x_t + b)
/// ```
///
/// Where
///
/// * `u` has `M` channels, and each has a memory of `d` coefficients: those of the Legendre polynomials, on the window of
///   `θ` tokens, that approximate the signal,
/// * `Ā = e^(A/θ)` and `B̄ = A⁻¹(Ā − 1)B` hold the input between tokens; `A_nk = (2n + 1)·(−1 if n < k else (−1)^(n−k+1))`
///   and `B_n = (2n + 1)·(−1)^n`.
///
/// Tokens are taken in chunks through precomputed powers of `Ā`. The state is `m`, `4·M·d` bytes per sequence.
///
/// Source: Voelker et al. 2019, *Legendre Memory Units: Continuous-Time Representation in Recurrent Neural Networks*
/// (eq. 1 to 4), and Chilkuri & Eliasmith 2021, <https://arxiv.org/abs/2102.11417> (sec. 3), which leaves out the
/// recurrent connections.
///
/// Should be created with [`LmuConfig`].
#[derive(Module, Debug)]
pub struct Lmu {
    /// `W_u` and `b_u`: `D` to `M`.
    pub write: Linear,
    /// `W_m`: `M·d` to `D`, channel by channel.
    pub read: Linear,
    /// `W_x` and `b`: `D` to `D`.
    pub skip: Linear,
    #[module(skip)]
    network: DelayNetwork,
    #[module(skip)]
    input_activation: LmuActivation,
    #[module(skip)]
    output_activation: LmuActivation,
}

crate::state! {
    /// State of [`Lmu`].
    pub struct LmuState of Lmu {
        /// The coefficients `m`, `[B, M, d]`.
        pub memory: Tensor<3> as Recurrent,
    }
}

impl SequenceMixer for Lmu {
    type State = LmuState;

    fn d_model(&self) -> usize {
        self.skip.weight.dims()[0]
    }

    fn init_state(&self, batch: usize, device: &Device) -> Self::State {
        let [_, channels] = self.write.weight.dims();
        let dtype = accumulator(self.write.weight.val().dtype());
        LmuState { memory: Tensor::zeros([batch, channels, self.network.order()], (device, dtype)) }
    }

    fn mix(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        state: Self::State,
    ) -> (Tensor<3>, Self::State) {
        let dtype = input.dtype();
        let wide = accumulator(dtype);
        let signals = self.input_activation.apply(project(&self.write, input.clone()));
        let memories = self.network.forward(to_dtype(signals, wide), resets, to_dtype(state.memory, wide));
        let [batch, time, channels, order] = memories.dims();
        let last = memories.clone().narrow(1, time - 1, 1).squeeze_dim(1);
        let memories = to_dtype(memories.reshape([batch, time, channels * order]), dtype);
        let output = project(&self.read, memories) + project(&self.skip, input);
        (self.output_activation.apply(output), LmuState { memory: last })
    }

    fn report(&self, time: usize, _device: &Device) -> Report {
        match time {
            1 => Report::form(Form::Naive, "one token"),
            _ => Report::form(Form::Chunked { size: DelayNetwork::CHUNK }, "plain tensor operations"),
        }
    }
}
