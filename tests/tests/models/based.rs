//! Based as published: its pattern, its size, and the law.

use burn::tensor::{Int, Tensor};
use seqzoo::models::LanguageModelConfig;
use seqzoo::{MixerConfig, MixerState};
use seqzoo_tests::{largest_error, plain, values};

/// `c`, `l` or `w` for every layer.
fn pattern(config: &LanguageModelConfig) -> String {
    let letter = |layer: &MixerConfig| match layer {
        MixerConfig::GatedConv(_) => 'c',
        MixerConfig::LinearAttention(_) => 'l',
        MixerConfig::SoftmaxAttention(attention) => {
            assert_eq!(attention.window, Some(129));
            'w'
        }
        other => panic!("{} is no layer of Based", other.kind()),
    };
    config.pattern.iter().map(letter).collect()
}

#[test]
fn the_layers_stand_where_the_published_ones_do() {
    assert_eq!(pattern(&LanguageModelConfig::based_360m(11)), "clwccclwccclwccclwccclwcccc");
    assert_eq!(pattern(&LanguageModelConfig::based_1b(11)), "clwccclwccclwccclwccclwcccclwcccclwc");
    for (layers, wanted) in [(0, ""), (1, "c"), (2, "cc"), (3, "clw"), (7, "clwcccc"), (8, "clwccclw")] {
        assert_eq!(pattern(&LanguageModelConfig::based(11, 32, layers)), wanted);
    }
}

#[test]
fn the_models_have_the_published_numbers_of_parameters() {
    let wanted = |vocabulary: usize, width: usize, convolutions: usize, attentions: usize| {
        let convolution = (4 * width * width + 4 * width) + 3 * 2 * width + (2 * width * width + width);
        let linear = 2 * width * 256 + 2 * width * width;
        let window = 4 * width * width;
        let layers = convolutions + 2 * attentions;
        let others = layers * (3 * width * 2 * width + 2 * width) + width;
        vocabulary * width + convolutions * convolution + attentions * (linear + window) + others
    };
    let device = plain();
    let small = LanguageModelConfig::based_360m(50_264).num_params(&device).unwrap();
    assert_eq!(small, wanted(50_264, 1024, 17, 5));
    assert_eq!(small, 362_620_928);
    let large = LanguageModelConfig::based_1b(50_264).num_params(&device).unwrap();
    assert_eq!(large, wanted(50_264, 1792, 22, 7));
    assert_eq!(large, 1_349_453_056);
}

#[test]
fn any_split_and_token_by_token_give_the_same() {
    let device = plain();
    device.seed(5);
    let model = LanguageModelConfig::based(13, 32, 8).with_embedding_std(0.5).init(&device);
    let tokens: Vec<i32> = (0..150).map(|t| (t * t * 7 + t) % 13).collect();
    let tokens = Tensor::<1, Int>::from_ints(tokens.as_slice(), &device).unsqueeze::<2>();
    let (whole, state) = model.forward(tokens.clone(), None);
    assert_eq!(whole.dims(), [1, 150, 13]);
    // The window holds 128 tokens of two layers, the memories 153 features of 2 channels and their sums.
    assert_eq!(state.bytes().cache, 2 * 128 * 2 * 32 * 4);
    assert_eq!(state.bytes().recurrent, 2 * 16 * 153 * 3 * 4);
    let (first, middle) = model.forward(tokens.clone().narrow(1, 0, 137), None);
    let (second, _) = model.forward(tokens.clone().narrow(1, 137, 13), Some(middle));
    let split = Tensor::cat(vec![first, second], 1);
    assert!(largest_error(&values(split), &values(whole.clone())) < 1e-4);
    let (mut outputs, mut state) = (Vec::new(), None);
    for t in 0..150 {
        let (output, next) = model.forward(tokens.clone().narrow(1, t, 1), state);
        (state, outputs) = (Some(next), [outputs, vec![output]].concat());
    }
    assert!(largest_error(&values(Tensor::cat(outputs, 1)), &values(whole)) < 1e-4);
}

#[test]
fn a_width_that_heads_do_not_divide_is_an_error() {
    let text = LanguageModelConfig::based(13, 40, 8).try_init(&plain()).err().unwrap().to_string();
    assert!(text.contains("40"), "{text}");
}
