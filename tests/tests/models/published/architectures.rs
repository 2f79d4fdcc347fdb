//! Every architecture, with every option that it has: written and read again, and the names of its layers against golden
//! vectors.

use super::assert_same;
use burn::module::Param;
use burn::tensor::{Distribution, Int, Tensor, bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize_to_file};
use seqzoo::checkpoint::{self, Architecture, Precision};
use seqzoo::layers::*;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig, NormKind};
use seqzoo::parts::{Depth, FeatureMapKind, MixtureOfExpertsConfig, ProjectionInit, RotaryScaling};
use seqzoo::{Mixer, MixerConfig, SequenceMixer};
use seqzoo_tests::{Golden, double, largest_error, plain, values};
use serde_json::json;

const D: usize = 16;
const INITIALIZER: ProjectionInit = ProjectionInit::Normal { std: 0.3 };

/// A model of the Mamba family.
fn backbone(layer: impl Into<MixerConfig>) -> LanguageModelConfig {
    LanguageModelConfig::new(7, D, vec![layer.into()])
        .with_num_layers(Some(2))
        .with_channel_mixer(ChannelMixerConfig::None)
        .with_norm_epsilon(1e-5)
        .with_embedding_std(0.3)
}

/// A model of flash-linear-attention.
fn fla(pattern: Vec<MixerConfig>) -> LanguageModelConfig {
    let count = (pattern.len() == 1).then_some(2);
    LanguageModelConfig::new(7, D, pattern)
        .with_num_layers(count)
        .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 24 })
        .with_initializer(INITIALIZER)
        .with_embedding_std(0.3)
}

fn mamba() -> MambaConfig {
    MambaConfig::new(D).with_d_state(3).with_dt_rank(Some(1))
}

fn mamba2() -> Mamba2Config {
    Mamba2Config::new(D).with_d_state(3).with_head_dim(8).with_n_groups(2)
}

