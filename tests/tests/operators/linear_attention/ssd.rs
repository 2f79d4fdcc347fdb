//! Rung 1: Mamba-2 as linear attention, against what the original implementations computed.

use burn::tensor::{Tensor, activation::silu};
use seqzoo::ops::linear_attention::{Decay, LinearAttentionOptions, LinearAttentionState, linear_attention};
use seqzoo::parts::{SsdOptions, ssd};
use seqzoo_tests::ladder::golden::{FORMS, STORED};
use seqzoo_tests::{Golden, Outcome, autodiff, largest_error};

/// The state is `[B, H, P, N]` in the files.
fn turned(state: &Tensor<4>) -> Tensor<4> {
    state.clone().swap_dims(2, 3)
}

fn limits(golden: &Golden) -> Option<(f64, f64)> {
    let text = golden.parameter("dt_limit");
    let (least, most) = text.trim_matches(['(', ')']).split_once(", ").unwrap();
    let most: f64 = most.parse().unwrap();
    most.is_finite().then(|| (least.parse().unwrap(), most))
}

fn compare(name: &str, golden: &Golden, found: &Outcome, form: impl std::fmt::Debug) {
    let gradients = golden.names().filter(|name| name.starts_with("d_"));
    for wanted in gradients.chain(["o", "final_state"]) {
        let error = largest_error(found.values(wanted), golden.values(wanted));
        assert!(error <= STORED, "{name}, {form:?}: `{wanted}` differs by {error:e}");
    }
}

fn check(name: &str) {
    let (device, golden) = (autodiff(), Golden::load(name));
    for form in FORMS {
        let [x, b, c, z] = ["x", "B", "C", "z"].map(|name| golden.tensor::<4>(name, &device).require_grad());
        let dt = golden.tensor::<3>("dt", &device).require_grad();
        let [a, bias] = ["A", "dt_bias"].map(|name| golden.tensor::<1>(name, &device).require_grad());
        let d = match golden.rank("D") {
            1 => golden.tensor::<1>("D", &device).unsqueeze_dim(1),
            _ => golden.tensor::<2>("D", &device),
        };
        let d = d.require_grad();
        let state =
            golden.has("initial_state").then(|| golden.tensor::<4>("initial_state", &device).require_grad());
        let options = SsdOptions {
            dt_bias: Some(bias.clone()),
            dt_softplus: golden.parameter("dt_softplus") == "True",
            dt_limits: limits(&golden),
            d: Some(d.clone()),
            initial_state: state.as_ref().map(turned),
            form,
            ..Default::default()
        };
        let (output, last) = ssd(x.clone(), dt.clone(), a.clone(), b.clone(), c.clone(), options);
        let (output, last) = (output * silu(z.clone()), turned(&last));
        let mut found = Outcome::default();
        found.put("o", &output);
        found.put("final_state", &last);
        let loss =
            (output * golden.tensor("do", &device)).sum() + (last * golden.tensor("dfinal", &device)).sum();
        let gradients = loss.backward();
        for (name, tensor) in [("x", &x), ("B", &b), ("C", &c), ("z", &z)] {
            found.put_gradient(name, tensor, &gradients);
        }
        found.put_gradient("dt", &dt, &gradients);
        found.put_gradient("A", &a, &gradients);
        found.put_gradient("dt_bias", &bias, &gradients);
        found.put_gradient("D", &d, &gradients);
        state.inspect(|state| found.put_gradient("initial_state", state, &gradients));
        compare(name, &golden, &found, form);
    }
}

#[test]
fn mamba2_equals_the_reference() {
    for name in ["t1", "t21_limits", "t32_g2", "t45_init_D2"] {
        check(&format!("08_mamba2_ssd__{name}"));
    }
}

#[test]
fn the_minimal_recurrence_equals_the_reference() {
    for name in ["t1", "t30_c10_init", "t48_c16"] {
        let name = format!("08_ssd_minimal__{name}");
        let (device, golden) = (autodiff(), Golden::load(&name));
        for form in FORMS {
            let [x, b, c] = ["X", "B", "C"].map(|name| golden.tensor::<4>(name, &device).require_grad());
            let a = golden.tensor::<3>("A", &device).require_grad();
            let state = golden
                .has("initial_state")
                .then(|| golden.tensor::<4>("initial_state", &device).require_grad());
            let initial = |state| LinearAttentionState { memory: turned(state), key_sum: None };
            let options = LinearAttentionOptions {
                initial_state: state.as_ref().map(initial),
                scale: Some(1.0),
                form,
                ..Default::default()
            };
            let decay = Decay::Scalar(a.clone());
            let (output, last) = linear_attention(c.clone(), b.clone(), x.clone(), decay, options);
            let last = turned(&last.memory);
            let mut found = Outcome::default();
            found.put("o", &output);
            found.put("final_state", &last);
            let loss = (output * golden.tensor("do", &device)).sum()
                + (last * golden.tensor("dfinal", &device)).sum();
            let gradients = loss.backward();
            for (name, tensor) in [("X", &x), ("B", &b), ("C", &c)] {
                found.put_gradient(name, tensor, &gradients);
            }
            found.put_gradient("A", &a, &gradients);
            state.inspect(|state| found.put_gradient("initial_state", state, &gradients));
            compare(&name, &golden, &found, form);
        }
    }
}
