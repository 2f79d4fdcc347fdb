//! What is refused, and in which words.

use super::Case;
use burn::tensor::{DType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::neural_memory::{NeuralMemoryOptions, NeuralMemoryState, neural_memory_report, retrieve};
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::operators::neural_memory::Kind;
use seqzoo_tests::operators::{NeuralMemory, shape};
use seqzoo_tests::{plain, said};

const KIND: Kind = Kind { depth: 2, chunk: 4 };

fn refused(change: impl Fn(&mut Case)) -> String {
    let mut case = Case::random(KIND, &shape(9), 1, &plain());
    change(&mut case);
    said(|| case.run(Form::Auto))
}

fn zeros<const D: usize>(shape: [usize; D]) -> Tensor<D> {
    Tensor::zeros(shape, (&plain(), DType::F64))
}

fn state(case: &mut Case) -> &mut NeuralMemoryState {
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
            refused(|case| case.inputs.gates.step = zeros([3, 9, 3])),
            "`gates.step` has 3 heads, which do not divide",
        ),
        (
            refused(|case| case.inputs.gates.forget = zeros([3, 8, 4])),
            "`gates.forget` has the shape [3, 8, 4]",
        ),
        (
            refused(|case| case.inputs.weights.clear()),
            "`weights` is empty, but a memory has at least one layer",
        ),
        (
            refused(|case| case.inputs.weights[1] = zeros([4 * 4, 2])),
            "`weights[1]` has the shape [1, 4, 4, 2], but [B, H, in, out] = [1, 4, 4, 3] is wanted",
        ),
        (
            refused(|case| case.inputs.weights[0] = zeros([4 * 6, 4])),
            "`weights[0]` has the shape [1, 4, 6, 4]",
        ),
        (refused(|case| case.inputs.residual = true), "keys have 5 channels and values 3"),
        (refused(|case| case.inputs.chunk = 0), "`chunk` is 0, but at least 1 token is wanted"),
        (refused(|case| state(case).start.truncate(1)), "1 layers of `start`, but the memory has 2"),
        (
            refused(|case| state(case).momentum[0] = zeros([3, 4, 5, 5])),
            "`initial_state.momentum[0]` has the shape [3, 4, 5, 5]",
        ),
        (refused(|case| state(case).position = zeros([2])), "`initial_state.position` has the shape [2]"),
        (refused(|case| state(case).chunk = 8), "is of chunks of 8 tokens, but the option `chunk` is 4"),
        (refused(|case| state(case).position = zeros([3]) + 4.0), "at the place 4 of a chunk"),
        (refused(|case| state(case).position = zeros([3]) + 0.5), "at the place 0.5 of a chunk"),
        (refused(|case| state(case).position = zeros([3]) * f64::NAN), "at the place NaN of a chunk"),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}

#[test]
fn forms_that_are_not_there_are_refused() {
    let case = Case::random(KIND, &shape(9), 1, &plain());
    assert!(said(|| case.run(Form::Chunked { size: 48 })).contains("power of two"));
    assert_eq!(NeuralMemory::report(1, Form::Auto, &plain()).form, Form::Kernel);
    let report = |chunk, form| {
        let options = NeuralMemoryOptions { chunk, surprise: true, form, ..Default::default() };
        neural_memory_report(9, 1, &options, &plain()).form
    };
    assert_eq!(
        [1, 5, 100].map(|chunk| report(chunk, Form::Auto)),
        [Form::Naive, Form::Chunked { size: 5 }, Form::Chunked { size: 64 }]
    );
    assert!(said(|| report(4, Form::Kernel)).contains("no kernel tells surprise"));
}

#[test]
fn no_sequences_have_outputs_of_none() {
    for form in super::FORMS {
        let mut case = Case::random(KIND, &shape(9), 1, &plain());
        case.state = None;
        case.inputs = case.inputs.map(&mut NoSequences);
        let (output, state) = case.run(form);
        assert_eq!((output.dims(), state.weights[0].dims()), ([0, 9, 4, 3], [0, 4, 5, 4]));
        assert_eq!((state.momentum[1].dims(), state.position.dims()), ([0, 4, 4, 3], [0]));
    }
}

struct NoSequences;

impl seqzoo_tests::ladder::Change for NoSequences {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        if D < 3 {
            return tensor;
        }
        let mut dims = tensor.dims();
        dims[0] = 0;
        Tensor::zeros(dims, (&tensor.device(), tensor.dtype()))
    }
}

#[test]
fn what_cannot_be_retrieved_is_named() {
    let weights = [zeros([2, 3, 5, 4]), zeros([2, 3, 4, 6])];
    let ask = |query: [usize; 4], weights: &[Tensor<4>], residual| {
        let weights = weights.to_vec();
        said(move || retrieve(zeros(query), &weights, residual))
    };
    assert!(ask([2, 9, 3, 4], &weights, false).contains("`weights[0]` has the shape [2, 3, 5, 4]"));
    assert!(ask([2, 0, 3, 5], &weights, false).contains("`query` has no elements on its time axis"));
    assert!(ask([2, 9, 3, 5], &weights, true).contains("5 channels on its last axis, but 6 are wanted"));
    assert!(ask([2, 9, 3, 5], &[], false).contains("`weights` is empty"));
    assert_eq!(retrieve(zeros([2, 9, 3, 5]), &weights, false).dims(), [2, 9, 3, 6]);
}
