//! Sigmoid attention against its formula, number by number, and with hostile scores.

use burn::tensor::{Bool, Tensor, TensorData};
use seqzoo::ops::attention::AttentionState;
use seqzoo::ops::attention::sigmoid::{SigmoidAttentionOptions, sigmoid_attention, sigmoid_attention_to_all};
use seqzoo_tests::{Inputs, flags, largest_error, plain, said, values};

const SHAPE: [usize; 4] = [2, 7, 4, 3];

/// The formula, with four query heads on two key heads, for what `sees(row, query, key)` allows.
fn formula(
    [query, key, value]: &[Tensor<4>; 3],
    (scale, bias): (f64, f64),
    sees: impl Fn(usize, usize, usize) -> bool,
) -> Vec<f64> {
    let [batch, time, heads, channels] = query.dims();
    let [_, length, key_heads, width] = value.dims();
    let (query, key, value) = (values(query.clone()), values(key.clone()), values(value.clone()));
    let mut output = Vec::new();
    for (row, i, head) in
        (0..batch).flat_map(|row| (0..time).flat_map(move |i| (0..heads).map(move |head| (row, i, head))))
    {
        let mut read = vec![0.0; width];
        for j in (0..length).filter(|j| sees(row, i, *j)) {
            let q = ((row * time + i) * heads + head) * channels;
            let k = (row * length + j) * key_heads + head / (heads / key_heads);
            let score: f64 = (0..channels).map(|c| query[q + c] * key[k * channels + c]).sum();
            let weight = 1.0 / (1.0 + (-(scale * score + bias)).exp());
            (0..width).for_each(|c| read[c] += weight * value[k * width + c]);
        }
        output.extend(read);
    }
    output
}

fn tokens(seed: u64) -> [Tensor<4>; 3] {
    let mut random = Inputs::new(seed, &plain());
    let [batch, time, heads, channels] = SHAPE;
    [
        random.uniform([batch, time, heads, channels]),
        random.uniform([batch, time, heads / 2, channels]),
        random.uniform([batch, time, heads / 2, 5]),
    ]
}

fn options(bias: f64, resets: Option<Tensor<2, Bool>>) -> SigmoidAttentionOptions {
    SigmoidAttentionOptions { bias, resets, ..Default::default() }
}

#[test]
fn it_is_its_formula() {
    let (scale, bias) = (3f64.powf(-0.5), -2.0);
    let all = tokens(1);
    let [query, key, value] = all.clone();
    let (found, _) = sigmoid_attention(query.clone(), key.clone(), value.clone(), options(bias, None));
    assert!(largest_error(&values(found), &formula(&all, (scale, bias), |_, i, j| j <= i)) < 1e-12);
    let resets = flags(2, 7, &[3], &plain());
    let (found, state) =
        sigmoid_attention(query.clone(), key.clone(), value.clone(), options(bias, Some(resets)));
    let wanted = formula(&all, (scale, bias), |_, i, j| j <= i && (i < 3 || j >= 3));
    assert!(largest_error(&values(found), &wanted) < 1e-12);
    assert_eq!(state.keys.dims(), [2, 4, 2, 3], "what no sequence sees has left the cache");
    let found = sigmoid_attention_to_all(query.narrow(1, 2, 3), key, value, Some(0.7), bias);
    let [query, key, value] = all;
    let wanted = formula(&[query.narrow(1, 2, 3), key, value], (0.7, bias), |_, _, _| true);
    assert!(largest_error(&values(found), &wanted) < 1e-12);
}

#[test]
fn resets_at_different_tokens_leave_a_mask_that_later_calls_keep() {
    let (bias, row) = (-1.0, |at: usize| (0..7).map(|t| t == at).collect::<Vec<bool>>());
    let all = tokens(2);
    let resets = [row(2), row(5)].concat();
    let resets = Tensor::<2, Bool>::from_data(TensorData::new(resets, [2, 7]), &plain());
    let [query, key, value] = all.clone();
    let part = |tensor: &Tensor<4>, from, to| tensor.clone().narrow(1, from, to - from);
    let run = |from, to, state: Option<AttentionState>| {
        let options = SigmoidAttentionOptions {
            initial_state: state,
            ..options(bias, Some(resets.clone().narrow(1, from, to - from)))
        };
        sigmoid_attention(part(&query, from, to), part(&key, from, to), part(&value, from, to), options)
    };
    let (first, state) = run(0, 3, None);
    let (second, state) = run(3, 6, Some(state));
    let options = SigmoidAttentionOptions { initial_state: Some(state), ..options(bias, None) };
    let (third, _) = sigmoid_attention(part(&query, 6, 7), part(&key, 6, 7), part(&value, 6, 7), options);
    let starts = [2, 5];
    let wanted =
        formula(&all, (3f64.powf(-0.5), bias), |row, i, j| j <= i && (i < starts[row] || j >= starts[row]));
    assert!(largest_error(&values(Tensor::cat(vec![first, second, third], 1)), &wanted) < 1e-12);
}

#[test]
fn hostile_scores_are_weights_of_zero_and_one() {
    let device = plain();
    let ones = |number: f64| Tensor::<4>::full([1, 3, 1, 1], number, &device);
    let signs = Tensor::<1>::from_floats([1.0, -1.0, 1.0], &device).reshape([1, 3, 1, 1]);
    let (found, _) = sigmoid_attention(ones(100.0), signs * 100.0, ones(2.0), options(0.0, None));
    assert_eq!(values(found), [2.0, 2.0, 4.0]);
}

#[test]
fn what_is_hidden_does_not_count_even_where_it_is_no_number() {
    let device = plain();
    let [query, key, value] = tokens(3);
    let spoilt = value.clone().slice_assign(
        [0..2, 1..2, 0..2, 0..5],
        Tensor::full([2, 1, 2, 5], f64::NAN, (&device, value.dtype())),
    );
    let resets = || Some(flags(2, 7, &[4], &device));
    let (wanted, _) = sigmoid_attention(query.clone(), key.clone(), value, options(0.0, resets()));
    let (found, _) = sigmoid_attention(query, key, spoilt, options(0.0, resets()));
    let part = |tensor: &Tensor<4>, from, count| values(tensor.clone().narrow(1, from, count));
    assert_eq!(part(&found, 0, 1), part(&wanted, 0, 1));
    assert!(part(&found, 1, 3).iter().all(|number| number.is_nan()));
    assert_eq!(part(&found, 4, 3), part(&wanted, 4, 3));
}

#[test]
fn no_sequences_have_outputs_of_none_and_no_tokens_are_refused() {
    let device = plain();
    let none = |heads, channels| Tensor::<4>::zeros([0, 4, heads, channels], &device);
    let (output, state) = sigmoid_attention(none(4, 3), none(2, 3), none(2, 5), options(0.0, None));
    assert_eq!((output.dims(), state.keys.dims()), ([0, 4, 4, 5], [0, 4, 2, 3]));
    assert_eq!(sigmoid_attention_to_all(none(4, 3), none(2, 3), none(2, 5), None, 0.0).dims(), [0, 4, 4, 5]);
    let tokens = |time| Tensor::<4>::ones([1, time, 1, 2], &device);
    let text = said(|| sigmoid_attention_to_all(tokens(2), tokens(0), tokens(0), None, 0.0));
    assert!(text.contains("`value` has no elements on its time axis"), "{text}");
    let text = said(|| sigmoid_attention_to_all(tokens(2), tokens(3), tokens(4), None, 0.0));
    assert!(text.contains("`key` has the shape [1, 3, 1, 2], but [B, S, HK, K] = [1, 4, 1, 2]"), "{text}");
}
