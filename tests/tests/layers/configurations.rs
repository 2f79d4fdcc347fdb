//! Configurations that describe no layer are errors that say what to change.

use burn::tensor::{DType, FloatDType};
use seqzoo::layers::*;
use seqzoo::models::LanguageModelConfig;
use seqzoo::parts::{Depth, FeatureMapKind, ProjectionInit, RmsNorm, RotaryScaling, SwiGlu};
use seqzoo::{ConfigError, MixerConfig};
use seqzoo_tests::{Inputs, plain};

fn message<T>(result: Result<T, ConfigError>) -> String {
    match result {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn heads_must_divide() {
    let device = plain();
    let text = message(SoftmaxAttentionConfig::new(10).with_num_heads(3).try_init(&device));
    assert_eq!(
        text,
        "softmax_attention: num_heads = 3 does not divide d_model = 10; change one, or set head_dim"
    );
    let text = message(LinearAttentionConfig::new(10).with_num_heads(3).try_init(&device));
    assert!(
        text.contains("expand_k = 1 makes 10 channels of d_model = 10, which do not divide into 3 heads")
    );
    let text = message(GatedLinearAttentionConfig::new(8).with_num_kv_heads(Some(3)).try_init(&device));
    assert!(text.contains("num_kv_heads = 3 does not divide num_heads = 4"));
    assert!(
        message(MultiScaleRetentionConfig::new(8).with_num_heads(0).try_init(&device))
            .contains("num_heads is 0")
    );
}

#[test]
fn state_spaces_and_gated_recurrences_say_what_does_not_divide_or_is_out_of_range() {
    let device = plain();
    let mamba = MambaConfig::new(16);
    for (made, wanted) in [
        (mamba.clone().with_d_state(0).try_init(&device), "mamba: d_state is 0"),
        (mamba.clone().with_expand(0).try_init(&device), "expand · d_model is 0"),
        (mamba.clone().with_d_conv(1).try_init(&device), "at least 2 taps"),
        (mamba.clone().with_dt_rank(Some(0)).try_init(&device), "dt_rank is 0"),
        (mamba.clone().with_dt_scale(0.0).try_init(&device), "dt_scale = 0"),
        (mamba.clone().with_dt_min(0.2).try_init(&device), "dt_min = 0.2 and dt_max = 0.1"),
        (mamba.clone().with_dt_max(100.0).try_init(&device), "two positive numbers up to 64 are wanted"),
        (mamba.clone().with_d_inner(Some(0)).try_init(&device), "d_inner is 0"),
        (
            mamba.clone().with_selection_norm_epsilon(Some(-1.0)).try_init(&device),
            "selection_norm_epsilon = -1, but a finite number of at least 0",
        ),
        (mamba.with_dt_floor(-1.0).try_init(&device), "dt_floor = -1"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
    let mamba2 = Mamba2Config::new(16).with_head_dim(8);
    for (made, wanted) in [
        (
            mamba2.clone().with_head_dim(5).try_init(&device),
            "head_dim = 5 does not divide the 32 inner channels",
        ),
        (mamba2.clone().with_head_dim(0).try_init(&device), "head_dim = 0"),
        (mamba2.clone().with_n_groups(3).try_init(&device), "n_groups = 3 does not divide the 4 heads"),
        (
            mamba2.clone().with_norm_groups(Some(5)).try_init(&device),
            "norm_groups = 5 does not divide the 32",
        ),
        (mamba2.clone().with_a_range((0.0, 1.0)).try_init(&device), "a_range = (0, 1)"),
        (mamba2.clone().with_a_range((2.0, 2.0)).try_init(&device), "the first one smaller"),
        (mamba2.clone().with_dt_limit(Some((0.2, 0.1))).try_init(&device), "dt_limit = (0.2, 0.1)"),
        (mamba2.with_dt_limit(Some((0.0, f64::INFINITY))).try_init(&device), "a finite number is wanted"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
    let depth = Hgrn2Config::new(16).with_expand_ratio(4).with_depth(Some(Depth::new(3, 3)));
    assert!(
        message(depth.clone().try_init(&device)).contains("depth.layer = 3 is not below depth.layers = 3")
    );
    let both = depth.with_depth(Some(Depth::new(1, 3))).with_lower_bound(0.5);
    assert!(message(both.try_init(&device)).contains("lower_bound = 0.5, but with a depth"));
    let text = message(Hgrn2Config::new(16).try_init(&device));
    assert!(text.contains("hgrn2: 0 heads do not divide d_model = 16"), "{text}");
    for bound in [-0.1, 1.0, 1.0 - 1e-12, f64::NAN] {
        let text = message(HgrnConfig::new(16).with_lower_bound(bound).try_init(&device));
        assert!(text.contains("but a number from 0 to below 1 is wanted"), "{text}");
    }
    let text = message(RgLruConfig::new(12).try_init(&device));
    assert!(text.contains("num_heads = 16 does not divide the 12 channels of the recurrence"), "{text}");
    let s5 = S5Config::new(16);
    for (made, wanted) in [
        (s5.clone().with_blocks(3).try_init(&device), "blocks = 3 does not divide d_state = 256"),
        (s5.clone().with_d_state(24).try_init(&device), "makes blocks of 3, but an even number is wanted"),
        (s5.with_d_state(8192).try_init(&device), "an even number from 2 to 512 is wanted"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
}

#[test]
fn numbers_out_of_range_are_named() {
    let device = plain();
    let attention = SoftmaxAttentionConfig::new(16);
    assert!(message(attention.clone().with_window(Some(0)).try_init(&device)).contains("window = 0"));
    assert!(message(attention.clone().with_rotary_base(0.5).try_init(&device)).contains("rotary_base = 0.5"));
    assert!(
        message(attention.with_head_dim(Some(3)).try_init(&device)).contains("a head has 3; make it even")
    );
    let gated = GatedLinearAttentionConfig::new(8);
    assert!(message(gated.clone().with_conv_size(Some(1)).try_init(&device)).contains("at least 2 taps"));
    assert!(
        message(gated.clone().with_gate_low_rank_dim(0).try_init(&device)).contains("gate_low_rank_dim is 0")
    );
    assert!(
        message(gated.clone().with_gate_logit_normalizer(0.0).try_init(&device)).contains("positive number")
    );
    assert!(message(gated.with_clamp_min(Some(1.0)).try_init(&device)).contains("clamp_min = 1"));
    let dpfp = LinearAttentionConfig::new(8).with_feature_map(FeatureMapKind::Dpfp { nu: 0 });
    assert!(message(dpfp.try_init(&device)).contains("nu = 0"));
    assert!(message(BaseConvConfig::new(8).with_width(1).try_init(&device)).contains("width = 1"));
    assert!(message(BaseConvConfig::new(0).try_init(&device)).contains("channels is 0"));
}

#[test]
fn options_of_attention_that_contradict_each_other_are_named() {
    let device = plain();
    let attention = SoftmaxAttentionConfig::new(16).with_num_heads(2);
    let unturned = attention.clone().with_rotary(false);
    let scaled = |scaling| attention.clone().with_rotary_scaling(scaling);
    let yarn = |beta_fast, attention_factor, original_length| RotaryScaling::Yarn {
        factor: 2.0,
        original_length,
        beta_fast,
        beta_slow: 1.0,
        attention_factor,
        truncate: true,
    };
    for (config, wanted) in [
        (attention.clone().with_alibi(true), "alibi = true, but rotary = true gives positions as well"),
        (unturned.clone().with_alibi(true).with_forget_gate(true), "alibi = true and forget_gate = true"),
        (unturned.clone().with_rotary_fraction(0.5), "rotary_fraction = 0.5, but rotary = false"),
        (
            unturned.with_rotary_scaling(RotaryScaling::yarn(2.0, 8)),
            "rotary_scaling is given, but rotary = false",
        ),
        (attention.clone().with_rotary_fraction(0.3), "turns 2.4 of the 8 channels of a head"),
        (attention.clone().with_rotary_fraction(0.125), "turns 1 of the 8 channels of a head"),
        (attention.clone().with_rotary_fraction(2.0), "turns 16 of the 8 channels of a head"),
        (attention.clone().with_rotary_fraction(0.0), "turns 0 of the 8 channels of a head"),
        (attention.clone().with_rotary_fraction(f64::NAN), "rotary_fraction = NaN"),
        (scaled(RotaryScaling::Linear { factor: 0.5 }), "factor = 0.5, but a number of at least 1"),
        (scaled(RotaryScaling::Ntk { factor: f64::INFINITY }), "factor = inf"),
        (
            scaled(RotaryScaling::Ntk { factor: 2.0 }).with_rotary_fraction(0.25),
            "changes the base for 2 rotary channels, but its formula wants more than 2",
        ),
        (scaled(yarn(0.5, None, 8)), "beta_fast = 0.5 and beta_slow = 1"),
        (scaled(yarn(32.0, Some(0.0), 8)), "attention_factor = 0"),
        (scaled(yarn(32.0, None, 0)), "original_length = 0"),
        (attention.clone().with_norm_epsilon(-1.0), "norm_epsilon"),
    ] {
        let text = message(config.try_init(&device));
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn heads_on_the_delta_rule_must_fit() {
    let device = plain();
    let net = DeltaNetConfig::new(10);
    assert!(message(net.clone().try_init(&device)).contains("do not divide into 4 heads"));
    assert!(message(net.clone().with_num_heads(0).try_init(&device)).contains("num_heads is 0"));
    assert!(message(net.with_num_heads(2).with_expand_v(0.0).try_init(&device)).contains("expand_v = 0"));
    assert!(message(DeltaNetConfig::new(0).try_init(&device)).contains("d_model is 0"));

    let gated = GatedDeltaNetConfig::new(8).with_num_heads(2).with_head_dim(3);
    assert_eq!(
        message(gated.clone().with_num_v_heads(Some(3)).try_init(&device)),
        "gated_delta_net: num_v_heads = 3 is not a multiple of num_heads = 2"
    );
    assert!(message(gated.clone().with_num_v_heads(Some(0)).try_init(&device)).contains("num_v_heads = 0"));
    assert!(message(gated.clone().with_head_dim(0).try_init(&device)).contains("head_dim is 0"));
    assert_eq!(
        message(gated.clone().with_expand_v(0.5).try_init(&device)),
        "gated_delta_net: expand_v = 0.5 makes 1.5 value channels of head_dim = 3, but a whole number of at least 1 \
         is wanted"
    );
    for expand_v in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let text = message(gated.clone().with_expand_v(expand_v).try_init(&device));
        assert!(text.contains("a whole number of at least 1 is wanted"), "{text}");
    }
    let wide = gated.clone().with_head_dim(1 << 40).with_expand_v(1.0);
    assert!(message(wide.try_init(&device)).contains("channels together, but at most 16777216"));
    assert!(message(gated.clone().with_conv_size(Some(1)).try_init(&device)).contains("at least 2 taps"));
    assert!(message(GatedDeltaNetConfig::new(0).try_init(&device)).contains("d_model is 0"));

    let kimi = KimiDeltaAttentionConfig::new(8).with_num_heads(2).with_head_dim(3);
    assert!(message(kimi.clone().with_num_heads(0).try_init(&device)).contains("num_heads is 0"));
    for bound in [0.0, 1.0, f64::NAN, f64::NEG_INFINITY] {
        let text = message(kimi.clone().with_lower_bound(Some(bound)).try_init(&device));
        assert!(text.contains("but a finite number below 0 is wanted"), "{text}");
    }

    let product = GatedDeltaProductConfig::new(8).with_num_heads(2).with_head_dim(3);
    assert_eq!(
        message(product.clone().with_num_householder(0).try_init(&device)),
        "gated_delta_product: num_householder is 0; give it at least 1"
    );
    let many = message(product.with_num_householder(usize::MAX).try_init(&device));
    assert!(many.contains("channels together"), "{many}");
}

#[test]
fn a_neural_memory_that_cannot_be_is_refused() {
    let device = plain();
    let memory = NeuralMemoryConfig::new(8).with_num_heads(2);
    for (config, wanted) in [
        (memory.clone().with_num_heads(0), "num_heads is 0"),
        (memory.clone().with_num_heads(3), "num_heads = 3 does not divide d_model = 8"),
        (memory.clone().with_head_dim(Some(0)), "head_dim is 0"),
        (memory.clone().with_depth(0), "depth = 0, but from 1 to 16 layers"),
        (memory.clone().with_depth(17), "depth = 17, but from 1 to 16 layers"),
        (memory.clone().with_chunk(0), "chunk = 0, but from 1 to 256 tokens are wanted"),
        (memory.clone().with_chunk(257), "chunk = 257, but from 1 to 256 tokens are wanted"),
        (memory.clone().with_expand_hidden(0.0), "expand_hidden = 0 makes 0 channels"),
        (memory.clone().with_expand_hidden(f64::NAN), "expand_hidden = NaN"),
        (memory.clone().with_expand_hidden(1e300), "the state of each sequence"),
        (memory.clone().with_max_step(Some(0.0)), "max_step = 0, but a finite number above 0"),
        (memory.clone().with_max_step(Some(f64::INFINITY)), "max_step = inf"),
        (memory.clone().with_norm_epsilon(-1.0), "norm_epsilon"),
        (memory.clone().with_conv_size(Some(1)), "width = 1, but at least 2 taps"),
        (memory.clone().with_num_persistent(usize::MAX), "persistent"),
    ] {
        let said = message(config.try_init(&device));
        assert!(said.contains(wanted), "{said}");
    }
    let said = message(TitansMacConfig::new(8).with_segment(0).try_init(&device));
    assert_eq!(said, "titans_mac: segment = 0, but from 1 to 256 tokens are wanted");
    let said = message(TitansMagConfig::new(8).with_window(0).try_init(&device));
    assert!(said.contains("window = 0, but at least 1 is wanted"), "{said}");
    let said = message(TitansMalConfig::new(8).with_num_persistent(usize::MAX).try_init(&device));
    assert!(said.contains("persistent"), "{said}");
}

#[test]
fn test_time_training_that_cannot_be_is_refused() {
    let device = plain();
    let layer = TttConfig::new(8).with_num_heads(2);
    for (config, wanted) in [
        (layer.clone().with_num_heads(0), "num_heads is 0"),
        (layer.clone().with_num_heads(3), "num_heads = 3 does not divide d_model = 8"),
        (layer.clone().with_head_dim(Some(0)), "head_dim is 0"),
        (layer.clone().with_head_dim(Some(3)), "rotary positions turn pairs of channels, but a head has 3"),
        (layer.clone().with_rotary_base(1.0), "rotary_base = 1"),
        (layer.clone().with_depth(0), "depth = 0, but from 1 to 16 layers"),
        (layer.clone().with_chunk(0), "chunk = 0, but from 1 to 256 tokens are wanted"),
        (layer.clone().with_chunk(257), "chunk = 257, but from 1 to 256 tokens are wanted"),
        (layer.clone().with_depth(2).with_expand_hidden(0.0), "expand_hidden = 0 makes 0 channels"),
        (layer.clone().with_base_lr(Some(0.0)), "base_lr makes steps of 0, but a finite number above 0"),
        (layer.clone().with_base_lr(Some(f64::INFINITY)), "base_lr makes steps of inf"),
        (layer.clone().with_norm_epsilon(-1.0), "norm_epsilon"),
        (layer.clone().with_conv_size(Some(1)), "width = 1, but at least 2 taps"),
    ] {
        let said = message(config.try_init(&device));
        assert!(said.contains(wanted), "{said}");
    }
    assert!(layer.with_head_dim(Some(3)).with_rotary(false).try_init(&device).is_ok());
}

#[test]
fn variants_of_attention_that_cannot_be_are_refused() {
    let device = plain();
    let differential = DifferentialAttentionConfig::new(16);
    for (made, wanted) in [
        (
            differential.clone().with_num_heads(3).try_init(&device),
            "the 6 maps of num_heads = 3 do not divide d_model = 16; change one, or set head_dim",
        ),
        (
            differential.clone().with_num_kv_heads(Some(3)).try_init(&device),
            "num_kv_heads = 3 does not divide",
        ),
        (differential.clone().with_head_dim(Some(0)).try_init(&device), "head_dim is 0"),
        (differential.clone().try_init(&device), "a head has 1; make it even"),
        (differential.with_num_heads(2).with_norm_epsilon(-1.0).try_init(&device), "norm_epsilon = -1"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
    let sigmoid = SigmoidAttentionConfig::new(16);
    for (made, wanted) in [
        (sigmoid.clone().with_sequence_length(0).try_init(&device), "sequence_length is 0"),
        (sigmoid.clone().with_num_heads(3).try_init(&device), "num_heads = 3 does not divide d_model = 16"),
        (
            sigmoid.clone().with_head_dim(Some(3)).with_rotary(true).try_init(&device),
            "a head has 3; make it even",
        ),
        (sigmoid.with_norm_epsilon(f64::NAN).try_init(&device), "norm_epsilon = NaN"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
    let hopfield = HopfieldConfig::new(16);
    for (made, wanted) in [
        (hopfield.clone().with_steps(1025).try_init(&device), "steps = 1025, but at most 1024"),
        (hopfield.clone().with_beta(Some(0.0)).try_init(&device), "beta = 0, but a finite number above 0"),
        (hopfield.clone().with_beta(Some(f64::INFINITY)).try_init(&device), "beta = inf"),
        (hopfield.with_num_heads(3).try_init(&device), "num_heads = 3 does not divide d_model = 16"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
    let conv = GatedConvConfig::new(15);
    for (made, wanted) in [
        (
            conv.clone().with_expand(3).try_init(&device),
            "expand · d_model = 45, but an even number is wanted",
        ),
        (conv.clone().with_expand(0).try_init(&device), "expand · d_model is 0"),
        (conv.with_width(1).try_init(&device), "at least 2 taps"),
    ] {
        assert!(message(made).contains(wanted), "{wanted}");
    }
    assert!(message(AarenConfig::new(16).with_num_heads(0).try_init(&device)).contains("num_heads is 0"));
}

#[test]
fn a_rounded_fraction_of_channels_is_whole() {
    // 0.07 of 100 is 7.000000000000001.
    let config = GatedDeltaNetConfig::new(4).with_num_heads(1).with_head_dim(100).with_expand_v(0.07);
    assert_eq!(config.init(&plain()).heads.value.weight.dims(), [4, 7]);
}

#[test]
fn a_model_wants_tokens_layers_and_equal_channels() {
    let device = plain();
    let conv = |d_model| vec![MixerConfig::BaseConv(BaseConvConfig::new(d_model))];
    assert!(message(LanguageModelConfig::new(0, 8, conv(8)).try_init(&device)).contains("vocab_size is 0"));
    assert!(
        message(LanguageModelConfig::new(5, 8, vec![]).try_init(&device))
            .contains("the pattern names no layer")
    );
    let text = message(LanguageModelConfig::new(5, 8, conv(16)).try_init(&device));
    assert!(text.contains("the layer base_conv has d_model = 16, the model 8"));
}

#[test]
#[should_panic(expected = "softmax_attention: window = 0, but at least 1 is wanted")]
fn init_panics_with_the_text_of_the_error() {
    SoftmaxAttentionConfig::new(16).with_window(Some(0)).init(&plain());
}

#[test]
fn numbers_that_are_none_are_refused() {
    let device = plain();
    let nowhere = ProjectionInit::Normal { std: f64::INFINITY };
    for error in [
        BaseConvConfig::new(8).with_initializer(nowhere).try_init(&device).err(),
        SoftmaxAttentionConfig::new(16).with_initializer(nowhere).try_init(&device).err(),
        LinearAttentionConfig::new(8).with_norm_epsilon(-1.0).try_init(&device).err(),
        MultiScaleRetentionConfig::new(16).with_norm_epsilon(f64::NAN).try_init(&device).err(),
        GatedLinearAttentionConfig::new(8).with_initializer(nowhere).try_init(&device).err(),
        DeltaNetConfig::new(8).with_norm_epsilon(f64::NAN).try_init(&device).err(),
        GatedDeltaNetConfig::new(8).with_initializer(nowhere).try_init(&device).err(),
        KimiDeltaAttentionConfig::new(8).with_norm_epsilon(f64::INFINITY).try_init(&device).err(),
        GatedDeltaProductConfig::new(8).with_norm_epsilon(-1.0).try_init(&device).err(),
    ] {
        assert!(error.unwrap().to_string().contains("but a finite number of at least 0 is wanted"));
    }
}

#[test]
fn biases_start_at_zero_but_for_the_uniform_initialisation() {
    let device = plain();
    let largest = |init| {
        let layer = BaseConvConfig::new(8).with_initializer(init).init(&device);
        layer.projection.bias.unwrap().val().abs().max().into_scalar::<f32>()
    };
    assert_eq!(largest(ProjectionInit::FanIn), 0.0);
    assert_eq!(largest(ProjectionInit::Normal { std: 0.02 }), 0.0);
    assert!(largest(ProjectionInit::Uniform) > 0.0);
}

#[test]
fn a_norm_keeps_the_dtype_of_its_input_and_computes_in_f32() {
    let device = plain();
    let input = Inputs::single(1, &device).uniform::<2>([5, 64]).cast(FloatDType::BF16);
    let norm = RmsNorm::new(64, 1e-5, &device);
    let found = norm.forward(input.clone());
    assert_eq!(found.dtype(), DType::BF16);
    let exact = norm.forward(input.cast(FloatDType::F32)).cast(FloatDType::BF16);
    assert_eq!(found.into_data(), exact.into_data());
}

#[test]
fn a_feed_forward_has_the_published_width() {
    assert_eq!([64, 128, 384, 1024].map(SwiGlu::usual_hidden), [256, 512, 1024, 2816]);
}
