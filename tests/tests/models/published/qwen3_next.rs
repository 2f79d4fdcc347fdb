//! Qwen3-Next with layers and feed-forwards of both kinds, against its formulas, number by number.

use super::super::by_hand::{
    Matrix, dot, each, gated, largest, plus, rms_norm, rotated, sigmoid, silu, softmax, softplus, times,
};
use super::tensors::Tensors;
use super::{assert_same, parameters};
use burn::tensor::{Int, Tensor};
use seqzoo::checkpoint::{self, Architecture};
use seqzoo::models::{ChannelMixerConfig, LanguageModel, Sampling};
use seqzoo_tests::{double, largest_error, plain, values};
use serde_json::{Value, json};

const D: usize = 12;
const VOCABULARY: usize = 17;
const EPSILON: f64 = 1e-6;
/// Of the full attention.
const HEADS: usize = 4;
const KEY_VALUE_HEADS: usize = 2;
/// Channels of a head.
const HEAD: usize = 8;
/// Those of them that turn.
const TURNING: usize = 4;
const BASE: f64 = 5000.0;
/// Key heads of the linear attention.
const KEYS: usize = 2;
/// Value heads.
const VALUES: usize = 4;
/// Key channels of a head.
const KEY: usize = 4;
/// Value channels of a head.
const VALUE: usize = 6;
const TAPS: usize = 3;
/// Hidden channels of the feed-forward without experts.
const DENSE: usize = 10;
const EXPERTS: usize = 5;
const CHOSEN: usize = 2;
/// Hidden channels of an expert.
const EXPERT: usize = 6;
/// Hidden channels of the shared one.
const SHARED: usize = 7;
const KINDS: [&str; 4] = ["linear_attention", "full_attention", "linear_attention", "full_attention"];

fn is_dense(layer: usize) -> bool {
    layer == 2
}

fn fields() -> Value {
    json!({
        "model_type": "qwen3_next",
        "vocab_size": VOCABULARY,
        "hidden_size": D,
        "intermediate_size": DENSE,
        "num_hidden_layers": 4,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": HEAD,
        "rms_norm_eps": EPSILON,
        "rope_parameters": {"rope_type": "default", "rope_theta": BASE, "partial_rotary_factor": 0.5},
        "linear_conv_kernel_dim": TAPS,
        "linear_key_head_dim": KEY,
        "linear_value_head_dim": VALUE,
        "linear_num_key_heads": KEYS,
        "linear_num_value_heads": VALUES,
        "layer_types": KINDS,
        "mlp_only_layers": [2],
        "num_experts": EXPERTS,
        "num_experts_per_tok": CHOSEN,
        "moe_intermediate_size": EXPERT,
        "shared_expert_intermediate_size": SHARED,
        "norm_topk_prob": true,
    })
}

