//! Operators of one token at a time: the kernel against the law, in values and all gradients.

use burn::tensor::{DType, Device, FloatDType, Tensor};
use rayon::ThreadPoolBuilder;
use seqzoo::ops::Form;
use seqzoo::ops::token_wise::feature_maps::{hedgehog, taylor};
use seqzoo::ops::token_wise::linear::{Map, linear};
use seqzoo::ops::token_wise::pointwise::{elu_plus_one, log_sigmoid, squared_relu, swiglu};
use seqzoo::ops::token_wise::report;
use seqzoo::ops::token_wise::rms_norm::{GateActivation, RmsNormOptions, rms_norm, unit_length};
use seqzoo::ops::token_wise::rotary::{RotaryLayout, rotate};
use seqzoo_tests::{Inputs, Outcome, autodiff, largest_error, plain, said, values};

/// Rows and channels: one of each, fewer than a vector, between two vectors, more than a task.
const SHAPES: [[usize; 2]; 6] = [[1, 1], [3, 5], [2, 64], [7, 67], [130, 256], [1100, 33]];

/// The outputs and all gradients of `work`, from inputs of these shapes between -4 and 4 and random cotangents.
fn outcome<const N: usize, const K: usize>(
    device: &Device,
    shapes: [[usize; 2]; N],
    work: impl Fn([Tensor<2>; N]) -> [Tensor<2>; K],
) -> Outcome {
    let mut random = Inputs::new(7, device);
    let inputs = shapes.map(|shape| random.between(shape, -4.0, 4.0).require_grad());
    let outputs = work(inputs.clone());
    let mut outcome = Outcome::default();
    let mut loss = Tensor::<1>::zeros([1], (device, DType::F64));
    for (index, output) in outputs.into_iter().enumerate() {
        outcome.put(&format!("output {index}"), &output);
        let cotangent = random.uniform(output.dims());
        loss = loss + (output * cotangent).sum();
    }
    let gradients = loss.backward();
    for (index, input) in inputs.iter().enumerate() {
        outcome.put_gradient(&format!("input {index}"), input, &gradients);
    }
    outcome
}

/// Asserts that both forms agree.
fn forms_agree<const N: usize, const K: usize>(
    shapes: [[usize; 2]; N],
    work: impl Fn([Tensor<2>; N], Form) -> [Tensor<2>; K],
) {
    let device = autodiff();
    let kernel = outcome(&device, shapes, |inputs| work(inputs, Form::Kernel));
    let law = outcome(&device, shapes, |inputs| work(inputs, Form::Parallel));
    kernel.assert_close(&law, 1e-9);
}

fn vector(row: Tensor<2>) -> Tensor<1> {
    row.squeeze_dim(0)
}

fn normed<const G: bool>(inputs: &[Tensor<2>], activation: GateActivation, form: Form) -> [Tensor<2>; 1] {
    let gate = G.then(|| (inputs[2].clone(), activation));
    [rms_norm(inputs[0].clone(), vector(inputs[1].clone()), RmsNormOptions { epsilon: 1e-5, gate, form })]
}

#[test]
fn pointwise_kernels_are_their_law() {
    for shape in SHAPES {
        forms_agree([shape; 2], |[gate, up], form| [swiglu(gate, up, form)]);
        forms_agree([shape], |[x], form| [elu_plus_one(x, form)]);
        forms_agree([shape], |[x], form| [squared_relu(x, form)]);
        forms_agree([shape], |[x], form| [log_sigmoid(x, 1.0 / 16.0, None, form)]);
        forms_agree([shape], |[x], form| [log_sigmoid(x, 0.5, Some(-1.0), form)]);
    }
}