fn gla() -> GatedLinearAttentionConfig {
    GatedLinearAttentionConfig::new(D).with_num_heads(2).with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn delta_net() -> DeltaNetConfig {
    DeltaNetConfig::new(D).with_num_heads(2).with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn gated_delta_net() -> GatedDeltaNetConfig {
    let layer = GatedDeltaNetConfig::new(D).with_num_heads(2).with_head_dim(4);
    layer.with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn kda() -> KimiDeltaAttentionConfig {
    let layer = KimiDeltaAttentionConfig::new(D).with_num_heads(2).with_head_dim(4);
    layer.with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn retention() -> MultiScaleRetentionConfig {
    MultiScaleRetentionConfig::new(D).with_num_heads(2).with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn hgrn2() -> Hgrn2Config {
    Hgrn2Config::new(D).with_expand_ratio(4).with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn linear_attention() -> LinearAttentionConfig {
    LinearAttentionConfig::new(D).with_num_heads(2).with_norm_epsilon(1e-6).with_initializer(INITIALIZER)
}

fn attention() -> SoftmaxAttentionConfig {
    SoftmaxAttentionConfig::new(D).with_num_heads(4).with_num_kv_heads(Some(2)).with_initializer(INITIALIZER)
}

fn qwen3_next() -> LanguageModelConfig {
    let linear = GatedDeltaNetConfig::new(D).with_num_heads(2).with_num_v_heads(Some(4)).with_head_dim(4);
    let linear = linear.with_expand_v(1.5).with_norm_epsilon(1e-6).with_initializer(INITIALIZER);
    let full = SoftmaxAttentionConfig::qwen3_next(D).with_num_heads(4).with_num_kv_heads(Some(2));
    let full = full.with_head_dim(Some(8)).with_rotary_base(500.0).with_initializer(INITIALIZER);
    LanguageModelConfig::new(7, D, vec![linear.clone().into(), linear.into(), full.into()])
        .with_norm(NormKind::ZeroCentredRms)
        .with_embedding_std(0.3)
        .with_initializer(INITIALIZER)
        .with_channel_mixer(ChannelMixerConfig::MixtureOfExperts(experts()))
}

fn experts() -> MixtureOfExpertsConfig {
    MixtureOfExpertsConfig::new(4, 2, 6).with_shared_hidden(Some(5))
}

/// The same with something changed in its softmax attention.
fn qwen3_next_with(
    change: impl FnOnce(SoftmaxAttentionConfig) -> SoftmaxAttentionConfig,
) -> LanguageModelConfig {
    let mut config = qwen3_next();
    let MixerConfig::SoftmaxAttention(full) = config.pattern.remove(2) else { panic!("another layer") };
    config.pattern.push(change(full).into());
    config
}

fn recurrent_gemma() -> LanguageModelConfig {
    let attention = SoftmaxAttentionConfig::recurrent_gemma(D).with_num_heads(2).with_head_dim(Some(8));
    let recurrent = RgLruConfig::new(D).with_num_heads(2);
    let pattern = vec![recurrent.clone().into(), recurrent.into(), attention.with_window(Some(3)).into()];
    LanguageModelConfig::new(7, D, pattern)
        .with_norm(NormKind::ZeroCentredRms)
        .with_channel_mixer(ChannelMixerConfig::GeGlu { hidden: 9, bias: true })
        .with_tie_embeddings(true)
        .with_embedding_scale(4.0)
        .with_logit_cap(Some(30.0))
}

/// Models of every architecture, as the fields of their configurations say them.
fn models() -> Vec<(Architecture, LanguageModelConfig)> {
    let one = |layer: MixerConfig| fla(vec![layer]);
    let windowed = attention().with_window(Some(3)).with_qkv_bias(true).with_rotary_base(500.0);
    vec![
        (Architecture::Mamba, backbone(mamba()).with_tie_embeddings(true)),
        (Architecture::Mamba, backbone(mamba().with_bias(true).with_conv_bias(false).with_expand(3))),
        (Architecture::Mamba, backbone(mamba().with_d_inner(Some(21)).with_d_conv(3))),
        (Architecture::FalconMamba, backbone(mamba().with_selection_norm_epsilon(Some(1e-4)))),
        (
            Architecture::FalconMamba,
            backbone(mamba().with_selection_norm_epsilon(Some(1e-6)).with_d_inner(Some(20)))
                .with_tie_embeddings(true),
        ),
        (Architecture::Mamba, backbone(mamba()).with_residual_in_fp32(true)),
        (Architecture::FlaMamba, backbone(mamba())),
        (Architecture::Mamba2, backbone(mamba2()).with_tie_embeddings(true)),
        (
            Architecture::Mamba2,
            backbone(mamba2().with_bias(true).with_conv_bias(false).with_dt_limit(Some((0.01, 0.5)))),
        ),
        (Architecture::Mamba2, backbone(mamba2().with_dt_limit(Some((0.01, f64::from(f32::MAX)))))),
        (Architecture::FlaMamba2, backbone(mamba2().with_norm_groups(Some(1)))),
        (Architecture::FlaMamba2, backbone(mamba2().with_n_groups(1).with_dt_limit(Some((0.0, 0.1))))),
        (
            Architecture::FlaMamba2,
            backbone(mamba2().with_norm_before_gate(true).with_d_per_channel(true).with_dt_max(0.2)),
        ),
        (Architecture::FlaMamba2, backbone(mamba2().with_rms_norm(false))),
        (Architecture::Gla, one(gla().into())),
        (Architecture::Gla, one(gla().with_output_gate(false).with_clamp_min(Some(-0.5)).into())),
        (
            Architecture::Gla,
            one(gla().with_num_kv_heads(Some(1)).with_conv_size(Some(3)).with_expand_v(2.0).into()),
        ),
        (Architecture::Gla, fla(vec![gla().into(), attention().into(), gla().into(), windowed.into()])),
        (Architecture::Gla, fla(vec![attention().into(), gla().into()]).with_tie_embeddings(true)),
        (Architecture::DeltaNet, one(delta_net().into())),
        (Architecture::DeltaNet, one(delta_net().with_output_gate(true).with_allow_neg_eigval(true).into())),
        (Architecture::DeltaNet, one(delta_net().with_use_beta(false).with_conv_size(None).into())),
        (Architecture::GatedDeltaNet, one(gated_delta_net().into())),
        (Architecture::GatedDeltaNet, one(gated_delta_net().with_num_v_heads(Some(4)).into())),
        (
            Architecture::GatedDeltaNet,
            one(gated_delta_net().with_output_gate(false).with_conv_size(None).with_expand_v(1.5).into()),
        ),
        (Architecture::Kda, one(kda().into())),
        (Architecture::Kda, one(kda().with_lower_bound(Some(-5.0)).with_allow_neg_eigval(true).into())),
        (Architecture::RetNet, one(retention().into())),
        (Architecture::RetNet, one(retention().with_conv_size(Some(4)).with_num_kv_heads(Some(1)).into())),
        (Architecture::Hgrn2, one(hgrn2().into())),
        (
            Architecture::Hgrn2,
            fla((0..3).map(|layer| hgrn2().with_depth(Some(Depth::new(layer, 3))).into()).collect()),
        ),
        (
            Architecture::Hgrn2,
            fla(vec![
                hgrn2().with_depth(Some(Depth::new(0, 3))).into(),
                attention().into(),
                hgrn2().with_depth(Some(Depth::new(2, 3))).into(),
            ]),
        ),
        (Architecture::Qwen3Next, qwen3_next()),
        (
            Architecture::Qwen3Next,
            qwen3_next()
                .with_tie_embeddings(true)
                .with_channel_mixer(ChannelMixerConfig::SwiGlu)
                .with_channel_pattern(vec![
                    ChannelMixerConfig::SwiGluOf { hidden: 9 },
                    ChannelMixerConfig::MixtureOfExperts(experts().with_normalise(false).with_balance(0.5)),
                    ChannelMixerConfig::SwiGluOf { hidden: 9 },
                ]),
        ),
        (
            Architecture::Qwen3Next,
            qwen3_next_with(|full| {
                full.with_rotary_scaling(RotaryScaling::yarn(4.0, 100)).with_rotary_fraction(0.5)
            }),
        ),
        (
            Architecture::Qwen3Next,
            qwen3_next_with(|full| {
                let scaling = RotaryScaling::Linear { factor: 2.0 };
                full.with_rotary_scaling(scaling).with_qkv_bias(true).with_output_bias(true)
            }),
        ),
        (Architecture::RecurrentGemma, recurrent_gemma()),
        (
            Architecture::RecurrentGemma,
            LanguageModelConfig {
                pattern: vec![
                    SoftmaxAttentionConfig::recurrent_gemma(D)
                        .with_num_heads(4)
                        .with_num_kv_heads(Some(2))
                        .with_head_dim(Some(8))
                        .with_qkv_bias(true)
                        .into(),
                    RgLruConfig::new(D).with_num_heads(4).with_lru_width(Some(20)).with_d_conv(3).into(),
                ],
                ..recurrent_gemma().with_tie_embeddings(false).with_logit_cap(Some(1.5))
            },
        ),
        (Architecture::LinearAttention, one(linear_attention().into())),
        (
            Architecture::LinearAttention,
            one(linear_attention().with_feature_map(FeatureMapKind::Hedgehog).with_normalise(true).into()),
        ),
        (Architecture::LinearAttention, one(linear_attention().with_tie_feature_map(true).into())),
        (
            Architecture::LinearAttention,
            one(linear_attention().with_feature_map(FeatureMapKind::EluPlusOne).with_norm_q(true).into()),
        ),
    ]
}

#[test]
fn what_is_written_is_read_again() {
    let device = plain();
    for (architecture, config) in models() {
        let model = config.init(&device);
        let directory = tempfile::tempdir().unwrap();
        checkpoint::write(&model, directory.path(), architecture)
            .unwrap_or_else(|error| panic!("{error}: {config}"));
        let description = checkpoint::read_config(directory.path()).unwrap();
        assert_eq!(description.architecture, architecture);
        let read = checkpoint::read(directory.path(), &device)
            .unwrap_or_else(|error| panic!("{architecture}: {error}"));
        assert_same(&read, &model);
    }
}

#[test]
fn every_architecture_is_among_them() {
    for architecture in Architecture::ALL {
        assert!(models().iter().any(|(tested, _)| tested == architecture), "{architecture}");
    }
}

#[test]
fn a_feed_forward_of_the_usual_width_needs_no_number() {
    let device = plain();
    let config = fla(vec![gla().into()]).with_channel_mixer(ChannelMixerConfig::SwiGlu);
    let model = config.init(&device);
    let directory = tempfile::tempdir().unwrap();
    checkpoint::write(&model, directory.path(), Architecture::Gla).unwrap();
    let path = directory.path().join("config.json");
    let mut fields: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(fields["intermediate_size"], 256);
    fields["intermediate_size"] = json!(null);
    std::fs::write(&path, fields.to_string()).unwrap();
    let tokens = Tensor::<2, Int>::from_ints([[1, 2, 3]], &device);
    let logits = |model: &LanguageModel| model.forward(tokens.clone(), None).0.into_data();
    assert_eq!(logits(&checkpoint::read(directory.path(), &device).unwrap()), logits(&model));
}

/// The layer of the golden file `name`, read by the names of its parameters in a model of one layer.
fn check_layer(name: &str, architecture: Architecture, layer: impl Into<MixerConfig>) {
    let (device, golden) = (plain(), Golden::load(name));
    // A directory of the architecture, whose mixer is replaced by the golden one.
    let config = fla(vec![layer.into()]).with_num_layers(Some(1)).with_norm_epsilon(1e-5);
    let directory = tempfile::tempdir().unwrap();
    checkpoint::write(&config.init(&device), directory.path(), architecture).unwrap();
    let path = directory.path().join("model.safetensors");
    let written = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&written).unwrap();
    let stored = std::fs::read(Golden::path(&format!("{name}.safetensors"))).unwrap();
    let stored = SafeTensors::deserialize(&stored).unwrap();
    let mixer = stored.iter().filter_map(|(name, view)| {
        Some((format!("model.layers.0.attn.{}", name.strip_prefix("params.")?), view))
    });
    let rest = file.iter().filter(|(name, _)| !name.contains(".attn."));
    let rest = rest.map(|(name, view)| (name.to_string(), view));
    serialize_to_file(rest.chain(mixer), None, &path).unwrap();

    let model = double(checkpoint::read(directory.path(), &device).unwrap_or_else(|error| panic!("{error}")));
    let (output, _) = model.blocks[0].mixer.forward(golden.tensor("x", &device), None);
    let error = largest_error(&values(output), golden.values("o"));
    assert!(error < 1e-7, "{name}: {error:e}");
}

#[test]
fn the_names_of_a_layer_are_those_of_the_library() {
    let epsilon = 1e-5;
    check_layer("16_layer_gla__t18", Architecture::Gla, gla().with_norm_epsilon(epsilon));
    check_layer("16_layer_delta_net__t18", Architecture::DeltaNet, delta_net().with_norm_epsilon(epsilon));
    check_layer(
        "16_layer_gated_deltanet__t18",
        Architecture::GatedDeltaNet,
        gated_delta_net().with_norm_epsilon(epsilon),
    );
    check_layer("16_layer_kda__t14", Architecture::Kda, kda().with_norm_epsilon(epsilon));
    check_layer("16_layer_retention__t17", Architecture::RetNet, retention().with_norm_epsilon(epsilon));
    check_layer(
        "16_layer_hgrn2__t15",
        Architecture::Hgrn2,
        hgrn2().with_expand_ratio(8).with_norm_epsilon(epsilon),
    );
}

#[test]
fn bounds_that_all_layers_share_are_written_once() {
    let device = plain();
    let layers = (0..2).map(|layer| hgrn2().with_depth(Some(Depth::new(layer, 2))).into()).collect();
    let mut model = fla(layers).init(&device);
    let bounds = Tensor::<2>::random([2, D], Distribution::Default, &device);
    let set = |model: &mut LanguageModel, layer: usize, bounds: Tensor<2>| {
        let Mixer::Hgrn2(mixer) = &mut model.blocks[layer].mixer else { panic!("the layer is another one") };
        mixer.bounds.as_mut().unwrap().logits = Param::from_tensor(bounds).into();
    };
    set(&mut model, 0, bounds.clone());
    let directory = tempfile::tempdir().unwrap();
    let error = checkpoint::write(&model, directory.path(), Architecture::Hgrn2).unwrap_err().to_string();
    assert!(
        error.contains("`blocks.1.mixer.Hgrn2.bounds.logits` differs from that of a layer below, but `model.lower_bounds`"),
        "{error}"
    );
    set(&mut model, 1, bounds);
    checkpoint::write(&model, directory.path(), Architecture::Hgrn2).unwrap();
    assert_same(&checkpoint::read(directory.path(), &device).unwrap(), &model);
    let written = std::fs::read(directory.path().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&written).unwrap();
    assert_eq!(file.tensor("model.lower_bounds").unwrap().shape(), [2, D]);
}

#[test]
fn half_precision_is_read_as_single_or_as_it_is() {
    let device = plain();
    let model = fla(vec![gla().into()]).init(&device);
    let directory = tempfile::tempdir().unwrap();
    checkpoint::write(&model, directory.path(), Architecture::Gla).unwrap();
    let as_stored = |precision| {
        let read = checkpoint::read_as(directory.path(), precision, &device).unwrap();
        super::parameters(&read)
    };
    let (as_bf16, as_f16) = (as_stored(Precision::Bf16), as_stored(Precision::F16));
    for (((path, whole), (_, narrow)), (_, other)) in
        super::parameters(&model).iter().zip(&as_bf16).zip(&as_f16)
    {
        let numbers = whole.as_chunks::<4>().0.iter().map(|number| f32::from_ne_bytes(*number));
        let rounded: Vec<u8> =
            numbers.clone().flat_map(|number| bf16::from_f32(number).to_ne_bytes()).collect();
        assert_eq!(&rounded, narrow, "{path}");
        let rounded: Vec<u8> = numbers.flat_map(|number| f16::from_f32(number).to_ne_bytes()).collect();
        assert_eq!(&rounded, other, "{path}");
    }

    let path = directory.path().join("model.safetensors");
    let written = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&written).unwrap();
    // The upper half of an `f32` is the `bf16` below it.
    let halves: Vec<(String, Vec<usize>, Vec<u8>)> = file
        .iter()
        .map(|(name, view)| {
            let upper = view.data().chunks_exact(4).flat_map(|number| [number[2], number[3]]).collect();
            (name.to_string(), view.shape().to_vec(), upper)
        })
        .collect();
    let views = halves.iter().map(|(name, shape, bytes)| {
        (name.as_str(), TensorView::new(Dtype::BF16, shape.clone(), bytes).unwrap())
    });
    serialize_to_file(views, None, &path).unwrap();

    let single = checkpoint::read(directory.path(), &device).unwrap();
    let stored = as_stored(Precision::Stored);
    assert_eq!(as_stored(Precision::Bf16), stored);
    let (whole, single) = (super::parameters(&model), super::parameters(&single));
    for (((path, whole), (_, single)), (_, stored)) in whole.iter().zip(&single).zip(&stored) {
        for ((whole, single), stored) in whole.chunks(4).zip(single.chunks(4)).zip(stored.chunks(2)) {
            assert_eq!([0, 0, whole[2], whole[3]], single, "{path}");
            assert_eq!(stored, &whole[2..], "{path}");
        }
    }
}
