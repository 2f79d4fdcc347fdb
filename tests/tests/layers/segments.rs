//! Sequences of different lengths in one call, and sequences of a state in the place of others.

use super::zoo::{CHANNELS, variants};
use burn::tensor::{Int, Tensor};
use seqzoo::layers::{GatedDeltaNetConfig, MultiScaleRetentionConfig, SoftmaxAttentionConfig};
use seqzoo::models::LanguageModelConfig;
use seqzoo::ops::Segments;
use seqzoo::{MixerConfig, MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, largest_error, plain, said, values};

fn index(number: usize) -> Tensor<1, Int> {
    Tensor::from_data([number as i64], &plain())
}

#[test]
fn layers_whose_sequences_share_something_say_what() {
    let segments = Segments::in_one_row([3, 2]);
    let input = Inputs::single(4, &plain()).uniform::<3>([1, 5, CHANNELS]);
    let (mut taken, mut refused) = (0, Vec::new());
    for (name, config) in variants() {
        let layer = config.try_init(&plain()).unwrap();
        let run = || layer.forward_segments(input.clone(), &segments, None);
        // Without a shift, H3 has room for no keys, as Hyena has at first for no inputs: nobody knows that it stays so.
        let kinds = [
            "attention",
            "differential",
            "sigmoid",
            "hopfield",
            "retention",
            "titans",
            "hyena",
            "h3, LegS, zero-order hold, no shift",
        ];
        if kinds.iter().any(|kind| name.starts_with(kind)) {
            let said = said(run);
            assert!(said.contains("which all sequences of a batch share"), "{name}: {said}");
            refused.push(name);
        } else {
            run();
            taken += 1;
        }
    }
    assert!(taken > 30 && refused.len() > 5, "{taken} taken, refused: {refused:?}");
}

#[test]
fn a_thousand_streams_of_a_model_go_on_in_one_call() {
    plain().seed(3);
    let layer = MixerConfig::from(GatedDeltaNetConfig::new(8).with_num_heads(1).with_head_dim(4));
    let model = LanguageModelConfig::new(11, 8, vec![layer.clone(), layer]).init(&plain());
    let lengths: Vec<usize> = (0..1000).map(|stream| (stream * 7 + 3) % 23).collect();
    let segments = Segments::in_one_row(&lengths);
    let random = Inputs::new(1, &plain()).uniform::<2>([1, segments.time()]);
    let tokens = (random.abs() * 10.0).int();
    let (hidden, state) = model.hidden_segments(tokens.clone(), &segments, None);
    let (again, twice) = model.hidden_segments(tokens.clone(), &segments, Some(state.clone()));
    assert_eq!((state.position, twice.position), (22, 44));
    for (number, segment) in segments.all().iter().enumerate().step_by(37) {
        if segment.length == 0 {
            continue;
        }
        let own = tokens.clone().narrow(1, segment.start, segment.length);
        let (first, middle) = model.hidden(own.clone(), None, None);
        let (second, last) = model.hidden(own, None, Some(middle));
        for (found, wanted) in [(&hidden, first), (&again, second)] {
            let found = values(found.clone().narrow(1, segment.start, segment.length));
            assert!(largest_error(&found, &values(wanted)) < 1e-5);
        }
        let memory = values(twice.layers[1].clone().select(index(number)).memory());
        assert!(largest_error(&memory, &values(last.layers[1].clone().memory())) < 1e-5);
    }
}

#[test]
fn a_model_says_whether_it_takes_segments() {
    let gated = MixerConfig::from(GatedDeltaNetConfig::new(8).with_num_heads(1).with_head_dim(4));
    let retention = MixerConfig::from(MultiScaleRetentionConfig::new(8).with_num_heads(2));
    let model = |pattern| LanguageModelConfig::new(11, 8, pattern).init(&plain());
    assert_eq!(model(vec![gated.clone(), gated.clone()]).segments_refusal(), None);
    let hybrid = model(vec![gated, retention]);
    let tokens = Tensor::zeros([1, 5], &plain());
    let said = said(|| hybrid.hidden_segments(tokens, &Segments::in_one_row([3, 2]), None));
    assert!(said.contains(&hybrid.segments_refusal().unwrap()), "{said}");
}

trait Memory {
    fn memory(self) -> Tensor<4>;
}

impl Memory for seqzoo::AnyState {
    fn memory(self) -> Tensor<4> {
        let seqzoo::AnyState::GatedDeltaNet(state) = self else { panic!("the model is of these") };
        state.memory
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let layer = GatedDeltaNetConfig::new(CHANNELS).with_num_heads(2).with_head_dim(3).init(&plain());
    let input = |time| Inputs::single(4, &plain()).uniform::<3>([1, time, CHANNELS]);
    let state = |batch| Some(layer.init_state(batch, &plain()));
    for (said, wanted) in [
        (
            said(|| layer.forward_segments(input(4), &Segments::in_one_row([3, 2]), None)),
            "`segments` has 5 tokens in every row, but T = 4 are wanted",
        ),
        (
            said(|| layer.forward_segments(input(5), &Segments::new(5, [[5], [5]]), None)),
            "`segments` has 2 rows, but B = 1 are wanted",
        ),
        (
            said(|| layer.forward_segments(input(5), &Segments::in_one_row([3, 2]), state(1))),
            "`state` is of 1 sequences in `memory`, but the input is of 2",
        ),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn no_rows_have_outputs_of_none() {
    let layer = GatedDeltaNetConfig::new(CHANNELS).with_num_heads(2).with_head_dim(3).init(&plain());
    let none = Segments::new(5, Vec::<Vec<usize>>::new());
    let (output, state) = layer.forward_segments(Tensor::zeros([0, 5, CHANNELS], &plain()), &none, None);
    assert_eq!((output.dims(), state.memory.dims()), ([0, 5, CHANNELS], [0, 2, 3, 6]));
}

#[test]
fn states_that_cannot_be_one_are_refused() {
    let retention = MultiScaleRetentionConfig::new(CHANNELS).with_num_heads(2).init(&plain());
    let attention = SoftmaxAttentionConfig::new(CHANNELS).with_num_heads(2).init(&plain());
    let tokens = |time| Inputs::single(4, &plain()).uniform::<3>([2, time, CHANNELS]);
    let (fresh, later) = (retention.init_state(2, &plain()), retention.forward(tokens(5), None).1);
    let cached = |time| attention.forward(tokens(time), None).1;
    let one = |state: seqzoo::layers::MultiScaleRetentionState| state.select(index(0));
    for (said, wanted) in [
        (
            said(|| later.clone().put(&[1], one(fresh.clone()))),
            "`position` = 0, which all sequences share, and it is 5",
        ),
        (
            said(|| later.clone().put(&[2], one(later.clone()))),
            "`indices` holds 2, but the state is of 2 sequences",
        ),
        (
            said(|| later.clone().put(&[0, 1], one(later.clone()))),
            "`others` is of 1 sequences, but there are 2 indices",
        ),
        (said(|| cached(5).put(&[0, 1], cached(3))), "which does not stand beside"),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}
