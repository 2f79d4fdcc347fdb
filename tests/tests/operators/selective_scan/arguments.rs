//! Wrong arguments are named.

use burn::tensor::{Bool, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::selective_scan::{SelectiveScanOptions, selective_scan};
use seqzoo_tests::{plain, said};

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, &plain())
}

/// The shapes of a right call: two sequences of five tokens, six channels, states of four numbers, two groups.
struct Shapes {
    input: [usize; 3],
    delta: [usize; 3],
    a: [usize; 2],
    b: [usize; 4],
    c: [usize; 4],
}

const RIGHT: Shapes =
    Shapes { input: [2, 5, 6], delta: [2, 5, 6], a: [6, 4], b: [2, 5, 2, 4], c: [2, 5, 2, 4] };

fn run(shapes: Shapes, options: SelectiveScanOptions) -> String {
    let Shapes { input, delta, a, b, c } = shapes;
    said(|| selective_scan(zeros(input), zeros(delta), zeros(a), zeros(b), zeros(c), options))
}

#[test]
fn wrong_shapes_are_named_in_a_sentence() {
    let none = SelectiveScanOptions::default;
    for (shapes, sentence) in [
        (
            Shapes { delta: [2, 5, 5], ..RIGHT },
            "The argument `delta` has the shape [2, 5, 5], but [B, T, E] = [2, 5, 6] is wanted.",
        ),
        (
            Shapes { a: [5, 4], ..RIGHT },
            "The argument `a` has the shape [5, 4], but [E, N] = [6, 4] is wanted.",
        ),
        (
            Shapes { b: [2, 5, 2, 3], ..RIGHT },
            "The argument `b` has the shape [2, 5, 2, 3], but [B, T, G, N] = [2, 5, 2, 4] is wanted.",
        ),
        (
            Shapes { c: [2, 5, 1, 4], ..RIGHT },
            "The argument `c` has the shape [2, 5, 1, 4], but [B, T, G, N] = [2, 5, 2, 4] is wanted.",
        ),
    ] {
        assert_eq!(run(shapes, none()), sentence);
    }
    for (shapes, what) in [
        (
            Shapes { input: [2, 0, 6], delta: [2, 0, 6], b: [2, 0, 2, 4], c: [2, 0, 2, 4], ..RIGHT },
            "`input` has no elements on its time axis",
        ),
        (
            Shapes { a: [6, 0], b: [2, 5, 2, 0], c: [2, 5, 2, 0], ..RIGHT },
            "`a` has no elements on its state axis",
        ),
        (Shapes { b: [2, 5, 4, 4], c: [2, 5, 4, 4], ..RIGHT }, "do not divide the 6 channels of `input`"),
    ] {
        let said = run(shapes, none());
        assert!(said.contains(what), "{said}");
    }
}

#[test]
fn wrong_options_are_named_in_a_sentence() {
    let none = SelectiveScanOptions::default;
    let resets = Tensor::<2, Bool>::full([2, 4], true, &plain());
    for (options, sentence) in [
        (
            SelectiveScanOptions { delta_bias: Some(zeros([5])), ..none() },
            "The argument `delta_bias` has the shape [5], but [E] = [6] is wanted.",
        ),
        (
            SelectiveScanOptions { d: Some(zeros([4])), ..none() },
            "The argument `d` has the shape [4], but [E] = [6] is wanted.",
        ),
        (
            SelectiveScanOptions { z: Some(zeros([2, 5, 4])), ..none() },
            "The argument `z` has the shape [2, 5, 4], but [B, T, E] = [2, 5, 6] is wanted.",
        ),
        (
            SelectiveScanOptions { initial_state: Some(zeros([2, 4, 6])), ..none() },
            "The argument `initial_state` has the shape [2, 4, 6], but [B, E, N] = [2, 6, 4] is wanted.",
        ),
        (
            SelectiveScanOptions { resets: Some(resets), ..none() },
            "The argument `resets` has the shape [2, 4], but [B, T] = [2, 5] is wanted.",
        ),
        (
            SelectiveScanOptions { delta_limits: Some((1.0, 0.5)), ..none() },
            "The argument `delta_limits` is (1, 0.5), but a least and a greatest step are wanted.",
        ),
    ] {
        assert_eq!(run(RIGHT, options), sentence);
    }
    let form = SelectiveScanOptions { form: Form::Parallel, ..none() };
    assert!(run(RIGHT, form).contains("this operator does not have it"));
}
