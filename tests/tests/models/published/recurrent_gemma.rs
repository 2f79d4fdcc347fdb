//! RecurrentGemma, against its formulas, number by number.

use super::super::by_hand::{dot, each, gelu, plus, rms_norm, rotated, sigmoid, softmax, softplus, times};
use super::assert_same;
use super::tensors::Tensors;
use burn::tensor::{Int, Tensor, bf16};
use seqzoo::MixerState;
use seqzoo::checkpoint::{self, Architecture};
use seqzoo::models::LanguageModel;
use seqzoo_tests::{double, largest_error, plain, values};
use serde_json::{Value, json};

const D: usize = 12;
const VOCABULARY: usize = 17;
const EPSILON: f64 = 1e-6;
/// Of the attention, and of the gates of the recurrence.
const HEADS: usize = 3;
const KEY_VALUE_HEADS: usize = 1;
/// Channels of a head.
const HEAD: usize = 4;
/// Those of them that turn.
const TURNING: usize = 2;
/// Tokens that a token sees.
const WINDOW: usize = 5;
const BASE: f64 = 10_000.0;
/// Channels of the recurrence.
const WIDTH: usize = 18;
const TAPS: usize = 3;
const HIDDEN: usize = 7;
const CAP: f64 = 1.5;
const KINDS: [&str; 4] = ["recurrent", "recurrent", "attention", "recurrent"];

fn fields() -> Value {
    json!({
        "model_type": "recurrent_gemma",
        "vocab_size": VOCABULARY,
        "hidden_size": D,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": 4,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "lru_width": WIDTH,
        "attention_window_size": WINDOW,
        "conv1d_width": TAPS,
        "logits_soft_cap": CAP,
        "rms_norm_eps": EPSILON,
        "rope_theta": BASE,
        "partial_rotary_factor": 0.5,
        "hidden_activation": "gelu_pytorch_tanh",
        "block_types": ["recurrent", "recurrent", "attention"],
    })
}

fn draw(bias: bool) -> Tensors {
    let mut tensors = Tensors::new(6);
    tensors.draw("model.embed_tokens.weight", &[VOCABULARY, D]);
    tensors.draw("model.final_norm.weight", &[D]);
    for (index, kind) in KINDS.iter().enumerate() {
        let mut own =
            |name: &str, shape: &[usize]| tensors.draw(&format!("model.layers.{index}.{name}"), shape);
        own("temporal_pre_norm.weight", &[D]);
        own("channel_pre_norm.weight", &[D]);
        for (name, from, to) in [("gate", D, HIDDEN), ("up", D, HIDDEN), ("down", HIDDEN, D)] {
            own(&format!("mlp_block.{name}_proj.weight"), &[to, from]);
            own(&format!("mlp_block.{name}_proj.bias"), &[to]);
        }
        if *kind == "attention" {
            for (name, width) in
                [("q", HEADS * HEAD), ("k", KEY_VALUE_HEADS * HEAD), ("v", KEY_VALUE_HEADS * HEAD)]
            {
                own(&format!("temporal_block.{name}_proj.weight"), &[width, D]);
                if bias {
                    own(&format!("temporal_block.{name}_proj.bias"), &[width]);
                }
            }
            own("temporal_block.o_proj.weight", &[D, HEADS * HEAD]);
            own("temporal_block.o_proj.bias", &[D]);
            continue;
        }
        for (name, from, to) in [("linear_x", D, WIDTH), ("linear_y", D, WIDTH), ("linear_out", WIDTH, D)] {
            own(&format!("temporal_block.{name}.weight"), &[to, from]);
            own(&format!("temporal_block.{name}.bias"), &[to]);
        }
        own("temporal_block.conv_1d.weight", &[WIDTH, 1, TAPS]);
        own("temporal_block.conv_1d.bias", &[WIDTH]);
        own("temporal_block.rg_lru.recurrent_param", &[WIDTH]);
        for gate in ["input", "recurrent"] {
            own(&format!("temporal_block.rg_lru.{gate}_gate_weight"), &[HEADS, WIDTH / HEADS, WIDTH / HEADS]);
            own(&format!("temporal_block.rg_lru.{gate}_gate_bias"), &[HEADS, WIDTH / HEADS]);
        }
    }
    tensors
}