fn draw(seed: u64) -> Tensors {
    let mut tensors = Tensors::new(seed);
    tensors.draw("model.embed_tokens.weight", &[VOCABULARY, D]);
    tensors.draw("lm_head.weight", &[VOCABULARY, D]);
    tensors.draw("model.norm.weight", &[D]);
    let feed_forward = |tensors: &mut Tensors, name: &str, hidden: usize| {
        tensors.draw(&format!("{name}.gate_proj.weight"), &[hidden, D]);
        tensors.draw(&format!("{name}.up_proj.weight"), &[hidden, D]);
        tensors.draw(&format!("{name}.down_proj.weight"), &[D, hidden]);
    };
    for (index, kind) in KINDS.iter().enumerate() {
        let layer = format!("model.layers.{index}");
        let mut own = |name: &str, shape: &[usize]| tensors.draw(&format!("{layer}.{name}"), shape);
        own("input_layernorm.weight", &[D]);
        own("post_attention_layernorm.weight", &[D]);
        match *kind {
            "full_attention" => {
                own("self_attn.q_proj.weight", &[2 * HEADS * HEAD, D]);
                own("self_attn.k_proj.weight", &[KEY_VALUE_HEADS * HEAD, D]);
                own("self_attn.v_proj.weight", &[KEY_VALUE_HEADS * HEAD, D]);
                own("self_attn.o_proj.weight", &[D, HEADS * HEAD]);
                own("self_attn.q_norm.weight", &[HEAD]);
                own("self_attn.k_norm.weight", &[HEAD]);
            }
            _ => {
                own("linear_attn.in_proj_qkvz.weight", &[2 * (KEYS * KEY + VALUES * VALUE), D]);
                own("linear_attn.in_proj_ba.weight", &[2 * VALUES, D]);
                own("linear_attn.conv1d.weight", &[2 * KEYS * KEY + VALUES * VALUE, 1, TAPS]);
                own("linear_attn.A_log", &[VALUES]);
                own("linear_attn.dt_bias", &[VALUES]);
                own("linear_attn.norm.weight", &[VALUE]);
                own("linear_attn.out_proj.weight", &[D, VALUES * VALUE]);
            }
        }
        if is_dense(index) {
            feed_forward(&mut tensors, &format!("{layer}.mlp"), DENSE);
            continue;
        }
        own("mlp.gate.weight", &[EXPERTS, D]);
        own("mlp.shared_expert_gate.weight", &[1, D]);
        feed_forward(&mut tensors, &format!("{layer}.mlp.shared_expert"), SHARED);
        for expert in 0..EXPERTS {
            feed_forward(&mut tensors, &format!("{layer}.mlp.experts.{expert}"), EXPERT);
        }
    }
    tensors
}

/// The same with the experts of a layer in one tensor, as newer versions of transformers hold them.
fn fused(mut tensors: Tensors) -> Tensors {
    for layer in (0..KINDS.len()).filter(|layer| !is_dense(*layer)) {
        let experts = format!("model.layers.{layer}.mlp.experts");
        let of = |parts: &[&str]| -> Vec<String> {
            let each = |expert| parts.iter().map(move |part| format!("{expert}.{part}_proj.weight"));
            (0..EXPERTS).flat_map(each).map(|name| format!("{experts}.{name}")).collect()
        };
        let joint = format!("{experts}.gate_up_proj");
        tensors.join(&of(&["gate", "up"]), &joint, &[EXPERTS, 2 * EXPERT, D]);
        tensors.join(&of(&["down"]), &format!("{experts}.down_proj"), &[EXPERTS, D, EXPERT]);
    }
    tensors
}

fn one_more(scale: &[f64]) -> Vec<f64> {
    each(scale, |scale| 1.0 + scale)
}

fn full_attention(tensors: &Tensors, layer: &str, input: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let name = |part: &str| format!("{layer}.self_attn.{part}");
    let head = |x: &[f64], norm: &str, position: usize| {
        let scale = one_more(tensors.numbers(&name(&format!("{norm}.weight"))));
        rotated(&rms_norm(x, &scale, EPSILON), position, TURNING, BASE)
    };
    let [keys, tokens]: [Vec<Vec<f64>>; 2] =
        ["k_proj", "v_proj"].map(|part| input.iter().map(|x| tensors.linear(&name(part), x)).collect());
    let each_token = |(position, x): (usize, &Vec<f64>)| {
        let asked = tensors.linear(&name("q_proj"), x);
        let mut read = Vec::new();
        for (index, asked) in asked.chunks_exact(2 * HEAD).enumerate() {
            let (query, gate) = asked.split_at(HEAD);
            let query = head(query, "q_norm", position);
            let group = index / (HEADS / KEY_VALUE_HEADS) * HEAD;
            let own = |all: &Vec<f64>| all[group..group + HEAD].to_vec();
            let scores: Vec<f64> = (0..=position)
                .map(|other| dot(&query, &head(&own(&keys[other]), "k_norm", other)) / (HEAD as f64).sqrt())
                .collect();
            let mut sum = vec![0.0; HEAD];
            for (weight, token) in softmax(&scores).into_iter().zip(&tokens) {
                sum = plus(&sum, &each(&own(token), |value| weight * value));
            }
            read.extend(times(&sum, &each(gate, sigmoid)));
        }
        tensors.linear(&name("o_proj"), &read)
    };
    input.iter().enumerate().map(each_token).collect()
}

