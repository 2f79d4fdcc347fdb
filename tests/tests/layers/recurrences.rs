//! Mamba, HGRN, Griffin and S5: what their formulas say, number by number, and how they begin.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use seqzoo::SequenceMixer;
use seqzoo::layers::*;
use seqzoo::parts::{Discretisation, Hippo};
use seqzoo_tests::{Inputs, autodiff, double, largest_error, plain, values};

type Complex = (f64, f64);

fn times((a, b): Complex, (c, d): Complex) -> Complex {
    (a * c - b * d, a * d + b * c)
}

fn divided((a, b): Complex, (c, d): Complex) -> Complex {
    let length = c * c + d * d;
    ((a * c + b * d) / length, (b * c - a * d) / length)
}

fn exponential((re, im): Complex) -> Complex {
    (re.exp() * im.cos(), re.exp() * im.sin())
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

fn gelu(x: f64) -> f64 {
    0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh())
}

/// `x W` of a row and a matrix `[in, out]`.
fn product(row: &[f64], matrix: &[f64]) -> Vec<f64> {
    let columns = matrix.len() / row.len();
    (0..columns).map(|j| row.iter().enumerate().map(|(i, x)| x * matrix[i * columns + j]).sum()).collect()
}

#[test]
fn s5_is_its_state_space_in_complex_numbers() {
    let (channels, states, time) = (3, 8, 5);
    for discretisation in [Discretisation::ZeroOrderHold, Discretisation::Bilinear] {
        let config = S5Config::new(channels)
            .with_d_state(states)
            .with_blocks(2)
            .with_discretisation(discretisation)
            .with_activation(S5Activation::Gelu);
        let layer = double(config.init(&plain()));
        let input = Inputs::new(1, &plain()).uniform::<3>([1, time, channels]);
        let (found, _) = layer.forward(input.clone(), None);

        let of = |parameter: &Param<Tensor<1>>| values(parameter.val());
        let (steps, real, imaginary) = (of(&layer.log_dt), of(&layer.a_real), of(&layer.a_imag));
        let (b, c, d) = (values(layer.b.val()), values(layer.c.val()), of(&layer.d));
        let pairs = states / 2;
        let mut state = vec![(0.0, 0.0); pairs];
        let mut wanted = Vec::new();
        for x in values(input).chunks(channels) {
            let driven = product(x, &b);
            for n in 0..pairs {
                let (a, dt) = ((real[n], imaginary[n]), steps[n].exp());
                let (factor, scale) = match discretisation {
                    Discretisation::ZeroOrderHold => {
                        let (re, im) = exponential((dt * a.0, dt * a.1));
                        ((re, im), divided((re - 1.0, im), a))
                    }
                    Discretisation::Bilinear => {
                        let below = (1.0 - dt / 2.0 * a.0, -dt / 2.0 * a.1);
                        let above = (1.0 + dt / 2.0 * a.0, dt / 2.0 * a.1);
                        (divided(above, below), divided((dt, 0.0), below))
                    }
                };
                let (kept, written) = (times(factor, state[n]), times(scale, (driven[n], driven[pairs + n])));
                state[n] = (kept.0 + written.0, kept.1 + written.1);
            }
            for i in 0..channels {
                let read = |n: usize| times((c[n * channels + i], c[(pairs + n) * channels + i]), state[n]).0;
                let read: f64 = (0..pairs).map(read).sum();
                wanted.push(gelu(2.0 * read + d[i] * x[i]));
            }
        }
        assert!(largest_error(&values(found), &wanted) < 1e-12);
    }
}

#[test]
fn s5_begins_with_the_eigenvalues_of_hippo_in_every_block() {
    let layer = S5Config::new(4).with_d_state(24).with_blocks(3).init(&plain());
    let wanted = Hippo::LegS.normal_plus_low_rank(8).imaginary.repeat(3);
    assert!(largest_error(&values(layer.a_imag.val()), &wanted) < 1e-6);
    assert!(values(layer.a_real.val()).iter().all(|real| *real == -0.5));
    assert!(values(layer.log_dt.val()).iter().all(|log| (1e-3 - 1e-8..=0.1 + 1e-8).contains(&log.exp())));
}

