//! Options of a model that published ones have: norms that keep what they are more than 1, a scale of the embedding, a cap on
//! the logits, a residual stream in `f32`.

use super::small::{VOCABULARY, config, patterns};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use safetensors::{SafeTensors, serialize};
use seqzoo::MixerConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig, Norm, NormKind, Sampling};
use seqzoo::parts::MixtureOfExpertsConfig;
use seqzoo_tests::{Inputs, double, largest_error, plain, values};

fn hybrid() -> LanguageModelConfig {
    config(patterns().pop().unwrap())
}

fn ids(device: &Device) -> Tensor<2, Int> {
    Inputs::new(4, device).between([2, 12], 0.0, VOCABULARY as f64).int()
}

fn model(config: &LanguageModelConfig, device: &Device) -> LanguageModel {
    device.seed(3);
    double(config.init(device))
}

/// The same parameters under another configuration.
fn as_if(model: &LanguageModel, config: &LanguageModelConfig) -> LanguageModel {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights");
    model.save_weights(&path).unwrap();
    let mut other = double(config.init(&plain()));
    other.load_weights(&path).unwrap();
    other
}

fn logits(model: &LanguageModel) -> Vec<f64> {
    values(model.forward(ids(&plain()), None).0)
}

#[test]
fn a_zero_centred_norm_keeps_what_its_scale_is_more_than_1() {
    struct Shift(Vec<String>);
    impl ModuleMapper for Shift {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }

        fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
            // Norms of the model, not those in a layer.
            let of_model =
                self.0.last().is_some_and(|name| name == "gamma") && !self.0.contains(&"mixer".into());
            parameter.map(|tensor| if of_model { tensor.add_scalar(1.0) } else { tensor })
        }
    }
    let device = plain();
    let (plain, centred) = (hybrid(), hybrid().with_norm(NormKind::ZeroCentredRms));
    let fresh = model(&centred, &device);
    let Norm::Rms(norm) = &fresh.norm else { panic!("another norm") };
    assert_eq!(values(norm.gamma.val()), [0.0; 16]);
    assert!(largest_error(&logits(&fresh), &logits(&as_if(&fresh, &centred))) == 0.0);
    let shifted = fresh.clone().map(&mut Shift(Vec::new()));
    assert!(largest_error(&logits(&as_if(&shifted, &plain)), &logits(&fresh)) < 1e-12);
    assert!(largest_error(&logits(&as_if(&fresh, &plain)), &logits(&fresh)) > 0.1);
}

#[test]
fn an_embedding_scale_multiplies_tokens_and_landmarks_and_not_the_tied_head() {
    let device = plain();
    for every in [None, Some(3)] {
        let landmarks = MixerConfig::from_options(
            "landmark_attention",
            16,
            serde_json::json!({"num_heads": 2, "block": 4}).as_object().unwrap().clone(),
        );
        let base = config(vec![landmarks.unwrap()]).with_landmark_every(every);
        let base = if every.is_none() { hybrid() } else { base };
        let scaled = model(&base.clone().with_tie_embeddings(true).with_embedding_scale(4.0), &device);
        // The same with an embedding of four times the size, and the head as it was.
        let mut free = model(&base, &device);
        free.blocks = scaled.blocks.clone();
        let embedding = scaled.embedding.weight.val();
        free.embedding.weight = Param::from_tensor(embedding.clone().mul_scalar(4.0));
        free.head.as_mut().unwrap().weight = Param::from_tensor(embedding.transpose());
        free.landmark =
            scaled.landmark.clone().map(|landmark| Param::from_tensor(landmark.val().mul_scalar(4.0)));
        assert!(largest_error(&logits(&scaled), &logits(&free)) < 1e-12);
    }
}

#[test]
fn a_cap_bends_the_logits_and_keeps_their_order() {
    let device = plain();
    let free = model(&hybrid().with_embedding_std(2.0), &device);
    let capped = as_if(&free, &hybrid().with_logit_cap(Some(3.0)));
    let wanted: Vec<f64> = logits(&free).iter().map(|logit| 3.0 * (logit / 3.0).tanh()).collect();
    assert!(wanted.iter().any(|logit| logit.abs() > 2.9));
    assert!(largest_error(&logits(&capped), &wanted) < 1e-12);
    let text = |model: &LanguageModel| -> Vec<usize> {
        model.generate(&[1, 2], Sampling::Greedy).unwrap().take(20).collect()
    };
    assert_eq!(text(&capped), text(&free));
}

/// Every parameter in the precision given.
struct Narrow(FloatDType);

impl ModuleMapper for Narrow {
    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let dtype = self.0;
        parameter.map(|tensor| tensor.cast(dtype))
    }
}

