//! The options of softmax attention against their formulas, number by number in `f64`.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Tensor};
use seqzoo::layers::*;
use seqzoo::parts::{RmsNorm, Rotary, RotaryLayout, RotaryScaling};
use seqzoo::{MixerConfig, MixerState, SequenceMixer};
use seqzoo_tests::{Inputs, autodiff, double, largest_error, plain, values};
use serde_json::json;

type Rows = Vec<Vec<f64>>;

/// What a layer is, beside its parameters.
struct Formula {
    heads: usize,
    key_value_heads: usize,
    head_dim: usize,
    window: usize,
    /// Added to the weights of the norms of queries and keys.
    norm_offset: f64,
    /// The angles per token of the pairs that turn, `(i, i + turning / 2)`, and what turned channels are multiplied by.
    angles: Vec<f64>,
    factor: f64,
    /// ALiBi's slope of each head.
    slopes: Vec<f64>,
}

impl Formula {
    fn new(heads: usize, key_value_heads: usize, head_dim: usize) -> Self {
        Self {
            heads,
            key_value_heads,
            head_dim,
            window: usize::MAX,
            norm_offset: 0.0,
            angles: vec![],
            factor: 1.0,
            slopes: vec![0.0; heads],
        }
    }

    /// The channels of the head that begins at `start`, after norm and rotation.
    fn turned(&self, row: &[f64], start: usize, norm: Option<&RmsNorm>, position: usize) -> Vec<f64> {
        let mut head = row[start..start + self.head_dim].to_vec();
        if let Some(norm) = norm {
            let mean = head.iter().map(|x| x * x).sum::<f64>() / head.len() as f64;
            let scale = values(norm.gamma.val());
            for (x, scale) in head.iter_mut().zip(scale) {
                *x *= (self.norm_offset + scale) / (mean + 1e-6).sqrt();
            }
        }
        let half = self.angles.len();
        for (pair, angle) in self.angles.iter().enumerate() {
            let (sin, cos) = (position as f64 * angle).sin_cos();
            let (a, b) = (head[pair], head[half + pair]);
            head[pair] = self.factor * (a * cos - b * sin);
            head[half + pair] = self.factor * (b * cos + a * sin);
        }
        head
    }

    /// The output for one sequence.
    fn output(&self, layer: &SoftmaxAttention, input: &Rows) -> Vec<f64> {
        let [query, key, value] = [&layer.query, &layer.key, &layer.value].map(|linear| apply(linear, input));
        let logits = layer.forget.as_ref().map(|forget| apply(forget, input));
        let sinks = layer.sinks.as_ref().map(|sinks| values(sinks.val()));
        let gated = query[0].len() == 2 * self.heads * self.head_dim;
        let (group, stride) = (self.heads / self.key_value_heads, if gated { 2 } else { 1 } * self.head_dim);
        let mut read: Rows = vec![vec![]; input.len()];
        for head in 0..self.heads {
            let own = head / group * self.head_dim;
            // What scores lose at each token.
            let lost = |token: usize| match &logits {
                Some(logits) => (-logits[token][head]).exp().ln_1p(),
                None => self.slopes[head],
            };
            for i in 0..input.len() {
                let q = self.turned(&query[i], head * stride, layer.query_norm.as_ref(), i);
                let first = (i + 1).saturating_sub(self.window);
                let weights: Vec<f64> = (first..=i)
                    .map(|j| {
                        let k = self.turned(&key[j], own, layer.key_norm.as_ref(), j);
                        let product: f64 = q.iter().zip(&k).map(|(q, k)| q * k).sum();
                        (product / (self.head_dim as f64).sqrt() - (j + 1..=i).map(lost).sum::<f64>()).exp()
                    })
                    .collect();
                let sum = weights.iter().sum::<f64>() + sinks.as_ref().map_or(0.0, |sinks| sinks[head].exp());
                for channel in 0..self.head_dim {
                    let mean = |(j, weight): (usize, &f64)| weight / sum * value[first + j][own + channel];
                    let gate = match gated {
                        true => 1.0 / (1.0 + (-query[i][head * stride + self.head_dim + channel]).exp()),
                        false => 1.0,
                    };
                    read[i].push(gate * weights.iter().enumerate().map(mean).sum::<f64>());
                }
            }
        }
        apply(&layer.output, &read).concat()
    }

