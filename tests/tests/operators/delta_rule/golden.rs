//! Rung 1: every form against what the original implementations computed.

use super::Case;
use seqzoo::ops::delta_rule::{Beta, Decay, Keys};
use seqzoo_tests::operators::DeltaRule;
use seqzoo_tests::{Golden, autodiff, ladder};

fn check(name: &str, head_first: bool) {
    let device = autodiff();
    let golden = Golden::load(name);
    let sequence = |name: &str| golden.sequence(name, head_first, &device);
    let (key, value) = (sequence("k"), sequence("v"));
    let ([batch, _, heads, channels], width) = (value.dims(), key.dims()[3]);
    let inputs = DeltaRule {
        query: sequence("q"),
        key,
        value,
        beta: Beta::Scalar(sequence("beta").squeeze_dim(3)),
        decay: match if golden.has("g") { golden.rank("g") } else { 0 } {
            0 => Decay::None,
            3 => Decay::Scalar(golden.tensor("g", &device)),
            _ => Decay::Vector(golden.tensor("g", &device)),
        },
        scale: Some(golden.number("scale")),
        keys: Keys::Bounded,
    };
    let case = Case {
        inputs,
        state: golden.has("initial_state").then(|| golden.tensor("initial_state", &device)),
        resets: None,
        output_cotangent: sequence("do"),
        state_cotangent: golden.tensor_or_zeros("dfinal", [batch, heads, width, channels], &device),
    };
    ladder::golden::assert_equal(&case, &golden, head_first, &[]);
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
