//! States on disk, forked, selected, detached.

use super::zoo::{CHANNELS, each, layer, variants};
use burn::tensor::{Bool, DType, FloatDType, Int, Tensor};
use seqzoo::models::{ChannelMixerConfig, LanguageModelConfig};
use seqzoo::state::{StateMapper, StatePart};
use seqzoo::testing::Trial;
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, autodiff, flags, plain};
use std::path::PathBuf;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stream.state");
    (directory, path)
}

#[test]
fn a_saved_state_continues_bit_for_bit() {
    each(&plain(), Trial::state_on_disk);
}

#[test]
fn an_untouched_state_survives_too() {
    each(&plain(), Trial::untouched_state_on_disk);
}

#[test]
fn selected_sequences_go_on_as_they_would_have() {
    each(&plain(), Trial::selection);
}

#[test]
fn sequences_taken_out_of_a_state_come_back() {
    each(&plain(), Trial::replacement);
}

#[test]
fn a_fork_leaves_the_original_alone() {
    each(&plain(), Trial::fork);
}

#[test]
fn no_gradient_passes_a_detached_state() {
    each(&autodiff(), Trial::detachment);
}

#[test]
fn a_state_in_half_precision_is_saved_as_it_is_and_read_by_the_layer() {
    struct Narrow(FloatDType);
    impl StateMapper for Narrow {
        fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
            tensor.cast(self.0)
        }

        fn mask(&mut self, _: &str, mask: Option<Tensor<2, Bool>>) -> Option<Tensor<2, Bool>> {
            mask
        }
    }
    let device = plain();
    let (_directory, path) = directory();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let input = Inputs::new(5, &device).uniform::<3>([2, 3, CHANNELS]);
        for narrow in [FloatDType::BF16, FloatDType::F16] {
            let (_, state) = layer.forward(input.clone(), None);
            let state = state.map_state(&mut Narrow(narrow));
            state.save(&path).unwrap();
            let loaded = layer.load_state(&path, &device).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(loaded.batch(), 2, "{name}");
            let again = loaded.map_state(&mut Narrow(narrow));
            assert_eq!(format!("{again:?}"), format!("{state:?}"), "{name}");
        }
    }
}

fn message<T, E: std::fmt::Display>(result: Result<T, E>) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_that_does_not_fit_is_a_clear_error() {
    let device = plain();
    let (_directory, path) = directory();
    let all = variants();
    let find = |name: &str| layer(&all.iter().find(|(found, _)| found == name).unwrap().1, &device);
    let retention = find("retention");
    let gated = find("gated linear attention");
    let input = Inputs::new(2, &device).uniform::<3>([1, 4, CHANNELS]);
    let (_, state) = retention.forward(input, None);
    state.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();

    assert!(message(retention.load_state(path.with_extension("absent"), &device)).contains("No such file"));
    assert!(message(gated.load_state(&path, &device)).contains("one of `gated_linear_attention` is wanted"));
    for cut in [0, 5, 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert!(
            message(retention.load_state(&path, &device)).contains("is not a whole state file"),
            "cut at {cut}"
        );
    }
    std::fs::write(&path, "this is a text file, long enough to look like a header").unwrap();
    assert!(message(retention.load_state(&path, &device)).contains("is not a whole state file"));

    let changed = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        std::fs::write(&path, bytes).unwrap();
    };
    changed("\"version\":\"1\"", "\"version\":\"9\"");
    assert!(message(retention.load_state(&path, &device)).contains("format version `9`"));
    changed("seqzoo-state", "someone-else");
    assert!(message(retention.load_state(&path, &device)).contains("does not say `format: seqzoo-state`"));
    changed("\"memory\"", "\"memorx\"");
    assert!(message(retention.load_state(&path, &device)).contains("the tensor `memory` is missing"));
}

#[test]
fn another_shape_or_precision_is_a_clear_error() {
    let device = plain();
    let (_directory, path) = directory();
    let config = |heads| seqzoo::layers::MultiScaleRetentionConfig::new(CHANNELS).with_num_heads(heads);
    config(2).init(&device).init_state(1, &device).save(&path).unwrap();
    let other = config(1).init(&device);
    assert!(
        message(other.load_state(&path, &device)).contains("[1, 2, 6, 12], but [1, 1, 12, 24] is wanted")
    );
    let double = seqzoo_tests::double(config(2).init(&device));
    assert!(message(double.load_state(&path, &device)).contains("is F32, but F64 is wanted"));

    let attention =
        |heads| seqzoo::layers::SoftmaxAttentionConfig::new(CHANNELS).with_num_heads(heads).init(&device);
    let input = Inputs::single(2, &device).uniform::<3>([1, 4, CHANNELS]);
    attention(2).forward(input, None).1.save(&path).unwrap();
    assert!(
        message(attention(3).load_state(&path, &device))
            .contains("[1, 4, 2, 6], but [1, any, 3, 4] is wanted")
    );
}

#[test]
fn the_state_of_a_whole_model_is_one_file() {
    let device = plain();
    let (_directory, path) = directory();
    let pattern: Vec<_> = variants().into_iter().map(|(_, config)| config).collect();
    let count = pattern.len();
    let model = LanguageModelConfig::new(7, CHANNELS, pattern.clone())
        .with_channel_mixer(ChannelMixerConfig::None)
        .init(&device);
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3, 4, 5, 6, 0, 1]], &device);
    let (_, state) = model.forward(tokens.clone(), None);
    state.save(&path).unwrap();
    let loaded = model.load_state(&path, &device).unwrap();
    assert_eq!((loaded.position, loaded.layers.len()), (8, count));
    let go = |state| model.forward(tokens.clone(), Some(state)).0.into_data();
    assert_eq!(go(state.clone()), go(loaded));
    let sum = state.layers.iter().map(|state| state.bytes().total()).sum::<usize>();
    assert_eq!(state.bytes().total(), sum);

    let reversed = LanguageModelConfig::new(7, CHANNELS, pattern.into_iter().rev().collect()).init(&device);
    assert!(
        message(reversed.load_state(&path, &device))
            .contains("is the state of `language_model[landmark_attention")
    );
}

