//! What the fields of `config.json` mean, and which are refused.

use super::directories::{copy, edit};
use burn::tensor::{Int, Tensor};
use seqzoo::checkpoint::{self, Architecture, read_config};
use seqzoo::models::{ChannelMixerConfig, LanguageModelConfig};
use seqzoo::parts::FeatureMapKind;
use seqzoo::{MixerConfig, layers::*};
use seqzoo_tests::plain;
use serde_json::{Value, json};

/// The configuration of a directory with these fields and nothing else.
fn described(fields: Value) -> Result<(Architecture, LanguageModelConfig), String> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("config.json"), fields.to_string()).unwrap();
    let description = read_config(directory.path()).map_err(|error| error.to_string())?;
    Ok((description.architecture, description.config))
}

fn config(fields: Value) -> LanguageModelConfig {
    described(fields).unwrap().1
}

fn refused(fields: Value) -> String {
    described(fields).unwrap_err()
}

/// The field `name` of the first layer.
fn layer(config: &LanguageModelConfig, name: &str) -> Value {
    serde_json::to_value(&config.pattern[0]).unwrap()[name].clone()
}

#[test]
fn a_model_of_mamba_is_told_by_its_fields() {
    let of = |fields| described(fields).unwrap().0;
    assert_eq!(of(json!({"model_type": "mamba"})), Architecture::Mamba);
    assert_eq!(of(json!({"model_type": "mamba", "layer_norm_epsilon": 1e-5})), Architecture::Mamba);
    assert_eq!(of(json!({"model_type": "mamba", "norm_eps": 1e-5})), Architecture::FlaMamba);
    assert_eq!(of(json!({"model_type": "mamba2", "norm_eps": 1e-5})), Architecture::FlaMamba2);
    assert_eq!(of(json!({"model_type": "mamba2", "hidden_size": 4096})), Architecture::Mamba2);
}