#[test]
fn hgrn_is_a_moving_average_per_channel() {
    let (channels, time) = (4, 6);
    for bound in [0.0, 0.3] {
        let layer = double(HgrnConfig::new(channels).with_lower_bound(bound).init(&plain()));
        let input = Inputs::new(2, &plain()).uniform::<3>([1, time, channels]);
        let (found, state) = layer.forward(input.clone(), None);

        let of = |linear: &Linear| values(linear.weight.val());
        let mut memory = vec![0.0; channels];
        let mut wanted = Vec::new();
        for x in values(input).chunks(channels) {
            let (logits, written) = (product(x, &of(&layer.forget)), product(x, &of(&layer.input)));
            for i in 0..channels {
                let forget = bound + (1.0 - bound) * sigmoid(logits[i]);
                memory[i] = forget * memory[i] + (1.0 - forget) * silu(written[i]);
            }
            let gate = product(x, &of(&layer.gate));
            let gated: Vec<f64> = normed(&memory).iter().zip(gate).map(|(h, gate)| h * silu(gate)).collect();
            wanted.extend(product(&gated, &of(&layer.output)));
        }
        assert!(largest_error(&values(found), &wanted) < 1e-12);
        assert!(largest_error(&values(state.memory), &memory) < 1e-12);
    }
}

#[test]
fn hgrn2_writes_what_it_forgets() {
    let (channels, keys, time) = (4, 3, 6);
    let config = Hgrn2Config::new(channels).with_num_heads(Some(1)).with_expand_ratio(keys);
    let bound = 0.4;
    let layer = double(config.with_lower_bound(bound).init(&plain()));
    let input = Inputs::new(6, &plain()).uniform::<3>([1, time, channels]);
    let (found, state) = layer.forward(input.clone(), None);

    let of = |linear: &Linear, x: &[f64]| product(x, &values(linear.weight.val()));
    let mut memory = vec![vec![0.0; channels]; keys];
    let mut wanted = Vec::new();
    for x in values(input).chunks(channels) {
        let (query, value) = (of(&layer.query, x), of(&layer.value, x));
        let mut read = vec![0.0; channels];
        for (k, logit) in of(&layer.forget, x).into_iter().enumerate() {
            let forget = bound + (1.0 - bound) * sigmoid(logit);
            for v in 0..channels {
                memory[k][v] = forget * memory[k][v] + (1.0 - forget) * value[v];
                read[v] += memory[k][v] * silu(query[k]) / (keys as f64).sqrt();
            }
        }
        wanted.extend(of(&layer.output, &normed(&read)));
    }
    assert!(largest_error(&values(found), &wanted) < 1e-12);
    assert!(largest_error(&values(state.memory), &memory.concat()) < 1e-12);
}

/// `x` over its root mean square.
fn normed(x: &[f64]) -> Vec<f64> {
    let root = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + 1e-5).sqrt();
    x.iter().map(|x| x / root).collect()
}

