//! The law of the zoo for whole models.

use super::small::{VOCABULARY, config, model, patterns};
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Int, Tensor};
use seqzoo::MixerConfig;
use seqzoo::models::{LanguageModel, LanguageModelConfig, NormKind};
use seqzoo_tests::{Inputs, autodiff, double, largest_error, plain};

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

#[test]
fn a_tied_head_is_the_embedding_and_learns_from_both_ends() {
    let device = autodiff();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4]], &device);
    let tied = config(patterns().remove(0)).with_tie_embeddings(true).init(&device);
    assert!(tied.head.is_none());
    let mut free = tied.clone();
    let head = LinearConfig::new(16, VOCABULARY).with_bias(false).init(&device);
    let matrix = tied.embedding.weight.val().transpose().detach();
    free.head = Some(Linear { weight: Param::from_tensor(matrix), ..head });

    let gradient = |model: &LanguageModel| {
        let (logits, _) = model.forward(tokens.clone(), None);
        let gradients = logits.clone().square().mean().backward();
        let embedding = model.embedding.weight.val().grad(&gradients).unwrap();
        let head = model.head.as_ref().map(|head| head.weight.val().grad(&gradients).unwrap().transpose());
        (logits.inner(), embedding, head)
    };
    let ((one, both, none), (other, below, above)) = (gradient(&tied), gradient(&free));
    assert!(none.is_none());
    let apart = |a: Tensor<2>, b: Tensor<2>| (a - b).abs().max().into_scalar::<f32>();
    assert!((one - other).abs().max().into_scalar::<f32>() < 1e-6);
    assert!(apart(both, below + above.unwrap()) < 1e-6);

    let directory = tempfile::tempdir().unwrap();
    tied.save(directory.path()).unwrap();
    let loaded = LanguageModel::load(directory.path(), &plain()).unwrap();
    let logits = |model: &LanguageModel| model.forward(tokens.clone().inner(), None).0.into_data();
    assert_eq!(logits(&loaded), logits(&tied.valid()));
}

#[test]
fn a_layer_norm_centres_what_a_root_mean_square_norm_scales() {
    let device = plain();
    let hidden = Tensor::<3>::from_floats([[[1.0, 2.0, 3.0, 6.0]]], &device);
    let of = |norm| {
        let layer = MixerConfig::published("base_conv", 4).unwrap();
        let config = LanguageModelConfig::new(5, 4, vec![layer]).with_norm(norm).with_norm_epsilon(0.0);
        config.init(&device).norm.forward(hidden.clone()).into_data().try_to_vec::<f32>().unwrap()
    };
    let close =
        |found: Vec<f32>, wanted: [f32; 4]| found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(close(of(NormKind::Rms), [1.0, 2.0, 3.0, 6.0].map(|x: f32| x / 12.5f32.sqrt())));
    assert!(close(of(NormKind::Layer), [-2.0, -1.0, 0.0, 3.0].map(|x: f32| x / 3.5f32.sqrt())));
}
