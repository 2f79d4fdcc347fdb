//! The checked problem that every form solves.

use super::norm::Norm;
use super::options::{InnerModel, InnerNorm, NO_LAYERS, Residual, Steps, TttOptions, TttState};
use crate::checks;
use crate::fast_weights::for_batch;
use crate::fast_weights::passing::{Gradients, Passed};
use crate::heads::repeat_heads;
use crate::precision::{accumulator, to_dtype};
use burn::tensor::{Bool, DType, Tensor};

/// Arguments after checking, in the accumulator's dtype, all with `h` heads.
pub(super) struct Problem {
    pub query: Tensor<4>,         // [b, t, h, k], scaled
    pub key: Tensor<4>,           // [b, t, h, k]
    pub target: Tensor<4>,        // [b, t, h, k]
    pub read: Tensor<4>,          // [b, t, h, 1]
    pub write: Option<Tensor<4>>, // [b, t, h, 1]
    /// What resets return to, for every sequence.
    pub initial: InnerModel,
    pub state: TttState,
    pub loss: Loss,
    pub chunk: usize,
    pub resets: Option<Tensor<2, Bool>>, // [b, t]
}

/// What follows the inner model.
pub(super) struct Loss {
    norm: Norm,
    residual: Residual,
}

impl Loss {
    /// The gradients of `½ ‖LN(f(key)) - target‖²` at `model`, for tokens `[b, h, c, k]`.
    pub fn gradients(&self, model: &InnerModel, key: Tensor<4>, target: Tensor<4>) -> Gradients {
        let layer = |index: usize, input: Tensor<4>| {
            input.matmul(model.weights[index].clone()) + model.biases[index].clone()
        };
        let passed = Passed::new(key, model.weights.len(), layer);
        let error = self.norm.error(passed.answer.clone(), target);
        passed.gradients(error, &model.weights)
    }

    /// The output for what the inner model answers to `query`.
    pub fn output<const D: usize>(&self, query: Tensor<D>, answer: Tensor<D>) -> Tensor<D> {
        let normed = self.norm.forward(answer.clone());
        match self.residual {
            Residual::Answer => answer + normed,
            Residual::Query => query + normed,
        }
    }
}

impl Problem {
    #[track_caller]
    pub fn checked(
        [query, key, value]: [Tensor<4>; 3],
        steps: Steps,
        model: InnerModel,
        norm: InnerNorm,
        options: TttOptions,
    ) -> Self {
        let [batch, time, _, channels] = query.dims();
        let [_, _, heads, value_dim] = value.dims();
        let wide = accumulator(query.dtype());
        checks::stored_tokens(&query, &key, &value, options.resets.as_ref());
        assert!(
            channels == value_dim,
            "The inner model learns the difference of values and keys, but keys have {channels} channels and values \
             {value_dim}."
        );
        assert!(options.chunk > 0, "The option `chunk` is 0, but at least 1 token is wanted.");
        let initial = checked_model(model, [batch, heads, channels], wide);
        for (name, tensor) in [("norm.gain", &norm.gain), ("norm.offset", &norm.offset)] {
            checks::shape(name, &tensor.dims(), &[("H", heads), ("K", channels)]);
        }
        let state = match options.initial_state {
            Some(state) => checked_state(state, &initial, options.chunk),
            None => TttState::new(initial.clone(), batch, options.chunk),
        };
        let step = |name: &str, step: Tensor<3>| {
            let found = step.dims()[2];
            checks::shape(name, &step.dims(), &[("B", batch), ("T", time), ("H", found)]);
            checks::divides(name, found, "value", heads);
            repeat_heads(to_dtype(step, wide).unsqueeze_dim(3), heads)
        };
        let scale = options.scale.unwrap_or((channels as f64).powf(-0.5));
        let key = repeat_heads(to_dtype(key, wide), heads);
        Self {
            query: repeat_heads(to_dtype(query, wide), heads).mul_scalar(scale),
            target: to_dtype(value, wide) - key.clone(),
            key,
            read: step("steps.read", steps.read),
            write: steps.write.map(|write| step("steps.write", write)),
            initial,
            state,
            loss: Loss { norm: Norm::new(norm, options.norm_epsilon, wide), residual: options.residual },
            chunk: options.chunk,
            resets: options.resets,
        }
    }

    /// Whether there are no sequences, and so nothing to compute.
    pub fn is_empty(&self) -> bool {
        self.key.dims()[0] == 0
    }
}

/// The initial weights of every sequence: a chain of layers from `channels` to as many.
#[track_caller]
fn checked_model(model: InnerModel, [batch, heads, channels]: [usize; 3], wide: DType) -> InnerModel {
    let depth = model.weights.len();
    assert!(depth > 0, "{NO_LAYERS}");
    assert!(
        model.biases.len() == depth,
        "The argument `model` has {} biases, but weights of {depth} layers.",
        model.biases.len()
    );
    let mut from = channels;
    for (layer, (weights, bias)) in model.weights.iter().zip(&model.biases).enumerate() {
        let rows = |found: usize| if found == 1 { 1 } else { batch };
        let out = if layer == depth - 1 { channels } else { weights.dims()[3] };
        let (name, found) = (format!("model.weights[{layer}]"), weights.dims());
        checks::shape(&name, &found, &[("B", rows(found[0])), ("H", heads), ("in", from), ("out", out)]);
        checks::not_empty(&name, "out", out);
        let (name, found) = (format!("model.biases[{layer}]"), bias.dims());
        checks::shape(&name, &found, &[("B", rows(found[0])), ("H", heads), ("1", 1), ("out", out)]);
        from = out;
    }
    model.map(|tensor| for_batch(to_dtype(tensor, wide), batch))
}

/// A state that fits the initial weights, as wide as these.
#[track_caller]
fn checked_state(state: TttState, initial: &InnerModel, chunk: usize) -> TttState {
    assert!(
        state.chunk == chunk,
        "The argument `initial_state` is of chunks of {} tokens, but the option `chunk` is {chunk}.",
        state.chunk
    );
    let wide = initial.weights[0].dtype();
    for (name, part) in [("model", &state.model), ("gradients", &state.gradients)] {
        for (kind, found, wanted) in
            [("weights", &part.weights, &initial.weights), ("biases", &part.biases, &initial.biases)]
        {
            assert!(
                found.len() == wanted.len(),
                "The argument `initial_state` has {} layers of `{name}.{kind}`, but the inner model has {}.",
                found.len(),
                wanted.len()
            );
            for (layer, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                let [batch, heads, from, to] = wanted.dims();
                let wanted = [("B", batch), ("H", heads), ("in", from), ("out", to)];
                checks::shape(&format!("initial_state.{name}.{kind}[{layer}]"), &found.dims(), &wanted);
            }
        }
    }
    let batch = initial.weights[0].dims()[0];
    checks::shape("initial_state.position", &state.position.dims(), &[("B", batch)]);
    TttState {
        model: state.model.map(|tensor| to_dtype(tensor, wide)),
        gradients: state.gradients.map(|tensor| to_dtype(tensor, wide)),
        position: to_dtype(state.position, wide),
        chunk,
    }
}
