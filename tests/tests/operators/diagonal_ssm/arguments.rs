//! Wrong arguments are named.

use burn::tensor::{Bool, Tensor};
use seqzoo::ops::diagonal_ssm::{DiagonalSsmOptions, diagonal_ssm};
use seqzoo::ops::{Complex, Form};
use seqzoo_tests::{plain, said};

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, &plain())
}

fn pair<const D: usize>(re: [usize; D], im: [usize; D]) -> Complex<D> {
    Complex::new(zeros(re), zeros(im))
}

fn run(
    input: [usize; 3],
    eigenvalues: Complex<2>,
    weights: Complex<2>,
    options: DiagonalSsmOptions,
) -> String {
    said(|| diagonal_ssm(zeros(input), eigenvalues, weights, options))
}

#[test]
fn wrong_shapes_are_named_in_a_sentence() {
    let right = || pair([3, 4], [3, 4]);
    let none = DiagonalSsmOptions::default;
    assert_eq!(
        run([2, 5, 3], pair([2, 4], [2, 4]), right(), none()),
        "The argument `eigenvalues.re` has the shape [2, 4], but [E, N] = [3, 4] is wanted."
    );
    assert_eq!(
        run([2, 5, 3], right(), pair([3, 4], [3, 5]), none()),
        "The argument `weights.im` has the shape [3, 5], but [E, N] = [3, 4] is wanted."
    );
    let state = Some(pair([1, 3, 4], [1, 3, 4]));
    assert_eq!(
        run([2, 5, 3], right(), right(), DiagonalSsmOptions { initial_state: state, ..none() }),
        "The argument `initial_state.re` has the shape [1, 3, 4], but [B, E, N] = [2, 3, 4] is wanted."
    );
    let resets = Some(Tensor::<2, Bool>::full([2, 4], true, &plain()));
    assert_eq!(
        run([2, 5, 3], right(), right(), DiagonalSsmOptions { resets, ..none() }),
        "The argument `resets` has the shape [2, 4], but [B, T] = [2, 5] is wanted."
    );
    for (input, diagonal, what) in [
        ([2, 0, 3], [3, 4], "`input` has no elements on its time axis"),
        ([2, 5, 0], [0, 4], "`input` has no elements on its channel axis"),
        ([2, 5, 3], [3, 0], "`eigenvalues` has no elements on its state axis"),
    ] {
        let said = run(input, pair(diagonal, diagonal), pair(diagonal, diagonal), none());
        assert!(said.contains(what), "{said}");
    }
    let form = DiagonalSsmOptions { form: Form::Parallel, ..none() };
    assert!(run([2, 5, 3], right(), right(), form).contains("this operator does not have it"));
}
