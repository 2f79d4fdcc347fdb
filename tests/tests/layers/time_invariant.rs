//! Identities of the time-invariant state spaces, and their numbers at the extremes.

use burn::module::Param;
use burn::tensor::{Device, Tensor};
use seqzoo::layers::*;
use seqzoo::ops::{Complex, diagonal_ssm::diagonal_ssm};
use seqzoo::parts::{
    DiagonalStateSpace, DiagonalStateSpaceConfig, Discretisation, DplrStateSpace, DplrStateSpaceConfig,
    Hippo, RealTransform, StateSpaceInit, System,
};
use seqzoo::testing::Trial;
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, Outcome, autodiff, double, flags, largest_error, plain, values};

fn diagonal(config: &DiagonalStateSpaceConfig, device: &Device) -> DiagonalStateSpace {
    double(config.try_init("test", device).unwrap())
}

#[test]
fn a_diagonal_scan_is_a_convolution_with_its_filter() {
    let device = plain();
    for discretisation in [Discretisation::ZeroOrderHold, Discretisation::Bilinear] {
        for init in [StateSpaceInit::Lin, StateSpaceInit::Inv, StateSpaceInit::LegS] {
            let config = DiagonalStateSpaceConfig::new(3).with_d_state(8).with_init(init);
            let space = diagonal(&config.with_discretisation(discretisation), &device);
            let input = Inputs::new(3, &device).uniform::<3>([1, 150, 3]);
            let (eigenvalues, weights) = space.discretised();
            let (found, _) = diagonal_ssm(input.clone(), eigenvalues, weights, Default::default());
            let (filter, input) = (values(space.filter(150)), values(input));
            let mut wanted = vec![0.0; 150 * 3];
            for t in 0..150 {
                for s in 0..=t {
                    (0..3).for_each(|e| wanted[t * 3 + e] += filter[e * 150 + t - s] * input[s * 3 + e]);
                }
            }
            assert!(largest_error(&values(found), &wanted) < 1e-12);
        }
    }
}

#[test]
fn s4_without_its_low_rank_is_s4d() {
    let device = plain();
    for measure in [Hippo::LegS, Hippo::LegT] {
        let mut low = double(S4Config::new(5).with_d_state(6).with_measure(measure).init(&device));
        *low.space.p = Param::from_tensor(low.space.p.val().zeros_like());
        let config = S4dConfig::new(5).with_d_state(6).with_learn_b(true);
        let mut s4d = double(config.with_discretisation(Discretisation::Bilinear).init(&device));
        s4d.space.log_dt = low.space.log_dt.clone();
        s4d.space.a_real = low.space.a_real.clone();
        s4d.space.a_imag = low.space.a_imag.clone();
        s4d.space.b = Some(low.space.b.clone());
        s4d.space.c = low.space.c.clone();
        s4d.output = low.output.clone();
        let input = Inputs::new(3, &device).uniform::<3>([2, 200, 5]);
        let (found, wanted) = (low.forward(input.clone(), None).0, s4d.forward(input, None).0);
        assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
    }
}

/// `(1 − Δ/2 A)⁻¹ x`, by elimination.
fn solve(a: &[f64], half: f64, x: &[f64]) -> Vec<f64> {
    let size = x.len();
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|row| {
            let mut line: Vec<f64> =
                (0..size).map(|column| f64::from(row == column) - half * a[row * size + column]).collect();
            line.push(x[row]);
            line
        })
        .collect();
    for pivot in 0..size {
        let best =
            (pivot..size).max_by(|a, b| rows[*a][pivot].abs().total_cmp(&rows[*b][pivot].abs())).unwrap();
        rows.swap(pivot, best);
        let line = rows[pivot].clone();
        for row in rows.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / line[pivot];
            row.iter_mut().zip(&line).for_each(|(entry, above)| *entry -= factor * above);
        }
    }
    let mut found = vec![0.0; size];
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|column| rows[row][column] * found[column]).sum();
        found[row] = (rows[row][size] - known) / rows[row][row];
    }
    found
}

