//! Several sequences in every row, each with a memory of its own.

use super::neural_memory;
use super::options::{Gates, NeuralMemoryOptions, NeuralMemoryState};
use super::surprise::Surprise;
use crate::checks;
use crate::precision::{accumulator, to_dtype};
use crate::segments::{SegmentPart, Segments};
use burn::tensor::{DType, Tensor};

/// As [`neural_memory`], for the segments of `options`: one call for each of their parts, without padding.
#[track_caller]
pub(super) fn run(
    [query, key, value]: [Tensor<4>; 3],
    gates: Gates,
    weights: Vec<Tensor<4>>,
    options: NeuralMemoryOptions,
    segments: &Segments,
) -> (Tensor<4>, NeuralMemoryState) {
    let [batch, time, _, _] = query.dims();
    let (_, count) = checks::sequences(batch, time, Some(segments));
    checks::stored_tokens(&query, &key, &value, options.resets.as_ref());
    for (name, gate) in [("forget", &gates.forget), ("momentum", &gates.momentum), ("step", &gates.step)] {
        let found = gate.dims();
        checks::shape(&format!("gates.{name}"), &found, &[("B", batch), ("T", time), ("H", found[2])]);
    }
    let options = NeuralMemoryOptions { segments: None, ..options };
    let wide = accumulator(query.dtype());
    weights.iter().enumerate().for_each(|(layer, weights)| {
        check_rows(&format!("weights[{layer}]"), weights, if weights.dims()[0] == 1 { 1 } else { count });
    });
    let mut state = match options.initial_state.clone() {
        Some(state) => of_segments(state, count, wide),
        None => {
            let weights = weights.iter().map(|weights| to_dtype(weights.clone(), wide)).collect();
            NeuralMemoryState::new(weights, count, options.chunk)
        }
    };
    if segments.all().iter().all(|segment| segment.length == time) {
        let options = NeuralMemoryOptions { initial_state: Some(state), ..options };
        return neural_memory(query, key, value, gates, weights, options);
    }
    let parts = segments.parts();
    let (mut outputs, mut surprises) = (Vec::new(), Vec::new());
    for part in &parts {
        let own = |tensors: &[Tensor<4>]| tensors.iter().map(|tensor| part.states(tensor)).collect();
        let before = NeuralMemoryState {
            weights: own(&state.weights),
            momentum: own(&state.momentum),
            start: own(&state.start),
            position: part.states(&state.position),
            chunk: state.chunk,
            surprise: None,
        };
        let weights = weights.iter().map(|weights| match weights.dims()[0] {
            1 => weights.clone(),
            _ => part.states(weights),
        });
        let gates = Gates {
            forget: part.of(&gates.forget),
            momentum: part.of(&gates.momentum),
            step: part.of(&gates.step),
        };
        let resets = options.resets.as_ref().map(|resets| part.of(&resets.clone().float()).bool());
        let options = NeuralMemoryOptions { initial_state: Some(before), resets, ..options.clone() };
        let tokens = [part.of(&query), part.of(&key), part.of(&value)];
        let [query, key, value] = tokens;
        let (output, after) = neural_memory(query, key, value, gates, weights.collect(), options);
        let put = |all: Vec<Tensor<4>>, changed: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
            all.into_iter().zip(changed).map(|(all, changed)| part.put_states(all, changed)).collect()
        };
        state = NeuralMemoryState {
            weights: put(state.weights, after.weights),
            momentum: put(state.momentum, after.momentum),
            start: put(state.start, after.start),
            position: part.put_states(state.position, after.position),
            chunk: state.chunk,
            surprise: None,
        };
        outputs.push(output);
        surprises.extend(after.surprise);
    }
    let output = SegmentPart::joined(&parts, outputs, batch);
    let surprise = options.surprise.then(|| {
        let (losses, norms) = surprises.into_iter().map(|all| (all.loss, all.gradient_norm)).unzip();
        Surprise {
            loss: SegmentPart::joined(&parts, losses, batch),
            gradient_norm: SegmentPart::joined(&parts, norms, batch),
        }
    });
    (output, NeuralMemoryState { surprise, ..state })
}

/// A state of `count` segments, as wide as states are.
#[track_caller]
fn of_segments(state: NeuralMemoryState, count: usize, wide: DType) -> NeuralMemoryState {
    let part = |name: &str, tensors: Vec<Tensor<4>>| -> Vec<Tensor<4>> {
        let checked = tensors.into_iter().enumerate().map(|(layer, tensor)| {
            check_rows(&format!("initial_state.{name}[{layer}]"), &tensor, count);
            to_dtype(tensor, wide)
        });
        checked.collect()
    };
    checks::shape("initial_state.position", &state.position.dims(), &[("N", count)]);
    NeuralMemoryState {
        weights: part("weights", state.weights),
        momentum: part("momentum", state.momentum),
        start: part("start", state.start),
        position: to_dtype(state.position, wide),
        chunk: state.chunk,
        surprise: None,
    }
}

#[track_caller]
fn check_rows(name: &str, tensor: &Tensor<4>, count: usize) {
    let [_, heads, from, to] = tensor.dims();
    checks::shape(name, &tensor.dims(), &[("N", count), ("H", heads), ("in", from), ("out", to)]);
}