#[test]
fn feature_maps_are_their_law() {
    for shape in SHAPES {
        forms_agree([shape], |[x], form| [taylor(x, form)]);
        forms_agree([shape], |[x], form| [hedgehog(x, form)]);
    }
    // Products of features are what they stand for.
    let mut random = Inputs::new(3, &plain());
    let [q, k] = [(); 2].map(|()| random.between([1, 6], -2.0, 2.0));
    for form in [Form::Parallel, Form::Kernel] {
        let product = |a: Tensor<2>, b: Tensor<2>| values((a * b).sum())[0];
        let x = product(q.clone(), k.clone()) / 6f64.sqrt();
        let found = product(taylor(q.clone(), form), taylor(k.clone(), form));
        assert!((found - (1.0 + x + x * x / 2.0)).abs() < 1e-12);
        let (numbers, root) = (values(q.clone()), 6f64.sqrt());
        let mut wanted = vec![1.0];
        wanted.extend(numbers.iter().map(|x| x / root.sqrt()));
        wanted.extend(numbers.iter().map(|x| x * x / (root * 2f64.sqrt())));
        for (i, x) in numbers.iter().enumerate() {
            wanted.extend(numbers[i + 1..].iter().map(|later| x * later / root));
        }
        assert!(largest_error(&values(taylor(q.clone(), form)), &wanted) < 1e-14);
        let shares = values(hedgehog(q.clone(), form));
        let exponentials: Vec<f64> = [2.0, -2.0]
            .iter()
            .flat_map(|by| values(q.clone()).into_iter().map(move |x| (by * x).exp()))
            .collect();
        let sum: f64 = exponentials.iter().sum();
        let wanted: Vec<f64> = exponentials.iter().map(|one| one / sum).collect();
        assert!(largest_error(&shares, &wanted) < 1e-14);
    }
}

#[test]
fn norms_are_their_law() {
    for [rows, channels] in SHAPES {
        let (row, gamma) = ([rows, channels], [1, channels]);
        forms_agree([row, gamma], |inputs, form| normed::<false>(&inputs, GateActivation::Silu, form));
        for activation in [GateActivation::Silu, GateActivation::Sigmoid] {
            forms_agree([row, gamma, row], |inputs, form| normed::<true>(&inputs, activation, form));
        }
    }
}

#[test]
fn unit_lengths_are_their_law() {
    // With one channel the gradient is what `ε` leaves of it: nothing but rounding if that is tiny.
    for shape in SHAPES {
        forms_agree([shape], |[x], form| [unit_length(x, 0.1, form)]);
    }
    let x = Inputs::new(3, &plain()).between([4, 6], -3.0, 3.0);
    for form in [Form::Parallel, Form::Kernel] {
        let rows = values(x.clone());
        let found = values(unit_length(x.clone(), 0.25, form));
        for (row, found) in rows.chunks_exact(6).zip(found.chunks_exact(6)) {
            let length = (row.iter().map(|x| x * x).sum::<f64>() + 0.25).sqrt();
            let wanted: Vec<f64> = row.iter().map(|x| x / length).collect();
            assert!(largest_error(found, &wanted) < 1e-14);
        }
    }
}

#[test]
fn linear_maps_are_their_law() {
    for [rows, channels] in SHAPES {
        let (row, wide, narrow) = ([rows, channels], [channels, 9], [channels, 2]);
        forms_agree([row, wide, narrow, [1, 9]], |[x, first, second, bias], form| {
            let bias = Some(vector(bias));
            linear(x, [Map { weight: first, bias }, Map { weight: second, bias: None }], form)
        });
        // More than one call to the backend takes.
        forms_agree([row, wide, narrow], |[x, first, second], form| {
            let map = |weight: &Tensor<2>| Map { weight: weight.clone(), bias: None };
            linear(x, [map(&first), map(&second), map(&first), map(&first), map(&second), map(&first)], form)
        });
        // Weights that are parts of a larger one, or lie backwards.
        forms_agree([row, [channels, 9]], |[x, weight], form| {
            let part = |first, width| Map { weight: weight.clone().narrow(1, first, width), bias: None };
            linear(x, [part(0, 4), part(4, 5), Map { weight: weight.clone().flip([1]), bias: None }], form)
        });
        // Weights that lie transposed, as those of tied heads do.
        forms_agree([row, [9, channels]], |[x, weight], form| {
            linear(x, [Map { weight: weight.transpose(), bias: None }], form)
        });
    }
}

/// A few rows through a matrix that takes several tasks, lying in rows, in columns and as a part of another.
#[test]
fn few_rows_through_a_large_matrix_are_their_law() {
    for rows in 1..=5 {
        forms_agree([[rows, 301], [301, 260], [1, 260]], |[x, weight, bias], form| {
            linear(x, [Map { weight, bias: Some(vector(bias)) }], form)
        });
        forms_agree([[rows, 301], [600, 301]], |[x, weight], form| {
            linear(x, [Map { weight: weight.transpose(), bias: None }], form)
        });
        forms_agree([[rows, 301], [301, 400]], |[x, weight], form| {
            linear(x, [Map { weight: weight.narrow(1, 70, 230), bias: None }], form)
        });
    }
}