fn attention(tensors: &Tensors, name: &str, input: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let part = |part: &str, x: &[f64]| tensors.linear(&format!("{name}.{part}_proj"), x);
    let [keys, tokens]: [Vec<Vec<f64>>; 2] =
        ["k", "v"].map(|name| input.iter().map(|x| part(name, x)).collect());
    let each_token = |(position, x): (usize, &Vec<f64>)| {
        let seen = (position + 1).saturating_sub(WINDOW)..position + 1;
        let mut read = Vec::new();
        for (index, query) in part("q", x).chunks_exact(HEAD).enumerate() {
            let query = rotated(query, position, TURNING, BASE);
            let group = index / (HEADS / KEY_VALUE_HEADS) * HEAD;
            let score = |other: usize| {
                let key = rotated(&keys[other][group..group + HEAD], other, TURNING, BASE);
                dot(&query, &key) / (HEAD as f64).sqrt()
            };
            let weights = softmax(&seen.clone().map(score).collect::<Vec<_>>());
            let mut sum = vec![0.0; HEAD];
            for (weight, token) in weights.into_iter().zip(&tokens[seen.clone()]) {
                sum = plus(&sum, &each(&token[group..group + HEAD], |value| weight * value));
            }
            read.extend(sum);
        }
        part("o", &read)
    };
    input.iter().enumerate().map(each_token).collect()
}

fn recurrent(tensors: &Tensors, name: &str, input: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let linear = |part: &str, x: &[f64]| tensors.linear(&format!("{name}.{part}"), x);
    let numbers = |part: &str| tensors.numbers(&format!("{name}.{part}"));
    let inputs: Vec<Vec<f64>> = input.iter().map(|x| linear("linear_x", x)).collect();
    let (taps, bias) = (numbers("conv_1d.weight"), numbers("conv_1d.bias"));
    let block = WIDTH / HEADS;
    // `[head, in, out]`
    let gate = |kind: &str, x: &[f64]| -> Vec<f64> {
        let (weight, bias) =
            (numbers(&format!("rg_lru.{kind}_gate_weight")), numbers(&format!("rg_lru.{kind}_gate_bias")));
        let channel = |channel: usize| {
            let (head, out) = (channel / block, channel % block);
            let product =
                (0..block).map(|from| x[head * block + from] * weight[(head * block + from) * block + out]);
            sigmoid(product.sum::<f64>() + bias[channel])
        };
        (0..WIDTH).map(channel).collect()
    };
    let mut memory = vec![0.0; WIDTH];
    let mut outputs = Vec::new();
    for (time, own) in input.iter().enumerate() {
        let past = |channel: usize, tap: usize| {
            (time + tap + 1).checked_sub(TAPS).map_or(0.0, |at| inputs[at][channel])
        };
        let convolved = |channel: usize| -> f64 {
            bias[channel] + (0..TAPS).map(|tap| taps[channel * TAPS + tap] * past(channel, tap)).sum::<f64>()
        };
        let x: Vec<f64> = (0..WIDTH).map(convolved).collect();
        let (input_gate, recurrence_gate) = (gate("input", &x), gate("recurrent", &x));
        for channel in 0..WIDTH {
            let log = -8.0 * recurrence_gate[channel] * softplus(numbers("rg_lru.recurrent_param")[channel]);
            // The first token of a sequence is taken as it is.
            let (kept, share) =
                if time == 0 { (0.0, 1.0) } else { (log.exp(), (1.0 - (2.0 * log).exp()).sqrt()) };
            memory[channel] = kept * memory[channel] + share * x[channel] * input_gate[channel];
        }
        let gate = each(&linear("linear_y", own), gelu);
        outputs.push(linear("linear_out", &times(&memory, &gate)));
    }
    outputs
}

