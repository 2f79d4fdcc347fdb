//! Whatever number an option gets, a configuration describes a layer or is an error: nothing panics, and nothing is
//! allocated that no machine holds.

use burn::module::Module;
use burn::tensor::Tensor;
use seqzoo::layers::*;
use seqzoo::parts::{FeatureMapKind, ProjectionInit, ShortConvConfig, SwiGlu};
use seqzoo::{ConfigError, MixerConfig, SequenceMixer};
use seqzoo_tests::plain;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

const CHANNELS: usize = 16;

/// Numbers, some of them of no use to any option.
fn numbers() -> Vec<Value> {
    let whole = [0, 1, 2, 3, 15, 1 << 24, 1 << 31, 1 << 32, 1 << 40, 1 << 62, 1 << 63, u64::MAX];
    let floats =
        [-1e300, -1e38, -1.0, -1e-60, -0.0, 0.0, 1e-300, 1e-45, 1e-38, 0.5, 1.0, 1e9, 1e38, 1e300, f64::MAX];
    whole.map(Value::from).into_iter().chain(floats.map(Value::from)).collect()
}

/// `number` for an option, also as the number of what an enum holds.
fn values(number: &Value) -> [Value; 3] {
    [number.clone(), json!({"Normal": {"std": number}}), json!({"Dpfp": {"nu": number}})]
}

/// Makes the layer, and runs it if it is small.
fn check(kind: &str, options: &Map<String, Value>) {
    let start = Instant::now();
    let device = plain();
    let Ok(config) = MixerConfig::from_options(kind, CHANNELS, options.clone()) else { return };
    let text = serde_json::to_string(&config).unwrap();
    let read: MixerConfig = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    let layer = config.try_init(&device);
    assert!(start.elapsed() < Duration::from_secs(1), "{kind}, {options:?}");
    if let Ok(layer) = layer
        && layer.num_params() < 100_000
        && config.d_model() < 100
    {
        let (output, _) = layer.forward(Tensor::ones([1, 3, config.d_model()], &device), None);
        assert_eq!(output.dims(), [1, 3, config.d_model()]);
    }
}

#[test]
fn every_number_in_every_option_is_a_layer_or_an_error() {
    for kind in MixerConfig::KINDS {
        let published = serde_json::to_value(MixerConfig::published(kind, CHANNELS).unwrap()).unwrap();
        for name in published.as_object().unwrap().keys() {
            for value in numbers().iter().flat_map(values) {
                check(kind, &Map::from_iter([(name.clone(), value)]));
            }
        }
    }
}

#[test]
fn enormous_options_do_not_multiply_past_the_largest_number() {
    let large = [3, 1 << 12, 1 << 24, 1 << 32, u64::MAX];
    for kind in MixerConfig::KINDS {
        let published = serde_json::to_value(MixerConfig::published(kind, CHANNELS).unwrap()).unwrap();
        let names: Vec<&String> = published.as_object().unwrap().keys().collect();
        for (first, one) in names.iter().enumerate() {
            for other in &names[first + 1..] {
                for (a, b) in large.iter().flat_map(|a| large.map(|b| (*a, b))) {
                    check(kind, &Map::from_iter([((*one).clone(), a.into()), ((*other).clone(), b.into())]));
                }
            }
        }
    }
}

#[test]
fn published_layers_of_any_number_of_channels_are_layers_or_errors() {
    let device = plain();
    for kind in MixerConfig::KINDS {
        for channels in [0, 1, 2, 3, 17, (1 << 24) - 1, 1 << 24, 1 << 32, usize::MAX - 1, usize::MAX] {
            let made = MixerConfig::published(kind, channels).unwrap().try_init(&device);
            assert!(channels > 0 || made.is_err(), "{kind}");
            assert!(channels < 1 << 32 || made.is_err(), "{kind}");
        }
    }
}

