//! The heads of a neural memory.

use super::{
    ConvStates, HeadLayout, MemoryGates, ProjectionInit, ShortConvs, check_heads, check_tokens, head_width,
    matrix_shapes, project, project_all, split_heads,
};
use crate::ConfigError;
use crate::ops::neural_memory::{
    NeuralMemoryOptions, NeuralMemoryState, neural_memory, neural_memory_report,
};
use crate::ops::token_wise::rms_norm::unit_length;
use crate::ops::{Form, Report, accumulator, to_dtype};
use crate::state::{StateField, StateMapper, StatePart};
use burn::module::{Module, Param};
use burn::nn::{Initializer, Linear};
use burn::tensor::{Bool, Device, Tensor, activation::silu};

/// Stands in the root by which queries and keys are divided.
const KEY_EPSILON: f64 = 1e-6;

/// The largest step of a linear memory where none is given; half of it replaces what a key of unit length held.
const LINEAR_STEP: f64 = 1.0;

/// That of a deeper one, in which a step of one layer grows with the weights of the next.
const DEEP_STEP: f64 = 0.02;

/// What a neural memory is and how it is written, beside its layout.
pub(crate) struct MemoryOptions {
    pub depth: usize,
    pub expand_hidden: f64,
    pub chunk: usize,
    pub residual: bool,
    pub forgetting: bool,
    pub momentum: bool,
    pub max_step: Option<f64>,
    pub persistent: usize,
    pub conv_size: Option<usize>,
    pub conv_bias: bool,
    pub initializer: ProjectionInit,
}

/// Heads with a network each that learns while it reads: the projections of queries, keys and values, the short
/// convolutions after them, the gates, and what the networks begin as.
///
/// ```text
/// q, k, v = silu(conv(W x))        q, k divided by √(Σ x² + 1e-6)
/// o       = neural_memory(q, k, v, gates(x), initial weights)
/// ```
///
/// The initial weights are learned matrices (initially Xavier-uniform). With persistent tokens, learned ones `[N, D]`
/// (initially normal), the memory has read these before the first token: they go through the projections of keys and
/// values, `silu` and the gates like other tokens, without the convolutions, and are stored in chunks of their own from
/// the learned matrices on; their momentum ends with them.
#[derive(Module, Debug)]
pub struct MemoryHeads {
    /// `D` to `H·K`.
    pub query: Linear,
    /// `D` to `H·K`.
    pub key: Linear,
    /// `D` to `H·V`.
    pub value: Linear,
    /// The convolutions of query, key and value, if any.
    pub convolutions: ShortConvs,
    /// How much is forgotten, kept and learned.
    pub gates: MemoryGates,
    /// The matrices that the memory begins as, `[H, in, out]` for each of its layers.
    pub weights: Vec<Param<Tensor<3>>>,
    /// Tokens that the memory has read before the first one, `[N, D]`.
    pub persistent: Option<Param<Tensor<2>>>,
    heads: usize,
    chunk: usize,
    residual: bool,
}

impl MemoryHeads {
    pub(crate) fn try_init(
        layer: &str,
        d_model: usize,
        num_heads: usize,
        head_dim: Option<usize>,
        options: MemoryOptions,
        device: &Device,
    ) -> Result<Self, ConfigError> {
        let MemoryOptions { depth, expand_hidden, chunk, residual, persistent, .. } = options;
        let init = options.initializer;
        check_heads(layer, d_model, num_heads, num_heads)?;
        init.check(layer)?;
        let width = head_width(layer, d_model, num_heads, head_dim)?;
        let shapes = matrix_shapes(layer, num_heads, width, depth, expand_hidden)?;
        check_tokens(layer, "chunk", chunk)?;
        let layout = HeadLayout { heads: num_heads, key_value_heads: num_heads, key: width, value: width };
        let [query, key, value] = layout.projections(d_model, init, device);
        let matrix = |shape: [usize; 3]| {
            let [_, from, to] = shape;
            Initializer::XavierUniform { gain: 1.0 }.init_with(shape, Some(from), Some(to), device)
        };
        let tokens = |count| Initializer::Normal { mean: 0.0, std: 1.0 }.init([count, d_model], device);
        Ok(Self {
            query,
            key,
            value,
            convolutions: layout.convolutions(options.conv_size, options.conv_bias, device)?,
            gates: MemoryGates::try_init(
                layer,
                [d_model, num_heads],
                chunk,
                [options.forgetting, options.momentum],
                options.max_step.unwrap_or(if depth == 1 { LINEAR_STEP } else { DEEP_STEP }),
                init,
                device,
            )?,
            weights: shapes.into_iter().map(matrix).collect(),
            persistent: (persistent > 0).then(|| tokens(persistent)),
            heads: num_heads,
            chunk,
            residual,
        })
    }