/// The logits of all tokens, one after another.
fn logits(tensors: &Tensors, ids: &[usize]) -> Vec<f64> {
    let normed = |hidden: &[Vec<f64>], name: &str| -> Vec<Vec<f64>> {
        let scale = each(tensors.numbers(name), |scale| 1.0 + scale);
        hidden.iter().map(|x| rms_norm(x, &scale, EPSILON)).collect()
    };
    let embedding = tensors.matrix("model.embed_tokens.weight");
    let scale = f64::from(bf16::from_f64((D as f64).sqrt()).to_f32());
    let mut hidden: Vec<Vec<f64>> =
        ids.iter().map(|id| each(&embedding.rows(*id, id + 1).numbers, |x| x * scale)).collect();
    let add = |hidden: &mut Vec<Vec<f64>>, part: Vec<Vec<f64>>| {
        hidden.iter_mut().zip(part).for_each(|(x, part)| *x = plus(x, &part));
    };
    for (index, kind) in KINDS.iter().enumerate() {
        let layer = format!("model.layers.{index}");
        let (input, name) = (
            normed(&hidden, &format!("{layer}.temporal_pre_norm.weight")),
            format!("{layer}.temporal_block"),
        );
        let mixed = match *kind {
            "attention" => attention(tensors, &name, &input),
            _ => recurrent(tensors, &name, &input),
        };
        add(&mut hidden, mixed);
        let input = normed(&hidden, &format!("{layer}.channel_pre_norm.weight"));
        let part = |part: &str, x: &[f64]| tensors.linear(&format!("{layer}.mlp_block.{part}_proj"), x);
        let mixed = input.iter().map(|x| part("down", &times(&each(&part("gate", x), gelu), &part("up", x))));
        add(&mut hidden, mixed.collect());
    }
    let normed = normed(&hidden, "model.final_norm.weight");
    normed.iter().flat_map(|x| each(&embedding.times(x), |logit| CAP * (logit / CAP).tanh())).collect()
}

const IDS: [usize; 13] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 16, 0, 2];

fn read(tensors: &Tensors, fields: &Value) -> LanguageModel {
    let directory = tempfile::tempdir().unwrap();
    tensors.write(fields, directory.path());
    checkpoint::read(directory.path(), &plain()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_model_with_recurrent_blocks_and_local_attention_is_its_formula() {
    for bias in [false, true] {
        let tensors = draw(bias);
        let mut fields = fields();
        fields["attention_bias"] = json!(bias);
        let model = double(read(&tensors, &fields));
        let wanted = logits(&tensors, &IDS);
        let ids = Tensor::<1, Int>::from_ints(IDS.map(|id| id as i64), &plain()).unsqueeze();
        let error = largest_error(&values(model.forward(ids.clone(), None).0), &wanted);
        assert!(error < 1e-10, "{error:e}");

        // And in two pieces.
        let (first, state) = model.forward(ids.clone().narrow(1, 0, 7), None);
        let (second, state) = model.forward(ids.narrow(1, 7, 6), Some(state));
        let error = largest_error(&values(Tensor::cat(vec![first, second], 1)), &wanted);
        assert!(error < 1e-10 && state.batch() == 1, "{error:e}");
    }
}

#[test]
fn a_model_is_written_and_read_again() {
    for bias in [false, true] {
        let mut fields = fields();
        fields["attention_bias"] = json!(bias);
        let model = read(&draw(bias), &fields);
        let directory = tempfile::tempdir().unwrap();
        checkpoint::write(&model, directory.path(), Architecture::RecurrentGemma).unwrap();
        assert_same(&checkpoint::read(directory.path(), &plain()).unwrap(), &model);
    }
}

#[test]
fn newer_configurations_say_the_same() {
    let mut newer = fields();
    let entries = newer.as_object_mut().unwrap();
    entries.remove("rope_theta");
    entries.remove("partial_rotary_factor");
    let rope = json!({"rope_type": "default", "rope_theta": BASE, "partial_rotary_factor": 0.5});
    entries.insert("rope_parameters".into(), rope);
    let kinds = KINDS.map(|kind| match kind {
        "attention" => "sliding_attention",
        _ => "linear_attention",
    });
    entries.insert("layer_types".into(), json!(kinds));
    entries.remove("block_types");
    assert_same(&read(&draw(false), &newer), &read(&draw(false), &fields()));
}

#[test]
fn what_such_a_directory_cannot_say_is_not_written() {
    let config = read(&draw(false), &fields()).config().clone();
    for (config, sentence) in [
        (
            config.clone().with_embedding_scale(3.0),
            "`embedding_scale` = 3.0, but such a directory can only say 3.46875",
        ),
        (config.clone().with_logit_cap(None), "`logits_soft_cap` is null"),
        (
            config.clone().with_tie_embeddings(false).with_norm(seqzoo::models::NormKind::Rms),
            "`norm` = \"Rms\"",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let model = config.init(&plain());
        let error = checkpoint::write(&model, directory.path(), Architecture::RecurrentGemma)
            .unwrap_err()
            .to_string();
        assert!(error.contains(sentence), "{error}");
    }
}