    /// Compares the layer of `config`, with random numbers for all its parameters, with this: outputs, and the derivative
    /// of their weighted sum along a random direction of the input.
    fn check(&self, config: &SoftmaxAttentionConfig) {
        let device = autodiff();
        let mut random = Inputs::new(7, &device);
        let layer = double(config.init(&device)).map(&mut Randomise(Inputs::new(3, &device)));
        let shape = [1, 9, config.d_model];
        let input = random.uniform::<3>(shape).require_grad();
        let (direction, weights) = (random.uniform::<3>(shape), random.uniform::<3>(shape));
        let (output, _) = layer.forward(input.clone(), None);
        let moved = |step: f64| self.output(&layer, &rows(input.clone() + direction.clone() * step));
        let error = largest_error(&values(output.clone()), &moved(0.0));
        assert!(error < 1e-12, "the output differs by {error:e}");

        let gradients = (output * weights.clone()).sum().backward();
        let found: f64 = (input.grad(&gradients).unwrap() * direction.clone().inner()).sum().into_scalar();
        let weights = values(weights);
        let score = |output: Vec<f64>| output.iter().zip(&weights).map(|(o, w)| o * w).sum::<f64>();
        let wanted = (score(moved(1e-5)) - score(moved(-1e-5))) / 2e-5;
        assert!((found - wanted).abs() < 1e-7 * wanted.abs().max(1.0), "{found} where {wanted} is wanted");
    }
}

/// Replaces every parameter by random numbers, so that none is a zero or a one.
struct Randomise(Inputs);

impl ModuleMapper for Randomise {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let dims = param.dims();
        Param::from_tensor(self.0.uniform(dims))
    }
}

/// The tokens of the first sequence.
fn rows(tokens: Tensor<3>) -> Rows {
    let channels = tokens.dims()[2];
    values(tokens).chunks_exact(channels).map(<[f64]>::to_vec).collect()
}

fn apply(linear: &Linear, rows: &Rows) -> Rows {
    let width = linear.weight.dims()[1];
    let (weight, bias) = (values(linear.weight.val()), linear.bias.as_ref().map(|bias| values(bias.val())));
    let number = |row: &Vec<f64>, to: usize| {
        let sum: f64 = row.iter().enumerate().map(|(from, x)| x * weight[from * width + to]).sum();
        sum + bias.as_ref().map_or(0.0, |bias| bias[to])
    };
    rows.iter().map(|row| (0..width).map(|to| number(row, to)).collect()).collect()
}

#[test]
fn qwen3_next_full_attention_is_its_formula() {
    let config = SoftmaxAttentionConfig::qwen3_next(12);
    assert_eq!((config.num_heads, config.num_kv_heads, config.head_dim), (16, Some(2), Some(256)));
    let config = config.with_num_heads(4).with_head_dim(Some(16));
    // A quarter of 16 channels are 2 pairs.
    let formula =
        Formula { norm_offset: 1.0, angles: vec![1.0, 1e7f64.powf(-0.5)], ..Formula::new(4, 2, 16) };
    formula.check(&config);
    // Where the weights of the norms count for themselves, it is Qwen3's.
    Formula { norm_offset: 0.0, ..formula }.check(&config.with_qk_norm(QkNorm::Rms));
}

#[test]
fn recurrent_gemma_local_attention_is_its_formula() {
    let config = SoftmaxAttentionConfig::recurrent_gemma(12);
    let numbers = (config.num_heads, config.num_kv_heads, config.head_dim, config.window);
    assert_eq!(numbers, (10, Some(1), Some(256), Some(2048)));
    let config = config.with_num_heads(3).with_head_dim(Some(8)).with_window(Some(5));
    Formula { window: 5, angles: vec![1.0, 0.01], ..Formula::new(3, 1, 8) }.check(&config);
}

#[test]
fn alibi_has_the_published_slopes() {
    let power = |exponents: &[f64]| exponents.iter().map(|exponent| (-exponent).exp2()).collect();
    let check = |heads: usize, exponents: &[f64]| {
        let config = SoftmaxAttentionConfig::new(12)
            .with_num_heads(heads)
            .with_head_dim(Some(2))
            .with_rotary(false)
            .with_alibi(true);
        Formula { slopes: power(exponents), ..Formula::new(heads, heads, 2) }.check(&config);
    };
    check(1, &[8.0]);
    check(4, &[2.0, 4.0, 6.0, 8.0]);
    check(6, &[2.0, 4.0, 6.0, 8.0, 1.0, 3.0]);
    check(12, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 0.5, 1.5, 2.5, 3.5]);
}

