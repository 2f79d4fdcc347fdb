//! What follows from the law without any computing, on every form.

use super::{Case, FORMS, FORMS_WITH_SURPRISE};
use burn::tensor::{Tensor, activation::gelu};
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, delta_rule};
use seqzoo::ops::linear_attention::{LinearAttentionOptions, linear_attention};
use seqzoo::ops::neural_memory::{Gates, NeuralMemoryOptions, neural_memory, retrieve};
use seqzoo::ops::repeat_heads;
use seqzoo_tests::ladder::Operator;
use seqzoo_tests::operators::neural_memory::{Kind, by_heads};
use seqzoo_tests::operators::{NeuralMemory, Shape, shape};
use seqzoo_tests::{autodiff, largest_error, plain, values};

/// A case that starts from the initial weights, without momentum.
fn fresh(depth: usize, chunk: usize, shape: &Shape) -> Case {
    Case { state: None, ..Case::random(Kind { depth, chunk }, shape, 3, &plain()) }
}

#[test]
fn online_linear_and_without_momentum_it_is_the_delta_rule() {
    for form in FORMS {
        let mut case = fresh(1, 1, &shape(20));
        let gates = &mut case.inputs.gates;
        (gates.forget, gates.momentum) = (gates.forget.zeros_like(), gates.momentum.zeros_like());
        let (output, state) = case.run(form);
        let beta = Beta::Scalar(gates_of(&case).mul_scalar(2.0));
        let memory = by_heads(case.inputs.weights[0].clone(), 4).expand([3, 4, 5, 3]);
        let options =
            DeltaRuleOptions { initial_state: Some(memory), scale: Some(1.0), ..Default::default() };
        let NeuralMemory { query, key, value, .. } = case.inputs;
        let (wanted, last) = delta_rule(query, key, value, beta, Decay::None, options);
        assert!(largest_error(&values(output), &values(wanted)) < 1e-13, "{form:?}");
        assert!(largest_error(&values(state.weights[0].clone()), &values(last)) < 1e-13, "{form:?}");
    }
}

fn gates_of(case: &Case) -> Tensor<3> {
    case.inputs.gates.step.clone()
}

#[test]
fn in_one_chunk_from_zero_weights_it_is_linear_attention() {
    // The gradient at zero weights is -2 k vᵀ: what remains of it is a sum with decays.
    for form in FORMS {
        let mut case = fresh(1, 20, &shape(20));
        case.inputs.weights = vec![case.inputs.weights[0].zeros_like()];
        let gates = &mut case.inputs.gates;
        gates.momentum = gates.momentum.zeros_like();
        gates.forget = gates.forget.clone().mul_scalar(0.5);
        let (output, _) = case.run(form);
        let NeuralMemory { query, key, value, gates, .. } = case.inputs;
        let value = value * gates.step.mul_scalar(2.0).unsqueeze_dim(3);
        let decay = Decay::Scalar(gates.forget.neg().add_scalar(1.0).log());
        let options = LinearAttentionOptions { scale: Some(1.0), ..Default::default() };
        let (wanted, _) = linear_attention(query, key, value, decay, options);
        assert!(largest_error(&values(output), &values(wanted)) < 1e-13, "{form:?}");
    }
}

#[test]
fn a_step_of_zero_leaves_every_bit_of_a_memory_that_forgets_nothing() {
    for form in FORMS {
        for depth in [1, 2, 3] {
            let mut case = fresh(depth, 8, &shape(21));
            let gates = &mut case.inputs.gates;
            (gates.forget, gates.step) = (gates.forget.zeros_like(), gates.step.zeros_like());
            let (_, state) = case.run(form);
            for (found, initial) in state.weights.iter().zip(&case.inputs.weights) {
                let wanted = by_heads(initial.clone(), 4).expand(found.dims());
                assert_eq!(found.clone().into_data(), wanted.into_data(), "{form:?}");
            }
        }
    }
}