/// Two groups of two heads of three channels, with limited steps and a skip per channel.
#[test]
fn mamba2_is_its_recurrence_number_by_number() {
    let (heads, width, states, time) = (4, 3, 2, 7);
    let (inner, shared) = (heads * width, 2 * states);
    let config = Mamba2Config::new(6)
        .with_head_dim(width)
        .with_n_groups(2)
        .with_d_state(states)
        .with_dt_limit(Some((0.02, 0.06)))
        .with_d_per_channel(true);
    for end in ["gate, norm", "norm, gate", "gate"] {
        let config =
            config.clone().with_rms_norm(end != "gate").with_norm_before_gate(end.starts_with("norm"));
        let mut layer = double(config.init(&plain()));
        let skips = Inputs::new(8, &plain()).uniform::<1>([inner]);
        layer.d = Param::from_tensor(skips.clone()).into();
        let input = Inputs::new(7, &plain()).uniform::<3>([1, time, 6]);
        let (found, state) = layer.forward(input.clone(), None);

        let projected = layer.input.forward(input);
        let part = |from, count| values(projected.clone().narrow(2, from, count));
        let (z, dt) = (part(0, inner), part(2 * inner + 2 * shared, heads));
        let tokens = projected.clone().narrow(2, inner, inner + 2 * shared);
        let tokens = values(layer.conv.forward(tokens, None, None).0);
        let [rates, bias] = [&layer.a_log, &layer.dt_bias].map(|parameter| values(parameter.val()));
        let skips = values(skips);
        let mut memory = vec![0.0; heads * states * width];
        let mut wanted = Vec::new();
        for t in 0..time {
            let token = &tokens[t * (inner + 2 * shared)..];
            let z = &z[t * inner..(t + 1) * inner];
            let mut read: Vec<f64> = (0..inner).map(|i| skips[i] * token[i]).collect();
            for i in 0..inner {
                let head = i / width;
                let step = (dt[t * heads + head] + bias[head]).exp().ln_1p().clamp(0.02, 0.06);
                for n in 0..states {
                    let place = head / 2 * states + n;
                    let cell = &mut memory[(head * states + n) * width + i % width];
                    *cell =
                        (-step * rates[head].exp()).exp() * *cell + step * token[i] * token[inner + place];
                    read[i] += *cell * token[inner + shared + place];
                }
            }
            let gated = |read: &[f64]| read.iter().zip(z).map(|(y, z)| y * silu(*z)).collect::<Vec<f64>>();
            let grouped = |read: &[f64]| read.chunks(inner / 2).flat_map(normed).collect::<Vec<f64>>();
            let last = match end {
                "gate, norm" => grouped(&gated(&read)),
                "norm, gate" => gated(&grouped(&read)),
                _ => gated(&read),
            };
            wanted.extend(product(&last, &values(layer.output.weight.val())));
        }
        assert!(largest_error(&values(found), &wanted) < 1e-11, "{end}");
        assert!(largest_error(&values(state.memory), &memory) < 1e-11, "{end}");
    }
}

#[test]
fn the_block_of_griffin_is_two_branches_and_their_product() {
    let device = plain();
    let layer = double(RgLruConfig::new(6).with_num_heads(2).with_lru_width(Some(4)).init(&device));
    let input = Inputs::new(3, &device).uniform::<3>([2, 7, 6]);
    let (found, _) = layer.forward(input.clone(), None);
    let (x, _) = layer.conv.forward(layer.input.forward(input.clone()), None, None);
    let (read, _) = layer.unit.forward(x, None, layer.unit.init_state(2, &device));
    let gate: Vec<f64> = values(layer.gate.forward(input)).into_iter().map(gelu).collect();
    let gate = Tensor::<1>::from_data(gate.as_slice(), (&device, DType::F64)).reshape([2, 7, 4]);
    let wanted = layer.output.forward(read * gate);
    assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
}

#[test]
fn channels_that_keep_everything_have_finite_gradients() {
    let device = autodiff();
    for single in [false, true] {
        let layer = RgLruConfig::new(4).with_num_heads(2).init(&device);
        let mut layer = if single { layer } else { double(layer) };
        let dtype = layer.unit.lambda.val().dtype();
        // a² is 1 in the first two, and close to it in the third.
        let lambda = Tensor::<1>::from_data([-1000.0, -60.0, -18.0, 0.0], (&device, dtype));
        layer.unit.lambda = Param::from_tensor(lambda).into();
        let input = Tensor::<3>::ones([1, 5, 4], (&device, dtype)).require_grad();
        let (output, _) = layer.forward(input.clone(), None);
        assert!(values(output.clone()).iter().all(|y| y.is_finite()));
        let gradients = output.sum().backward();
        for gradient in [
            values(input.grad(&gradients).unwrap()),
            values(layer.unit.lambda.val().grad(&gradients).unwrap()),
            values(layer.unit.recurrence_gate.weight.val().grad(&gradients).unwrap()),
        ] {
            assert!(gradient.iter().all(|number| number.is_finite()), "{gradient:?}");
        }
    }
}

