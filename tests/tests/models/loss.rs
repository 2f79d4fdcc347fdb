//! The loss of a model, without its logits.

use super::small::{VOCABULARY, config, patterns};
use burn::nn::LinearConfig;
use burn::tensor::{Int, Tensor, activation::log_softmax};
use seqzoo::models::LanguageModel;
use seqzoo::ops::cross_entropy::{CrossEntropyOptions, Reduction};
use seqzoo_tests::{Inputs, autodiff, double, largest_error, plain, said, values};

/// A model with its embedding as the head, one with a head, and one whose head has a bias.
fn models() -> Vec<LanguageModel> {
    let device = autodiff();
    [Some(true), Some(false), None]
        .map(|tied| {
            let mut model =
                config(patterns().remove(0)).with_tie_embeddings(tied == Some(true)).init(&device);
            if tied.is_none() {
                model.head = Some(LinearConfig::new(16, VOCABULARY).init(&device));
            }
            double(model)
        })
        .into()
}

#[test]
fn the_loss_is_that_of_the_logits() {
    let mut inputs = Inputs::new(70, &autodiff());
    let tokens = inputs.between([2, 9], 0.0, VOCABULARY as f64).int();
    let (input, targets) = (tokens.clone().narrow(1, 0, 8), tokens.narrow(1, 1, 8));
    for model in models() {
        let hidden = || model.hidden(input.clone(), None, None).0;
        let wanted = || {
            let said = log_softmax(model.logits(hidden()), 2);
            said.gather(2, targets.clone().unsqueeze_dim(2)).neg().reshape([16])
        };
        let loss = |reduction| {
            let options = CrossEntropyOptions { reduction, ..Default::default() };
            model.loss(hidden(), targets.clone(), options)
        };
        assert!(largest_error(&values(loss(Reduction::Each)), &values(wanted())) < 1e-12);
        let (found, wanted) = (loss(Reduction::Mean), wanted().mean());
        assert!(largest_error(&values(found.clone()), &values(wanted.clone())) < 1e-12);
        let weight = match &model.head {
            Some(head) => head.weight.val(),
            None => model.embedding.weight.val(),
        };
        let gradients = [found, wanted].map(|loss| {
            let gradients = loss.backward();
            let embedding = values(model.embedding.weight.val().grad(&gradients).unwrap());
            [embedding, values(weight.grad(&gradients).unwrap())].concat()
        });
        assert!(largest_error(&gradients[0], &gradients[1]) < 1e-12);
    }
}

#[test]
fn positions_may_be_selected_first() {
    let device = plain();
    let model = config(patterns().remove(0)).init(&device);
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4]], &device);
    let (hidden, _) = model.hidden(tokens, None, None);
    let targets = Tensor::<1, Int>::from_ints([2, 3, 4, 5], &device);
    let places = Tensor::<1, Int>::from_ints([1, 3], &device);
    let options = CrossEntropyOptions { ignore_index: Some(0), ..Default::default() };
    let asked = hidden.clone().reshape([4, 16]).select(0, places.clone());
    let selected = model.loss(asked, targets.select(0, places), Default::default());
    let targets = Tensor::<2, Int>::from_ints([[0, 3, 0, 5]], &device);
    let ignored = model.loss(hidden, targets, options);
    assert!((selected - ignored).abs().into_scalar::<f32>() < 1e-6);
}

#[test]
fn targets_of_other_positions_are_refused() {
    let device = plain();
    let model = config(patterns().remove(0)).init(&device);
    let hidden = Tensor::<3>::zeros([2, 4, 16], &device);
    let text =
        said(|| model.loss(hidden.clone(), Tensor::<2, Int>::zeros([4, 2], &device), Default::default()));
    assert!(text.contains("`targets` has the shape [4, 2], but [2, 4], the positions of `hidden`"), "{text}");
    let text = said(|| model.loss(hidden, Tensor::<1, Int>::zeros([8], &device), Default::default()));
    assert!(text.contains("`targets` has the shape [8], but [2, 4]"), "{text}");
    let text = said(|| {
        let hidden = Tensor::<3>::zeros([2, 4, 15], &device);
        model.loss(hidden, Tensor::<2, Int>::zeros([2, 4], &device), Default::default())
    });
    assert!(text.contains("`hidden` has 15 channels on its last axis, but 16 are wanted"), "{text}");
}

#[test]
fn no_sequences_have_the_loss_zero() {
    for model in models() {
        let hidden = Tensor::<3>::zeros([0, 4, 16], (&autodiff(), burn::tensor::DType::F64));
        let loss = model.loss(hidden, Tensor::<2, Int>::zeros([0, 4], &autodiff()), Default::default());
        assert_eq!(values(loss), [0.0]);
    }
}
