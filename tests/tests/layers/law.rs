//! The law of the zoo: forward = any split of it = step by step, in outputs, states and gradients.

use super::zoo::{CHANNELS, layer, variants};
use burn::tensor::Tensor;
use seqzoo::{AnyState, Mixer, MixerState, SequenceMixer};
use seqzoo_tests::{
    Inputs, Outcome, autodiff, flags, largest_error, plain, put_parameter_gradients, put_state, randomised,
    state_gradients, state_loss, tracked,
};

const EXACT: f64 = 1e-9;
const TIME: usize = 40;

/// Runs `input` in parts that end at `ends`; parts of one token go through `step`.
fn in_parts(layer: &Mixer, input: &Tensor<3>, state: AnyState, ends: &[usize]) -> (Tensor<3>, AnyState) {
    let (mut from, mut state, mut outputs) = (0, state, Vec::new());
    for end in ends {
        let part = input.clone().narrow(1, from, end - from);
        let (output, next) = if end - from == 1 {
            let (output, next) = layer.step(part.squeeze_dim(1), state);
            (output.unsqueeze_dim(1), next)
        } else {
            layer.forward(part, Some(state))
        };
        outputs.push(output);
        (from, state) = (*end, next);
    }
    (Tensor::cat(outputs, 1), state)
}

/// Output, final state and the gradients of input, initial state and all parameters.
fn outcome(
    layer: &Mixer,
    state: AnyState,
    run: impl Fn(&Mixer, &Tensor<3>, AnyState) -> (Tensor<3>, AnyState),
) -> Outcome {
    let device = autodiff();
    let mut inputs = Inputs::new(5, &device);
    let input = inputs.uniform([2, TIME, CHANNELS]).require_grad();
    let initial = tracked(randomised(state, &mut inputs));
    let (output, last) = run(layer, &input, initial.clone());
    let mut outcome = Outcome::default();
    outcome.put("output", &output);
    put_state(&mut outcome, &last);
    let score = (output * inputs.uniform([2, TIME, CHANNELS])).sum();
    let gradients = state_loss(&last, 6, score).backward();
    outcome.put_gradient("input", &input, &gradients);
    state_gradients(&mut outcome, &initial, &gradients);
    put_parameter_gradients(&mut outcome, layer, &gradients);
    outcome
}

#[test]
fn every_split_and_step_by_step_give_the_same() {
    let device = autodiff();
    for (_, config) in variants() {
        let layer = layer(&config, &device);
        let start = || layer.init_state(2, &device);
        let whole = outcome(&layer, start(), |layer, input, state| layer.forward(input.clone(), Some(state)));
        for split in 1..TIME {
            outcome(&layer, start(), |layer, input, state| in_parts(layer, input, state, &[split, TIME]))
                .assert_close(&whole, EXACT);
        }
        let steps: Vec<usize> = (1..=TIME).collect();
        outcome(&layer, start(), |layer, input, state| in_parts(layer, input, state, &steps))
            .assert_close(&whole, EXACT);
    }
}

#[test]
fn a_fresh_start_is_the_initial_state() {
    let device = autodiff();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let input = Inputs::new(3, &device).uniform([2, 9, CHANNELS]);
        let (absent, _) = layer.forward(input.clone(), None);
        let (given, _) = layer.forward(input, Some(layer.init_state(2, &device)));
        assert_eq!(absent.into_data(), given.into_data(), "{name}");
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    let device = plain();
    let starts = [0, 1, 6, 20, 27];
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let input = Inputs::new(3, &device).uniform::<3>([2, 27, CHANNELS]);
        let resets = flags(2, 27, &starts, &device);
        let (packed, packed_state) = layer.forward_packed(input.clone(), Some(resets.clone()), None);
        let parts: Vec<_> = starts
            .windows(2)
            .map(|ends| layer.forward(input.clone().narrow(1, ends[0], ends[1] - ends[0]), None))
            .collect();
        let last = parts.last().unwrap().1.clone();
        let separate = Tensor::cat(parts.into_iter().map(|(output, _)| output).collect(), 1);
        let values = |x: Tensor<3>| x.into_data().try_to_vec::<f64>().unwrap();
        let error = largest_error(&values(packed), &values(separate));
        assert!(error < EXACT, "{name}: {error:e}");

        // What follows sees only the last sequence, whichever way it was reached.
        let more = Inputs::new(4, &device).uniform::<3>([2, 5, CHANNELS]);
        let (after, _) = layer.forward(more.clone(), Some(packed_state));
        let (alone, _) = layer.forward(more, Some(last));
        let error = largest_error(&values(after), &values(alone));
        assert!(error < EXACT, "{name}: {error:e}");
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    let device = plain();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let input = Inputs::new(3, &device).uniform::<3>([2, 30, CHANNELS]);
        let changed =
            input.clone().slice_assign([0..2, 17..18, 0..CHANNELS], input.clone().narrow(1, 17, 1) + 1.0);
        let before = |input: Tensor<3>| layer.forward(input, None).0.narrow(1, 0, 17).into_data();
        assert_eq!(before(input), before(changed), "{name}");
    }
}

#[test]
fn a_stream_takes_constant_memory_where_the_layer_is_recurrent() {
    let device = plain();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let bytes = |time| {
            let input = Inputs::new(3, &device).uniform::<3>([1, time, CHANNELS]);
            layer.forward(input, None).1.bytes()
        };
        let (short, long) = (bytes(20), bytes(40));
        assert_eq!((short.recurrent, short.convolution), (long.recurrent, long.convolution), "{name}");
        if name.starts_with("attention, rotary") {
            assert_eq!(2 * short.cache, long.cache);
        } else {
            assert_eq!(short.cache, long.cache, "{name}");
        }
        assert!(short.total() > 0);
    }
}