/// `√x` has the derivative `1/(2√x)`, up to 1000; the number itself is exact at all of them.
#[test]
fn a_clipped_root_is_a_root() {
    let device = autodiff();
    let mut layer = double(RgLruConfig::new(2).with_num_heads(2).init(&device));
    let lambda = Tensor::<1>::from_data([-25.0, -3.0], (&device, DType::F64));
    layer.unit.lambda = Param::from_tensor(lambda).into();
    let plain_layer = layer.valid();
    let input = Inputs::new(4, &device).uniform::<3>([1, 9, 2]);
    let run = |layer: &RgLru, input: Tensor<3>| values(layer.forward(input, None).0);
    let (tracked, exact) = (run(&layer, input.clone()), run(&plain_layer, input.inner()));
    assert!(largest_error(&tracked, &exact) < 1e-12);
}

#[test]
fn layers_begin_as_published() {
    let device = plain();
    let mamba = MambaConfig::new(48).init(&device);
    assert_eq!(mamba.dt.weight.dims(), [3, 96]);
    let rates: Vec<f64> = values(mamba.a_log.val()).iter().map(|log| log.exp()).collect();
    let wanted: Vec<f64> = (0..96).flat_map(|_| (1..=16).map(f64::from)).collect();
    assert!(largest_error(&rates, &wanted) < 1e-6);
    let softplus = |x: &f64| x.exp().ln_1p();
    let published =
        |biases: Vec<f64>| biases.iter().map(softplus).all(|step| (1e-3 - 1e-7..=0.1 + 1e-6).contains(&step));
    assert!(published(values(mamba.dt.bias.as_ref().unwrap().val())));

    let mamba2 = Mamba2Config::new(64).with_head_dim(4).init(&device);
    assert!(values(mamba2.a_log.val()).iter().all(|log| (0.999..=16.01).contains(&log.exp())));
    assert!(published(values(mamba2.dt_bias.val())));
    assert!(values(mamba2.d.val()).iter().all(|skip| *skip == 1.0));

    let griffin = RgLruConfig::new(64).init(&device);
    let kept = |lambda: &f64| (-8.0 * softplus(lambda)).exp();
    assert!(values(griffin.unit.lambda.val()).iter().map(kept).all(|kept| (0.8999..=0.9991).contains(&kept)));
}

#[test]
fn floors_and_limits_hold_for_all_steps() {
    let device = plain();
    let mamba = MambaConfig::new(32).with_dt_min(1e-6).with_dt_floor(0.05).init(&device);
    let steps: Vec<f64> =
        values(mamba.dt.bias.unwrap().val()).iter().map(|bias| bias.exp().ln_1p()).collect();
    assert!(steps.iter().all(|step| (0.05 - 1e-6..=0.1 + 1e-6).contains(step)));

    // With steps of 0 nothing is written and nothing fades: what is left is the skip.
    let config = Mamba2Config::new(8).with_head_dim(4).with_d_state(3).with_rms_norm(false);
    let layer = double(config.with_dt_limit(Some((0.0, 0.0))).init(&device));
    let input = Inputs::new(5, &device).uniform::<3>([1, 6, 8]);
    let state = Mamba2State {
        memory: Tensor::ones([1, 4, 3, 4], (&device, DType::F64)),
        ..layer.init_state(1, &device)
    };
    let (_, after) = layer.forward(input, Some(state.clone()));
    assert!(values(after.memory) == values(state.memory));
}
