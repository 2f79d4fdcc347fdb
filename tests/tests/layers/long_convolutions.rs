//! Layers on long convolutions: their formulas, what they see and what they keep.

use burn::tensor::{DType, Tensor};
use seqzoo::layers::*;
use seqzoo::testing::Trial;
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, autodiff, double, largest_error, plain, said, values};

/// `y_t = skip x_t + Σ_j filter_j x_{t-j}` of one channel.
fn convolved(input: &[f64], filter: impl Fn(usize) -> f64, skip: f64) -> Vec<f64> {
    let sum = |t: usize| (0..=t).map(|j| filter(j) * input[t - j]).sum::<f64>();
    (0..input.len()).map(|t| skip * input[t] + sum(t)).collect()
}

/// Channel `index` of `[1, T, C]`.
fn channel(tokens: &Tensor<3>, index: usize) -> Vec<f64> {
    values(tokens.clone().narrow(2, index, 1))
}

fn product(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

#[test]
fn hyena_is_its_formula() {
    let device = plain();
    for order in [2, 3] {
        let (channels, time, length) = (4, 11, 20);
        let config = HyenaConfig::new(channels).with_order(order).with_max_len(length).with_filter_order(6);
        let config = config.with_w(3.0).with_emb_dim(5).with_shift(0.1);
        let layer = double(config.init(&device));
        let input = Inputs::new(3, &device).uniform::<3>([1, time, channels]);
        let (projected, _) = layer.short.forward(layer.input.forward(input.clone()), None, None);
        let part = |index: usize, c: usize| channel(&projected, index * channels + c);

        // The filters, tap by tap.
        let filter = &layer.filter;
        let frequency = values(filter.frequency.val());
        let affine = |x: &[f64], weight: Vec<f64>, bias: Vec<f64>| -> Vec<f64> {
            let outputs = weight.len() / x.len();
            let bias = |o: usize| bias.get(o).copied().unwrap_or(0.0);
            (0..outputs)
                .map(|o| bias(o) + (0..x.len()).map(|i| x[i] * weight[i * outputs + o]).sum::<f64>())
                .collect()
        };
        let count = order - 1;
        let taps: Vec<Vec<f64>> = (0..length)
            .map(|j| {
                let (time, angle) = (j as f64 / 19.0, std::f64::consts::TAU * j as f64 / 20.0);
                let mut hidden =
                    vec![time, (1e-4 * angle).cos(), angle.cos(), -(1e-4 * angle).sin(), -angle.sin()];
                for layer in &filter.layers {
                    let sums = affine(&hidden, values(layer.weight.val()), values(layer.bias.val()));
                    hidden = product(&sums, &frequency).into_iter().map(f64::sin).collect();
                }
                let outputs = affine(&hidden, values(filter.output.val()), vec![]);
                let last = (channels * count - 1) as f64;
                let window = |o: usize| {
                    let (slow, fast) = (-(0.01f64.ln()) / 1.5, -(0.01f64.ln()) / 0.3);
                    (-time * (slow + (fast - slow) * o as f64 / last)).exp() + 0.1
                };
                outputs.iter().enumerate().map(|(o, output)| output * window(o)).collect()
            })
            .collect();

        let skips = values(layer.skip.val());
        let mut gated = vec![0.0; time * channels];
        for c in 0..channels {
            let mut value = part(order, c);
            for index in 0..count {
                let o = c * count + index;
                value = convolved(&product(&part(count - index, c), &value), |j| taps[j][o], skips[o]);
            }
            for (t, number) in product(&part(0, c), &value).into_iter().enumerate() {
                gated[t * channels + c] = number;
            }
        }
        let gated = Tensor::<1>::from_data(gated.as_slice(), (&device, DType::F64));
        let wanted = layer.output.forward(gated.reshape([1, time, channels]));
        let error = largest_error(&values(layer.forward(input, None).0), &values(wanted));
        assert!(error < 1e-12, "order {order}: {error}");
    }
}

#[test]
fn hyena_sees_as_many_tokens_as_its_filters_have_taps() {
    let device = plain();
    let (time, length) = (30, 9);
    let layer = double(HyenaConfig::new(3).with_max_len(length).with_short_filter_order(2).init(&device));
    let input = Inputs::new(3, &device).uniform::<3>([1, time, 3]);
    let changed = input.clone().slice_assign([0..1, 10..11, 0..3], input.clone().narrow(1, 10, 1) + 1.0);
    let difference = (layer.forward(input, None).0 - layer.forward(changed, None).0).abs().max_dim(2);
    let seen: Vec<usize> =
        values(difference).iter().enumerate().filter(|(_, x)| **x > 0.0).map(|(t, _)| t).collect();
    // The short convolution adds its other tap.
    assert_eq!(seen, (10..10 + length + 1).collect::<Vec<_>>());
}

#[test]
fn the_state_of_hyena_grows_up_to_its_filters() {
    let device = plain();
    let layer = HyenaConfig::new(3).with_order(3).with_max_len(9).with_filter_order(4).init(&device);
    let short = 2 * 4 * 3 * 4;
    let mut state = layer.init_state(2, &device);
    for tokens in 0..20 {
        let bytes = state.bytes();
        assert_eq!(bytes.convolution, 2 * (short + 4 * 2 * 3 * tokens.min(8)), "after {tokens} tokens");
        assert_eq!(bytes.total(), bytes.convolution);
        state = layer.step(Tensor::ones([2, 3], &device), state).1;
    }
}

#[test]
fn the_law_holds_from_any_number_of_kept_inputs() {
    let device = autodiff();
    for (name, length, past) in [("growing", 60, 5), ("full", 12, 11), ("one", 12, 1)] {
        let layer = double(HyenaConfig::new(3).with_max_len(length).with_filter_order(4).init(&device));
        let mut inputs = Inputs::new(5, &device);
        let state = HyenaState { short: inputs.uniform([2, 2, 9]), inputs: inputs.uniform([2, past, 3]) };
        eprintln!("{name}");
        Trial::new(3, &device).with_time(20).with_tolerance(1e-9).law_from(&layer, state);
    }
}

#[test]
fn long_sequences_keep_the_law_within_rounding() {
    let device = plain();
    let layer = double(HyenaConfig::new(4).with_max_len(700).with_filter_order(8).init(&device));
    let input = Inputs::new(2, &device).uniform::<3>([1, 1500, 4]);
    let (whole, whole_state) = layer.forward(input.clone(), None);
    let (mut state, mut parts, mut from) = (None, Vec::new(), 0);
    for to in [1, 400, 401, 1100, 1500] {
        let (output, next) = layer.forward(input.clone().narrow(1, from, to - from), state);
        parts.push(output);
        (state, from) = (Some(next), to);
    }
    let error = largest_error(&values(Tensor::cat(parts, 1)), &values(whole));
    assert!(error < 1e-11, "{error}");
    let state = state.unwrap();
    assert_eq!(state.inputs.dims(), [1, 699, 4]);
    assert!(largest_error(&values(state.inputs), &values(whole_state.inputs)) < 1e-12);
}

#[test]
fn more_inputs_than_the_filters_see_are_refused() {
    let device = plain();
    let layer = HyenaConfig::new(3).with_max_len(4).init(&device);
    let state = HyenaState { inputs: Tensor::zeros([1, 4, 3], &device), ..layer.init_state(1, &device) };
    let said = said(|| layer.forward(Tensor::ones([1, 2, 3], &device), Some(state)));
    assert!(said.contains("holds 4 inputs, but at most L - 1 = 3 are wanted"), "{said}");
}

#[test]
fn kept_inputs_of_any_number_fit_and_other_channels_do_not() {
    let device = plain();
    let layer = HyenaConfig::new(3).init(&device);
    let (_, state) = layer.forward(Tensor::ones([1, 5, 3], &device), None);
    let fresh = layer.init_state(1, &device);
    assert_eq!(state.misfit(&fresh), None);
    let other = HyenaState { inputs: Tensor::zeros([1, 5, 4], &device), ..fresh.clone() };
    let said = other.misfit(&fresh).unwrap();
    assert!(said.contains("`inputs` of the shape [any, 5, 4], but [any, any, 3] is wanted"), "{said}");
}

#[test]
fn impossible_filters_are_named() {
    let device = plain();
    let config = HyenaConfig::new(8);
    for (config, sentence) in [
        (config.clone().with_order(1), "hyena: order = 1, but at least 2 is wanted"),
        (config.clone().with_emb_dim(4), "emb_dim = 4, but an odd number of at least 3"),
        (config.clone().with_max_len(0), "max_len is 0"),
        (config.clone().with_max_len(1 << 40), "max_len = 1099511627776: the filters would be of shape"),
        (config.clone().with_filter_order(0), "filter_order is 0"),
        (config.clone().with_num_inner_mlps(1 << 40), "num_inner_mlps = 1099511627776, but at most 1024"),
        (config.clone().with_target(1.0), "target = 1, but a number between 0 and 1"),
        (config.clone().with_fast_decay_pct(0.0), "fast_decay_pct = 0, but a positive share"),
        (config.clone().with_slow_decay_pct(-1.0), "slow_decay_pct = -1, but a positive share"),
        (config.clone().with_short_filter_order(1), "width = 1, but at least 2 taps"),
        (config.with_order(usize::MAX), "the number of projected channels"),
    ] {
        let said = config.try_init(&device).map(|_| ()).unwrap_err().to_string();
        assert!(said.contains(sentence), "{said}");
    }
    let said = H3Config::new(8).with_shift_size(0).try_init(&device).map(|_| ()).unwrap_err().to_string();
    assert_eq!(said, "h3: shift_size is 0; give it at least 1");
}

#[test]
fn h3_is_its_formula() {
    let device = plain();
    let (channels, time) = (4, 13);
    let layer = double(H3Config::new(channels).with_d_state(6).with_shift_size(5).init(&device));
    let input = Inputs::new(3, &device).uniform::<3>([1, time, channels]);
    let [query, key, value] =
        [&layer.query, &layer.key, &layer.value].map(|linear| linear.forward(input.clone()));
    let (shift, memory) = (values(layer.shift.val()), values(layer.state_space.filter(time)));
    let (shift_skip, skip) = (values(layer.shift_skip.val()), values(layer.skip.val()));
    let mut gated = vec![0.0; time * channels];
    for c in 0..channels {
        let tap = |j: usize| if j < 5 { shift[c * 5 + j] } else { 0.0 };
        let shifted = convolved(&channel(&key, c), tap, shift_skip[c]);
        let written = product(&shifted, &channel(&value, c));
        let read = convolved(&written, |j| memory[c * time + j], skip[c]);
        for (t, number) in product(&channel(&query, c), &read).into_iter().enumerate() {
            gated[t * channels + c] = number;
        }
    }
    let gated = Tensor::<1>::from_data(gated.as_slice(), (&device, DType::F64));
    let wanted = layer.output.forward(gated.reshape([1, time, channels]));
    let error = largest_error(&values(layer.forward(input, None).0), &values(wanted));
    assert!(error < 1e-12, "{error}");
}

#[test]
fn what_h3_keeps_is_counted() {
    let device = plain();
    let layer = H3Config::new(3).with_d_state(8).with_shift_size(5).init(&device);
    let bytes = layer.forward(Tensor::ones([2, 7, 3], &device), None).1.bytes();
    assert_eq!((bytes.recurrent, bytes.convolution), (2 * 4 * 3 * 8, 2 * 4 * 4 * 3));
}
