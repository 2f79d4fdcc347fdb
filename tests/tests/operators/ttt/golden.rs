//! Rung 1: every form against flash-linear-attention's reference.

use super::FORMS;
use burn::tensor::{DType, Tensor};
use seqzoo::ops::ttt::{InnerModel, InnerNorm, Steps, TttOptions, TttState, ttt};
use seqzoo_tests::ladder::golden::STORED;
use seqzoo_tests::{Golden, Outcome, autodiff, largest_error};

fn check(file: &str) {
    let device = autodiff();
    let golden = Golden::load(&format!("14_ttt_linear__{file}"));
    let leaf = |name: &str| golden.tensor::<4>(name, &device).require_grad();
    let per_head = |name: &str| golden.tensor::<2>(name, &device).require_grad();
    let chunk = golden.number("mini_batch_size") as usize;
    for form in FORMS {
        let (q, k, v, eta) = (leaf("q"), leaf("k"), leaf("v"), leaf("eta"));
        let (w, b) = (per_head("w"), per_head("b"));
        let [batch, _, heads, channels] = q.dims();
        let start = |name: &str, rows| {
            golden.tensor_or_zeros(name, [batch, heads, rows, channels], &device).require_grad()
        };
        let (weights, bias) = (start("initial_state", channels), start("initial_bias", 1));
        let state = TttState::new(
            InnerModel { weights: vec![weights.clone()], biases: vec![bias.clone()] },
            batch,
            chunk,
        );
        let zeros = |rows| vec![Tensor::zeros([1, heads, rows, channels], (&device, DType::F64))];
        let model = InnerModel { weights: zeros(channels), biases: zeros(1) };
        let steps = Steps { read: eta.clone().squeeze_dim::<3>(3), write: None };
        let norm = InnerNorm { gain: w.clone(), offset: b.clone() };
        let options = TttOptions {
            initial_state: Some(state),
            chunk,
            scale: Some(golden.number("scale")),
            norm_epsilon: golden.number("eps"),
            form,
            ..Default::default()
        };
        let (output, last) = ttt(q.clone(), k.clone(), v.clone(), steps, model, norm, options);

        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        outcome.put("final_state", &last.model.weights[0]);
        outcome.put("final_state.bias", &last.model.biases[0]);
        let weighted = |x: Tensor<4>, cotangent: &str| (x * golden.tensor(cotangent, &device)).sum();
        let loss = weighted(output, "do")
            + weighted(last.model.weights[0].clone(), "dfinal")
            + weighted(last.model.biases[0].clone(), "dfinal.bias");
        let gradients = loss.backward();
        for (name, tensor) in [("q", &q), ("k", &k), ("v", &v), ("eta", &eta)] {
            outcome.put_gradient(name, tensor, &gradients);
        }
        for (name, tensor) in [("w", &w), ("b", &b)] {
            outcome.put_gradient(name, tensor, &gradients);
        }
        for (name, tensor) in [("initial_state", &weights), ("initial_bias", &bias)] {
            if golden.has(name) {
                outcome.put_gradient(name, tensor, &gradients);
            }
        }
        for name in outcome.names() {
            let error = largest_error(outcome.values(name), golden.values(name));
            assert!(error <= STORED, "{file} {form:?}: `{name}` differs by {error:e}");
        }
        for gradient in golden.names().filter(|name| name.starts_with("d_")) {
            assert!(outcome.names().any(|name| name == gradient), "`{gradient}` is compared with nothing");
        }
        // The chunks are complete.
        assert_eq!(last.places(), vec![0; batch], "{form:?}");
        let sums = last.gradients.weights[0].clone().abs().max().into_scalar::<f64>();
        assert_eq!(sums, 0.0, "{form:?}");
    }
}

#[test]
fn it_equals_the_reference_from_zero_weights() {
    check("t16_c4");
}

#[test]
fn it_equals_the_reference_from_weights_that_are_given() {
    check("t12_c4_init");
}
