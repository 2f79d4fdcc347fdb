//! The law of the zoo: forward = any split of it = step by step, in outputs, states and gradients.

use super::zoo::{CHANNELS, each, layer, variants};
use seqzoo::testing::Trial;
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, autodiff, plain};

#[test]
fn every_split_and_step_by_step_give_the_same() {
    each(&autodiff(), Trial::law);
}

#[test]
fn a_fresh_start_is_the_initial_state() {
    each(&autodiff(), Trial::fresh_start);
}

#[test]
fn packed_sequences_equal_separate_ones() {
    each(&plain(), Trial::packing);
}

#[test]
fn segments_are_as_if_every_one_had_been_given_alone() {
    each(&autodiff(), Trial::segments);
}

#[test]
fn a_token_changes_nothing_before_it() {
    each(&plain(), Trial::causality);
}

#[test]
fn a_stream_takes_constant_memory_where_the_layer_is_recurrent() {
    let device = plain();
    for (name, config) in variants() {
        let layer = layer(&config, &device);
        let bytes = |time| {
            let input = Inputs::new(3, &device).uniform::<3>([1, time, CHANNELS]);
            layer.forward(input, None).1.bytes()
        };
        let (short, long) = (bytes(20), bytes(40));
        assert_eq!((short.recurrent, short.convolution), (long.recurrent, long.convolution), "{name}");
        if ["attention, rotary", "attention, landmarks", "differential", "sigmoid", "hopfield"]
            .iter()
            .any(|kind| name.starts_with(kind))
        {
            assert_eq!(2 * short.cache, long.cache);
        } else {
            assert_eq!(short.cache, long.cache, "{name}");
        }
        assert!(short.total() > 0);
    }
}
