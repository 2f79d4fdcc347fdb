//! Several steps per token.

use burn::tensor::{Device, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, Decay, DeltaRuleOptions, delta_rule, gated_delta_product};
use seqzoo_tests::ladder::golden::{FORMS, STORED};
use seqzoo_tests::operators::delta_rule::unit;
use seqzoo_tests::{Golden, Inputs, Outcome, autodiff, flags, largest_error, plain, values};

#[test]
fn the_gated_delta_product_equals_the_reference() {
    let device = autodiff();
    let golden = Golden::load("14_gated_delta_product__t12_n2");
    let leaf = |name: &str| golden.tensor::<4>(name, &device).require_grad();
    for form in FORMS {
        let (q, k, v, memory) = (leaf("q"), leaf("k"), leaf("v"), leaf("initial_state"));
        let beta = golden.tensor::<3>("beta", &device).require_grad();
        let g = golden.tensor::<3>("g", &device).require_grad();
        let options = DeltaRuleOptions {
            initial_state: Some(memory.clone()),
            scale: Some(golden.number("scale")),
            form,
            ..Default::default()
        };
        let (output, last) = gated_delta_product(
            q.clone(),
            k.clone(),
            v.clone(),
            Beta::Scalar(beta.clone()),
            Decay::Scalar(g.clone()),
            2,
            options,
        );
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        outcome.put("final_state", &last);
        let loss =
            (output * golden.tensor("do", &device)).sum() + (last * golden.tensor("dfinal", &device)).sum();
        let gradients = loss.backward();
        for (name, tensor) in [("q", &q), ("k", &k), ("v", &v), ("initial_state", &memory)] {
            outcome.put_gradient(name, tensor, &gradients);
        }
        outcome.put_gradient("beta", &beta, &gradients);
        outcome.put_gradient("g", &g, &gradients);
        for name in outcome.names() {
            let error = largest_error(outcome.values(name), golden.values(name));
            assert!(error <= STORED, "{form:?}: `{name}` differs by {error:e}");
        }
    }
}

struct Steps {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    beta: Beta,
}

fn steps(time: usize, count: usize, device: &Device) -> Steps {
    let mut inputs = Inputs::new(5, device);
    Steps {
        query: inputs.uniform([2, time, 2, 4]),
        key: unit(inputs.uniform([2, time * count, 2, 4])),
        value: inputs.uniform([2, time * count, 2, 3]),
        beta: Beta::Scalar(inputs.between([2, time * count, 2], 0.0, 2.0)),
    }
}

#[test]
fn one_step_is_the_delta_rule() {
    let Steps { query, key, value, beta } = steps(9, 1, &plain());
    let (q, k, v, b) = (query.clone(), key.clone(), value.clone(), beta.clone());
    let (found, _) = gated_delta_product(q, k, v, b, Decay::None, 1, DeltaRuleOptions::default());
    let (wanted, _) = delta_rule(query, key, value, beta, Decay::None, DeltaRuleOptions::default());
    assert_eq!(found.into_data(), wanted.into_data());
}

#[test]
fn every_decay_and_resets_are_the_same_in_all_forms() {
    let device = plain();
    let mut inputs = Inputs::new(8, &device);
    let decays = [
        Decay::None,
        Decay::PerHead(inputs.between([2], -1.0, 0.0)),
        Decay::Scalar(inputs.between([2, 7, 2], -1.0, 0.0)),
        Decay::Vector(inputs.between([2, 7, 2, 4], -1.0, 0.0)),
    ];
    for decay in decays {
        let run = |form| {
            let Steps { query, key, value, beta } = steps(7, 3, &device);
            let resets = Some(flags(2, 7, &[3, 5], &device));
            let options = DeltaRuleOptions { resets, form, ..Default::default() };
            let (output, memory) = gated_delta_product(query, key, value, beta, decay.clone(), 3, options);
            let mut outcome = Outcome::default();
            outcome.put("o", &output);
            outcome.put("final_state", &memory);
            outcome
        };
        let wanted = run(Form::Naive);
        run(Form::Chunked { size: 4 }).assert_close(&wanted, 1e-10);
        run(Form::Kernel).assert_close(&wanted, 1e-10);
    }
}

#[test]
fn a_reset_before_a_token_forgets_all_of_its_past() {
    let device = plain();
    let Steps { query, key, value, beta: Beta::Scalar(beta) } = steps(6, 2, &device) else { unreachable!() };
    let options = DeltaRuleOptions { resets: Some(flags(2, 6, &[4], &device)), ..Default::default() };
    let (q, k, v, b) = (query.clone(), key.clone(), value.clone(), Beta::Scalar(beta.clone()));
    let (_, packed) = gated_delta_product(q, k, v, b, Decay::None, 2, options);
    let (_, alone) = gated_delta_product(
        query.narrow(1, 4, 2),
        key.narrow(1, 8, 4),
        value.narrow(1, 8, 4),
        Beta::Scalar(beta.narrow(1, 8, 4)),
        Decay::None,
        2,
        DeltaRuleOptions::default(),
    );
    assert!(largest_error(&values(packed), &values(alone)) < 1e-12);
}

#[test]
#[should_panic(expected = "[B, T·N, HK, K] = [2, 18, 2, 4] is wanted")]
fn keys_for_another_number_of_steps_are_refused() {
    let Steps { query, key, value, beta } = steps(6, 2, &plain());
    gated_delta_product(query, key, value, beta, Decay::None, 3, DeltaRuleOptions::default());
}
