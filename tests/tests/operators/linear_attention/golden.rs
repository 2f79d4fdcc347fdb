//! Rung 1: every form against what the original implementations computed.

use super::case::Case;
use burn::tensor::{Device, Tensor};
use seqzoo::ops::Form;
use seqzoo::ops::linear_attention::{Decay, LinearAttentionState};
use seqzoo::parts::FeatureMapKind;
use seqzoo_tests::{Golden, autodiff, largest_error};

/// The files store f32; everything here is f64 from those inputs on.
const STORED: f64 = 2e-6;

const FORMS: [Form; 4] = [Form::Naive, Form::Chunked { size: 16 }, Form::Chunked { size: 64 }, Form::Kernel];

fn check(name: &str, head_first: bool, make_decay: impl Fn(&Golden, &Device) -> Decay) {
    let device = autodiff();
    let golden = Golden::load(name);
    let sequence = |name: &str| {
        let tensor = golden.tensor::<4>(name, &device);
        if head_first { tensor.swap_dims(1, 2) } else { tensor }
    };
    let features = |name: &str| {
        let normalised_elu = golden.has("final_state.z") && golden.parameter("feature_map") == "elu+1";
        let raw = sequence(name);
        // The vectors apply the map to q and k; gradients are with respect to the raw values.
        if normalised_elu { elu_plus_one(raw) } else { raw }
    };
    let z = |name: &str| golden.has(name).then(|| golden.tensor::<4>(name, &device).squeeze_dim::<3>(1));
    let [batch, _, heads, value] = sequence("v").dims();
    let key = sequence("k").dims()[3];
    let zeros =
        |last: usize| Tensor::<4>::zeros([batch, heads, key, last], (&device, burn::tensor::DType::F64));
    let normalised = golden.has("final_state.z");
    let case = Case {
        query: features("q"),
        key: features("k"),
        value: sequence("v"),
        decay: make_decay(&golden, &device),
        state: golden.has("initial_state").then(|| LinearAttentionState {
            memory: golden.tensor("initial_state", &device),
            key_sum: z("initial_z"),
        }),
        resets: None,
        scale: Some(golden.number("scale")),
        normaliser: normalised.then(|| golden.number("eps")),
        output_cotangent: sequence("do"),
        memory_cotangent: if golden.has("dfinal") { golden.tensor("dfinal", &device) } else { zeros(value) },
        key_sum_cotangent: z("dfinal.z"),
    };

    for form in FORMS {
        let outcome = case.clone().outcome(form);
        for found in outcome.names() {
            if normalised && ["d_q", "d_k"].contains(&found) && golden.parameter("feature_map") == "elu+1" {
                continue; // through the feature map: `normalised_gradients_pass_the_feature_map`
            }
            if found == "d_g" && !golden.has("d_g") {
                continue; // retention's fixed decay is not a parameter of the original
            }
            let wanted = if head_first && ["o", "d_q", "d_k", "d_v"].contains(&found) {
                sequence(found).into_data().try_to_vec().unwrap()
            } else {
                golden.values(found).to_vec()
            };
            let error = largest_error(outcome.values(found), &wanted);
            assert!(error <= STORED, "{name}, {form:?}: `{found}` differs by {error:e}");
        }
    }
}

fn elu_plus_one(x: Tensor<4>) -> Tensor<4> {
    FeatureMapKind::EluPlusOne.try_init(x.dims()[3], &x.device()).unwrap().forward(x)
}

#[test]
fn linear_attention_equals_the_reference() {
    for name in ["01_linear_attn__t1", "01_linear_attn__t17_init", "01_linear_attn__t64"] {
        check(name, false, |_, _| Decay::None);
    }
}

#[test]
fn normalised_linear_attention_equals_the_reference() {
    for name in ["elu_t13", "elu_t21_init", "pos_identity_t33"] {
        check(&format!("01_linear_attn_norm__{name}"), false, |_, _| Decay::None);
    }
}

#[test]
fn retention_equals_the_reference() {
    for name in ["02_retention__t1", "02_retention__t40_h4"] {
        check(name, true, |golden, device| {
            let gamma: Vec<f64> = serde_json::from_str(golden.parameter("gamma")).unwrap();
            let gamma = Tensor::<1>::from_data(
                burn::tensor::TensorData::from(&gamma[..]),
                (device, burn::tensor::DType::F64),
            );
            Decay::PerHead(gamma.log())
        });
    }
}

#[test]
fn scalar_decay_equals_the_reference() {
    for name in ["t1", "t1_init", "t37", "t50_init"] {
        check(&format!("02_simple_gla__{name}"), false, |golden, device| {
            Decay::Scalar(golden.tensor("g", device))
        });
    }
}

#[test]
fn vector_decay_equals_the_reference() {
    for name in ["t1", "t37", "t50_init"] {
        check(&format!("03_gla__{name}"), false, |golden, device| Decay::Vector(golden.tensor("gk", device)));
    }
}

#[test]
fn normalised_gradients_pass_the_feature_map() {
    let device = autodiff();
    for name in ["01_linear_attn_norm__elu_t13", "01_linear_attn_norm__elu_t21_init"] {
        let golden = Golden::load(name);
        let (q, k) = (
            golden.tensor::<4>("q", &device).require_grad(),
            golden.tensor::<4>("k", &device).require_grad(),
        );
        for form in FORMS {
            let options = seqzoo::ops::linear_attention::LinearAttentionOptions {
                initial_state: golden.has("initial_state").then(|| LinearAttentionState {
                    memory: golden.tensor("initial_state", &device),
                    key_sum: Some(golden.tensor::<4>("initial_z", &device).squeeze_dim(1)),
                }),
                normaliser: Some(golden.number("eps")),
                form,
                ..Default::default()
            };
            let (o, state) = seqzoo::ops::linear_attention::linear_attention(
                elu_plus_one(q.clone()),
                elu_plus_one(k.clone()),
                golden.tensor("v", &device),
                Decay::None,
                options,
            );
            let loss = (o * golden.tensor("do", &device)).sum()
                + (state.memory * golden.tensor("dfinal", &device)).sum()
                + (state.key_sum.unwrap() * golden.tensor::<4>("dfinal.z", &device).squeeze_dim::<3>(1))
                    .sum();
            let gradients = loss.backward();
            for (tensor, name) in [(&q, "d_q"), (&k, "d_k")] {
                let found: Vec<f64> = tensor.grad(&gradients).unwrap().into_data().try_to_vec().unwrap();
                let error = largest_error(&found, golden.values(name));
                assert!(error <= STORED, "{form:?}: `{name}` differs by {error:e}");
            }
        }
    }
}