#[test]
fn infinite_limits_are_read_in_every_spelling() {
    let text = |limit: &str| {
        format!(
            r#"{{"model_type": "mamba2", "hidden_size": 32, "num_heads": 4, "head_dim": 16, "time_step_limit": {limit}}}"#
        )
    };
    let limit = |text: String| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), text).unwrap();
        layer(&read_config(directory.path()).unwrap().config, "dt_limit")
    };
    assert_eq!(limit(text("[0.0, Infinity]")), json!(null));
    assert_eq!(limit(text(r#"[0.0, {"__float__": "Infinity"}]"#)), json!(null));
    assert_eq!(limit(text("[0, 1.5]")), json!([0.0, 1.5]));
    assert_eq!(limit(text("[0.5, Infinity]")), json!([0.5, f64::from(f32::MAX)]));
}

#[test]
fn a_feed_forward_without_a_width_has_that_of_its_ratio() {
    let hidden = |fields: Value| match config(fields).channel_mixer {
        ChannelMixerConfig::SwiGluOf { hidden } => hidden,
        other => panic!("{other:?}"),
    };
    assert_eq!(hidden(json!({"model_type": "gla", "hidden_size": 96})), 256);
    assert_eq!(hidden(json!({"model_type": "gla", "hidden_size": 1024, "intermediate_size": null})), 2816);
    assert_eq!(hidden(json!({"model_type": "gla", "hidden_size": 1024, "hidden_ratio": 2})), 1536);
    assert_eq!(hidden(json!({"model_type": "retnet", "hidden_size": 1024})), 1536);
    assert_eq!(hidden(json!({"model_type": "retnet", "hidden_size": 1024, "hidden_ratio": null})), 2816);
    assert_eq!(hidden(json!({"model_type": "gla", "intermediate_size": 7})), 7);
}

#[test]
fn falcon_mamba_says_its_inner_channels_itself() {
    let fields = json!({
        "model_type": "falcon_mamba", "hidden_size": 4096, "expand": 16, "intermediate_size": 8192,
        "time_step_rank": 256, "mixer_rms_eps": 1e-6,
    });
    let config = config(fields);
    assert_eq!(layer(&config, "expand"), 2);
    assert_eq!(layer(&config, "d_inner"), json!(null));
    assert_eq!(layer(&config, "selection_norm_epsilon"), 1e-6);
    let other = json!({"model_type": "mamba", "hidden_size": 4096, "expand": 16, "intermediate_size": 8192});
    assert!(refused(other).contains("`intermediate_size` is 8192, but 65536 is wanted"));
}

#[test]
fn layers_of_attention_are_made_where_they_are_named() {
    let attention = json!({
        "layers": [1, 3], "num_heads": 4, "num_kv_heads": 2, "window_size": 8, "rope_theta": 500.0, "qkv_bias": true,
    });
    let fields = json!({"model_type": "gla", "hidden_size": 64, "num_hidden_layers": 4, "attn": attention});
    let config = config(fields);
    let kinds: Vec<_> = config.pattern.iter().map(MixerConfig::kind).collect();
    let kind = ["gated_linear_attention", "softmax_attention"];
    assert_eq!(kinds, [kind[0], kind[1], kind[0], kind[1]]);
    let MixerConfig::SoftmaxAttention(layer) = &config.pattern[1] else { panic!("attention was wanted") };
    assert_eq!((layer.window, layer.rotary_base, layer.qkv_bias), (Some(8), 500.0, true));

    let refusal = |attention: Value| {
        refused(json!({"model_type": "kda", "hidden_size": 64, "num_hidden_layers": 4, "attn": attention}))
    };
    let layers = json!({"layers": [4], "num_heads": 4});
    assert!(refusal(layers).contains("in `attn`, `layers` names the layer 4, but there are 4 layers"));
    assert!(refusal(json!({"layers": [0]})).contains("in `attn`, `num_heads` is missing"));
    assert!(refusal(json!(["x"])).contains("`attn` holds \"x\", but an object is wanted"));
    assert!(refusal(json!({"num_heads": 4})).contains("in `attn`, `layers` is missing"));
}

#[test]
fn a_field_that_changes_the_mathematics_is_refused_by_its_name() {
    for (fields, sentence) in [
        (json!({"model_type": "mamba", "hidden_act": "gelu"}), "`hidden_act` is \"gelu\""),
        (json!({"model_type": "mamba2", "hidden_size": 64, "num_heads": 3}), "`num_heads` is 3"),
        (json!({"model_type": "mamba2", "expand": 1.5}), "`expand` is 1.5"),
        (json!({"model_type": "gla", "feature_map": "relu"}), "`feature_map` is \"relu\""),
        (json!({"model_type": "gla", "elementwise_affine": false}), "`elementwise_affine` is false"),
        (json!({"model_type": "gla", "attnres_block_size": 4}), "`attnres_block_size` is 4"),
        (json!({"model_type": "delta_net", "qk_activation": "elu"}), "`qk_activation` is \"elu\""),
        (json!({"model_type": "delta_net", "qk_norm": "sum"}), "`qk_norm` is \"sum\""),
        (json!({"model_type": "retnet", "use_output_gate": false}), "`use_output_gate` is false"),
        (json!({"model_type": "kda", "safe_gate": true}), "`lower_bound` is missing"),
        (json!({"model_type": "linear_attn", "feature_map": "dpfp"}), "`feature_map` is \"dpfp\""),
        (json!({"model_type": "gla", "num_hidden_layers": 0}), "`num_hidden_layers` is 0"),
        (json!({"model_type": "gla", "num_hidden_layers": 1e12}), "`num_hidden_layers` is 1000000000000"),
        (json!({"model_type": "gla", "hidden_size": "big"}), "`hidden_size` is \"big\", but a whole number"),
        (json!({"model_type": "gla", "use_short_conv": 1}), "`use_short_conv` is 1, but true or false"),
        (
            json!({"model_type": "llama"}),
            "there is no architecture `llama` here; those that there are are mamba of",
        ),
        (json!({}), "`model_type` is missing"),
        (json!([]), "it is not a JSON object"),
    ] {
        let said = refused(fields.clone());
        assert!(said.contains(sentence) && said.contains("config.json"), "{fields}: {said}");
    }
}

#[test]
fn fields_that_say_nothing_of_the_mathematics_are_ignored() {
    let directory = copy("16_model_fla_gla");
    let wanted = read_config(directory.path()).unwrap().config.to_string();
    edit(directory.path(), |fields| {
        for (name, value) in [
            ("attn_mode", json!("fused_recurrent")),
            ("fuse_norm", json!(false)),
            ("use_l2warp", json!(true)),
            ("gate_low_rank_dim", json!(6)),
            ("a field of tomorrow", json!({"x": [1]})),
        ] {
            fields.insert(name.into(), value);
        }
    });
    assert_eq!(read_config(directory.path()).unwrap().config.to_string(), wanted);
}

#[test]
fn a_model_that_the_architecture_cannot_say_is_not_written() {
    let device = plain();
    let model = |layer: MixerConfig| {
        LanguageModelConfig::new(5, 16, vec![layer])
            .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 8 })
            .init(&device)
    };
    let gla = GatedLinearAttentionConfig::new(16).with_num_heads(2).with_norm_epsilon(1e-6);
    let linear = LinearAttentionConfig::new(16).with_num_heads(2).with_norm_epsilon(1e-6);
    for (layer, architecture, sentence) in [
        (
            gla.clone().with_gate_low_rank_dim(6).into(),
            Architecture::Gla,
            "`pattern[0].gate_low_rank_dim` = 6, but such a directory can only say 16",
        ),
        (
            gla.clone().with_norm_epsilon(1e-3).into(),
            Architecture::Gla,
            "`pattern[0].norm_epsilon` = 0.001, but such a directory can only say 1e-6",
        ),
        (gla.clone().into(), Architecture::DeltaNet, "none of its layers is of the kind `delta_net`"),
        (gla.into(), Architecture::Mamba, "its layers are not of the kind `mamba`"),
        (MambaConfig::new(16).into(), Architecture::Mamba, "`channel_mixer`"),
        (
            MambaConfig::new(16).with_selection_norm_epsilon(Some(1e-6)).into(),
            Architecture::Mamba,
            "`pattern[0].selection_norm_epsilon` = 1e-6, but such a directory can only say null",
        ),
        (
            linear.with_feature_map(FeatureMapKind::Taylor).into(),
            Architecture::LinearAttention,
            "the library has no feature map Taylor",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let error = checkpoint::write(&model(layer), directory.path().join("new"), architecture).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(sentence) && said.contains("the model cannot be written as "), "{said}");
        assert!(!directory.path().join("new").exists(), "nothing is written");
    }
}

#[test]
fn a_layer_among_others_is_told_by_its_kind() {
    let device = plain();
    let gla = GatedLinearAttentionConfig::new(16).with_num_heads(2).with_norm_epsilon(1e-6);
    let pattern = vec![gla.into(), MambaConfig::new(16).into()];
    let model = LanguageModelConfig::new(5, 16, pattern)
        .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 8 })
        .init(&device);
    let directory = tempfile::tempdir().unwrap();
    let said = checkpoint::write(&model, directory.path(), Architecture::Gla).unwrap_err().to_string();
    assert!(said.contains("`pattern[1].kind` = \"mamba\", but such a directory can only say"), "{said}");
}

#[test]
fn a_model_that_was_read_computes_on_the_device_that_it_was_read_to() {
    let device = plain();
    let directory = copy("16_model_mamba_tiny");
    let model = checkpoint::read(directory.path(), &device).unwrap();
    let (logits, _) = model.forward(Tensor::<2, Int>::from_ints([[1, 2]], &device), None);
    assert_eq!(logits.dims(), [1, 2, 64]);
}