/// Layers may work on a batch in groups: what a sequence is told must not depend on how many go with it.
#[test]
fn a_row_through_a_small_matrix_has_the_same_bits_alone_and_among_many() {
    for mut random in [Inputs::new(23, &plain()), Inputs::single(23, &plain())] {
        for [inner, outer] in [[8, 8], [5, 3], [67, 30], [100, 300]] {
            let (x, weight) = (random.uniform([9, inner]), random.uniform([inner, outer]));
            let bias = random.uniform([1, outer]);
            for bias in [None, Some(vector(bias))] {
                let through = |x| {
                    let map = Map { weight: weight.clone(), bias: bias.clone() };
                    let [y] = linear(x, [map], Form::Kernel);
                    y
                };
                let all = through(x.clone());
                for rows in [1, 2, 4, 5] {
                    let some = through(x.clone().narrow(0, 3, rows));
                    assert_eq!(values(some), values(all.clone().narrow(0, 3, rows)));
                }
            }
        }
    }
}

/// What streams in half precision: products of the numbers as they are stored, sums in `f32`, one rounding.
#[test]
fn few_rows_in_bf16_are_rounded_once() {
    let mut random = Inputs::single(21, &plain());
    let half = |x: Tensor<2>| x.cast(FloatDType::BF16);
    let wide = |x: &Tensor<2>| x.clone().cast(FloatDType::F64);
    for rows in [1, 4] {
        let x = half(random.uniform([rows, 300]));
        let (weight, other) = (half(random.uniform([300, 210])), half(random.uniform([210, 300])));
        let bias = half(random.uniform([1, 210]));
        let maps = |change: &dyn Fn(&Tensor<2>) -> Tensor<2>| {
            let (weight, other, bias) = (change(&weight), change(&other).transpose(), change(&bias));
            // Pairs of numbers that begin with a word, that do not, and with one left over.
            let [shifted, odd] =
                [(1, 150), (0, 149)].map(|(first, width)| weight.clone().narrow(1, first, width));
            let map = |weight| Map { weight, bias: None };
            [Map { weight, bias: Some(vector(bias)) }, map(other), map(shifted), map(odd)]
        };
        let found = linear(x.clone(), maps(&Tensor::clone), Form::Kernel);
        let wanted = linear(wide(&x), maps(&wide), Form::Parallel);
        for (found, wanted) in found.into_iter().zip(wanted) {
            assert_eq!(found.dtype(), DType::BF16);
            assert!(largest_error(&values(found), &values(wanted)) < 1.0 / 256.0);
        }
    }
}

/// Sequences that turn alike and each by its own angles, heads that turn whole and in part.
#[test]
fn rotations_are_their_law() {
    let [batch, time, heads] = [2, 9, 3];
    for (channels, turning, rows) in [(2, 2, 1), (8, 8, 2), (66, 66, 1), (40, 10, 1), (7, 0, 1)] {
        let device = autodiff();
        let angles = Inputs::new(9, &device).between([rows, time, 1, turning / 2], -9.0, 9.0);
        for layout in [RotaryLayout::HalfSplit, RotaryLayout::Interleaved] {
            let turn =
                |tokens, form| rotate(tokens, angles.clone().cos(), angles.clone().sin(), layout, form);
            forms_agree([[batch * time, heads * channels]], |[x], form| {
                let tokens = x.reshape([batch, time, heads, channels]);
                [turn(tokens, form).reshape([batch * time, heads * channels])]
            });
        }
    }
}

/// Two channels by hand: a quarter of a turn.
#[test]
fn a_rotation_turns_from_the_first_to_the_second() {
    let numbers = |numbers: [f32; 2]| Tensor::<1>::from_floats(numbers, &plain()).reshape([1, 1, 1, 2]);
    let angle = |number: f32| Tensor::<1>::from_floats([number], &plain()).reshape([1, 1, 1, 1]);
    for layout in [RotaryLayout::HalfSplit, RotaryLayout::Interleaved] {
        for form in [Form::Parallel, Form::Kernel] {
            let turned = rotate(numbers([2.0, 3.0]), angle(0.0), angle(1.0), layout, form);
            assert_eq!(values(turned), [-3.0, 2.0]);
        }
    }
}

