//! Wrong arguments are named.

use burn::tensor::{Bool, Tensor};
use seqzoo::ops::linear_scan::{ComplexFactor, Factor, LinearScanOptions, complex_linear_scan, linear_scan};
use seqzoo::ops::{Complex, Form};
use seqzoo_tests::{plain, said};

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, &plain())
}

fn run(input: [usize; 3], factor: Factor, options: LinearScanOptions) -> String {
    said(|| linear_scan(zeros(input), factor, options))
}

#[test]
fn wrong_shapes_are_named_in_a_sentence() {
    let fixed = |channels| Factor::PerChannel(zeros([channels]));
    let none = LinearScanOptions::default;
    assert_eq!(
        run([2, 5, 3], fixed(4), none()),
        "The argument `factor` has the shape [4], but [D] = [3] is wanted."
    );
    assert_eq!(
        run([2, 5, 3], Factor::PerToken(zeros([2, 4, 3])), none()),
        "The argument `factor` has the shape [2, 4, 3], but [B, T, D] = [2, 5, 3] is wanted."
    );
    assert_eq!(
        run([2, 5, 3], fixed(3), LinearScanOptions { initial_state: Some(zeros([1, 3])), ..none() }),
        "The argument `initial_state` has the shape [1, 3], but [B, D] = [2, 3] is wanted."
    );
    let resets = Tensor::<2, Bool>::full([2, 4], true, &plain());
    assert_eq!(
        run([2, 5, 3], fixed(3), LinearScanOptions { resets: Some(resets), ..none() }),
        "The argument `resets` has the shape [2, 4], but [B, T] = [2, 5] is wanted."
    );
    for (shape, axis) in [([2, 0, 3], "time"), ([0, 0, 3], "time"), ([2, 5, 0], "channel")] {
        let said = run(shape, fixed(shape[2]), none());
        assert!(said.contains(&format!("`input` has no elements on its {axis} axis")), "{said}");
    }
}

#[test]
fn parts_of_complex_arguments_are_named() {
    let complex = |re, im| Complex::new(zeros::<3>(re), zeros::<3>(im));
    let same = complex([2, 5, 3], [2, 5, 3]);
    let run = |input, factor| said(|| complex_linear_scan(input, factor, LinearScanOptions::default()));
    assert_eq!(
        run(complex([2, 5, 3], [2, 5, 4]), ComplexFactor::PerToken(same.clone())),
        "The argument `input.im` has the shape [2, 5, 4], but [B, T, D] = [2, 5, 3] is wanted."
    );
    assert_eq!(
        run(same, ComplexFactor::PerChannel(Complex::new(zeros([3]), zeros([2])))),
        "The argument `factor.im` has the shape [2], but [D] = [3] is wanted."
    );
}

#[test]
fn forms_that_there_are_not_are_refused() {
    let run = |form| {
        let factor = Factor::PerChannel(zeros([3]));
        run([2, 5, 3], factor, LinearScanOptions { form, ..Default::default() })
    };
    assert!(run(Form::Parallel).contains("this operator does not have it"));
    assert!(run(Form::Chunked { size: 48 }).contains("a power of two is wanted"));
}