fn linear_attention(tensors: &Tensors, layer: &str, input: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let name = |part: &str| format!("{layer}.linear_attn.{part}");
    let group = VALUES / KEYS;
    let unit = |x: &[f64]| {
        let root = (dot(x, x) + 1e-6).sqrt();
        each(x, |x| x / root)
    };
    // The inputs of the convolution, channel after channel: all queries, all keys, all values.
    let (mut inputs, mut gates, mut betas, mut steps) = (vec![], vec![], vec![], vec![]);
    for x in input {
        let (mut parts, mut gate) = ([vec![], vec![], vec![]], vec![]);
        for joint in tensors.linear(&name("in_proj_qkvz"), x).chunks_exact(2 * KEY + 2 * group * VALUE) {
            parts[0].extend_from_slice(&joint[..KEY]);
            parts[1].extend_from_slice(&joint[KEY..2 * KEY]);
            parts[2].extend_from_slice(&joint[2 * KEY..2 * KEY + group * VALUE]);
            gate.extend_from_slice(&joint[2 * KEY + group * VALUE..]);
        }
        inputs.push(parts.concat());
        gates.push(gate);
        let (mut beta, mut step) = (vec![], vec![]);
        for joint in tensors.linear(&name("in_proj_ba"), x).chunks_exact(2 * group) {
            beta.extend_from_slice(&joint[..group]);
            step.extend_from_slice(&joint[group..]);
        }
        betas.push(each(&beta, sigmoid));
        steps.push(step);
    }
    let taps = tensors.numbers(&name("conv1d.weight"));
    let convolved = |time: usize| -> Vec<f64> {
        let channel = |(channel, taps): (usize, &[f64])| {
            let past = |tap: usize| (time + tap + 1).checked_sub(TAPS).map_or(0.0, |at| inputs[at][channel]);
            silu((0..TAPS).map(|tap| taps[tap] * past(tap)).sum())
        };
        taps.chunks_exact(TAPS).enumerate().map(channel).collect()
    };
    let mut memories = vec![vec![vec![0.0; VALUE]; KEY]; VALUES];
    let mut outputs = Vec::new();
    for time in 0..input.len() {
        let tokens = convolved(time);
        let (queries, rest) = tokens.split_at(KEYS * KEY);
        let (keys, tokens) = rest.split_at(KEYS * KEY);
        let mut read = Vec::new();
        for (head, memory) in memories.iter_mut().enumerate() {
            let own = head / group * KEY..(head / group + 1) * KEY;
            let (query, key) = (unit(&queries[own.clone()]), unit(&keys[own]));
            let value = &tokens[head * VALUE..(head + 1) * VALUE];
            let (rate, bias) =
                (tensors.numbers(&name("A_log"))[head], tensors.numbers(&name("dt_bias"))[head]);
            let decay = (-rate.exp() * softplus(steps[time][head] + bias)).exp();
            memory.iter_mut().flatten().for_each(|number| *number *= decay);
            let mut output = vec![0.0; VALUE];
            for channel in 0..VALUE {
                let found: f64 = (0..KEY).map(|row| memory[row][channel] * key[row]).sum();
                let written = betas[time][head] * (value[channel] - found);
                (0..KEY).for_each(|row| memory[row][channel] += key[row] * written);
                let sum: f64 = (0..KEY).map(|row| memory[row][channel] * query[row]).sum();
                output[channel] = sum / (KEY as f64).sqrt();
            }
            let normed = rms_norm(&output, tensors.numbers(&name("norm.weight")), EPSILON);
            read.extend(times(&normed, &each(&gates[time][head * VALUE..(head + 1) * VALUE], silu)));
        }
        outputs.push(tensors.linear(&name("out_proj"), &read));
    }
    outputs
}

