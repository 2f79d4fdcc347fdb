//! The checked problem that every form solves.

use super::network::Network;
use super::options::{Gates, NeuralMemoryOptions, NeuralMemoryState};
use crate::checks;
use crate::fast_weights::for_batch;
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, DType, Tensor};

/// The most layers of a memory.
pub(super) const MAX_LAYERS: usize = 32;

/// Arguments after checking, in the accumulator's dtype, all with `h` heads.
pub(super) struct Problem {
    pub query: Tensor<4>,    // [b, t, h, k]
    pub key: Tensor<4>,      // [b, t, h, k]
    pub value: Tensor<4>,    // [b, t, h, v]
    pub forget: Tensor<4>,   // [b, t, h, 1]
    pub momentum: Tensor<4>, // [b, t, h, 1]
    pub step: Tensor<4>,     // [b, t, h, 1]
    /// What resets return to, `[b, h, in, out]` for every layer.
    pub initial: Vec<Tensor<4>>,
    pub state: NeuralMemoryState,
    pub network: Network,
    pub chunk: usize,
    pub surprise: bool,
    pub resets: Option<Tensor<2, Bool>>, // [b, t]
}

impl Problem {
    #[track_caller]
    pub fn checked(
        query: Tensor<4>,
        key: Tensor<4>,
        value: Tensor<4>,
        gates: Gates,
        weights: Vec<Tensor<4>>,
        options: NeuralMemoryOptions,
    ) -> Self {
        let [batch, time, _, key_dim] = query.dims();
        let [_, _, heads, value_dim] = value.dims();
        let wide = accumulator(query.dtype());
        checks::stored_tokens(&query, &key, &value, options.resets.as_ref());
        assert!(options.chunk > 0, "The option `chunk` is 0, but at least 1 token is wanted.");
        let initial = checked_weights(weights, [batch, heads, key_dim, value_dim], wide);
        assert!(
            !options.residual || key_dim == value_dim,
            "A residual memory adds its input to its answer, but keys have {key_dim} channels and values {value_dim}."
        );
        let state = match options.initial_state {
            Some(state) => checked_state(state, &initial, options.chunk),
            None => NeuralMemoryState::new(initial.clone(), batch, options.chunk),
        };
        let gate = |name: &str, gate: Tensor<3>| {
            let found = gate.dims()[2];
            checks::shape(name, &gate.dims(), &[("B", batch), ("T", time), ("H", found)]);
            checks::divides(name, found, "value", heads);
            repeat_heads(to_dtype(gate, wide).unsqueeze_dim(3), heads)
        };
        Self {
            query: repeat_heads(to_dtype(query, wide), heads),
            key: repeat_heads(to_dtype(key, wide), heads),
            value: to_dtype(value, wide),
            forget: gate("gates.forget", gates.forget),
            momentum: gate("gates.momentum", gates.momentum),
            step: gate("gates.step", gates.step),
            initial,
            state,
            network: Network { residual: options.residual },
            chunk: options.chunk,
            surprise: options.surprise,
            resets: options.resets,
        }
    }

    /// Whether there are no sequences, and so nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.value.dims()[0] == 0
    }
}

/// The initial weights as `[b, h, in, out]`: a chain of matrices from keys to values.
#[track_caller]
fn checked_weights(
    weights: Vec<Tensor<4>>,
    [batch, heads, key_dim, value_dim]: [usize; 4],
    wide: DType,
) -> Vec<Tensor<4>> {
    assert!(!weights.is_empty(), "The argument `weights` is empty, but a memory has at least one layer.");
    assert!(
        weights.len() <= MAX_LAYERS,
        "The argument `weights` has {} layers, but a memory has at most {MAX_LAYERS}.",
        weights.len()
    );
    let (last, mut channels) = (weights.len() - 1, key_dim);
    let mut checked = Vec::with_capacity(weights.len());
    for (layer, weights) in weights.into_iter().enumerate() {
        let found = weights.dims();
        let rows = if found[0] == 1 { 1 } else { batch };
        let out = if layer == last { value_dim } else { found[3] };
        let name = format!("weights[{layer}]");
        checks::shape(&name, &found, &[("B", rows), ("H", heads), ("in", channels), ("out", out)]);
        checks::not_empty(&name, "out", out);
        channels = out;
        let weights = to_dtype(weights, wide);
        checked.push(for_batch(weights, batch));
    }
    checked
}

/// A state that fits the initial weights, as wide as these.
#[track_caller]
fn checked_state(state: NeuralMemoryState, initial: &[Tensor<4>], chunk: usize) -> NeuralMemoryState {
    assert!(
        state.chunk == chunk,
        "The argument `initial_state` is of chunks of {} tokens, but the option `chunk` is {chunk}.",
        state.chunk
    );
    let wide = initial[0].dtype();
    let part = |name: &str, part: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
        assert!(
            part.len() == initial.len(),
            "The argument `initial_state` has {} layers of `{name}`, but the memory has {}.",
            part.len(),
            initial.len()
        );
        let fitted = part.into_iter().zip(initial).enumerate().map(|(layer, (tensor, initial))| {
            let [batch, heads, from, to] = initial.dims();
            let wanted = [("B", batch), ("H", heads), ("in", from), ("out", to)];
            checks::shape(&format!("initial_state.{name}[{layer}]"), &tensor.dims(), &wanted);
            to_dtype(tensor, wide)
        });
        fitted.collect()
    };
    let batch = initial[0].dims()[0];
    checks::shape("initial_state.position", &state.position.dims(), &[("B", batch)]);
    NeuralMemoryState {
        weights: part("weights", state.weights),
        momentum: part("momentum", state.momentum),
        start: part("start", state.start),
        position: to_dtype(state.position, wide),
        chunk,
        surprise: None,
    }
}
