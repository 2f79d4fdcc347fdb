//! A step of AdamW: the kernel against the law, and against Burn's optimizer.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::adamw::{AdamWStep, adamw, adamw_report};
use seqzoo::training::AdamWConfig;
use seqzoo_tests::{Inputs, largest_error, plain, said, values};

const STEP: AdamWStep =
    AdamWStep { rate: 1e-2, beta_1: 0.9, beta_2: 0.98, epsilon: 1e-8, weight_decay: 0.1, time: 1 };

/// Weights and moments after five steps of the same gradients.
fn five_steps(shape: [usize; 2], form: Form, mut random: Inputs) -> [Vec<f64>; 3] {
    let mut weight = random.uniform(shape);
    let mut moments = None;
    for time in 1..=5 {
        let step = AdamWStep { time, ..STEP };
        let after = adamw(weight, random.uniform(shape), moments.take(), step, form);
        (weight, moments) = (after.weight, Some(after.moments));
    }
    let [first, second] = moments.expect("five steps were taken");
    [weight, first, second].map(values)
}

#[test]
fn the_kernel_is_the_law() {
    for shape in [[1, 1], [3, 5], [64, 64], [300, 127]] {
        let law = five_steps(shape, Form::Parallel, Inputs::new(1, &plain()));
        for (found, wanted) in five_steps(shape, Form::Kernel, Inputs::new(1, &plain())).iter().zip(&law) {
            assert!(largest_error(found, wanted) < 1e-13);
        }
        for (found, wanted) in five_steps(shape, Form::Kernel, Inputs::single(1, &plain())).iter().zip(&law) {
            assert!(largest_error(found, wanted) < 1e-5);
        }
    }
}

/// One number by hand.
#[test]
fn the_law_is_its_formula() {
    let number = |x: f64| Tensor::<1>::from_data([x], (&plain(), burn::tensor::DType::F64));
    for form in [Form::Parallel, Form::Kernel] {
        let step = AdamWStep { beta_1: 0.5, beta_2: 0.75, time: 2, ..STEP };
        let after = adamw(number(2.0), number(3.0), Some([number(1.0), number(4.0)]), step, form);
        let (m, v) = (0.5 * 1.0 + 0.5 * 3.0, 0.75 * 4.0 + 0.25 * 9.0);
        let change = m / (1.0 - 0.25) / ((v / (1.0 - 0.5625f64)).sqrt() + f64::from(1e-8f32));
        let wanted = (1.0 - 1e-2 * f64::from(0.1f32)) * 2.0 - 1e-2 * change;
        assert!((values(after.weight)[0] - wanted).abs() < 1e-14);
        assert_eq!(after.moments.map(|moment| values(moment)[0]), [m, v]);
    }
}

/// Who else holds a tensor keeps it as it was.
#[test]
fn what_others_hold_stays() {
    let mut random = Inputs::new(2, &plain());
    let [weight, gradient, first] = [(); 3].map(|()| random.uniform([40, 50]));
    let second = first.clone().abs();
    let held = [&weight, &gradient, &first, &second].map(|tensor| (tensor.clone(), values(tensor.clone())));
    let _ = adamw(
        weight.transpose(),
        gradient.transpose(),
        Some([first.transpose(), second.transpose()]),
        STEP,
        Form::Auto,
    );
    for (tensor, before) in held {
        assert_eq!(values(tensor), before);
    }
}

/// A model takes the same steps as with Burn's optimizer, whose record it also reads.
#[test]
fn it_trains_as_burns_own_and_continues_its_record() {
    let device = Device::flex().autodiff();
    let start: Linear = LinearConfig::new(6, 4).init(&device);
    let input = Tensor::<2>::random([5, 6], burn::tensor::Distribution::Default, &device);
    let step = |optimizer: &mut ModuleOptimizer, model: Linear| {
        let gradients = model.forward(input.clone()).square().mean().backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        optimizer.step(1e-2, model, gradients)
    };
    let theirs = || burn::optim::AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(1e-2).init();
    let ours = || AdamWConfig::new().init();
    let run = |mut first: ModuleOptimizer, second: ModuleOptimizer| {
        let mut model = start.clone();
        for _ in 0..3 {
            model = step(&mut first, model);
        }
        let mut second = second.load_record(first.to_record());
        for _ in 0..3 {
            model = step(&mut second, model);
        }
        values(model.valid().weight.val())
    };
    let wanted = run(theirs(), theirs());
    for found in [run(ours(), ours()), run(theirs(), ours()), run(ours(), theirs())] {
        assert!(largest_error(&found, &wanted) < 1e-6);
    }
}

#[test]
fn misfits_are_named() {
    let zeros = |shape: [usize; 2]| Tensor::<2>::zeros(shape, &plain());
    let step = |gradient, form| adamw(zeros([2, 3]), zeros(gradient), None, STEP, form);
    assert!(said(|| step([3, 2], Form::Auto)).contains("`gradient` has another shape"));
    assert!(said(|| step([2, 3], Form::Chunked { size: 64 })).contains("Form::Auto"));
    assert_eq!(adamw_report(Form::Auto, &plain()).form, Form::Kernel);
    assert!(values(adamw(zeros([0, 3]), zeros([0, 3]), None, STEP, Form::Auto).weight).is_empty());
}