fn feed_forward(tensors: &Tensors, name: &str, x: &[f64]) -> Vec<f64> {
    let [gate, up, down] =
        ["gate", "up", "down"].map(|part| tensors.matrix(&format!("{name}.{part}_proj.weight")));
    gated(x, [&gate, &up, &down], silu)
}

fn experts(tensors: &Tensors, name: &str, x: &[f64], normalise: bool) -> Vec<f64> {
    let likes = softmax(&tensors.linear(&format!("{name}.gate"), x));
    let chosen = largest(&likes, CHOSEN);
    let sum = if normalise { chosen.iter().map(|(_, like)| like).sum() } else { 1.0 };
    let shared = feed_forward(tensors, &format!("{name}.shared_expert"), x);
    let gate = sigmoid(tensors.linear(&format!("{name}.shared_expert_gate"), x)[0]);
    let mut output = each(&shared, |y| y * gate);
    for (expert, like) in chosen {
        let read = feed_forward(tensors, &format!("{name}.experts.{expert}"), x);
        output = plus(&output, &each(&read, |y| y * like / sum));
    }
    output
}

/// The logits of all tokens, one after another.
fn logits(tensors: &Tensors, ids: &[usize], normalise: bool) -> Vec<f64> {
    let normed = |hidden: &[Vec<f64>], name: &str| -> Vec<Vec<f64>> {
        let scale = one_more(tensors.numbers(name));
        hidden.iter().map(|x| rms_norm(x, &scale, EPSILON)).collect()
    };
    let embedding = tensors.matrix("model.embed_tokens.weight");
    let mut hidden: Vec<Vec<f64>> = ids.iter().map(|id| embedding.rows(*id, id + 1).numbers).collect();
    let add = |hidden: &mut Vec<Vec<f64>>, part: Vec<Vec<f64>>| {
        hidden.iter_mut().zip(part).for_each(|(x, part)| *x = plus(x, &part));
    };
    for (index, kind) in KINDS.iter().enumerate() {
        let layer = format!("model.layers.{index}");
        let input = normed(&hidden, &format!("{layer}.input_layernorm.weight"));
        let mixed = match *kind {
            "full_attention" => full_attention(tensors, &layer, &input),
            _ => linear_attention(tensors, &layer, &input),
        };
        add(&mut hidden, mixed);
        let input = normed(&hidden, &format!("{layer}.post_attention_layernorm.weight"));
        let name = format!("{layer}.mlp");
        let mixed = input.iter().map(|x| match is_dense(index) {
            true => feed_forward(tensors, &name, x),
            false => experts(tensors, &name, x, normalise),
        });
        add(&mut hidden, mixed.collect());
    }
    let head: Matrix = tensors.matrix("lm_head.weight");
    normed(&hidden, "model.norm.weight").iter().flat_map(|x| head.times(x)).collect()
}

const IDS: [usize; 11] = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 16];

fn read(tensors: &Tensors, fields: &Value) -> LanguageModel {
    let directory = tempfile::tempdir().unwrap();
    tensors.write(fields, directory.path());
    checkpoint::read(directory.path(), &plain()).unwrap_or_else(|error| panic!("{error}"))
}

fn computed(model: &LanguageModel) -> Vec<f64> {
    let ids = Tensor::<1, Int>::from_ints(IDS.map(|id| id as i64), &plain()).unsqueeze();
    values(double(model.clone()).forward(ids, None).0)
}