/// In the basis of HiPPO's own coefficients, read by `Bᵀ`.
#[test]
fn s4_begins_as_the_hippo_system_that_it_names() {
    let device = plain();
    let (time, order) = (200, 8);
    for measure in [Hippo::LegS, Hippo::LegT] {
        let config = DplrStateSpaceConfig::new(2).with_d_state(order).with_measure(measure).with_dt_min(0.01);
        let mut space = double(config.try_init("test", &device).unwrap());
        // Vᴴ B read by its own conjugate is Bᵀ.
        let b = space.b.val();
        let signs = Tensor::<1>::from_floats([1.0, -1.0], &device).cast(burn::tensor::FloatDType::F64);
        space.c = Param::from_tensor(b * signs.unsqueeze());
        let input = Inputs::new(3, &device).uniform::<3>([1, time, 2]);
        let start = || Tensor::zeros([1, 2, order / 2], (&device, input.dtype()));
        let (found, _) = space.forward(input.clone(), None, Complex::new(start(), start()));
        let (found, input) = (values(found), values(input));

        let System { mut a, b } = measure.system(order);
        if measure == Hippo::LegT {
            // The normal part of LegT does not decay; the parameters do, by the least decay.
            (0..order).for_each(|n| a[n * order + n] -= 1e-4);
        }
        for (channel, step) in values(space.log_dt.val()).into_iter().map(f64::exp).enumerate() {
            let mut state = vec![0.0; order];
            let (mut wanted, mut seen) = (Vec::new(), Vec::new());
            for t in 0..time {
                let mut right: Vec<f64> = (0..order)
                    .map(|n| {
                        let row = &a[n * order..(n + 1) * order];
                        state[n] + step / 2.0 * row.iter().zip(&state).map(|(a, x)| a * x).sum::<f64>()
                    })
                    .collect();
                right.iter_mut().zip(&b).for_each(|(x, b)| *x += step * b * input[t * 2 + channel]);
                state = solve(&a, step / 2.0, &right);
                wanted.push(state.iter().zip(&b).map(|(x, b)| x * b).sum());
                seen.push(found[t * 2 + channel]);
            }
            let error = largest_error(&seen, &wanted);
            // Parameters are drawn in f32.
            assert!(error < 1e-5, "{measure:?}: {error:e}");
        }
    }
}

/// Over several chunks, whose ends lie elsewhere in every split.
fn crosses_chunks<L: SequenceMixer>(layer: &L, device: &Device) {
    let (time, channels) = (170, layer.d_model());
    let run = |ends: &[usize], packed: bool| {
        let mut inputs = Inputs::new(3, device);
        let input = inputs.uniform::<3>([2, time, channels]).require_grad();
        let resets = flags(2, time, &[5, 63, 64, 120], device);
        let (mut from, mut outputs) = (0, Vec::new());
        let mut state = layer.init_state(2, device);
        for to in ends {
            let part = input.clone().narrow(1, from, to - from);
            let resets = packed.then(|| resets.clone().narrow(1, from, to - from));
            let (output, next) = layer.forward_packed(part, resets, Some(state));
            outputs.push(output);
            (from, state) = (*to, next);
        }
        let output = Tensor::cat(outputs, 1);
        let mut outcome = Outcome::default();
        outcome.put("output", &output);
        let gradients = (output * inputs.uniform([2, time, channels])).sum().backward();
        outcome.put_gradient("input", &input, &gradients);
        (outcome, state.bytes())
    };
    let steps: Vec<usize> = (1..=time).collect();
    for packed in [false, true] {
        let (whole, bytes) = run(&[time], packed);
        for ends in [&[64, time][..], &[63, 65, time], &[1, 129, time], &steps] {
            let (parts, same) = run(ends, packed);
            parts.assert_close(&whole, 1e-10);
            assert_eq!(bytes, same);
        }
    }
}

#[test]
fn chunks_of_any_division_give_the_same() {
    let device = autodiff();
    crosses_chunks(&double(S4Config::new(3).with_d_state(4).with_dt_max(0.5).init(&device)), &device);
    let legt = S4Config::new(3).with_d_state(4).with_measure(Hippo::LegT);
    crosses_chunks(&double(legt.init(&device)), &device);
    crosses_chunks(&double(S4dConfig::new(3).with_d_state(4).init(&device)), &device);
    let lmu = LmuConfig::new(3).with_order(4).with_theta(9.0).with_memory_channels(2);
    crosses_chunks(&double(lmu.with_input_activation(LmuActivation::Tanh).init(&device)), &device);
}

/// From a state, with the gradients of it and of all parameters.
#[test]
fn the_law_holds_over_whole_chunks() {
    let device = autodiff();
    let layer = S4Config::new(2).with_d_state(4).with_dt_min(0.05).init(&device);
    Trial::new(2, &device).with_time(140).law(&layer);
}