#[test]
fn a_residual_stream_in_f32_loses_less_in_half_precision() {
    let device = plain();
    for kind in [NormKind::Rms, NormKind::ZeroCentredRms, NormKind::Layer] {
        // Many layers that each add a little.
        let config = hybrid()
            .with_norm(kind)
            .with_num_layers(Some(12))
            .with_channel_pattern(vec![
                ChannelMixerConfig::GeGlu { hidden: 8, bias: true },
                ChannelMixerConfig::MixtureOfExperts(MixtureOfExpertsConfig::new(1, 1, 8)),
            ])
            .with_embedding_std(100.0);
        let wide = config.clone().with_residual_in_fp32(true);
        let half = |config: &LanguageModelConfig| config.init(&device).map(&mut Narrow(FloatDType::BF16));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("weights");
        let narrow = half(&config);
        narrow.save_weights(&path).unwrap();
        let (exact, _) = double(narrow).hidden(ids(&device), None, None);
        let error = |config: &LanguageModelConfig, dtype: DType| {
            let mut model = half(config);
            model.load_weights(&path).unwrap();
            let (hidden, state) = model.hidden(ids(&device), None, None);
            assert_eq!(hidden.dtype(), dtype);
            let (logits, _) = model.forward(ids(&device), Some(state));
            assert_eq!(logits.dtype(), DType::BF16);
            largest_error(&values(hidden), &values(exact.clone()))
        };
        let (wide, narrow) = (error(&wide, DType::F32), error(&config, DType::BF16));
        assert!(wide < 0.2 * narrow, "{kind:?}: {wide:e} with the stream in f32, {narrow:e} without");
    }
}

#[test]
fn a_residual_stream_in_f32_changes_nothing_where_parameters_are_as_wide() {
    let device = plain();
    let narrow = model(&hybrid(), &device);
    let wide = as_if(&narrow, &hybrid().with_residual_in_fp32(true));
    assert_eq!(logits(&wide), logits(&narrow));
}

#[test]
fn options_that_describe_no_model_are_named() {
    let device = plain();
    let experts = |config| hybrid().with_channel_mixer(ChannelMixerConfig::MixtureOfExperts(config));
    let new = MixtureOfExpertsConfig::new;
    let pattern = vec![ChannelMixerConfig::SwiGlu, ChannelMixerConfig::GeGlu { hidden: 0, bias: true }];
    for (config, sentence) in [
        (hybrid().with_embedding_scale(0.0), "embedding_scale = 0, but a finite number above 0 is wanted"),
        (hybrid().with_embedding_scale(f64::NAN), "embedding_scale = NaN, but"),
        (hybrid().with_embedding_scale(1e300), "embedding_scale = 1e300, but at most 3.4e38"),
        (hybrid().with_logit_cap(Some(-30.0)), "logit_cap = -30, but a finite number above 0 is wanted"),
        (hybrid().with_channel_pattern(pattern.clone()), "the feed-forward's hidden width is 0"),
        (
            hybrid().with_channel_mixer(ChannelMixerConfig::None).with_channel_pattern(pattern),
            "channel_mixer and channel_pattern both say what comes after the sequence mixers; give one",
        ),
        (experts(new(0, 1, 4)), "num_experts = 0, but from 1 to 4096 experts are wanted"),
        (experts(new(usize::MAX, 1, 4)), "but from 1 to 4096 experts are wanted"),
        (experts(new(4, 0, 4)), "top_k = 0, but every token goes to at least 1 and at most num_experts = 4"),
        (experts(new(4, 5, 4)), "top_k = 5, but every token goes to at least 1 and at most num_experts = 4"),
        (experts(new(4, 2, 0)), "the hidden width of the experts is 0"),
        (experts(new(4, 2, 1 << 40)), "the hidden width of the experts = 1099511627776, but at most"),
        (experts(new(4, 2, 4).with_shared_hidden(Some(0))), "the hidden width of the shared expert is 0"),
        (
            experts(new(4, 2, 4).with_balance(-1.0)),
            "balance = -1, but a finite number of at least 0 is wanted",
        ),
        (
            experts(new(4096, 2, 4)).with_num_layers(Some(17)),
            "its layers have 69632 experts together, but at most 65536 are wanted",
        ),
    ] {
        let error = config.try_init(&device).expect_err(sentence).to_string();
        assert!(error.starts_with("language model: ") && error.contains(sentence), "{error}");
    }
}

#[test]
fn a_directory_of_an_older_version_is_read() {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let wanted = hybrid().init(&device);
    wanted.save(directory.path()).unwrap();
    // Feed-forwards of one kind only, and none of the newer options.
    let path = directory.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let views = file.iter().map(|(name, view)| (name.replace(".feed_forward.SwiGlu.", ".swiglu."), view));
    let views: Vec<_> = views.collect();
    assert!(views.iter().any(|(name, _)| name == "blocks.0.channels.swiglu.gate.weight"));
    std::fs::write(&path, serialize(views, None).unwrap()).unwrap();
    let path = directory.path().join("config.json");
    let mut fields: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for name in ["channel_pattern", "embedding_scale", "logit_cap", "residual_in_fp32"] {
        assert!(fields.as_object_mut().unwrap().remove(name).is_some());
    }
    std::fs::write(&path, fields.to_string()).unwrap();
    let loaded = LanguageModel::load(directory.path(), &device).unwrap();
    let logits = |model: &LanguageModel| model.forward(ids(&device), None).0.into_data();
    assert_eq!(logits(&loaded), logits(&wanted));
    assert_eq!(loaded.config().to_string(), wanted.config().to_string());
}
