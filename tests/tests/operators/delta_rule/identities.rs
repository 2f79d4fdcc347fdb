//! What follows from the law without any computing, on every form.

use super::Case;
use burn::tensor::{DType, FloatDType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, Decay};
use seqzoo::ops::linear_attention::{LinearAttentionOptions, linear_attention};
use seqzoo_tests::ladder::{Operator, Times};
use seqzoo_tests::operators::delta_rule::{Kind, map_beta};
use seqzoo_tests::operators::{DeltaRule, Fading, Shape, shape};
use seqzoo_tests::{Inputs, largest_error, plain, values};

const FORMS: [Form; 3] = [Form::Naive, Form::Chunked { size: 16 }, Form::Kernel];

const PLAIN: Kind = Kind { decay: Fading::None, channels: false };

/// The keys `e_1 … e_K`, one after the other, `[1, time, 1, K]`.
fn orthonormal(time: usize, width: usize) -> Tensor<4> {
    let identity = Tensor::<2>::eye(width, &plain()).cast(FloatDType::F64);
    identity.narrow(0, 0, time).reshape([1, time, 1, width])
}

#[test]
fn orthonormal_keys_are_recalled_exactly() {
    for form in FORMS {
        let mut inputs = Inputs::new(1, &plain());
        let width = 40;
        let value = inputs.uniform([1, 2 * width, 1, 3]);
        // Every key twice: with beta 1, the second value replaces the first.
        let key = Tensor::cat(vec![orthonormal(width, width); 2], 1);
        let mut case = Case::random(
            PLAIN,
            &Shape { batch: 1, time: 2 * width, key_heads: 1, heads: 1, key: width, value: 3 },
            2,
            &plain(),
        );
        case.inputs.scale = Some(1.0);
        case.state = None;
        (case.inputs.query, case.inputs.key, case.inputs.value) = (key.clone(), key, value.clone());
        case.inputs.beta = Beta::Scalar(Tensor::ones([1, 2 * width, 1], (&plain(), DType::F64)));
        let (output, memory) = case.run(form);
        assert_eq!(output.into_data(), value.clone().into_data(), "{form:?}: a token reads what it wrote");
        let held = memory.reshape([1, width, 1, 3]);
        assert_eq!(held.into_data(), value.narrow(1, width, width).into_data(), "{form:?}");
    }
}

#[test]
fn strength_zero_leaves_every_bit_of_the_memory() {
    for form in FORMS {
        for channels in [false, true] {
            for dtype in [FloatDType::F32, FloatDType::F64] {
                let kind = Kind { decay: Fading::None, channels };
                let mut case = Case::random(kind, &shape(45), 3, &plain()).cast(dtype);
                case.inputs.beta = map_beta(case.inputs.beta, &mut Times(0.0));
                let (_, memory) = case.run(form);
                assert_eq!(memory.into_data(), case.state.unwrap().into_data(), "{form:?}");
            }
        }
    }
}

#[test]
fn strength_zero_at_some_tokens_is_as_if_they_were_not_there() {
    for form in FORMS {
        let case = Case::random(PLAIN, &shape(20), 3, &plain());
        let Beta::Scalar(beta) = &case.inputs.beta else { unreachable!() };
        let mut frozen = case.clone();
        frozen.inputs.beta =
            Beta::Scalar(beta.clone().slice_assign([0..3, 5..20, 0..4], beta.clone().narrow(1, 5, 15) * 0.0));
        let (_, memory) = frozen.run(form);
        let (_, short) = case.part(0, 5, case.state.clone()).run(form);
        assert!(largest_error(&values(memory), &values(short)) < 1e-14, "{form:?}");
    }
}

#[test]
fn a_decay_of_nothing_is_no_decay() {
    for form in FORMS {
        let case = Case::random(PLAIN, &shape(45), 3, &plain());
        let zeros = |channels| Tensor::<4>::zeros([3, 45, 4, channels], (&plain(), DType::F64));
        let (wanted, _) = case.run(form);
        for decay in [
            Decay::PerHead(Tensor::zeros([4], (&plain(), DType::F64))),
            Decay::Scalar(zeros(1).squeeze_dim(3)),
            Decay::Vector(zeros(5)),
        ] {
            let found = DeltaRule { decay, ..case.inputs.clone() }.run(case.state.clone(), None, form).0;
            assert!(largest_error(&values(found), &values(wanted.clone())) < 1e-13, "{form:?}");
        }
    }
}

#[test]
fn one_strength_for_all_channels_is_the_same_strength_for_each() {
    for form in FORMS {
        let case = Case::random(Kind { decay: Fading::Vector, channels: false }, &shape(45), 3, &plain());
        let Beta::Scalar(beta) = &case.inputs.beta else { unreachable!() };
        let each = Beta::Vector(beta.clone().unsqueeze_dim::<4>(3).expand([3, 45, 4, 3]));
        let (wanted, _) = case.run(form);
        let found = DeltaRule { beta: each, ..case.inputs }.run(case.state, None, form).0;
        assert!(largest_error(&values(found), &values(wanted)) < 1e-12, "{form:?}");
    }
}

#[test]
fn with_orthogonal_keys_and_strength_one_it_is_linear_attention() {
    for form in FORMS {
        let (time, width) = (20, 20);
        let mut inputs = Inputs::new(4, &plain());
        let shape = Shape { batch: 1, time, key_heads: 1, heads: 1, key: width, value: 3 };
        let mut case = Case::random(PLAIN, &shape, 2, &plain());
        case.state = None;
        case.inputs.key = orthonormal(time, width);
        case.inputs.value = inputs.uniform([1, time, 1, 3]);
        case.inputs.beta = Beta::Scalar(Tensor::ones([1, time, 1], (&plain(), DType::F64)));
        let (found, _) = case.run(form);
        let (q, k, v) = (case.inputs.query, case.inputs.key, case.inputs.value);
        let (wanted, _) = linear_attention(q, k, v, Decay::None, LinearAttentionOptions::default());
        assert!(largest_error(&values(found), &values(wanted)) < 1e-12, "{form:?}");
    }
}

#[test]
fn strength_two_reflects_and_twice_is_the_identity() {
    // (I - 2 k kᵀ)² = I: with values of zero, the same key twice leaves the memory.
    for form in FORMS {
        let mut case = Case::random(PLAIN, &shape(2), 3, &plain());
        case.inputs.key = Tensor::cat(vec![case.inputs.key.clone().narrow(1, 0, 1); 2], 1);
        case.inputs.value = case.inputs.value.zeros_like();
        case.inputs.beta = Beta::Scalar(Tensor::full([3, 2, 4], 2.0, (&plain(), DType::F64)));
        let (_, memory) = case.run(form);
        assert!(largest_error(&values(memory), &values(case.state.unwrap())) < 1e-14, "{form:?}");
    }
}

#[test]
fn all_kinds_differ() {
    // Guards the cases themselves: a decay or beta that is silently dropped would pass every comparison above.
    let outputs: Vec<_> = DeltaRule::KINDS
        .iter()
        .map(|kind| values(Case::random(*kind, &shape(9), 5, &plain()).run(Form::Kernel).0))
        .collect();
    for (index, output) in outputs.iter().enumerate() {
        for other in &outputs[index + 1..] {
            assert!(largest_error(output, other) > 1e-3);
        }
    }
}
