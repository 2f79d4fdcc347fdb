//! Configurations of language models: reading them, and what describes no model.

use burn::module::Module;
use seqzoo::MixerConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModelConfig};
use seqzoo::parts::ProjectionInit;
use seqzoo_tests::plain;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LAYER: &str = r#"{"kind": "base_conv", "d_model": 16}"#;

/// A configuration with `more` fields.
fn read(more: &str) -> Result<LanguageModelConfig, String> {
    let text = format!(r#"{{"vocab_size": 11, "d_model": 16, "pattern": [{LAYER}]{more}}}"#);
    LanguageModelConfig::from_json(&text).map_err(|error| error.to_string())
}

fn convolutions(d_model: usize) -> Vec<MixerConfig> {
    vec![MixerConfig::published("base_conv", d_model).unwrap()]
}

fn refusal(config: LanguageModelConfig) -> String {
    match config.try_init(&plain()) {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_not_given_has_its_default() {
    let published = LanguageModelConfig::new(11, 16, convolutions(16));
    assert_eq!(read("").unwrap().to_string(), published.to_string());
    let changed =
        published.with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 8 }).with_num_layers(Some(3));
    let found = read(r#", "channel_mixer": {"SwiGluOf": {"hidden": 8}}, "num_layers": 3"#).unwrap();
    assert_eq!(found.to_string(), changed.to_string());
    assert_eq!(
        LanguageModelConfig::from_json(&changed.to_string()).unwrap().to_string(),
        changed.to_string()
    );
}

#[test]
fn what_there_is_not_is_an_error_at_any_depth() {
    for (more, sentence) in [
        (
            r#", "tie_embeding": true"#,
            "language model: there is no option `tie_embeding`; its options are vocab_size",
        ),
        (
            r#", "initializer": {"Normal": {"std": 0.1, "mean": 0}}"#,
            "`initializer.Normal`: there is no option `mean`",
        ),
        (r#", "channel_mixer": {"SwiGluOf": {"hidden": 8, "bias": 1}}"#, "there is no option `bias`"),
        (r#", "norm": "RMS""#, "the option `norm`: unknown variant `RMS`"),
        (r#", "num_layers": -1"#, "the option `num_layers`: invalid value: integer `-1`"),
        (r#", "num_layers": 1.5"#, "the option `num_layers`: invalid type: floating point `1.5`"),
        (r#", "num_layers": 1e30"#, "the option `num_layers`"),
        (r#", "num_layers": 36893488147419103232"#, "the option `num_layers`"),
        (r#", "norm_epsilon": "small""#, "the option `norm_epsilon`"),
        (r#", "norm_epsilon": null"#, "the option `norm_epsilon`"),
        (r#", "norm_epsilon": NaN"#, "language model: expected value"),
        (r#", "norm_epsilon": 1e-6, "norm_epsilon": 1e-5"#, "`norm_epsilon` is given twice"),
        (r#", "pattern": []"#, "`pattern` is given twice"),
    ] {
        let message = read(more).unwrap_err();
        assert!(message.contains(sentence), "{message}");
    }
    let message = |text: &str| LanguageModelConfig::from_json(text).unwrap_err().to_string();
    assert!(message("[1]").contains("not a JSON object"));
    assert!(message(r#"{"vocab_size": 11, "d_model": 16}"#).contains("`pattern` is missing"));
    for (layer, sentence) in [
        (
            r#"{"kind": "base_conv", "d_model": 16, "witdh": 3}"#,
            "the option `pattern`: base_conv: there is no option `witdh`",
        ),
        (r#"{"kind": "base_conv", "d_model": 16, "width": 3, "width": 4}"#, "`width` is given twice"),
        (r#"{"kind": "base_conv", "width": 3}"#, "missing field `d_model`"),
        (r#"{"d_model": 16}"#, "missing field `kind`"),
        ("3", "a layer is an object"),
        (
            r#"{"kind": "linear_attention", "d_model": 16, "feature_map": {"Dpfp": {"nu": 1, "mu": 2}}}"#,
            "linear_attention: `feature_map.Dpfp`: there is no option `mu`; its options are nu",
        ),
    ] {
        let text = message(&format!(r#"{{"vocab_size": 11, "d_model": 16, "pattern": [{layer}]}}"#));
        assert!(text.contains(sentence), "{text}");
    }
    let deep = "[".repeat(100_000);
    assert!(message(&deep).contains("recursion limit exceeded"));
}

#[test]
fn a_model_that_no_machine_holds_is_an_error() {
    let config = LanguageModelConfig::new(11, 16, convolutions(16));
    for layers in [1_000_000, 1_000_000_000_000_000_000, usize::MAX] {
        assert!(
            refusal(config.clone().with_num_layers(Some(layers))).contains("at most 16384 layers are wanted")
        );
    }
    for tokens in [1 << 40, usize::MAX] {
        let text = refusal(LanguageModelConfig::new(tokens, 16, convolutions(16)));
        assert!(text.contains(&format!("the embedding would be of shape [{tokens}, 16]")), "{text}");
    }
    for channels in [1 << 25, 1 << 40, usize::MAX] {
        let text = refusal(LanguageModelConfig::new(2, channels, convolutions(channels)));
        assert!(text.contains(&format!("d_model = {channels}, but at most 16777216 channels")), "{text}");
    }
    for hidden in [1 << 40, usize::MAX] {
        let wide = config.clone().with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden });
        assert!(refusal(wide).contains(&format!("the feed-forward would be of shape [16, {hidden}]")));
    }
    // Each parameter is small enough, all together are not.
    let many = LanguageModelConfig::new(11, 1 << 14, convolutions(1 << 14)).with_num_layers(Some(1 << 12));
    let text = refusal(many);
    assert!(text.contains("parameters, but at most 68719476736 are wanted"), "{text}");
}

#[test]
fn every_number_in_every_field_is_a_model_or_an_error() {
    let device = plain();
    let published = LanguageModelConfig::new(11, 16, convolutions(16)).to_string();
    let mut fields: Value = serde_json::from_str(&published).unwrap();
    fields["channel_mixer"] = json!({"SwiGluOf": {"hidden": 8}});
    let whole = [0, 1, 2, 3, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 1 << 63, u64::MAX].map(Value::from);
    let floats = [-1.0, 0.0, 1e-300, 1e-30, 0.5, 1e300].map(Value::from);
    for number in whole.iter().chain(&floats) {
        for name in fields.as_object().unwrap().keys() {
            for value in [
                number.clone(),
                json!({"SwiGluOf": {"hidden": number}}),
                json!({"Normal": {"std": number}}),
                json!([{"kind": "base_conv", "d_model": number, "width": number}]),
            ] {
                let mut changed = fields.clone();
                changed[name] = value;
                let start = Instant::now();
                let read = LanguageModelConfig::from_json(&changed.to_string());
                let counted = read.and_then(|config| config.num_params(&device));
                assert!(start.elapsed() < Duration::from_secs(1), "{name} = {number}: {counted:?}");
            }
        }
    }
}

#[test]
fn parameters_are_counted_as_they_are_drawn() {
    let device = plain();
    for pattern in super::small::patterns() {
        let config = super::small::config(pattern);
        assert_eq!(config.num_params(&device).unwrap(), config.init(&device).num_params());
    }
}

#[test]
fn a_float_that_f32_lacks_describes_no_model() {
    let config = LanguageModelConfig::new(11, 16, convolutions(16));
    for value in [f64::NAN, f64::INFINITY, 1e300, 1e-300] {
        assert!(refusal(config.clone().with_norm_epsilon(value)).contains("norm_epsilon = "));
        assert!(refusal(config.clone().with_embedding_std(value)).contains("embedding_std = "));
        assert!(
            refusal(config.clone().with_initializer(ProjectionInit::Normal { std: value }))
                .contains("std = ")
        );
    }
}
