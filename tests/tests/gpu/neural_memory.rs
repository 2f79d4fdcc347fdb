//! The linear memory: lengths, widths, chunks, resets, splits, and what its kernel leaves to others.

use crate::gpu;
use burn::tensor::DType;
use seqzoo::ops::Form;
use seqzoo::ops::neural_memory::{NeuralMemoryOptions, neural_memory_report};
use seqzoo_tests::autodiff;
use seqzoo_tests::ladder::{Case, device};
use seqzoo_tests::operators::neural_memory::Kind;
use seqzoo_tests::operators::{NeuralMemory, Shape};

seqzoo_tests::ladder!(memory_device, NeuralMemory, gpu());

#[test]
fn widths_at_the_edges_of_the_tiles() {
    for (key, value) in [(1, 1), (31, 33), (32, 64), (33, 65), (65, 32), (128, 20)] {
        let shape = Shape { batch: 2, time: 37, key_heads: 1, heads: 2, key, value };
        let case = Case::<NeuralMemory>::random(Kind { depth: 1, chunk: 20 }, &shape, 4, &autodiff());
        device::assert_kernel_is_the_law(&gpu(), case.clone());
        device::assert_kernel_is_the_law(&gpu(), case.with_resets(8, 0.05));
    }
}

#[test]
fn sequences_may_stand_at_different_places_of_their_chunks() {
    let shape = Shape { batch: 3, time: 50, key_heads: 2, heads: 2, key: 4, value: 3 };
    for places in [[0.0, 1.0, 23.0], [5.0, 5.0, 5.0], [16.0, 17.0, 15.0]] {
        let mut case = Case::<NeuralMemory>::random(Kind { depth: 1, chunk: 24 }, &shape, 4, &autodiff());
        let state = case.state.as_mut().expect("the case has a state");
        state.position = burn::tensor::Tensor::from_data(places, (&autodiff(), DType::F64));
        device::assert_kernel_is_the_law(&gpu(), case);
    }
}

#[test]
fn a_residual_memory_adds_its_input() {
    let shape = Shape { batch: 2, time: 40, key_heads: 2, heads: 2, key: 4, value: 4 };
    let mut case = Case::<NeuralMemory>::random(Kind { depth: 1, chunk: 16 }, &shape, 4, &autodiff());
    case.inputs.residual = true;
    device::assert_kernel_is_the_law(&gpu(), case);
}

#[test]
fn a_deep_memory_goes_in_chunks() {
    let report = |layers| neural_memory_report(100, layers, &NeuralMemoryOptions::default(), &gpu()).form;
    assert_eq!([1, 2].map(report), [Form::Kernel, Form::Chunked { size: 16 }]);
}
