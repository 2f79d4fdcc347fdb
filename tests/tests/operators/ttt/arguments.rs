//! What is refused, and in which words.

use super::Case;
use burn::tensor::{DType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::ttt::{Residual, TttOptions, TttState, ttt_report};
use seqzoo_tests::ladder::{Change, Operator};
use seqzoo_tests::operators::Ttt;
use seqzoo_tests::operators::ttt::Kind;
use seqzoo_tests::{plain, said};

const KIND: Kind = Kind { depth: 2, chunk: 4, write: true, residual: Residual::Answer };

fn refused(change: impl Fn(&mut Case)) -> String {
    let mut case = Case::random(KIND, &Ttt::shape(9), 1, &plain());
    change(&mut case);
    said(|| case.run(Form::Auto))
}

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, (&plain(), DType::F64))
}

fn state(case: &mut Case) -> &mut TttState {
    case.state.as_mut().expect("the case has a state")
}

#[test]
fn shapes_are_named() {
    for (said, wanted) in [
        (
            refused(|case| case.inputs.key = zeros([3, 8, 2, 5])),
            "`key` has the shape [3, 8, 2, 5], but [B, T, HK, K]",
        ),
        (
            refused(|case| case.inputs.value = zeros([3, 9, 4, 0])),
            "`value` has no elements on its channel axis",
        ),
        (
            refused(|case| case.inputs.value = zeros([3, 9, 4, 3])),
            "learns the difference of values and keys, but keys have 5 channels and values 3",
        ),
        (
            refused(|case| case.inputs.steps.read = zeros([3, 9, 3])),
            "`steps.read` has 3 heads, which do not divide",
        ),
        (
            refused(|case| case.inputs.steps.write = Some(zeros([3, 8, 4]))),
            "`steps.write` has the shape [3, 8, 4]",
        ),
        (
            refused(|case| case.inputs.norm.gain = zeros([4, 3])),
            "`norm.gain` has the shape [4, 3], but [H, K] = [4, 5] is wanted",
        ),
        (refused(|case| case.inputs.norm.offset = zeros([1, 5])), "`norm.offset` has the shape [1, 5]"),
        (
            refused(|case| case.inputs.weights.clear()),
            "`model` has no weights, but an inner model has at least one layer",
        ),
        (refused(|case| case.inputs.biases.truncate(1)), "`model` has 1 biases, but weights of 2 layers"),
        (
            refused(|case| case.inputs.weights[1] = zeros([4 * 4, 2])),
            "`model.weights[1]` has the shape [1, 4, 4, 2], but [B, H, in, out] = [1, 4, 4, 5] is wanted",
        ),
        (
            refused(|case| case.inputs.weights[0] = zeros([4 * 6, 4])),
            "`model.weights[0]` has the shape [1, 4, 6, 4]",
        ),
        (
            refused(|case| case.inputs.biases[0] = zeros([4, 5])),
            "`model.biases[0]` has the shape [1, 4, 1, 5], but [B, H, 1, out] = [1, 4, 1, 4] is wanted",
        ),
        (refused(|case| case.inputs.chunk = 0), "`chunk` is 0, but at least 1 token is wanted"),
        (
            refused(|case| state(case).model.weights.truncate(1)),
            "1 layers of `model.weights`, but the inner model has 2",
        ),
        (
            refused(|case| state(case).gradients.biases[0] = zeros([3, 4, 1, 5])),
            "`initial_state.gradients.biases[0]` has the shape [3, 4, 1, 5]",
        ),
        (refused(|case| state(case).position = zeros([2])), "`initial_state.position` has the shape [2]"),
        (refused(|case| state(case).chunk = 8), "is of chunks of 8 tokens, but the option `chunk` is 4"),
        (refused(|case| state(case).position = zeros([3]) + 4.0), "at the place 4 of a chunk"),
        (refused(|case| state(case).position = zeros([3]) + 0.5), "at the place 0.5 of a chunk"),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn forms_that_are_not_there_are_refused() {
    let case = Case::random(KIND, &Ttt::shape(9), 1, &plain());
    assert!(said(|| case.run(Form::Kernel)).contains("the device has no kernel of this operator"));
    assert!(said(|| case.run(Form::Chunked { size: 48 })).contains("power of two"));
    assert_eq!(Ttt::report(9, Form::Auto, &plain()).form, Form::Chunked { size: 16 });
    assert_eq!(Ttt::report(1, Form::Auto, &plain()).form, Form::Naive);
    let report = |chunk| ttt_report(9, &TttOptions { chunk, ..Default::default() }, &plain()).form;
    assert_eq!(
        [report(1), report(5), report(100)],
        [Form::Naive, Form::Chunked { size: 5 }, Form::Chunked { size: 64 }]
    );
}

#[test]
fn no_sequences_have_outputs_of_none() {
    for form in super::FORMS {
        let mut case = Case::random(KIND, &Ttt::shape(9), 1, &plain());
        case.state = None;
        case.inputs = case.inputs.map(&mut NoSequences);
        let (output, state) = case.run(form);
        assert_eq!((output.dims(), state.model.weights[0].dims()), ([0, 9, 4, 5], [0, 4, 5, 4]));
        assert_eq!((state.gradients.biases[1].dims(), state.position.dims()), ([0, 4, 1, 5], [0]));
    }
}

struct NoSequences;

impl Change for NoSequences {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 {
            return tensor;
        }
        let mut dims = tensor.dims();
        dims[0] = 0;
        Tensor::zeros(dims, (&tensor.device(), tensor.dtype()))
    }
}
