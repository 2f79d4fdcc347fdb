//! Rung 1: every form against what the original implementations computed.

use super::case::Case;
use burn::tensor::{DType, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::delta_rule::{Beta, Decay, Keys};
use seqzoo_tests::{Golden, autodiff, largest_error};

/// The files store f32; everything here is f64 from those inputs on.
const STORED: f64 = 2e-6;

pub const FORMS: [Form; 4] =
    [Form::Naive, Form::Chunked { size: 16 }, Form::Chunked { size: 64 }, Form::Kernel];

fn check(name: &str, head_first: bool) {
    let device = autodiff();
    let golden = Golden::load(name);
    let turned = |x: Tensor<4>| if head_first { x.swap_dims(1, 2) } else { x };
    let sequence = |name: &str| turned(golden.tensor::<4>(name, &device));
    let rank_of_g = if golden.has("g") { golden.rank("g") } else { 0 };
    let [batch, _, heads, value] = sequence("v").dims();
    let key = sequence("k").dims()[3];
    let beta = turned(golden.tensor::<3>("beta", &device).unsqueeze_dim(3));
    let case = Case {
        query: sequence("q"),
        key: sequence("k"),
        value: sequence("v"),
        beta: Beta::Scalar(beta.squeeze_dim(3)),
        decay: match rank_of_g {
            0 => Decay::None,
            3 => Decay::Scalar(golden.tensor("g", &device)),
            _ => Decay::Vector(golden.tensor("g", &device)),
        },
        memory: golden.has("initial_state").then(|| golden.tensor("initial_state", &device)),
        resets: None,
        scale: Some(golden.number("scale")),
        keys: Keys::Bounded,
        output_cotangent: sequence("do"),
        memory_cotangent: if golden.has("dfinal") {
            golden.tensor("dfinal", &device)
        } else {
            Tensor::zeros([batch, heads, key, value], (&device, DType::F64))
        },
    };
    for form in FORMS {
        let outcome = case.clone().outcome(form);
        for found in outcome.names() {
            let wanted: Vec<f64> = match found {
                "o" | "d_q" | "d_k" | "d_v" if head_first => {
                    sequence(found).into_data().try_to_vec().unwrap()
                }
                "d_beta" if head_first => {
                    let gradient = golden.tensor::<3>(found, &device).unsqueeze_dim::<4>(3);
                    turned(gradient).into_data().try_to_vec().unwrap()
                }
                _ => golden.values(found).to_vec(),
            };
            let error = largest_error(outcome.values(found), &wanted);
            assert!(error <= STORED, "{name}, {form:?}: `{found}` differs by {error:e}");
        }
    }
}

#[test]
fn the_delta_rule_equals_the_reference() {
    for name in ["t1", "t37", "t50_init_b2"] {
        check(&format!("04_delta_rule__{name}"), true);
    }
}

#[test]
fn the_gated_delta_rule_equals_the_reference() {
    for name in ["t1", "t37", "t70_init_b2"] {
        check(&format!("05_gated_delta_rule__{name}"), false);
    }
}

#[test]
fn kimi_delta_attention_equals_the_reference() {
    for name in ["t1", "t37", "t50_init_b2"] {
        check(&format!("06_kda__{name}"), false);
    }
}
