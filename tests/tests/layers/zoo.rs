//! Every layer in the variants whose code differs.

use burn::tensor::Device;
use seqzoo::layers::*;
use seqzoo::parts::{
    Depth, Discretisation, FeatureMapKind, Hippo, RealTransform, RotaryScaling, StateSpaceInit,
};
use seqzoo::testing::Trial;
use seqzoo::{Mixer, MixerConfig};
use seqzoo_tests::double;

pub const CHANNELS: usize = 12;

/// A name and a configuration of 12 channels for every variant.
pub fn variants() -> Vec<(String, MixerConfig)> {
    let attention = SoftmaxAttentionConfig::new(CHANNELS).with_num_heads(2);
    let differential = DifferentialAttentionConfig::new(CHANNELS);
    let aaren = AarenConfig::new(CHANNELS);
    let sigmoid = SigmoidAttentionConfig::new(CHANNELS).with_num_heads(2);
    let hopfield = HopfieldConfig::new(CHANNELS);
    let gated_conv = GatedConvConfig::new(CHANNELS);
    let linear = LinearAttentionConfig::new(CHANNELS).with_num_heads(2);
    let gated = GatedLinearAttentionConfig::new(CHANNELS).with_num_heads(2).with_gate_logit_normalizer(1.0);
    let retention = MultiScaleRetentionConfig::new(CHANNELS).with_num_heads(2);
    let delta = DeltaNetConfig::new(CHANNELS).with_num_heads(2);
    let gated_delta = GatedDeltaNetConfig::new(CHANNELS).with_num_heads(2).with_head_dim(3);
    let kimi = KimiDeltaAttentionConfig::new(CHANNELS).with_num_heads(2).with_head_dim(3);
    let product = GatedDeltaProductConfig::new(CHANNELS).with_num_heads(2).with_head_dim(3);
    let mixture = MixtureOfMemoriesConfig::new(CHANNELS).with_num_heads(2).with_head_dim(3);
    let memory = NeuralMemoryConfig::new(CHANNELS).with_num_heads(2).with_expand_hidden(0.7).with_chunk(4);
    let ttt = TttConfig::new(CHANNELS).with_num_heads(2).with_chunk(4);
    let mamba = MambaConfig::new(CHANNELS).with_d_state(3);
    let mamba2 = Mamba2Config::new(CHANNELS).with_head_dim(6).with_d_state(5);
    let hgrn2 = Hgrn2Config::new(CHANNELS).with_expand_ratio(4);
    let rg_lru = RgLruConfig::new(CHANNELS).with_num_heads(3);
    let s5 = S5Config::new(CHANNELS).with_d_state(8).with_blocks(2);
    let diagonal = S4dConfig::new(CHANNELS).with_d_state(8);
    let low_rank = S4Config::new(CHANNELS).with_d_state(6);
    let legendre = LmuConfig::new(CHANNELS).with_order(5).with_theta(6.0);
    let h3 = H3Config::new(CHANNELS).with_d_state(6).with_shift_size(5);
    let hyena = HyenaConfig::new(CHANNELS).with_max_len(16).with_filter_order(8);
    let landmark = LandmarkAttentionConfig::new(CHANNELS).with_num_heads(2).with_block(4);
    let mut all: Vec<(String, MixerConfig)> = vec![
        ("attention, landmarks, rotary".into(), MixerConfig::LandmarkAttention(landmark.clone())),
        (
            "attention, landmarks, grouped, no positions, blocks of 3".into(),
            MixerConfig::LandmarkAttention(
                landmark.with_num_kv_heads(Some(1)).with_rotary(false).with_block(3),
            ),
        ),
        ("attention, rotary".into(), MixerConfig::SoftmaxAttention(attention.clone())),
        (
            "attention, grouped, window 5".into(),
            MixerConfig::SoftmaxAttention(
                attention
                    .clone()
                    .with_num_kv_heads(Some(1))
                    .with_window(Some(5))
                    .with_rotary(false)
                    .with_qkv_bias(true),
            ),
        ),
        (
            "attention, rotary on half of the channels with YaRN, normed, gated, biased output".into(),
            MixerConfig::SoftmaxAttention(
                attention
                    .clone()
                    .with_head_dim(Some(8))
                    .with_rotary_fraction(0.5)
                    .with_rotary_scaling(RotaryScaling::yarn(4.0, 64))
                    .with_qk_norm(QkNorm::Rms)
                    .with_output_gate(true)
                    .with_output_bias(true),
            ),
        ),
        (
            "attention, rotary, forget gate, sinks, grouped".into(),
            MixerConfig::SoftmaxAttention(
                attention
                    .clone()
                    .with_num_kv_heads(Some(1))
                    .with_rotary_scaling(RotaryScaling::Ntk { factor: 3.0 })
                    .with_forget_gate(true)
                    .with_sinks(true),
            ),
        ),
        (
            "attention, ALiBi, sinks, window 5, persistent tokens".into(),
            MixerConfig::SoftmaxAttention(
                attention
                    .with_num_heads(3)
                    .with_rotary(false)
                    .with_alibi(true)
                    .with_sinks(true)
                    .with_window(Some(5))
                    .with_num_persistent(2),
            ),
        ),
        (
            "attention, that of Qwen3-Next in a window of 4".into(),
            MixerConfig::SoftmaxAttention(
                SoftmaxAttentionConfig::qwen3_next(CHANNELS)
                    .with_num_heads(4)
                    .with_head_dim(Some(8))
                    .with_window(Some(4)),
            ),
        ),
        (
            "differential attention".into(),
            MixerConfig::DifferentialAttention(differential.clone().with_num_heads(3)),
        ),
        (
            "differential attention, grouped, a layer on top, no positions".into(),
            MixerConfig::DifferentialAttention(
                differential
                    .with_num_heads(4)
                    .with_num_kv_heads(Some(2))
                    .with_head_dim(Some(3))
                    .with_depth(Some(5))
                    .with_rotary(false),
            ),
        ),
        ("sigmoid attention".into(), MixerConfig::SigmoidAttention(sigmoid.clone().with_sequence_length(30))),
        (
            "sigmoid attention, normed, rotary, biased".into(),
            MixerConfig::SigmoidAttention(
                sigmoid
                    .with_sequence_length(30)
                    .with_qk_norm(true)
                    .with_rotary(true)
                    .with_bias(true)
                    .with_head_dim(Some(4)),
            ),
        ),
        ("hopfield".into(), MixerConfig::Hopfield(hopfield.clone())),
        (
            "hopfield, two heads, three steps, sharp, no norms, no biases".into(),
            MixerConfig::Hopfield(
                hopfield
                    .with_num_heads(2)
                    .with_steps(3)
                    .with_beta(Some(2.0))
                    .with_normalise(false)
                    .with_bias(false),
            ),
        ),
        ("aaren".into(), MixerConfig::Aaren(aaren.clone().with_num_heads(3))),
        ("aaren, wide heads".into(), MixerConfig::Aaren(aaren.with_num_heads(2).with_head_dim(Some(7)))),
        (
            "based".into(),
            MixerConfig::LinearAttention(LinearAttentionConfig {
                num_heads: 2,
                feature_dim: Some(3),
                ..LinearAttentionConfig::based(CHANNELS)
            }),
        ),
        (
            "linear attention, elu, normalised, grouped, tied".into(),
            MixerConfig::LinearAttention(
                linear
                    .clone()
                    .with_feature_map(FeatureMapKind::EluPlusOne)
                    .with_normalise(true)
                    .with_num_kv_heads(Some(1))
                    .with_tie_feature_map(true),
            ),
        ),
        ("retention".into(), MixerConfig::MultiScaleRetention(retention.clone())),
        (
            "retention, grouped, convolutions".into(),
            MixerConfig::MultiScaleRetention(
                retention.with_num_kv_heads(Some(1)).with_conv_size(Some(3)).with_conv_bias(true),
            ),
        ),
        (
            "linear attention, features over their sums".into(),
            MixerConfig::LinearAttention(
                linear
                    .clone()
                    .with_feature_map(FeatureMapKind::EluPlusOne)
                    .with_norm_q(true)
                    .with_norm_k(true),
            ),
        ),
        ("gated linear attention".into(), MixerConfig::GatedLinearAttention(gated.clone())),
        (
            "gated linear attention, convolutions, grouped, no gate, clamped".into(),
            MixerConfig::GatedLinearAttention(
                gated
                    .with_conv_size(Some(4))
                    .with_num_kv_heads(Some(1))
                    .with_output_gate(false)
                    .with_clamp_min(Some(-0.5)),
            ),
        ),
        ("delta net".into(), MixerConfig::DeltaNet(delta.clone())),
        (
            "delta net, no convolutions, reflections, gated".into(),
            MixerConfig::DeltaNet(
                delta
                    .with_conv_size(None)
                    .with_use_beta(false)
                    .with_allow_neg_eigval(true)
                    .with_output_gate(true)
                    .with_expand_k(0.5),
            ),
        ),
        (
            "gated delta net, grouped".into(),
            MixerConfig::GatedDeltaNet(gated_delta.clone().with_num_v_heads(Some(4))),
        ),
        (
            "gated delta net, no gate, negative eigenvalues, biased convolutions".into(),
            MixerConfig::GatedDeltaNet(
                gated_delta
                    .with_output_gate(false)
                    .with_allow_neg_eigval(true)
                    .with_conv_size(Some(3))
                    .with_conv_bias(true),
            ),
        ),
        (
            "kimi delta attention, grouped".into(),
            MixerConfig::KimiDeltaAttention(kimi.clone().with_num_v_heads(Some(4)).with_expand_v(2.0)),
        ),
        (
            "kimi delta attention, bounded".into(),
            MixerConfig::KimiDeltaAttention(kimi.with_lower_bound(Some(-5.0))),
        ),
        (
            "gated delta product, grouped".into(),
            MixerConfig::GatedDeltaProduct(product.clone().with_num_v_heads(Some(4))),
        ),
        (
            "gated delta product, three steps, nothing fades, no gate, no convolutions".into(),
            MixerConfig::GatedDeltaProduct(
                product
                    .with_num_householder(3)
                    .with_forget_gate(false)
                    .with_output_gate(false)
                    .with_conv_size(None),
            ),
        ),
        ("mixture of memories".into(), MixerConfig::MixtureOfMemories(mixture.clone())),
        (
            "mixture of memories, convolutions in the memories, one projection, no shared one, no gate"
                .into(),
            MixerConfig::MixtureOfMemories(
                mixture
                    .clone()
                    .with_conv_place(ConvolutionPlace::Memory)
                    .with_conv_size(Some(3))
                    .with_conv_bias(true)
                    .with_single_projection(true)
                    .with_shared_memory(false)
                    .with_output_gate(false)
                    .with_expand_v(2.0),
            ),
        ),
        (
            "mixture of memories, all of them".into(),
            MixerConfig::MixtureOfMemories(
                mixture
                    .clone()
                    .with_conv_place(ConvolutionPlace::Memory)
                    .with_rule(MemoryRule::DeltaRule)
                    .with_num_memories(3)
                    .with_top_k(3),
            ),
        ),
        ("neural memory".into(), MixerConfig::NeuralMemory(memory.clone())),
        (
            "neural memory, linear, online, no momentum, no forgetting, no convolutions, no gate".into(),
            MixerConfig::NeuralMemory(
                memory
                    .clone()
                    .with_depth(1)
                    .with_chunk(1)
                    .with_momentum(false)
                    .with_forgetting(false)
                    .with_conv_size(None)
                    .with_output_gate(false),
            ),
        ),
        (
            "neural memory, three layers, residual, persistent tokens".into(),
            MixerConfig::NeuralMemory(
                memory
                    .with_depth(3)
                    .with_chunk(5)
                    .with_residual(true)
                    .with_num_persistent(7)
                    .with_max_step(Some(0.3))
                    .with_head_dim(Some(3)),
            ),
        ),
        (
            "attention, persistent tokens, window 4".into(),
            MixerConfig::SoftmaxAttention(
                SoftmaxAttentionConfig::new(CHANNELS)
                    .with_num_heads(2)
                    .with_num_persistent(3)
                    .with_window(Some(4)),
            ),
        ),
        (
            "titans, memory as a context".into(),
            MixerConfig::TitansMac(
                TitansMacConfig::new(CHANNELS).with_num_heads(2).with_expand_hidden(0.7).with_segment(4),
            ),
        ),
        (
            "titans, memory as a gate".into(),
            MixerConfig::TitansMag(
                TitansMagConfig::new(CHANNELS)
                    .with_num_heads(2)
                    .with_expand_hidden(0.7)
                    .with_window(5)
                    .with_chunk(4),
            ),
        ),
        (
            "titans, memory as a layer, linear, no positions, no persistent tokens".into(),
            MixerConfig::TitansMal(
                TitansMalConfig::new(CHANNELS)
                    .with_num_heads(2)
                    .with_depth(1)
                    .with_window(5)
                    .with_chunk(4)
                    .with_rotary(false)
                    .with_num_persistent(0),
            ),
        ),
        ("ttt".into(), MixerConfig::Ttt(ttt.clone())),
        (
            "ttt, two layers, no positions, no convolutions, no gate".into(),
            MixerConfig::Ttt(
                ttt.clone()
                    .with_depth(2)
                    .with_expand_hidden(0.7)
                    .with_chunk(5)
                    .with_rotary(false)
                    .with_conv_size(None)
                    .with_output_gate(false),
            ),
        ),
        (
            "ttt, online, narrow heads, biased convolutions".into(),
            MixerConfig::Ttt(
                ttt.with_chunk(1).with_head_dim(Some(4)).with_conv_bias(true).with_base_lr(Some(0.5)),
            ),
        ),
        ("mamba".into(), MixerConfig::Mamba(mamba.clone())),
        (
            "mamba, biased projections, no bias of the convolution, two ranks".into(),
            MixerConfig::Mamba(
                mamba
                    .with_bias(true)
                    .with_conv_bias(false)
                    .with_d_conv(3)
                    .with_expand(1)
                    .with_dt_rank(Some(2)),
            ),
        ),
        (
            "mamba, norms of what tokens select, other inner channels".into(),
            MixerConfig::Mamba(
                MambaConfig::new(CHANNELS)
                    .with_d_state(3)
                    .with_selection_norm_epsilon(Some(1e-6))
                    .with_d_inner(Some(CHANNELS + 1)),
            ),
        ),
        ("mamba2, grouped".into(), MixerConfig::Mamba2(mamba2.clone().with_n_groups(2))),
        (
            "mamba2, grouped, one norm of all channels".into(),
            MixerConfig::Mamba2(mamba2.clone().with_n_groups(2).with_norm_groups(Some(1))),
        ),
        (
            "mamba2, norm before the gate, limited steps, skips of channels, biased".into(),
            MixerConfig::Mamba2(
                mamba2
                    .clone()
                    .with_norm_before_gate(true)
                    .with_dt_limit(Some((0.01, 0.05)))
                    .with_d_per_channel(true)
                    .with_bias(true),
            ),
        ),
        (
            "mamba2, no norm, no bias of the convolution".into(),
            MixerConfig::Mamba2(mamba2.with_rms_norm(false).with_conv_bias(false).with_d_conv(2)),
        ),
        ("hgrn2".into(), MixerConfig::Hgrn2(hgrn2.clone())),
        (
            "hgrn2, learned bounds".into(),
            MixerConfig::Hgrn2(hgrn2.clone().with_depth(Some(Depth::new(2, 3)))),
        ),
        (
            "hgrn2, bounded, two heads".into(),
            MixerConfig::Hgrn2(hgrn2.with_num_heads(Some(2)).with_lower_bound(0.5)),
        ),
        ("hgrn".into(), MixerConfig::Hgrn(HgrnConfig::new(CHANNELS))),
        (
            "hgrn, bounded, expanded".into(),
            MixerConfig::Hgrn(HgrnConfig::new(CHANNELS).with_lower_bound(0.5).with_expand_ratio(2)),
        ),
        ("rg lru".into(), MixerConfig::RgLru(rg_lru.clone())),
        (
            "rg lru, narrower, no biases".into(),
            MixerConfig::RgLru(
                rg_lru.with_lru_width(Some(6)).with_bias(false).with_conv_bias(false).with_d_conv(2),
            ),
        ),
        ("s5".into(), MixerConfig::S5(s5.clone())),
        (
            "s5, bilinear, clipped, full gate".into(),
            MixerConfig::S5(
                s5.clone()
                    .with_discretisation(Discretisation::Bilinear)
                    .with_clip_eigenvalues(true)
                    .with_activation(S5Activation::FullGlu),
            ),
        ),
        ("s5, no gate".into(), MixerConfig::S5(s5.with_activation(S5Activation::Gelu))),
        ("s4, LegS".into(), MixerConfig::S4(low_rank.clone())),
        (
            "s4, LegT".into(),
            MixerConfig::S4(
                low_rank
                    .with_measure(Hippo::LegT)
                    .with_real_transform(RealTransform::Softplus)
                    .with_dt_max(1.0),
            ),
        ),
        ("s4d".into(), MixerConfig::S4d(diagonal.clone())),
        (
            "s4d, bilinear, inverse, a learned B".into(),
            MixerConfig::S4d(
                diagonal
                    .clone()
                    .with_discretisation(Discretisation::Bilinear)
                    .with_init(StateSpaceInit::Inv)
                    .with_real_transform(RealTransform::Relu)
                    .with_learn_b(true),
            ),
        ),
        (
            "s4d, LegS".into(),
            MixerConfig::S4d(
                diagonal.with_init(StateSpaceInit::LegS).with_real_transform(RealTransform::Softplus),
            ),
        ),
        (
            "lmu".into(),
            MixerConfig::Lmu(
                legendre
                    .clone()
                    .with_input_activation(LmuActivation::Identity)
                    .with_output_activation(LmuActivation::Gelu),
            ),
        ),
        (
            "lmu, three channels".into(),
            MixerConfig::Lmu(
                legendre
                    .with_memory_channels(3)
                    .with_input_activation(LmuActivation::Tanh)
                    .with_output_activation(LmuActivation::Identity),
            ),
        ),
        ("convolution".into(), MixerConfig::BaseConv(BaseConvConfig::new(CHANNELS))),
        ("gated convolution".into(), MixerConfig::GatedConv(gated_conv.clone())),
        (
            "gated convolution, narrow, biased taps, no other biases".into(),
            MixerConfig::GatedConv(
                gated_conv.with_width(4).with_expand(1).with_bias(false).with_conv_bias(true),
            ),
        ),
        ("h3".into(), MixerConfig::H3(h3.clone())),
        (
            "h3, LegS, zero-order hold, no shift".into(),
            MixerConfig::H3(
                h3.with_shift_size(1)
                    .with_init(StateSpaceInit::LegS)
                    .with_discretisation(Discretisation::ZeroOrderHold),
            ),
        ),
        ("hyena".into(), MixerConfig::Hyena(hyena.clone())),
        (
            "hyena, order 3, more bands".into(),
            MixerConfig::Hyena(
                hyena
                    .with_order(3)
                    .with_max_len(7)
                    .with_emb_dim(7)
                    .with_num_inner_mlps(1)
                    .with_short_filter_order(4)
                    .with_shift(0.05)
                    .with_w(10.0),
            ),
        ),
    ];
    for rule in [
        MemoryRule::LinearAttention,
        MemoryRule::Retention,
        MemoryRule::GatedLinearAttention,
        MemoryRule::DeltaRule,
        MemoryRule::Mamba2,
    ] {
        let config = mixture.clone().with_rule(rule).with_conv_size(None);
        all.push((
            format!("mixture of memories, {rule:?}, no convolution"),
            MixerConfig::MixtureOfMemories(config),
        ));
    }
    for map in [
        FeatureMapKind::Identity,
        FeatureMapKind::Relu,
        FeatureMapKind::SquaredRelu,
        FeatureMapKind::Hedgehog,
        FeatureMapKind::LearnedRelu,
        FeatureMapKind::ElementwiseProduct,
        FeatureMapKind::Dpfp { nu: 2 },
    ] {
        let config = linear.clone().with_feature_map(map);
        all.push((format!("linear attention, {map:?}"), MixerConfig::LinearAttention(config)));
    }
    all
}

/// The layer in `f64`.
pub fn layer(config: &MixerConfig, device: &Device) -> Mixer {
    device.seed(11);
    double(config.try_init(device).unwrap())
}

/// Runs `check` on every variant of every layer.
pub fn each(device: &Device, check: impl Fn(&Trial, &Mixer)) {
    let trial = Trial::new(CHANNELS, device).with_time(40).with_tolerance(1e-9);
    for (name, config) in variants() {
        eprintln!("{name}");
        check(&trial, &layer(&config, device));
    }
}