#[test]
fn forget_gates_and_sinks_are_their_formulas() {
    let config = SoftmaxAttentionConfig::new(12).with_num_heads(4).with_num_kv_heads(Some(2));
    let unturned = config.clone().with_rotary(false).with_forget_gate(true);
    Formula::new(4, 2, 3).check(&unturned.with_head_dim(Some(3)));
    let config = config.with_head_dim(Some(4)).with_sinks(true).with_qkv_bias(true);
    let turned = Formula { angles: vec![1.0, 0.01], ..Formula::new(4, 2, 4) };
    turned.check(&config);
    Formula { window: 3, ..turned }.check(&config.with_forget_gate(true).with_window(Some(3)));
}

#[test]
fn yarn_multiplies_queries_and_keys() {
    let scaling = RotaryScaling::yarn(16.0, 40);
    // Of the pairs of 8 channels, none turns 32 times in 40 tokens, and from the second one on none does once.
    let angles = vec![1.0, 0.1 / 16.0, 0.01 / 16.0, 0.001 / 16.0];
    let formula = Formula { angles, factor: 1.0 + 0.1 * 16f64.ln(), ..Formula::new(2, 2, 8) };
    let config = SoftmaxAttentionConfig::new(12).with_num_heads(2).with_head_dim(Some(8));
    formula.check(&config.with_rotary_scaling(scaling));
}

/// By which angle, and with which factor, the pairs of `channels` channels turn at `position`.
fn turns(rotary: Rotary, channels: usize, position: u64) -> Vec<(f64, f64)> {
    let device = plain();
    let rotation = rotary.at(position, 1, channels, DType::F64, &device);
    let half = channels / 2;
    let unit: Vec<f64> = (0..channels).map(|channel| f64::from(channel < half)).collect();
    let unit = Tensor::<1>::from_data(unit.as_slice(), (&device, DType::F64)).reshape([1, 1, 1, channels]);
    let turned = values(rotation.apply(unit));
    (0..half)
        .map(|pair| (turned[half + pair].atan2(turned[pair]), turned[half + pair].hypot(turned[pair])))
        .collect()
}

fn rotary(base: f64, channels: usize, scaling: RotaryScaling) -> Rotary {
    Rotary::new("test", base, channels).unwrap().with_scaling("test", scaling, channels).unwrap()
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-14 + 1e-12 * wanted.abs(), "{found:e} where {wanted:e} is wanted");
}

#[test]
fn linear_scaling_brings_positions_closer() {
    let plain = turns(Rotary::new("test", 10000.0, 8).unwrap(), 8, 2);
    let scaled = turns(rotary(10000.0, 8, RotaryScaling::Linear { factor: 4.0 }), 8, 8);
    for ((found, factor), (wanted, _)) in scaled.into_iter().zip(plain) {
        close(found, wanted);
        close(factor, 1.0);
    }
}

#[test]
fn ntk_scaling_spreads_from_the_fastest_pair_to_the_slowest() {
    // From pair to pair the slowdown is multiplied by the same number, from 1 to the factor.
    let plain = turns(Rotary::new("test", 500.0, 12).unwrap(), 12, 1);
    let scaled = turns(rotary(500.0, 12, RotaryScaling::Ntk { factor: 5.0 }), 12, 1);
    for (pair, ((found, factor), (wanted, _))) in scaled.into_iter().zip(plain).enumerate() {
        close(wanted / found, 5f64.powf(pair as f64 / 5.0));
        close(factor, 1.0);
    }
}