#[test]
fn a_frozen_memory_is_its_network() {
    for form in FORMS {
        for residual in [false, true] {
            let shape = Shape { value: 5, ..shape(9) };
            let mut case = fresh(2, 4, &shape);
            case.inputs.residual = residual;
            let gates = &mut case.inputs.gates;
            (gates.forget, gates.step) = (gates.forget.zeros_like(), gates.step.zeros_like());
            let (output, _) = case.run(form);
            let query = repeat_heads(case.inputs.query, 4).swap_dims(1, 2);
            let [first, second] = [0, 1].map(|layer| by_heads(case.inputs.weights[layer].clone(), 4));
            let mut wanted = gelu(query.clone().matmul(first)).matmul(second);
            if residual {
                wanted = wanted + query;
            }
            assert!(largest_error(&values(output), &values(wanted.swap_dims(1, 2))) < 1e-14, "{form:?}");
        }
    }
}

#[test]
fn a_residual_memory_is_one_that_learns_the_difference() {
    // M(k) = k + f(k), so that ‖M(k) - v‖ = ‖f(k) - (v - k)‖.
    for form in FORMS {
        for depth in [1, 2] {
            let mut case = fresh(depth, 4, &Shape { value: 5, ..shape(21) });
            let mut other = case.clone();
            case.inputs.residual = true;
            let heads = |x: &Tensor<4>| repeat_heads(x.clone(), 4);
            other.inputs.value = other.inputs.value - heads(&other.inputs.key);
            let (found, wanted) = (case.run(form).0, other.run(form).0 + heads(&other.inputs.query));
            assert!(largest_error(&values(found), &values(wanted)) < 1e-13, "{form:?}");
        }
    }
}

#[test]
fn a_memory_that_forgets_all_holds_its_momentum_alone() {
    for form in FORMS {
        let mut case = fresh(2, 4, &shape(21));
        case.inputs.gates.forget = case.inputs.gates.forget.ones_like();
        let (_, state) = case.run(form);
        for (weights, momentum) in state.weights.iter().zip(&state.momentum) {
            assert!(largest_error(&values(weights.clone()), &values(momentum.clone())) < 1e-14, "{form:?}");
        }
    }
}

#[test]
fn surprise_is_the_loss_at_the_start_of_the_chunk_and_the_length_of_its_gradient() {
    for form in FORMS_WITH_SURPRISE {
        for depth in [1, 2] {
            let case = fresh(depth, 4, &shape(6)).on(&autodiff(), burn::tensor::DType::F64);
            let options = NeuralMemoryOptions { chunk: 4, surprise: true, form, ..Default::default() };
            let NeuralMemory { query, key, value, gates, weights, .. } = case.inputs;
            let weights = weights.into_iter().map(|weights| by_heads(weights, 4)).collect();
            let (_, state) = neural_memory(query, key.clone(), value.clone(), gates, weights, options);
            let surprise = state.surprise.expect("it was asked for");
            // Of the token 5, at the weights after the first chunk.
            let start: Vec<_> =
                state.start.iter().map(|start| start.clone().detach().require_grad()).collect();
            let at = |x: Tensor<4>| repeat_heads(x, 4).narrow(1, 5, 1).swap_dims(1, 2);
            let mut answer = at(key).matmul(start[0].clone());
            if depth == 2 {
                answer = seqzoo::ops::exact_gelu(answer).matmul(start[1].clone());
            }
            let loss = (answer - at(value)).square().sum_dims(&[2, 3]); // [b, h, 1, 1]
            let found = surprise.loss.narrow(1, 5, 1);
            assert!(largest_error(&values(found), &values(loss.clone())) < 1e-13, "{form:?}");
            let gradients = loss.sum().backward();
            let squares =
                start.iter().map(|start| start.grad(&gradients).unwrap().square().sum_dims(&[2, 3]));
            let wanted = squares.reduce(|sum, layer| sum + layer).unwrap().sqrt();
            let found = surprise.gradient_norm.narrow(1, 5, 1);
            let error = largest_error(&values(found), &values(wanted));
            assert!(error < 1e-13, "{form:?}, {depth} layers: {error:e}");
        }
    }
}