#[test]
fn a_model_with_both_kinds_of_layers_and_of_feed_forwards_is_its_formula() {
    for normalise in [true, false] {
        let tensors = draw(5);
        let mut fields = fields();
        fields["norm_topk_prob"] = json!(normalise);
        let model = read(&tensors, &fields);
        let error = largest_error(&computed(&model), &logits(&tensors, &IDS, normalise));
        assert!(error < 1e-10, "{error:e}");
        let mixers = (0..4).map(|layer| model.config().channel_mixer_of(layer));
        let dense = mixers.map(|mixer| mixer == ChannelMixerConfig::SwiGluOf { hidden: DENSE });
        assert_eq!(dense.collect::<Vec<_>>(), [false, false, true, false]);
    }
}

#[test]
fn experts_may_be_in_one_tensor_and_a_head_for_more_tokens_is_passed_over() {
    let mut tensors = fused(draw(5));
    tensors.draw("mtp.fc.weight", &[D, 2 * D]);
    let (model, wanted) = (read(&tensors, &fields()), read(&draw(5), &fields()));
    assert_same(&model, &wanted);

    let directory = tempfile::tempdir().unwrap();
    tensors.draw("model.layers.1.mlp.experts.down_proj", &[EXPERTS, D, EXPERT + 1]);
    tensors.write(&fields(), directory.path());
    let error = checkpoint::read(directory.path(), &plain()).expect_err("an error").to_string();
    let wanted = "the tensor `model.layers.1.mlp.experts.down_proj` has the shape [5, 12, 7], but [5, 12, 6] is wanted";
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn a_mixed_model_is_written_and_read_again() {
    let model = read(&draw(5), &fields());
    let directory = tempfile::tempdir().unwrap();
    checkpoint::write(&model, directory.path(), Architecture::Qwen3Next).unwrap();
    assert_same(&checkpoint::read(directory.path(), &plain()).unwrap(), &model);
    let text: Vec<usize> = model.generate(&IDS, Sampling::Greedy).unwrap().take(8).collect();
    let again = checkpoint::read(directory.path(), &plain()).unwrap();
    assert_eq!(again.generate(&IDS, Sampling::Greedy).unwrap().take(8).collect::<Vec<_>>(), text);
}

/// The same model said in other words.
#[test]
fn older_and_shorter_configurations_say_the_same() {
    let mut older = fields();
    let entries = older.as_object_mut().unwrap();
    entries.remove("rope_parameters");
    entries.remove("layer_types");
    entries.insert("rope_theta".into(), json!(BASE));
    entries.insert("partial_rotary_factor".into(), json!(0.5));
    entries.insert("rope_scaling".into(), Value::Null);
    entries.insert("full_attention_interval".into(), json!(2));
    let model = read(&draw(5), &older);
    assert_eq!(parameters(&model), parameters(&read(&draw(5), &fields())));
    assert_eq!(model.config().to_string(), read(&draw(5), &fields()).config().to_string());
}

#[test]
fn what_is_not_computed_is_refused() {
    for (name, value, sentence) in [
        ("hidden_act", json!("gelu"), "`hidden_act` is \"gelu\""),
        (
            "layer_types",
            json!(["full_attention"]),
            "`layer_types` names 1 layers, but `num_hidden_layers` is 4",
        ),
        (
            "layer_types",
            json!(["linear_attention", "sliding_attention", "linear_attention", "full_attention"]),
            "`layer_types` names the kind \"sliding_attention\"",
        ),
        (
            "rope_parameters",
            json!({"rope_type": "longrope"}),
            "in `rope_parameters`, `rope_type` is \"longrope\"",
        ),
        ("mlp_only_layers", json!([4]), "`mlp_only_layers` names the layer 4, but there are 4 layers"),
        ("decoder_sparse_step", json!(0), "`decoder_sparse_step` is 0"),
        ("num_experts_per_tok", json!(6), "top_k = 6"),
        ("linear_num_value_heads", json!(3), "num_v_heads = 3"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let mut fields = fields();
        fields[name] = value;
        draw(5).write(&fields, directory.path());
        let error = checkpoint::read(directory.path(), &plain()).expect_err(sentence).to_string();
        assert!(error.contains(sentence), "{error}");
    }
}
