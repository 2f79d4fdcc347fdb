//! Rung 1: every form against the recurrence of HGRN as its authors wrote it, `h_t = exp(g_t) h_{t-1} + x_t`.

use burn::tensor::Tensor;
use seqzoo::ops::linear_scan::{Factor, LinearScanOptions, linear_scan};
use seqzoo_tests::ladder::golden::{FORMS, STORED};
use seqzoo_tests::{Golden, Outcome, autodiff, largest_error};

#[test]
fn the_recurrence_of_hgrn_equals_the_reference() {
    let device = autodiff();
    for name in ["14_hgrn__t1_init", "14_hgrn__t23"] {
        let golden = Golden::load(name);
        for form in FORMS {
            let leaf = |name: &str| golden.tensor::<3>(name, &device).require_grad();
            let (x, g) = (leaf("x"), leaf("g"));
            let state = golden
                .has("initial_state")
                .then(|| golden.tensor::<2>("initial_state", &device).require_grad());
            let options = LinearScanOptions { initial_state: state.clone(), form, ..Default::default() };
            let (output, last) = linear_scan(x.clone(), Factor::PerToken(g.clone().exp()), options);
            let mut found = Outcome::default();
            found.put("o", &output);
            found.put("final_state", &last);
            let last_cotangent: Tensor<2> = golden.tensor_or_zeros("dfinal", last.dims(), &device);
            let loss = (output * golden.tensor("do", &device)).sum() + (last * last_cotangent).sum();
            let gradients = loss.backward();
            found.put_gradient("x", &x, &gradients);
            found.put_gradient("g", &g, &gradients);
            if let Some(state) = &state {
                found.put_gradient("initial_state", state, &gradients);
            }
            for gradient in golden.names().filter(|name| name.starts_with("d_")) {
                assert!(found.names().any(|name| name == gradient), "`{gradient}` is compared with nothing");
            }
            for name in found.names() {
                let error = largest_error(found.values(name), golden.values(name));
                assert!(error <= STORED, "{form:?}: `{name}` differs by {error:e}");
            }
        }
    }
}
