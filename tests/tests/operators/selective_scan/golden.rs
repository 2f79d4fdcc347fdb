//! Rung 1: every form against what the original implementations computed.

use burn::tensor::Tensor;
use seqzoo::ops::Form;
use seqzoo::ops::selective_scan::{SelectiveScanOptions, selective_scan};
use seqzoo_tests::ladder::golden::STORED;
use seqzoo_tests::{Golden, Outcome, autodiff, largest_error};

/// `Auto` is the kernel where the device has one.
const FORMS: [Form; 4] = [Form::Naive, Form::Chunked { size: 4 }, Form::Chunked { size: 64 }, Form::Auto];

/// The files have channels before tokens.
fn tokens(channels_first: &Tensor<3>) -> Tensor<3> {
    channels_first.clone().swap_dims(1, 2)
}

fn outcome(golden: &Golden, softplus: bool, form: Form) -> Outcome {
    let device = autodiff();
    let given = |name: &str| golden.has(name).then(|| golden.tensor::<3>(name, &device).require_grad());
    let vector = |name: &str| golden.has(name).then(|| golden.tensor::<1>(name, &device).require_grad());
    let [u, delta, b, c] = ["u", "delta", "B", "C"].map(|name| given(name).unwrap());
    let a = golden.tensor::<2>("A", &device).require_grad();
    let (d, bias) = (vector("D"), vector("delta_bias"));
    let (z, state) = (given("z"), given("initial_state"));
    let options = SelectiveScanOptions {
        a_log: false,
        delta_bias: bias.clone(),
        delta_softplus: softplus,
        delta_limits: None,
        d: d.clone(),
        z: z.as_ref().map(tokens),
        initial_state: state.clone(),
        resets: None,
        segments: None,
        form,
    };
    let shared = |x: &Tensor<3>| tokens(x).unsqueeze_dim::<4>(2);
    let (output, last) =
        selective_scan(tokens(&u), tokens(&delta), a.clone(), shared(&b), shared(&c), options);
    let output = output.swap_dims(1, 2);
    let mut found = Outcome::default();
    found.put("o", &output);
    found.put("final_state", &last);
    let loss =
        (output * golden.tensor("do", &device)).sum() + (last * golden.tensor("dfinal", &device)).sum();
    let gradients = loss.backward();
    found.put_gradient("A", &a, &gradients);
    for (name, tensor) in [("u", Some(u)), ("delta", Some(delta)), ("B", Some(b)), ("C", Some(c)), ("z", z)] {
        tensor.inspect(|tensor| found.put_gradient(name, tensor, &gradients));
    }
    state.inspect(|state| found.put_gradient("initial_state", state, &gradients));
    for (name, tensor) in [("D", d), ("delta_bias", bias)] {
        tensor.inspect(|tensor| found.put_gradient(name, tensor, &gradients));
    }
    found
}

fn check(name: &str, softplus: impl Fn(&Golden) -> bool) {
    let golden = Golden::load(name);
    for form in FORMS {
        let found = outcome(&golden, softplus(&golden), form);
        let gradients = golden.names().filter(|name| name.starts_with("d_"));
        for wanted in gradients.chain(["o", "final_state"]) {
            let error = largest_error(found.values(wanted), golden.values(wanted));
            assert!(error <= STORED, "{name}, {form:?}: `{wanted}` differs by {error:e}");
        }
    }
}

#[test]
fn the_selective_scan_equals_the_reference() {
    for name in ["t1", "t19_full", "t32_plain"] {
        check(&format!("07_selective_scan__{name}"), |golden| golden.parameter("delta_softplus") == "True");
    }
}

#[test]
fn tokens_one_by_one_from_a_state_equal_the_reference() {
    check("07_selective_state_update__steps12_init", |golden| golden.parameter("dt_softplus") == "True");
}
