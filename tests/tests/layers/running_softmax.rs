//! The softmax average of everything so far: against the recurrence token by token, and with hostile scores.

use burn::tensor::{Bool, DType, Tensor};
use seqzoo::parts::{RunningSoftmax, running_softmax};
use seqzoo_tests::{Inputs, Outcome, autodiff, largest_error, plain, said, values};

/// The recurrence, token by token.
fn naive(
    scores: Tensor<3>,
    tokens: Tensor<4>,
    resets: Option<Tensor<2, Bool>>,
    state: RunningSoftmax,
) -> (Tensor<4>, RunningSoftmax) {
    let [batch, time, heads, channels] = tokens.dims();
    let RunningSoftmax { mut max, weight_sum: mut sum, weighted_values: mut weighted } = state;
    let mut outputs = Vec::new();
    for t in 0..time {
        if let Some(resets) = &resets {
            let reset = resets.clone().narrow(1, t, 1).expand([batch, heads]);
            max = max.mask_fill(reset.clone(), -1e30);
            sum = sum.mask_fill(reset.clone(), 0.0);
            weighted = weighted.mask_fill(reset.unsqueeze_dim::<3>(2).expand([batch, heads, channels]), 0.0);
        }
        let score = scores.clone().narrow(1, t, 1).squeeze_dim::<2>(1);
        let value = tokens.clone().narrow(1, t, 1).squeeze_dim::<3>(1);
        let next = max.clone().max_pair(score.clone());
        let (kept, own) = ((max - next.clone()).exp(), (score - next.clone()).exp());
        sum = sum * kept.clone() + own.clone();
        weighted = weighted * kept.unsqueeze_dim::<3>(2) + own.unsqueeze_dim::<3>(2) * value;
        outputs.push((weighted.clone() / sum.clone().unsqueeze_dim::<3>(2)).unsqueeze_dim::<4>(1));
        max = next;
    }
    (Tensor::cat(outputs, 1), RunningSoftmax { max, weight_sum: sum, weighted_values: weighted })
}

#[test]
fn chunks_equal_the_recurrence_in_values_and_gradients() {
    type Form =
        fn(Tensor<3>, Tensor<4>, Option<Tensor<2, Bool>>, RunningSoftmax) -> (Tensor<4>, RunningSoftmax);
    let device = autodiff();
    for time in [1, 2, 63, 64, 65, 197] {
        for reset in [false, true] {
            let run = |form: Form| {
                let mut random = Inputs::new(time as u64, &device);
                let scores = random.between::<3>([2, time, 3], -9.0, 9.0).require_grad();
                let tokens = random.uniform::<4>([2, time, 3, 5]).require_grad();
                let max = random.uniform::<2>([2, 3]).require_grad();
                let sum = random.between::<2>([2, 3], 0.1, 1.0).require_grad();
                let weighted = random.uniform::<3>([2, 3, 5]).require_grad();
                let resets = reset.then(|| random.flags([2, time], 0.1));
                let state = RunningSoftmax {
                    max: max.clone(),
                    weight_sum: sum.clone(),
                    weighted_values: weighted.clone(),
                };
                let (output, last) = form(scores.clone(), tokens.clone(), resets, state);
                let mut outcome = Outcome::default();
                outcome.put("output", &output);
                outcome.put("max", &last.max);
                outcome.put("sum", &last.weight_sum);
                outcome.put("weighted", &last.weighted_values);
                let loss = (output * random.uniform([2, time, 3, 5])).sum()
                    + (last.max * random.uniform([2, 3])).sum()
                    + (last.weight_sum * random.uniform([2, 3])).sum()
                    + (last.weighted_values * random.uniform([2, 3, 5])).sum();
                let gradients = loss.backward();
                outcome.put_gradient("scores", &scores, &gradients);
                outcome.put_gradient("tokens", &tokens, &gradients);
                outcome.put_gradient("max", &max, &gradients);
                outcome.put_gradient("sum", &sum, &gradients);
                outcome.put_gradient("weighted", &weighted, &gradients);
                outcome
            };
            run(running_softmax).assert_close(&run(naive), 1e-10);
        }
    }
}

#[test]
fn scores_of_ten_thousand_are_right_in_single_precision() {
    let device = plain();
    let empty = |dtype| RunningSoftmax::empty([1, 2, 3], dtype, &device);
    for (low, high) in [(-1e4, 1e4), (-1e4, -0.999e4), (0.999e4, 1e4)] {
        let scores = Inputs::single(3, &device).between::<3>([1, 500, 2], low, high);
        let tokens = Inputs::single(4, &device).uniform::<4>([1, 500, 2, 3]);
        let (found, last) = running_softmax(scores.clone(), tokens.clone(), None, empty(DType::F32));
        let wide = |tensor: Tensor<4>| tensor.cast(burn::tensor::FloatDType::F64);
        let scores = scores.cast(burn::tensor::FloatDType::F64);
        let (wanted, exact) = naive(scores, wide(tokens), None, empty(DType::F64));
        assert!(largest_error(&values(found), &values(wanted)) < 1e-5);
        assert!(largest_error(&values(last.weight_sum), &values(exact.weight_sum)) < 1e-5);
    }
}

#[test]
fn gradients_of_hostile_scores_are_numbers() {
    let device = autodiff();
    let scores = Inputs::single(3, &device).between::<3>([1, 100, 2], -1e4, 1e4).require_grad();
    let tokens = Inputs::single(4, &device).uniform::<4>([1, 100, 2, 3]).require_grad();
    let empty = RunningSoftmax::empty([1, 2, 3], DType::F32, &device);
    let (output, _) = running_softmax(scores.clone(), tokens.clone(), None, empty);
    let gradients = output.square().sum().backward();
    assert!(values(scores.grad(&gradients).unwrap()).iter().all(|number| number.is_finite()));
    assert!(values(tokens.grad(&gradients).unwrap()).iter().all(|number| number.is_finite()));
}

#[test]
fn what_does_not_fit_is_named() {
    let device = plain();
    let empty = || RunningSoftmax::empty([1, 2, 3], DType::F32, &device);
    let tokens = |time| Tensor::<4>::ones([1, time, 2, 3], &device);
    let scores = |time| Tensor::<3>::ones([1, time, 2], &device);
    let text = said(|| running_softmax(scores(4), tokens(5), None, empty()));
    assert!(text.contains("`scores` has the shape [1, 4, 2], but [B, T, H] = [1, 5, 2] is wanted"), "{text}");
    let text = said(|| running_softmax(scores(0), tokens(0), None, empty()));
    assert!(text.contains("`values` has no elements on its time axis"), "{text}");
}
