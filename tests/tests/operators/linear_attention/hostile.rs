//! Rung 5: strong decay, none at all, long sequences, whole chunks of resets, narrow floats, and empty axes.

use burn::tensor::Tensor;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, linear_attention};
use seqzoo_tests::operators::LinearAttention;
use seqzoo_tests::{ladder, plain};

ladder!(hostile, LinearAttention);

fn run_zeros(time: usize, key: usize, value: usize) {
    let keys = Tensor::<4>::zeros([1, time, 1, key], &plain());
    let values = Tensor::<4>::zeros([1, time, 1, value], &plain());
    linear_attention(keys.clone(), keys, values, Decay::None, LinearAttentionOptions::default());
}

#[test]
#[should_panic(expected = "has no elements on its time axis")]
fn no_tokens_are_refused() {
    run_zeros(0, 2, 2);
}

#[test]
#[should_panic(expected = "`value` has no elements on its channel axis")]
fn no_channels_are_refused() {
    run_zeros(3, 2, 0);
}

#[test]
#[should_panic(expected = "`query` has no elements on its channel axis")]
fn no_key_channels_are_refused() {
    run_zeros(3, 0, 2);
}
