//! Rung 1: every form against what the original implementations computed.

use super::Case;
use burn::tensor::{DType, Device, Tensor, TensorData};
use seqzoo::ops::linear_attention::{Decay, LinearAttentionState};
use seqzoo::parts::FeatureMapKind;
use seqzoo_tests::ladder::golden::{self, FORMS, STORED};
use seqzoo_tests::operators::LinearAttention;
use seqzoo_tests::{Golden, autodiff, largest_error};

fn check(name: &str, head_first: bool, make_decay: impl Fn(&Golden, &Device) -> Decay) {
    let device = autodiff();
    let golden = Golden::load(name);
    let normalised = golden.has("final_state.z");
    // The vectors apply the map to q and k, and gradients are with respect to the raw values: these pass in
    // `normalised_gradients_pass_the_feature_map`.
    let elu = normalised && golden.parameter("feature_map") == "elu+1";
    let sequence = |name: &str| golden.sequence(name, head_first, &device);
    let features = |name: &str| if elu { elu_plus_one(sequence(name)) } else { sequence(name) };
    let z = |name: &str| golden.has(name).then(|| golden.tensor::<4>(name, &device).squeeze_dim::<3>(1));
    let (key, value) = (features("k"), sequence("v"));
    let ([batch, _, heads, channels], width) = (value.dims(), key.dims()[3]);
    let inputs = LinearAttention {
        query: features("q"),
        key,
        value,
        decay: make_decay(&golden, &device),
        scale: Some(golden.number("scale")),
        normaliser: normalised.then(|| golden.number("eps")),
    };
    let case = Case {
        inputs,
        state: golden.has("initial_state").then(|| LinearAttentionState {
            memory: golden.tensor("initial_state", &device),
            key_sum: z("initial_z"),
        }),
        resets: None,
        output_cotangent: sequence("do"),
        state_cotangent: LinearAttentionState {
            memory: golden.tensor_or_zeros("dfinal", [batch, heads, width, channels], &device),
            key_sum: z("dfinal.z"),
        },
    };
    let mut without = if elu { vec!["d_q", "d_k"] } else { Vec::new() };
    if !golden.has("d_g") {
        without.push("d_g"); // retention's fixed decay is not a parameter of the original
    }
    golden::assert_equal(&case, &golden, head_first, &without);
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
            let gamma = Tensor::<1>::from_data(TensorData::from(&gamma[..]), (device, DType::F64));
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
        let z = |name: &str| golden.tensor::<4>(name, &device).squeeze_dim::<3>(1);
        for form in FORMS {
            let [q, k] = ["q", "k"].map(|name| golden.tensor::<4>(name, &device).require_grad());
            let case = Case {
                inputs: LinearAttention {
                    query: elu_plus_one(q.clone()),
                    key: elu_plus_one(k.clone()),
                    value: golden.tensor("v", &device),
                    decay: Decay::None,
                    scale: None,
                    normaliser: Some(golden.number("eps")),
                },
                state: golden.has("initial_state").then(|| LinearAttentionState {
                    memory: golden.tensor("initial_state", &device),
                    key_sum: Some(z("initial_z")),
                }),
                resets: None,
                output_cotangent: golden.tensor("do", &device),
                state_cotangent: LinearAttentionState {
                    memory: golden.tensor("dfinal", &device),
                    key_sum: Some(z("dfinal.z")),
                },
            };
            let (output, state) = case.run(form);
            let gradients = case.loss(output, state).backward();
            for (tensor, name) in [(&q, "d_q"), (&k, "d_k")] {
                let found = seqzoo_tests::values(tensor.grad(&gradients).unwrap());
                let error = largest_error(&found, golden.values(name));
                assert!(error <= STORED, "{form:?}: `{name}` differs by {error:e}");
            }
        }
    }
}