#[test]
fn yarn_has_the_frequencies_of_transformers() {
    // Llama 2 from 4,096 to 65,536 tokens: the ramp goes from pair 20 to pair 46.
    let found = turns(rotary(10000.0, 128, RotaryScaling::yarn(16.0, 4096)), 128, 1);
    for (pair, wanted) in [
        (0, 1.0),
        (20, 0.056234132519034905),
        (21, 0.046940859997959404),
        (33, 0.004600435467850347),
        (45, 0.00015177160473182487),
        (46, 8.334508951020775e-05),
        (63, 7.217387404309114e-06),
    ] {
        close(found[pair].0, wanted);
        close(found[pair].1, 1.2772588722239782);
    }
    // gpt-oss, whose ramp goes from 8.09 to 17.40.
    let scaling = RotaryScaling::Yarn {
        factor: 32.0,
        original_length: 4096,
        beta_fast: 32.0,
        beta_slow: 1.0,
        attention_factor: None,
        truncate: false,
    };
    let found = turns(rotary(150000.0, 64, scaling), 64, 1);
    for (pair, wanted) in [
        (0, 1.0),
        (8, 0.050813274815461475),
        (9, 0.03170569618466377),
        (12, 0.006794959489732219),
        (17, 0.00012931870124506317),
        (18, 3.8308812373753384e-05),
        (31, 3.0235114281192144e-07),
    ] {
        close(found[pair].0, wanted);
        close(found[pair].1, 1.3465735902799727);
    }
    // A ramp without a width, and one that no pair reaches.
    let step = turns(rotary(10000.0, 8, RotaryScaling::yarn(2.0, 1)), 8, 1);
    let whole = turns(rotary(10000.0, 8, RotaryScaling::yarn(2.0, 1 << 40)), 8, 1);
    for (pair, wanted) in [1.0, 0.1, 0.01, 0.001].into_iter().enumerate() {
        close(step[pair].0, if pair == 0 { 1.0 } else { wanted / 2.0 });
        close(whole[pair].0, wanted);
    }
}

#[test]
fn channels_past_the_rotations_stay_as_they_are() {
    let device = plain();
    let input = Inputs::new(1, &device).uniform::<4>([2, 5, 3, 10]);
    for layout in [RotaryLayout::HalfSplit, RotaryLayout::Interleaved] {
        let rotation =
            Rotary::new("test", 100.0, 4).unwrap().with_layout(layout).at(3, 5, 4, DType::F64, &device);
        let found = rotation.apply(input.clone());
        assert_eq!(values(found.clone().narrow(3, 4, 6)), values(input.clone().narrow(3, 4, 6)));
        let alone = rotation.apply(input.clone().narrow(3, 0, 4));
        assert_eq!(values(found.narrow(3, 0, 4)), values(alone));
    }
}

#[test]
fn options_are_data() {
    let options = json!({
        "num_heads": 2,
        "rotary_fraction": 0.5,
        "rotary_scaling": {"Yarn": {"factor": 4.0, "original_length": 64, "beta_fast": 32.0, "beta_slow": 1.0,
            "attention_factor": null, "truncate": true}},
        "qk_norm": "ZeroCentredRms",
        "output_gate": true,
        "forget_gate": true,
        "sinks": true
    });
    let config =
        MixerConfig::from_options("softmax_attention", 16, options.as_object().unwrap().clone()).unwrap();
    let MixerConfig::SoftmaxAttention(config) = config else { panic!("it is another layer") };
    assert_eq!(config.rotary_scaling, RotaryScaling::yarn(4.0, 64));
    assert_eq!(config.qk_norm, QkNorm::ZeroCentredRms);
    let layer = config.init(&plain());
    assert!(layer.forget.is_some() && layer.sinks.is_some() && layer.query_norm.is_some());
    assert_eq!(layer.query.weight.dims(), [16, 32]);
}

#[test]
fn a_state_without_log_decays_is_none_of_a_layer_with_them() {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stream.state");
    let config = SoftmaxAttentionConfig::new(8).with_num_heads(2);
    let (without, with) = (config.init(&device), config.with_forget_gate(true).init(&device));
    let input = Inputs::single(2, &device).uniform::<3>([1, 4, 8]);

    let (_, state) = with.forward(input.clone(), None);
    assert_eq!(state.bytes().cache, 4 * 4 * (2 * 8 + 2), "keys, values and a number per head");
    state.save(&path).unwrap();
    let loaded = with.load_state(&path, &device).unwrap();
    let decays = |state: &SoftmaxAttentionState| values(state.cache.log_decays.clone().unwrap().tensor());
    assert_eq!(decays(&loaded), decays(&state));
    let text = without.load_state(&path, &device).unwrap_err().to_string();
    assert!(text.contains("it holds 3 tensors, 2 are wanted"), "{text}");

    without.forward(input, None).1.save(&path).unwrap();
    assert!(without.load_state(&path, &device).is_ok());
    let text = with.load_state(&path, &device).unwrap_err().to_string();
    assert!(text.contains("`keys` and `log_decays` are of different lengths"), "{text}");
}
