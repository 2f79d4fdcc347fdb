//! Rung 4: several sequences in one row, each with a memory of its own.

use super::Case;
use burn::tensor::{DType, Tensor};
use seqzoo::ops::neural_memory::{NeuralMemoryOptions, neural_memory};
use seqzoo::ops::{Form, Segments};
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::ladder::segments::Segmented;
use seqzoo_tests::operators::neural_memory::by_heads;
use seqzoo_tests::operators::{NeuralMemory, shape};
use seqzoo_tests::{largest_error, plain, said, values};

seqzoo_tests::ladder!(segments, NeuralMemory);

#[test]
fn surprise_lies_where_the_tokens_do() {
    let case = Case::random(NeuralMemory::KINDS[1], &shape(9), 1, &plain());
    let call = |rows: std::ops::Range<usize>, tokens: std::ops::Range<usize>, segments| {
        let NeuralMemory { query, key, value, gates, weights, chunk, .. } = case.inputs.clone();
        let heads = value.dims()[2];
        let part = |x: Tensor<4>| x.slice([rows.clone(), tokens.clone()]);
        let gate = |x: Tensor<3>| x.slice([rows.clone(), tokens.clone()]);
        let gates = seqzoo::ops::neural_memory::Gates {
            forget: gate(gates.forget),
            momentum: gate(gates.momentum),
            step: gate(gates.step),
        };
        let weights = weights.into_iter().map(|weights| by_heads(weights, heads)).collect();
        let options = NeuralMemoryOptions { chunk, surprise: true, segments, ..Default::default() };
        let (_, state) = neural_memory(part(query), part(key), part(value), gates, weights, options);
        state.surprise.expect("it was asked for")
    };
    let together = call(0..3, 0..9, Some(Segments::new(9, [vec![9], vec![4, 5], vec![0, 9]])));
    let alone = call(1..2, 4..9, None);
    for (all, wanted) in [(together.loss, alone.loss), (together.gradient_norm, alone.gradient_norm)] {
        assert!(largest_error(&values(all.slice([1..2, 4..9])), &values(wanted)) < 1e-12);
    }
}

#[test]
fn states_and_weights_of_other_segments_are_refused() {
    let mut case = Case::random(NeuralMemory::KINDS[1], &shape(9), 1, &plain());
    let segments = || Segments::new(9, [vec![9], vec![4, 5], vec![9]]);
    let said_of_a_state = said(|| case.inputs.run_segments(segments(), case.state.clone(), None, Form::Auto));
    assert!(
        said_of_a_state.contains("`initial_state.position` has the shape [3], but [N] = [4] is wanted"),
        "{said_of_a_state}"
    );
    case.inputs.key = Tensor::zeros([3, 8, 2, 5], (&plain(), DType::F64));
    let said_of_keys = said(|| case.inputs.run_segments(segments(), None, None, Form::Auto));
    assert!(said_of_keys.contains("`key` has the shape [3, 8, 2, 5]"), "{said_of_keys}");
}