#[test]
fn every_gate_and_the_chunk_count() {
    // A gate that is silently dropped would pass every comparison of forms.
    let case = fresh(2, 4, &shape(9));
    let wanted = values(case.run(super::FORMS[0]).0);
    for gate in 0..3 {
        let mut other = case.clone();
        let gates = &mut other.inputs.gates;
        let gates = [&mut gates.forget, &mut gates.momentum, &mut gates.step];
        let gate = gates.into_iter().nth(gate).expect("there are three gates");
        *gate = gate.clone().mul_scalar(0.5);
        assert!(largest_error(&values(other.run(super::FORMS[0]).0), &wanted) > 1e-3);
    }
    let online = NeuralMemory { chunk: 1, ..case.inputs.clone() }.run(None, None, super::FORMS[0]).0;
    assert!(largest_error(&values(online), &wanted) > 1e-3);
}

#[test]
fn retrieving_is_reading_a_frozen_memory() {
    for residual in [false, true] {
        let mut case = fresh(3, 4, &Shape { value: 5, ..shape(9) });
        case.inputs.residual = residual;
        let gates = &mut case.inputs.gates;
        (gates.forget, gates.step) = (gates.forget.zeros_like(), gates.step.zeros_like());
        let (wanted, state) = case.run(FORMS[0]);
        let found = retrieve(repeat_heads(case.inputs.query, 4), &state.weights, residual);
        assert!(largest_error(&values(found), &values(wanted)) < 1e-14);
    }
}

#[test]
fn momentum_moves_a_memory_that_learns_nothing() {
    // W_3 = W + (1/2 + 1/4 + 1/8) S.
    for form in FORMS {
        let mut case = Case::random(Kind { depth: 2, chunk: 4 }, &shape(3), 3, &plain());
        let gates = &mut case.inputs.gates;
        (gates.forget, gates.step) = (gates.forget.zeros_like(), gates.step.zeros_like());
        gates.momentum = gates.momentum.full_like(0.5);
        let before = case.state.clone().unwrap();
        let (_, state) = case.run(form);
        for (layer, weights) in state.weights.into_iter().enumerate() {
            let wanted = before.weights[layer].clone() + before.momentum[layer].clone() * 0.875;
            assert!(largest_error(&values(weights), &values(wanted)) < 1e-14, "{form:?}");
        }
    }
}

#[test]
fn gates_may_have_fewer_heads_than_the_values() {
    for form in FORMS {
        let mut case = fresh(2, 4, &shape(9));
        let few = |gate: &Tensor<3>| gate.clone().narrow(2, 0, 2);
        let all = |gate: Tensor<3>| repeat_heads(gate.unsqueeze_dim(3), 4).squeeze_dim::<3>(3);
        let Gates { forget, momentum, step } = case.inputs.gates.clone();
        let [forget, momentum, step] = [forget, momentum, step].map(|gate| few(&gate));
        case.inputs.gates = Gates { forget: forget.clone(), momentum: momentum.clone(), step: step.clone() };
        let found = case.run(form).0;
        case.inputs.gates = Gates { forget: all(forget), momentum: all(momentum), step: all(step) };
        assert_eq!(found.into_data(), case.run(form).0.into_data(), "{form:?}");
    }
}

#[test]
fn sequences_may_have_initial_weights_of_their_own() {
    // Which are what resets return to.
    for form in FORMS {
        let case = fresh(2, 4, &shape(9)).with_resets_at(&[0, 6]);
        let weights = |from: usize| -> Vec<Tensor<4>> {
            let weights = case.inputs.weights.iter().map(|weights| by_heads(weights.clone(), 4));
            let each = |weights: Tensor<4>| {
                Tensor::cat((0..3).map(|row| weights.clone() * (1.0 + row as f64)).collect(), 0)
            };
            weights
                .map(each)
                .map(|weights| if from == 3 { weights } else { weights.narrow(0, from, 1) })
                .collect()
        };
        let run = |case: &Case, weights| {
            let NeuralMemory { query, key, value, gates, .. } = case.inputs.clone();
            let resets = case.resets.clone();
            let options = NeuralMemoryOptions { chunk: 4, resets, form, ..Default::default() };
            neural_memory(query, key, value, gates, weights, options).0
        };
        let all = run(&case, weights(3));
        for row in 0..3 {
            let (found, wanted) = (run(&case.row(row), weights(row)), all.clone().narrow(0, row, 1));
            assert!(largest_error(&values(found), &values(wanted)) < 1e-13, "{form:?}");
        }
    }
}