#[test]
fn gradients_of_a_low_rank_are_those_of_finite_differences() {
    let device = autodiff();
    for measure in [Hippo::LegS, Hippo::LegT] {
        let config = DplrStateSpaceConfig::new(2).with_d_state(4).with_measure(measure).with_dt_min(0.05);
        let mut space = double(config.try_init("test", &device).unwrap());
        // Parameters of its own, since tests draw from one generator: where the slope happens to be next to nothing, the rounding of
        // the scores is most of their difference. LegT hardly decays, and they would drown in it.
        let mut drawn = Inputs::new(4, &device);
        *space.a_real = Param::from_tensor(drawn.between([2, 2], -1.0, 0.0));
        *space.log_dt = Param::from_tensor(drawn.between(space.log_dt.dims(), 0.05f64.ln(), 0.1f64.ln()));
        space.c = Param::from_tensor(drawn.uniform(space.c.dims()));
        let score = |space: &DplrStateSpace| {
            let mut inputs = Inputs::new(3, &device);
            let state = Complex::new(inputs.uniform([1, 2, 2]), inputs.uniform([1, 2, 2]));
            let (output, last) = space.forward(inputs.uniform([1, 140, 2]), None, state);
            (output * inputs.uniform([1, 140, 2])).sum()
                + (last.re * inputs.uniform([1, 2, 2])).sum()
                + (last.im * inputs.uniform([1, 2, 2])).sum()
        };
        let gradients = score(&space).backward();
        fn moved<const D: usize>(
            parameter: &Param<Tensor<D>>,
            along: &Tensor<D>,
            by: f64,
        ) -> Param<Tensor<D>> {
            Param::from_tensor((parameter.val() + along.clone().mul_scalar(by)).detach())
        }
        macro_rules! compare {
            ($field:ident, $dims:literal) => {{
                let along = Inputs::new(8, &device).uniform::<$dims>(space.$field.val().dims());
                let gradient = space.$field.val().grad(&gradients).unwrap();
                let found: f64 = values(gradient).iter().zip(values(along.clone())).map(|(g, a)| g * a).sum();
                let at = |by| {
                    let mut other = space.clone();
                    other.$field = moved(&space.$field, &along, by).into();
                    values(score(&other))[0]
                };
                let step = 1e-5;
                let wanted = (at(step) - at(-step)) / (2.0 * step);
                let error = (found - wanted).abs() / wanted.abs().max(1e-3);
                assert!(error < 1e-7, "{}: {found} for {wanted}", stringify!($field));
            }};
        }
        compare!(log_dt, 1);
        compare!(a_real, 2);
        compare!(a_imag, 2);
        compare!(p, 4);
        compare!(b, 3);
        compare!(c, 3);
    }
}

/// With a step times a rate far below the precision of `f32`, `(e^z − 1)/A` is still `Δ`.
#[test]
fn small_steps_do_not_cancel() {
    let device = plain();
    let cases: [[f64; 3]; 6] = [
        [-12.0, -1.0, 0.0],
        [-12.0, -1.0, 1e-3],
        [-3.0, -60.0, 0.0],
        [-20.0, 1.0, 1e4],
        [-3.0, 60.0, 1.0],
        [3.0, 5.0, 1e5],
    ];
    for [log_dt, log_decay, frequency] in cases {
        let config = DiagonalStateSpaceConfig::new(1).with_d_state(2);
        let mut single = config.try_init("test", &device).unwrap();
        *single.log_dt = Param::from_tensor(Tensor::from_floats([log_dt], &device));
        *single.a_real = Param::from_tensor(Tensor::from_floats([[log_decay]], &device));
        *single.a_imag = Param::from_tensor(Tensor::from_floats([[frequency]], &device));
        let wide = double(single.clone());
        let (_, found) = single.discretised();
        let (_, wanted) = wide.discretised();
        let numbers = |weights: Complex<2>| [values(weights.re), values(weights.im)].concat();
        let (found, wanted) = (numbers(found), numbers(wanted));
        // Angles of f32 are as exact as they are large.
        let angle = frequency * log_dt.exp();
        let tolerance = 1e-6 * (1.0 + angle);
        assert!(largest_error(&found, &wanted) < tolerance, "{log_dt} {log_decay} {frequency}");
        if log_decay < -50.0 {
            let c = values(wide.c.val());
            let delta = log_dt.exp();
            assert!(largest_error(&wanted, &[2.0 * delta * c[0], 2.0 * delta * c[1]]) < 1e-6);
        }
    }
}