    /// The channels of the input.
    pub(crate) fn d_model(&self) -> usize {
        self.query.weight.lazy_shape()[0]
    }

    /// The channels of all heads' outputs together.
    pub(crate) fn width(&self) -> usize {
        self.query.weight.lazy_shape()[1]
    }

    pub(crate) fn heads(&self) -> usize {
        self.heads
    }

    pub(crate) fn residual(&self) -> bool {
        self.residual
    }

    /// The memory before the first token, and the states of the convolutions.
    pub(crate) fn init_state(&self, batch: usize, device: &Device) -> (NeuralMemoryState, ConvStates) {
        let weights = self.initial().into_iter().map(|weights| weights.to_device(device)).collect();
        let memory = NeuralMemoryState::new(weights, batch, self.chunk);
        (memory, self.convolutions.init_state(batch, device))
    }

    /// What is read for tokens `[B, T, D]`, `[B, T, H, V]`, and the state after the last one.
    pub(crate) fn forward(
        &self,
        input: Tensor<3>,
        resets: Option<Tensor<2, Bool>>,
        surprise: bool,
        (memory, convolutions): (NeuralMemoryState, ConvStates),
    ) -> (Tensor<4>, (NeuralMemoryState, ConvStates)) {
        let projected = project_all([&self.query, &self.key, &self.value], input.clone());
        let (tokens, convolutions) = self.convolutions.forward(projected, resets.as_ref(), convolutions);
        // The convolutions end in silu; where there are none it stands alone.
        let tokens = if self.convolutions.convs.is_empty() { tokens.map(silu) } else { tokens };
        let [query, key, value] = tokens.map(|tokens| split_heads(tokens, self.heads));
        // Persistent tokens are read again only where something returns to them.
        let initial = if resets.is_some() { self.initial() } else { self.learned() };
        let options = NeuralMemoryOptions { initial_state: Some(memory), surprise, resets, ..self.options() };
        let (read, memory) =
            neural_memory(unit(query), unit(key), value, self.gates.forward(input), initial, options);
        (read, (memory, convolutions))
    }

    /// The weights before the first token, `[1, H, in, out]` for every layer.
    fn initial(&self) -> Vec<Tensor<4>> {
        let Some(tokens) = &self.persistent else { return self.learned() };
        let tokens = tokens.val().unsqueeze::<3>();
        let [key, value] = [&self.key, &self.value]
            .map(|linear| split_heads(silu(project(linear, tokens.clone())), self.heads));
        let (key, gates) = (unit(key), self.gates.forward(tokens));
        neural_memory(key.clone(), key, value, gates, self.learned(), self.options()).1.weights
    }

    /// The learned matrices, `[1, H, in, out]`.
    fn learned(&self) -> Vec<Tensor<4>> {
        let wide = accumulator(self.query.weight.val().dtype());
        self.weights.iter().map(|weights| to_dtype(weights.val(), wide).unsqueeze()).collect()
    }

    fn options(&self) -> NeuralMemoryOptions {
        NeuralMemoryOptions { chunk: self.chunk, residual: self.residual, ..Default::default() }
    }

    /// Which form the memory takes for `time` tokens.
    pub(crate) fn report(&self, time: usize, device: &Device) -> Report {
        neural_memory_report(time, self.weights.len(), &self.options(), device)
    }
}

/// Queries or keys of unit length.
pub(super) fn unit(tokens: Tensor<4>) -> Tensor<4> {
    unit_length(tokens, KEY_EPSILON, Form::Auto)
}

/// Its tensors by layer; what tokens were to the memory is not kept.
impl StateField for NeuralMemoryState {
    fn map_field<M: StateMapper>(self, name: &str, mapper: &mut M) -> Self {
        let mut layers = |part: &str, layers: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
            let layers = layers.into_iter().enumerate();
            let place = |(layer, tensor)| {
                mapper.tensor(&format!("{name}.{part}.{layer}"), StatePart::Recurrent, tensor)
            };
            layers.map(place).collect()
        };
        Self {
            weights: layers("weights", self.weights),
            momentum: layers("momentum", self.momentum),
            start: layers("start", self.start),
            position: mapper.places(&format!("{name}.position"), self.position, self.chunk),
            chunk: self.chunk,
            surprise: None,
        }
    }
}
