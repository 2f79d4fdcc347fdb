//! Rung 1: every form against the law evaluated token by token, its inner gradient by automatic differentiation.

use super::FORMS;
use burn::tensor::{DType, Tensor};
use seqzoo::ops::neural_memory::{Gates, NeuralMemoryOptions, NeuralMemoryState, neural_memory};
use seqzoo_tests::ladder::golden::STORED;
use seqzoo_tests::{Golden, Outcome, autodiff, largest_error};

fn check(file: &str, chunk: usize, depth: usize) {
    let device = autodiff();
    let golden = Golden::load(&format!("10_titans_memory__{file}"));
    let leaf = |name: &str| golden.tensor::<4>(name, &device).require_grad();
    let gate = |name: &str| golden.tensor::<3>(name, &device).require_grad();
    let layers = |name: &str| -> Vec<String> { (0..depth).map(|layer| format!("{name}{layer}")).collect() };
    for form in FORMS {
        let (q, k, v) = (leaf("q"), leaf("k"), leaf("v"));
        let (alpha, eta, theta) = (gate("alpha"), gate("eta"), gate("theta"));
        let weights: Vec<_> = layers("w").iter().map(|name| leaf(name)).collect();
        let momentum: Vec<_> = if golden.has("s0") {
            layers("s").iter().map(|name| leaf(name)).collect()
        } else {
            weights.iter().map(|weights| weights.zeros_like().require_grad()).collect()
        };
        let state = NeuralMemoryState {
            weights: weights.clone(),
            momentum: momentum.clone(),
            start: weights.clone(),
            position: Tensor::zeros([q.dims()[0]], (&device, DType::F64)),
            chunk,
            surprise: None,
        };
        let gates = Gates { forget: alpha.clone(), momentum: eta.clone(), step: theta.clone() };
        let options = NeuralMemoryOptions { initial_state: Some(state), chunk, form, ..Default::default() };
        let initial = weights.iter().map(|weights| weights.zeros_like()).collect();
        let (output, last) = neural_memory(q.clone(), k.clone(), v.clone(), gates, initial, options);

        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        let mut loss = (output * golden.tensor("do", &device)).sum();
        for (layer, (weights, momentum)) in last.weights.iter().zip(&last.momentum).enumerate() {
            for (name, tensor) in
                [(format!("final_w{layer}"), weights), (format!("final_s{layer}"), momentum)]
            {
                outcome.put(&name, tensor);
                loss = loss + (tensor.clone() * golden.tensor(&format!("d{name}"), &device)).sum();
            }
        }
        let gradients = loss.backward();
        for (name, tensor) in [("q", &q), ("k", &k), ("v", &v)] {
            outcome.put_gradient(name, tensor, &gradients);
        }
        for (name, tensor) in [("alpha", &alpha), ("eta", &eta), ("theta", &theta)] {
            outcome.put_gradient(name, tensor, &gradients);
        }
        for (name, tensor) in layers("w").iter().zip(&weights).chain(layers("s").iter().zip(&momentum)) {
            if golden.has(name) {
                outcome.put_gradient(name, tensor, &gradients);
            }
        }
        for name in outcome.names() {
            let error = largest_error(outcome.values(name), golden.values(name));
            // The gradient of the only step is 0.011, a sum of terms up to 1.8, in which the rounding of the stored inputs
            // shows.
            let cancelled = file == "linear_c1_t1" && name == "d_theta";
            assert!(
                error <= if cancelled { 10.0 * STORED } else { STORED },
                "{file} {form:?}: `{name}` differs by {error:e}"
            );
        }
        for gradient in golden.names().filter(|name| name.starts_with("d_")) {
            assert!(outcome.names().any(|name| name == gradient), "`{gradient}` is compared with nothing");
        }
    }
}

#[test]
fn the_linear_memory_equals_the_reference() {
    check("linear_c1_t1", 1, 1);
    check("linear_c1_t9_init", 1, 1);
    check("linear_c4_t14", 4, 1);
}

#[test]
fn the_deep_memory_equals_the_reference() {
    check("mlp2_c3_t9_init", 3, 2);
    check("mlp2_c4_t10", 4, 2);
}
