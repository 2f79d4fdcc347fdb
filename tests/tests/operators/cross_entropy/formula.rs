//! The law against the formula, number by number, and against PyTorch.

use super::*;
use seqzoo_tests::{largest_error, values};

/// The formula of the documentation, in plain loops.
fn formula(case: &Case) -> Vec<f64> {
    let [positions, channels] = case.hidden.dims();
    let weight = if case.embedding { case.weight.clone().transpose() } else { case.weight.clone() };
    let classes = weight.dims()[1];
    let (hidden, weight) = (values(case.hidden.clone()), values(weight));
    let bias = case.bias.clone().map_or(vec![0.0; classes], values);
    let targets = case.targets.to_data();
    let options = &case.options;
    let loss = |(position, target): (usize, i64)| {
        if options.ignore_index == Some(target) {
            return 0.0;
        }
        let logit = |class: usize| {
            let products =
                (0..channels).map(|c| hidden[position * channels + c] * weight[c * classes + class]);
            let logit = products.sum::<f64>() + bias[class];
            options.logit_cap.map_or(logit, |cap| cap * (logit / cap).tanh())
        };
        let logits: Vec<f64> = (0..classes).map(logit).collect();
        let normaliser = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        let smoothing = options.label_smoothing;
        let mean = logits.iter().sum::<f64>() / classes as f64;
        normaliser - (1.0 - smoothing) * logits[target as usize] - smoothing * mean
            + options.z_loss * normaliser * normaliser
    };
    let losses: Vec<f64> = targets.iter::<i64>().enumerate().map(loss).collect();
    assert_eq!(losses.len(), positions);
    losses
}

#[test]
fn the_law_is_its_formula() {
    for case in Case::random([7, 4, 6], 20, &plain()).variants() {
        let losses = formula(&case);
        let (sum, count) = (losses.iter().sum::<f64>(), case.targets.to_data());
        let count = count.iter::<i64>().filter(|target| *target != IGNORED).count();
        let found = |reduction| values(case.run(reduction, Form::Naive));
        assert!(largest_error(&found(Reduction::Each), &losses) < EXACT);
        assert!(largest_error(&found(Reduction::Sum), &[sum]) < EXACT);
        assert!(largest_error(&found(Reduction::Mean), &[sum / count as f64]) < EXACT);
    }
}

/// Three positions of four logits, the last ignored; the head passes them on. Computed by PyTorch's `cross_entropy` in `f64`.
#[test]
fn it_is_pytorchs() {
    let device = autodiff();
    let wide = (&device, burn::tensor::DType::F64);
    let logits = [[1.0, -2.0, 0.5, 3.0], [0.0, 1.0, 2.0, -1.0], [4.0, 0.0, -3.0, 1.0]];
    let logits = Tensor::<2>::from_data(TensorData::from(logits), wide).require_grad();
    let case = Case {
        hidden: logits.clone(),
        weight: Tensor::<2>::eye(4, &device).cast(burn::tensor::FloatDType::F64),
        bias: None,
        embedding: false,
        targets: targets(&[3, 1, IGNORED], &device),
        cotangent: Tensor::ones([3], wide),
        options: CrossEntropyOptions { ignore_index: Some(IGNORED), ..Default::default() },
    };
    let smooth = |label_smoothing| Case {
        options: CrossEntropyOptions { label_smoothing, ..case.options.clone() },
        ..case.clone()
    };
    for form in BLOCKS.into_iter().chain([Form::Naive]) {
        let is = |case: &Case, reduction, wanted: &[f64]| {
            let error = largest_error(&values(case.run(reduction, form)), wanted);
            assert!(error < EXACT, "{error:e}");
        };
        is(&case, Reduction::Mean, &[0.8212215731202734]);
        is(&case, Reduction::Sum, &[1.6424431462405469]);
        is(&case, Reduction::Each, &[0.20225344767935172, 1.4401896985611953, 0.0]);
        is(&smooth(0.1), Reduction::Mean, &[0.9649715731202735]);
        is(&smooth(0.3), Reduction::Sum, &[2.5049431462405467]);
        let z = CrossEntropyOptions { z_loss: 0.01, ..case.options.clone() };
        is(&Case { options: z, ..case.clone() }, Reduction::Mean, &[0.9022663376609658]);
        let cap = CrossEntropyOptions { logit_cap: Some(2.0), ..case.options.clone() };
        is(&Case { options: cap, ..case.clone() }, Reduction::Mean, &[0.8778216905387107]);
        let gradients = smooth(0.1).run(Reduction::Mean, form).backward();
        let wanted = [
            [0.04277687518086962, -0.009747926436208166, 0.02102711957030574, -0.054056068314967176],
            [0.031072159371016286, -0.34405859095504493, 0.30945712994398616, 0.0035293016400424933],
            [0.0; 4],
        ];
        let error = largest_error(&values(logits.grad(&gradients).unwrap()), wanted.as_flattened());
        assert!(error < EXACT, "{error:e}");
    }
}