#[test]
fn a_cache_that_is_not_whole_is_a_clear_error() {
    let device = plain();
    let (_directory, path) = directory();
    let attention = seqzoo::layers::SoftmaxAttentionConfig::new(CHANNELS).with_num_heads(2).init(&device);
    let input = Inputs::single(2, &device).uniform::<3>([1, 4, CHANNELS]);
    let (_, state) = attention.forward(input, None);
    state.save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    for (name, sentence) in [("\"values\"", "different lengths"), ("\\\"position\\\":4", "position")] {
        let at = whole.windows(name.len()).position(|window| window == name.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        // `valuex` is a stranger, and a position of 2 has seen fewer tokens than the cache holds.
        bytes[at + name.len() - 1 - usize::from(name.ends_with('"'))] =
            if name.ends_with('4') { b'2' } else { b'x' };
        std::fs::write(&path, bytes).unwrap();
        let said = message(attention.load_state(&path, &device));
        assert!(said.contains(sentence), "{said}");
    }
}

#[test]
#[should_panic(expected = "holds 0 convolution states, but the layer has 3 convolutions")]
fn a_state_without_convolutions_does_not_fit_a_layer_with_them() {
    let device = plain();
    let config = seqzoo::layers::GatedLinearAttentionConfig::new(CHANNELS).with_num_heads(2);
    let state = config.clone().init(&device).init_state(1, &device);
    let input = Inputs::single(2, &device).uniform::<3>([1, 4, CHANNELS]);
    config.with_conv_size(Some(4)).init(&device).forward(input, Some(state));
}

#[test]
fn a_state_knows_its_batch_before_its_first_token() {
    let device = plain();
    let (_directory, path) = directory();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let fresh = || layer.init_state(4, &device);
        assert_eq!(fresh().batch(), 4, "{name}");
        let rows = Tensor::<1, Int>::from_ints([3, 1, 1, 0, 2], &device);
        assert_eq!(fresh().select(rows).batch(), 5, "{name}");
        assert_eq!(fresh().detach().batch(), 4, "{name}");
        assert_eq!(fresh().to_device(&device).batch(), 4, "{name}");
        fresh().save(&path).unwrap();
        assert_eq!(layer.load_state(&path, &device).unwrap().batch(), 4, "{name}");
        layer.init_state(0, &device).save(&path).unwrap();
        assert_eq!(layer.load_state(&path, &device).unwrap().batch(), 0, "{name}");
    }
}

#[test]
fn a_misfit_is_told_by_shapes_dtypes_and_numbers() {
    let device = plain();
    let config = seqzoo::layers::MultiScaleRetentionConfig::new(CHANNELS).with_num_heads(2);
    let layer = config.clone().with_conv_size(Some(3)).init(&device);
    let fresh = layer.init_state(3, &device);
    assert_eq!(fresh.misfit(&layer.init_state(1, &device)), None);
    let told = |state: &seqzoo::layers::MultiScaleRetentionState, sentence: &str| {
        let said = state.misfit(&layer.init_state(1, &device)).expect("the state does not fit");
        assert!(said.contains(sentence), "{said}");
    };
    told(&config.init(&device).init_state(1, &device), "lacks `query_conv`");
    let heads = config.clone().with_num_heads(3).with_conv_size(Some(3)).init(&device);
    told(
        &heads.init_state(1, &device),
        "holds `memory` of the shape [any, 3, 4, 8], but [any, 2, 6, 12] is wanted",
    );
    let mut state = fresh.clone();
    state.memory = state.memory.cast(burn::tensor::FloatDType::BF16);
    told(&state, "holds `memory` as BF16, but F32 is wanted");
    let mut state = fresh.clone();
    state.memory = state.memory.narrow(0, 0, 2);
    told(&state, "is of 2 sequences in `memory`, but of 3 in `query_conv`");
    let mut state = fresh.clone();
    state.position = u64::MAX;
    told(&state, "has `position` = 18446744073709551615");
    let input = Inputs::single(3, &device).uniform::<3>([3, 2, CHANNELS]);
    let said = seqzoo_tests::said(|| layer.forward(input, Some(state)));
    assert!(said.contains("The argument `state` has the position 18446744073709551615"), "{said}");
}

#[test]
fn a_reset_clears_what_is_no_number() {
    let device = plain();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let (_, bad) = layer.forward(Tensor::full([2, 3, CHANNELS], f64::NAN, (&device, DType::F64)), None);
        let (_, good) = layer.forward(Inputs::new(2, &device).uniform([2, 3, CHANNELS]), None);
        let input = Inputs::new(3, &device).uniform::<3>([2, 4, CHANNELS]);
        let after = |state| {
            let resets = flags(2, 4, &[0], &device);
            layer.forward_packed(input.clone(), Some(resets), Some(state))
        };
        let ((found, found_state), (wanted, wanted_state)) = (after(bad), after(good));
        assert_eq!(found.into_data(), wanted.into_data(), "{name}");
        assert_eq!(found_state.bytes(), wanted_state.bytes(), "{name}");
        let more = Inputs::new(4, &device).uniform::<3>([2, 2, CHANNELS]);
        let go = |state| layer.forward(more.clone(), Some(state)).0.into_data();
        assert_eq!(go(found_state), go(wanted_state), "{name}");
    }
}
