//! Models, blocks and parts on no sequences and on what does not fit.

use super::small::{VOCABULARY, config, model, patterns};
use burn::tensor::{Bool, Device, Int, Tensor};
use seqzoo::MixerState;
use seqzoo::parts::{FeatureMapKind, GatedRmsNorm, ProjectionInit, RmsNorm, Rotary, ShortConvConfig, SwiGlu};
use seqzoo_tests::{autodiff, plain, said};

fn tokens(batch: usize, time: usize, device: &Device) -> Tensor<2, Int> {
    Tensor::zeros([batch, time], device)
}

#[test]
fn an_empty_batch_has_empty_logits_and_an_empty_state() {
    for device in [plain(), autodiff()] {
        for pattern in patterns() {
            for tied in [true, false] {
                device.seed(3);
                let model = config(pattern.clone())
                    .with_channel_mixer(seqzoo::models::ChannelMixerConfig::SwiGlu)
                    .with_tie_embeddings(tied)
                    .init(&device);
                let (logits, state) = model.forward(tokens(0, 3, &device), None);
                assert_eq!((logits.dims(), state.batch()), ([0, 3, VOCABULARY], 0));
                let (logits, _) = model.forward(tokens(0, 1, &device), Some(state));
                assert_eq!(logits.dims(), [0, 1, VOCABULARY]);
                let resets = Tensor::<2, Bool>::full([0, 3], true, &device);
                let state = model.init_state(0, &device);
                let (hidden, state) = model.hidden(tokens(0, 3, &device), Some(resets), Some(state));
                assert_eq!(
                    (hidden.dims(), state.batch(), state.layers.len()),
                    ([0, 3, 16], 0, pattern.len())
                );
                if device.is_autodiff() {
                    let gradients = model.logits(hidden).sum().backward();
                    let embedding = model.embedding.weight.val().grad(&gradients).unwrap();
                    assert_eq!(embedding.abs().max().into_scalar::<f32>(), 0.0);
                }
                assert_eq!(model.logits(Tensor::<2>::zeros([0, 16], &device)).dims(), [0, VOCABULARY]);
            }
        }
    }
}

#[test]
fn what_does_not_fit_a_model_is_named() {
    let device = plain();
    for pattern in patterns() {
        let model = model(pattern, &device);
        for batch in [0, 2] {
            let said = said(|| model.forward(tokens(batch, 0, &device), None));
            assert!(said.contains("The argument `tokens` has no elements on its time axis"), "{said}");
        }
        let (_, state) = model.forward(tokens(2, 3, &device), None);
        for batch in [0, 1, 3] {
            let said = said(|| model.forward(tokens(batch, 1, &device), Some(state.clone())));
            assert!(said.contains("The argument `state` is of 2 sequences"), "{said}");
        }
        let mut short = state.clone();
        short.layers.pop();
        for batch in [0, 2] {
            let said = said(|| model.forward(tokens(batch, 1, &device), Some(short.clone())));
            assert!(said.contains("The argument `state` holds the states of"), "{said}");
        }
        let mut far = state.clone();
        far.position = u64::MAX - 1;
        let sentence = said(|| model.forward(tokens(2, 3, &device), Some(far)));
        assert!(
            sentence.contains("The argument `state` has the position 18446744073709551614"),
            "{sentence}"
        );
        for resets in [[2, 3], [1, 4], [4, 2]] {
            let resets = Tensor::<2, Bool>::full(resets, false, &device);
            let said = said(|| model.hidden(tokens(2, 4, &device), Some(resets), None));
            assert!(said.contains("The argument `resets` has the shape"), "{said}");
        }
        for channels in [0, 1, 17] {
            let said = said(|| model.logits(Tensor::<3>::zeros([2, 3, channels], &device)));
            assert!(said.contains(&format!("The argument `hidden` has {channels} channels")), "{said}");
        }
    }
}

#[test]
fn parts_of_no_sequences_have_no_outputs() {
    for device in [plain(), autodiff()] {
        let tokens = || Tensor::<3>::zeros([0, 4, 6], &device);
        let heads = || Tensor::<4>::zeros([0, 4, 2, 6], &device);
        assert_eq!(SwiGlu::new(6, 9, ProjectionInit::Uniform, &device).forward(tokens()).dims(), [0, 4, 6]);
        assert_eq!(RmsNorm::new(6, 1e-5, &device).forward(tokens()).dims(), [0, 4, 6]);
        let norm = GatedRmsNorm::new(6, 1e-5, &device);
        assert_eq!(norm.forward(tokens(), Some(tokens())).dims(), [0, 4, 6]);
        let conv = ShortConvConfig::new(6).try_init(&device).unwrap();
        let (output, state) = conv.forward(tokens(), None, Some(conv.init_state(0, &device)));
        assert_eq!((output.dims(), state.dims()), ([0, 4, 6], [0, 3, 6]));
        let rotary = Rotary::new("rotary", 10000.0, 6).unwrap();
        let rotation = rotary.at(u64::MAX, 4, 6, heads().dtype(), &device);
        assert_eq!(rotation.apply(heads()).dims(), [0, 4, 2, 6]);
        for kind in [
            FeatureMapKind::Identity,
            FeatureMapKind::EluPlusOne,
            FeatureMapKind::Relu,
            FeatureMapKind::SquaredRelu,
            FeatureMapKind::Taylor,
            FeatureMapKind::Hedgehog,
            FeatureMapKind::LearnedRelu,
            FeatureMapKind::ElementwiseProduct,
            FeatureMapKind::Dpfp { nu: 2 },
        ] {
            let map = kind.try_init(6, &device).unwrap();
            assert_eq!(map.forward(heads()).dims(), [0, 4, 2, kind.features(6)], "{kind:?}");
        }
    }
}

#[test]
fn a_norm_does_not_widen_its_input() {
    let said = said(|| RmsNorm::new(6, 1e-5, &plain()).forward(Tensor::<2>::zeros([2, 1], &plain())));
    assert!(
        said.contains("The argument `input` has 1 channels on its last axis, but 6 are wanted"),
        "{said}"
    );
}
