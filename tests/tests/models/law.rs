//! The law of the zoo for whole models.

use super::small::{VOCABULARY, config, model, patterns};
use burn::tensor::{Int, Tensor};
use seqzoo::models::NormKind;
use seqzoo_tests::{Inputs, double, largest_error, plain};

#[test]
fn logits_do_not_depend_on_how_the_tokens_arrive() {
    let device = plain();
    let tokens = Inputs::new(4, &device).between([2, 30], 0.0, VOCABULARY as f64).int();
    for pattern in patterns() {
        let model = double(model(pattern, &device));
        let (whole, _) = model.forward(tokens.clone(), None);
        for sizes in [vec![1; 30], vec![7, 1, 22], vec![29, 1]] {
            let (mut from, mut state, mut parts) = (0, None, Vec::new());
            for size in sizes {
                let (logits, next) = model.forward(tokens.clone().narrow(1, from, size), state);
                parts.push(logits);
                (from, state) = (from + size, Some(next));
            }
            assert_eq!(state.unwrap().position, 30);
            let values = |x: Tensor<3>| x.into_data().try_to_vec::<f64>().unwrap();
            assert!(largest_error(&values(Tensor::cat(parts, 1)), &values(whole.clone())) < 1e-9);
        }
    }
}

#[test]
fn a_pattern_repeats_and_norms_and_heads_can_be_chosen() {
    let device = plain();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3]], &device);
    let pattern = patterns().pop().unwrap();
    let model = config(pattern)
        .with_num_layers(Some(5))
        .with_norm(NormKind::Layer)
        .with_tie_embeddings(false)
        .init(&device);
    let kinds: Vec<String> =
        model.init_state(1, &device).layers.iter().map(seqzoo::MixerState::layer).collect();
    assert_eq!(
        kinds,
        ["base_conv", "gated_linear_attention", "softmax_attention", "base_conv", "gated_linear_attention"]
    );
    assert!(model.head.is_some());
    assert_eq!(model.forward(tokens, None).0.dims(), [1, 3, VOCABULARY]);
}