#[test]
fn what_no_machine_holds_is_named() {
    let device = plain();
    fn message<T>(made: Result<T, ConfigError>) -> String {
        match made {
            Ok(_) => panic!("an error was expected"),
            Err(error) => error.to_string(),
        }
    }
    let gated = GatedLinearAttentionConfig::new(16);
    let text = message(gated.clone().with_conv_size(Some(100_000_000_000)).try_init(&device));
    assert!(text.contains("width = 100000000000: the taps would be of shape [8, 100000000000]"), "{text}");
    let text = message(gated.with_gate_low_rank_dim(usize::MAX).try_init(&device));
    assert!(
        text.contains("the parameter `decay_down.weight` would be of shape [16, 18446744073709551615]"),
        "{text}"
    );
    let text = message(SoftmaxAttentionConfig::new(16).with_head_dim(Some(usize::MAX - 1)).try_init(&device));
    assert!(text.contains("the number of channels of all heads"), "{text}");
    let linear = LinearAttentionConfig::new(16).with_num_heads(1).with_feature_dim(Some(1 << 16));
    let text = message(linear.with_feature_map(FeatureMapKind::Taylor).try_init(&device));
    assert!(text.contains("the state of each sequence would be of shape [1, 2147581953, 16]"), "{text}");
    let text = message(FeatureMapKind::Hedgehog.try_init(1 << 20, &device));
    assert!(text.contains("feature map: the projection would be of shape [1048576, 1048576]"), "{text}");
    assert!(message(FeatureMapKind::Taylor.try_init(0, &device)).contains("channels per head is 0"));
    assert!(
        message(ShortConvConfig::new(usize::MAX).try_init(&device))
            .contains("channels = 18446744073709551615")
    );
    assert_eq!(FeatureMapKind::Taylor.features(usize::MAX), usize::MAX);
    assert_eq!(FeatureMapKind::Taylor.features(3), 1 + 3 + 6);
    assert_eq!(SwiGlu::usual_hidden(usize::MAX), usize::MAX);
}

#[test]
fn a_window_of_any_size_sees_what_there_is() {
    let device = plain();
    let layer = SoftmaxAttentionConfig::new(16).with_window(Some(usize::MAX)).init(&device);
    let input = Tensor::<3>::ones([1, 5, 16], &device);
    let (output, state) = layer.forward(input.clone(), None);
    let (more, _) = layer.forward(input, Some(state));
    assert_eq!([output.dims(), more.dims()], [[1, 5, 16]; 2]);
}

/// What an option cannot be and still be saved and read, or computed with in `f32`.
#[test]
fn a_float_that_f32_lacks_describes_no_layer() {
    let device = plain();
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 1e-300] {
        let gated = GatedLinearAttentionConfig::new(16);
        let normal = ProjectionInit::Normal { std: value };
        for error in [
            gated.clone().with_clamp_min(Some(-value)).try_init(&device).err(),
            gated.clone().with_gate_logit_normalizer(value).try_init(&device).err(),
            gated.clone().with_norm_epsilon(value).try_init(&device).err(),
            gated.with_initializer(normal).try_init(&device).err(),
            SoftmaxAttentionConfig::new(16)
                .with_rotary(false)
                .with_rotary_base(value)
                .try_init(&device)
                .err(),
            LinearAttentionConfig::new(16).with_scale(Some(value)).try_init(&device).err(),
            LinearAttentionConfig::new(16).with_normaliser_epsilon(value).try_init(&device).err(),
            KimiDeltaAttentionConfig::new(16).with_lower_bound(Some(-value)).try_init(&device).err(),
        ] {
            assert!(error.is_some(), "{value}");
        }
    }
    let clamped = GatedLinearAttentionConfig::new(16).with_clamp_min(Some(f64::NEG_INFINITY));
    let text = clamped.try_init(&device).err().unwrap().to_string();
    assert_eq!(text, "gated_linear_attention: clamp_min = -inf, but a finite number is wanted");
}