#[test]
fn a_large_untrained_layer_stays_finite_in_f32_over_a_long_sequence() {
    let device = plain();
    let input = Inputs::single(3, &device).uniform::<3>([1, 3000, 4]);
    let finite = |output: Tensor<3>| values(output).iter().all(|x| x.is_finite());
    assert!(finite(S4Config::new(4).with_measure(Hippo::LegT).init(&device).forward(input.clone(), None).0));
    for dt in [1e-3, 10.0] {
        let s4 = S4Config::new(4).with_dt_min(dt).with_dt_max(dt).init(&device);
        assert!(finite(s4.forward(input.clone(), None).0));
        let s4d = S4dConfig::new(4).with_dt_min(dt).with_dt_max(dt).with_real_transform(RealTransform::Relu);
        assert!(finite(s4d.init(&device).forward(input.clone(), None).0));
    }
}

/// The feedback is of the size of the state, however large the published state is.
#[test]
fn a_published_state_in_f32_follows_the_one_in_f64() {
    let device = plain();
    for measure in [Hippo::LegS, Hippo::LegT] {
        for d_state in [64, 256] {
            let layer = S4Config::new(8).with_d_state(d_state).with_measure(measure).init(&device);
            let single = Inputs::single(3, &device).uniform::<3>([1, 500, 8]);
            let wide = single.clone().cast(burn::tensor::FloatDType::F64);
            let (found, _) = layer.forward(single, None);
            let (wanted, _) = double(layer).forward(wide, None);
            let error = largest_error(&values(found), &values(wanted));
            assert!(error < 2e-5, "{measure:?} of {d_state}: {error:e}");
        }
    }
}

#[test]
fn states_come_in_pairs_and_steps_in_order() {
    let device = plain();
    fn message<T>(made: Result<T, seqzoo::ConfigError>) -> String {
        match made {
            Ok(_) => panic!("an error was expected"),
            Err(error) => error.to_string(),
        }
    }
    assert_eq!(
        message(S4dConfig::new(4).with_d_state(5).try_init(&device)),
        "s4d: d_state = 5, but an even number of at least 2 is wanted: states come in pairs"
    );
    assert!(message(S4dConfig::new(0).try_init(&device)).contains("d_model is 0"));
    assert_eq!(
        message(S4Config::new(4).with_d_state(514).try_init(&device)),
        "s4: d_state = 514, but for HiPPO an even number from 2 to 512 is wanted"
    );
    let legs = S4dConfig::new(4).with_init(StateSpaceInit::LegS);
    assert!(message(legs.with_d_state(1024).try_init(&device)).contains("from 2 to 512"));
    for (least, most) in [(0.0, 0.1), (-1.0, 0.1), (0.2, 0.1), (f64::NAN, 0.1), (0.1, f64::INFINITY)] {
        let text = message(S4dConfig::new(4).with_dt_min(least).with_dt_max(most).try_init(&device));
        assert!(text.contains("but 0 < dt_min <= dt_max is wanted"), "{text}");
        let text = message(S4Config::new(4).with_dt_min(least).with_dt_max(most).try_init(&device));
        assert!(text.contains("but 0 < dt_min <= dt_max is wanted"), "{text}");
    }
}

#[test]
fn steps_and_eigenvalues_begin_as_published() {
    let device = plain();
    let space = S4dConfig::new(300).with_d_state(8).init(&device).space;
    let steps = values(space.log_dt.val());
    let (least, most) = steps.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
    let (low, high) = (1e-3f64.ln(), 1e-1f64.ln());
    assert!(low - 1e-5 <= least && least < low + 0.3 && high - 0.3 < most && most <= high + 1e-5);
    let decays = values(space.a_real.val().exp());
    assert!(decays.iter().all(|decay| (decay - 0.5).abs() < 1e-6));
    let first = |init| {
        let space = S4dConfig::new(1).with_d_state(8).with_init(init).init(&device).space;
        values(space.a_imag.val())
    };
    let pi = std::f64::consts::PI;
    assert!(largest_error(&first(StateSpaceInit::Lin), &[0.0, pi, 2.0 * pi, 3.0 * pi]) < 1e-6);
    // N/π (N/(2n + 1) − 1)
    let inverse: Vec<f64> = [7.0, 5.0 / 3.0, 3.0 / 5.0, 1.0 / 7.0].map(|x| 8.0 / pi * x).to_vec();
    assert!(largest_error(&first(StateSpaceInit::Inv), &inverse) < 1e-6);
    let legs = Hippo::LegS.normal_plus_low_rank(8);
    assert_eq!(legs.real, -0.5);
    let frequencies: Vec<f64> = legs.imaginary.iter().map(|imaginary| -imaginary).collect();
    assert!(largest_error(&first(StateSpaceInit::LegS), &frequencies) < 1e-6);
}