/// The formulas themselves, in plain numbers.
#[test]
fn the_laws_are_their_formulas() {
    let mut random = Inputs::new(3, &plain());
    let [x, y] = [(); 2].map(|()| random.between([4, 6], -3.0, 3.0));
    let gamma = random.uniform([1, 6]);
    let all = |x: &Tensor<2>| values(x.clone());
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let is = |found: Tensor<2>, wanted: &dyn Fn(f64, f64) -> f64| {
        let wanted: Vec<f64> = all(&x).iter().zip(all(&y)).map(|(x, y)| wanted(*x, y)).collect();
        assert!(largest_error(&values(found), &wanted) < 1e-14);
    };
    for form in [Form::Parallel, Form::Kernel] {
        is(swiglu(x.clone(), y.clone(), form), &|x, y| x * sigmoid(x) * y);
        is(elu_plus_one(x.clone(), form), &|x, _| if x < 0.0 { x.exp() } else { x + 1.0 });
        is(squared_relu(x.clone(), form), &|x, _| x.max(0.0).powi(2));
        is(log_sigmoid(x.clone(), 0.5, Some(-1.0), form), &|x, _| (0.5 * sigmoid(x).ln()).max(-1.0));
        let found = normed::<true>(&[x.clone(), gamma.clone(), y.clone()], GateActivation::Sigmoid, form);
        let (rows, gates, gamma) = (all(&x), all(&y), all(&gamma));
        let wanted: Vec<f64> = (0..24)
            .map(|place| {
                let row = &rows[place / 6 * 6..][..6];
                let root = (row.iter().map(|x| x * x).sum::<f64>() / 6.0 + 1e-5).sqrt();
                gamma[place % 6] * rows[place] / root * sigmoid(gates[place])
            })
            .collect();
        assert!(largest_error(&values(found.into_iter().next().unwrap()), &wanted) < 1e-14);
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    let (double, single) = (Inputs::new(5, &plain()), Inputs::single(5, &plain()));
    let run = |mut random: Inputs| {
        let [x, y] = [(); 2].map(|()| random.between([50, 65], -30.0, 30.0));
        let gamma = random.uniform([1, 65]);
        [
            swiglu(x.clone(), y.clone(), Form::Kernel),
            elu_plus_one(x.clone(), Form::Kernel),
            log_sigmoid(x.clone(), 1.0, None, Form::Kernel),
            unit_length(x.clone(), 1e-6, Form::Kernel),
            taylor(x.clone(), Form::Kernel),
            hedgehog(x.clone(), Form::Kernel),
            normed::<true>(&[x, gamma, y], GateActivation::Silu, Form::Kernel).into_iter().next().unwrap(),
        ]
        .map(values)
    };
    for (single, double) in run(single).iter().zip(run(double)) {
        assert!(largest_error(single, &double) < 1e-6);
    }
}

/// Far out the functions are what they tend to, and nothing is NaN.
#[test]
fn hostile_numbers_stay_finite() {
    let device = Device::default().autodiff();
    let x =
        Tensor::<2>::from_floats([[-1e4, -200.0, -1e-30, 0.0, 1e-30, 200.0, 1e4]], &device).require_grad();
    let outputs = [
        swiglu(x.clone(), x.clone(), Form::Kernel),
        elu_plus_one(x.clone(), Form::Kernel),
        log_sigmoid(x.clone(), 1.0, None, Form::Kernel),
        hedgehog(x.clone(), Form::Kernel),
        taylor(x.clone(), Form::Kernel),
        unit_length(x.clone(), 1e-6, Form::Kernel),
        unit_length(x.clone().mul_scalar(1e-20), 1e-6, Form::Kernel),
        rms_norm(
            x.clone().mul_scalar(1e-20),
            Tensor::ones([7], &device),
            RmsNormOptions {
                epsilon: 1e-6,
                gate: Some((x.clone(), GateActivation::Silu)),
                form: Form::Kernel,
            },
        ),
    ];
    let total =
        outputs.iter().fold(Tensor::<1>::zeros([1], &device), |sum, output| sum + output.clone().sum());
    let gradient = x.grad(&total.backward()).expect("all outputs depend on x");
    for tensor in outputs.into_iter().map(Tensor::inner).chain([gradient]) {
        assert!(values(tensor).into_iter().all(f64::is_finite));
    }
}

#[test]
fn narrow_types_are_computed_in_single_precision() {
    let mut random = Inputs::single(11, &plain());
    let half = |x: Tensor<2>| x.cast(FloatDType::BF16);
    let [x, y] = [(); 2].map(|()| half(random.between([5, 12], -4.0, 4.0)));
    let wide = |x: &Tensor<2>| x.clone().cast(FloatDType::F32);
    let found = swiglu(x.clone(), y.clone(), Form::Auto);
    assert_eq!(found.dtype(), DType::BF16);
    let wanted = half(swiglu(wide(&x), wide(&y), Form::Auto));
    assert_eq!(values(found), values(wanted));
    assert_eq!(log_sigmoid(x.clone(), 1.0, None, Form::Auto).dtype(), DType::F32, "a log decay is wide");
    for function in [taylor, hedgehog, |x, form| unit_length(x, 1e-6, form)] {
        let found = function(x.clone(), Form::Auto);
        assert_eq!(found.dtype(), DType::BF16);
        assert_eq!(values(found), values(half(function(wide(&x), Form::Auto))));
    }
    let weight = half(random.uniform([12, 3]));
    let [found] = linear(x, [Map { weight, bias: None }], Form::Auto);
    assert_eq!((found.dtype(), found.dims()), (DType::BF16, [5, 3]));
}

#[test]
fn no_rows_have_outputs_and_gradients_of_none() {
    let device = autodiff();
    for form in [Form::Parallel, Form::Kernel] {
        let found = outcome(&device, [[0, 6], [6, 3], [1, 6]], |[x, weight, gamma]| {
            let [y] = linear(x.clone(), [Map { weight, bias: None }], form);
            let options = RmsNormOptions { epsilon: 1e-5, gate: None, form };
            let normed = rms_norm(x.clone(), vector(gamma), options);
            let mapped =
                [taylor(x.clone(), form), hedgehog(x.clone(), form), unit_length(x.clone(), 1e-6, form)];
            assert_eq!(mapped.map(|features| features.dims()), [[0, 28], [0, 12], [0, 6]]);
            [y, normed, swiglu(x.clone(), x, form)]
        });
        assert!(found.values("output 0").is_empty() && found.values("output 1").is_empty());
        assert_eq!(found.values("d_input 1"), [0.0; 18]);
        assert_eq!(found.values("d_input 2"), [0.0; 6]);
    }
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    let run = |cores| {
        let pool = ThreadPoolBuilder::new().num_threads(cores).build().expect("there are threads");
        pool.install(|| {
            outcome(&autodiff(), [[600, 67], [1, 67], [600, 67]], |[x, gamma, y]| {
                let [normed] =
                    normed::<true>(&[x.clone(), gamma, y.clone()], GateActivation::Silu, Form::Kernel);
                let log = log_sigmoid(swiglu(normed, y.clone(), Form::Kernel), 0.1, None, Form::Kernel);
                let unit = unit_length(x, 1e-6, Form::Kernel);
                [log, taylor(unit, Form::Kernel), hedgehog(y, Form::Kernel)]
            })
        })
    };
    let one = run(1);
    for cores in [2, 3] {
        let more = run(cores);
        for name in one.names() {
            assert_eq!(one.values(name), more.values(name), "{name} with {cores} cores");
        }
    }
}

#[test]
fn misfits_are_named() {
    let device = plain();
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &device);
    let map = |shape| [Map { weight: zeros(shape), bias: None }];
    assert!(said(|| linear(zeros([2, 3]), map([4, 5]), Form::Auto)).contains("`input` has 3 channels"));
    assert!(said(|| swiglu(zeros([2, 3]), zeros([2, 4]), Form::Auto)).contains("`gate` and `up`"));
    let options = || RmsNormOptions { epsilon: 1e-5, gate: None, form: Form::Auto };
    let gamma = || Tensor::<1>::zeros([4], &device);
    assert!(said(|| rms_norm(zeros([2, 3]), gamma(), options())).contains("`input` has 3 channels"));
    let gate = Some((zeros([3, 4]), GateActivation::Silu));
    let gated = || rms_norm(zeros([2, 4]), gamma(), RmsNormOptions { gate: gate.clone(), ..options() });
    assert!(said(gated).contains("`gate` has another shape"));
    assert!(said(|| taylor(zeros([2, 0]), Form::Auto)).contains("at least one is wanted"));
    assert!(said(|| hedgehog(zeros([2, 3]), Form::Chunked { size: 64 })).contains("Form::Auto"));
    assert!(said(|| unit_length(zeros([2, 3]), 1e-6, Form::Chunked { size: 64 })).contains("Form::Auto"));
    assert!(said(|| elu_plus_one(zeros([2, 3]), Form::Chunked { size: 64 })).contains("Form::Auto"));
    assert_eq!(report(Form::Auto, &device).form, Form::Kernel);
}
