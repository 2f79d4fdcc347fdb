//! Retrieval from a modern Hopfield network: golden vectors, early stops, and what it is for.

use burn::tensor::{Tensor, s};
use seqzoo::ops::attention::hopfield::{Retrieval, RetrievalOptions, retrieve};
use seqzoo_tests::{Golden, Inputs, autodiff, largest_error, plain, said, values};

const STORED: f64 = 2e-6;

fn check<const D: usize>(found: Tensor<D>, golden: &Golden, name: &str) {
    let error = largest_error(&values(found), golden.values(name));
    assert!(error <= STORED, "`{name}` differs by {error:e}");
}

#[test]
fn it_equals_the_authors_program() {
    for name in ["17_hopfield__beta1_steps0", "17_hopfield__beta0.5_steps3"] {
        let (device, golden) = (autodiff(), Golden::load(name));
        let patterns =
            ["state", "stored", "projection"].map(|name| golden.tensor::<3>(name, &device).require_grad());
        let [state, stored, projection] = patterns.clone().map(|patterns| patterns.unsqueeze_dim::<4>(2));
        let options = RetrievalOptions {
            beta: Some(golden.number("beta")),
            steps: golden.number("update_steps_max") as usize,
            epsilon: Some(golden.number("update_steps_eps")),
        };
        let Retrieval { output, association } = retrieve(state, stored, projection, options);
        let (output, association) = (output.squeeze_dim::<3>(2), association.squeeze_dim::<3>(1));
        check(output.clone(), &golden, "o");
        check(association.clone(), &golden, "association");
        let mut loss = (output * golden.tensor("do", &device)).sum();
        if golden.has("ct.association") {
            loss = loss + (association * golden.tensor("ct.association", &device)).sum();
        }
        let gradients = loss.backward();
        for (name, patterns) in ["d_state", "d_stored", "d_projection"].into_iter().zip(patterns) {
            check(patterns.grad(&gradients).unwrap(), &golden, name);
        }
    }
}

/// Two heads, of which the first converges slowly and the second at once.
fn patterns() -> [Tensor<4>; 3] {
    let mut random = Inputs::new(5, &plain());
    let mut state = random.uniform::<4>([2, 3, 2, 4]);
    let stored = random.uniform::<4>([2, 6, 2, 4]);
    // The second head asks for patterns that are stored.
    let asked = stored.clone().slice(s![.., 0..3, 1..2, ..]) * 20.0;
    state = state.slice_assign(s![.., .., 1..2, ..], asked);
    let stored = stored.clone().slice_assign(s![.., .., 1..2, ..], stored.slice(s![.., .., 1..2, ..]) * 20.0);
    [state, stored, random.uniform([2, 6, 2, 5])]
}

fn associations(steps: usize, epsilon: Option<f64>) -> Tensor<4> {
    let [state, stored, projection] = patterns();
    let options = RetrievalOptions { beta: Some(1.0), steps, epsilon };
    retrieve(state, stored, projection, options).association
}

/// The largest change of a step, over the batch, of each head.
fn changes(step: usize) -> Vec<f64> {
    let change = associations(step, None) - associations(step - 1, None);
    values(change.square().sum_dim(3).sum_dim(2).max_dim(0).sqrt())
}

#[test]
fn a_head_that_has_converged_stays_and_others_go_on() {
    let (first, second, third) = (changes(1), changes(2), changes(3));
    assert!(second[0] > third[0] && first[1] < 1e-6, "{first:?} {second:?} {third:?}");
    // At a tolerance between its changes the first head stops after the second step, with what that step made.
    let epsilon = (second[0] + first[0].max(second[0] * 1.01)) / 2.0;
    let stops = (1..=10).find(|step| changes(*step)[0] <= epsilon).unwrap();
    let epsilon = Some(epsilon);
    let head = |associations: Tensor<4>, head| values(associations.narrow(1, head, 1));
    let stopped = associations(10, epsilon);
    assert_eq!(head(stopped.clone(), 0), head(associations(stops, None), 0));
    assert_ne!(head(stopped.clone(), 0), head(associations(10, None), 0));
    assert_eq!(head(stopped, 1), head(associations(1, epsilon), 1));
    assert_eq!(values(associations(10, Some(0.0))), values(associations(10, None)));
}

#[test]
fn a_pattern_is_retrieved_from_a_part_of_it_and_the_energy_falls() {
    let device = plain();
    let stored = Inputs::new(7, &device).uniform::<4>([1, 20, 1, 64]).sign();
    let (whole, length) = (stored.clone().narrow(1, 11, 1), 64);
    let half = whole
        .clone()
        .slice_assign(s![.., .., .., length / 2..], Tensor::zeros([1, 1, 1, 32], (&device, stored.dtype())));
    let after = |steps| {
        let options = RetrievalOptions { beta: Some(0.5), steps, epsilon: None };
        retrieve(half.clone(), stored.clone(), stored.clone(), options).output
    };
    assert!(largest_error(&values(after(1)), &values(whole)) < 1e-3);
    // E = −log(Σ exp(β ξᵀ x)) / β + ξᵀξ / 2
    let energy = |state: Tensor<4>| {
        let scores = (stored.clone() * state.clone()).sum_dim(3) * 0.5;
        let largest = scores.clone().max();
        let log_sum = (scores - largest.clone().reshape([1, 1, 1, 1])).exp().sum().log() + largest;
        (state.square().sum() * 0.5 - log_sum / 0.5).into_scalar::<f64>()
    };
    let energies = [energy(half.clone()), energy(after(0)), energy(after(1)), energy(after(2))];
    assert!(energies.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{energies:?}");
}

#[test]
fn hostile_scores_pick_one_pattern() {
    let device = plain();
    let stored = Inputs::single(8, &device).uniform::<4>([1, 9, 1, 8]);
    let asked = stored.clone().narrow(1, 4, 1);
    let options = RetrievalOptions { beta: Some(1e4), steps: 5, epsilon: Some(1e-4) };
    let found = retrieve(asked.clone() * 100.0, stored.clone(), stored, options);
    assert!(values(found.output).iter().all(|number| number.is_finite()));
    assert!((values(found.association).iter().sum::<f64>() - 1.0).abs() < 1e-6);
}

#[test]
fn what_does_not_fit_is_named_and_no_sequences_have_outputs_of_none() {
    let device = plain();
    let ones = |shape| Tensor::<4>::ones(shape, &device);
    let run = |state, stored, projection| {
        retrieve(ones(state), ones(stored), ones(projection), RetrievalOptions::default())
    };
    let text = said(|| run([1, 2, 1, 3], [1, 4, 1, 5], [1, 4, 1, 5]));
    assert!(text.contains("`stored` has the shape [1, 4, 1, 5], but [B, L, H, K] = [1, 4, 1, 3]"), "{text}");
    let text = said(|| run([1, 2, 2, 3], [1, 4, 2, 3], [1, 4, 1, 5]));
    assert!(
        text.contains("`projection` has the shape [1, 4, 1, 5], but [B, L, H, V] = [1, 4, 2, 5]"),
        "{text}"
    );
    let text = said(|| run([1, 0, 2, 3], [1, 4, 2, 3], [1, 4, 2, 5]));
    assert!(text.contains("`state` has no elements on its pattern axis"), "{text}");
    let none = run([0, 2, 1, 3], [0, 4, 1, 3], [0, 4, 1, 5]);
    assert_eq!((none.output.dims(), none.association.dims()), ([0, 2, 1, 5], [0, 1, 2, 4]));
}
