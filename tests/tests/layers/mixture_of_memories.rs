//! Mixture of memories: the published layer, and what a router may and may not do.

use super::golden::{STORED, fill};
use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor};
use seqzoo::layers::*;
use seqzoo::{MixerState, SequenceMixer};
use seqzoo_tests::{
    Golden, Inputs, ReferenceGradients, autodiff, double, flags, largest_error, plain, said, values,
};

const CHANNELS: usize = 12;

fn config() -> MixtureOfMemoriesConfig {
    MixtureOfMemoriesConfig::new(CHANNELS).with_num_heads(2).with_head_dim(4)
}

fn layer(config: &MixtureOfMemoriesConfig, device: &Device) -> MixtureOfMemories {
    device.seed(5);
    double(config.init(device))
}

fn tokens(batch: usize, time: usize) -> Tensor<3> {
    Inputs::new(7, &plain()).uniform([batch, time, CHANNELS])
}

fn parameter<const D: usize>(tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::from_tensor(tensor.detach())
}

/// The names of the projections that are one here, and their widths.
fn projections(name: impl Fn(&str) -> String) -> Vec<(String, usize)> {
    [("k", 8), ("v", 8), ("b", 2), ("a", 2)].map(|(part, width)| (name(part), width)).to_vec()
}

fn of_memory(memory: usize) -> Vec<(String, usize)> {
    projections(|part| format!("{part}_proj.{memory}"))
}

fn fill_joined(linear: &mut Linear, parts: &[(String, usize)], golden: &Golden, device: &Device) {
    let weights = parts
        .iter()
        .map(|(name, _)| golden.tensor::<2>(&format!("params.{name}.weight"), device).transpose());
    linear.weight = parameter(Tensor::cat(weights.collect(), 1));
}

fn equals_the_reference_layer(name: &str, memories: usize, top_k: usize, shared: bool) {
    let (device, golden) = (autodiff(), Golden::load(name));
    let config = config()
        .with_num_memories(memories)
        .with_top_k(top_k)
        .with_shared_memory(shared)
        .with_conv_place(ConvolutionPlace::Memory)
        .with_balance(1.0);
    let mut layer = layer(&config, &device);
    fill(&mut layer.router.projection, &golden, "gate", &device);
    fill(&mut layer.query, &golden, "q_proj", &device);
    for (memory, linear) in layer.memories.iter_mut().enumerate() {
        fill_joined(linear, &of_memory(memory), &golden, &device);
    }
    let of_shared = projections(|part| format!("shared_{part}"));
    if let Some(linear) = &mut layer.shared {
        fill_joined(linear, &of_shared, &golden, &device);
    }
    let decay = layer.rule.decay.as_mut().unwrap();
    decay.a_log = parameter(golden.tensor("params.A_log", &device)).into();
    decay.dt_bias = parameter(golden.tensor("params.dt_bias", &device)).into();
    let convolutions = ["q_conv1d.weight", "k_conv1d.weight", "v_conv1d.weight"];
    for (conv, name) in layer.convolutions.convs.iter_mut().zip(convolutions) {
        conv.weight = parameter(golden.tensor::<3>(&format!("params.{name}"), &device).squeeze_dim(1));
    }
    layer.norm.norm.gamma = parameter(golden.tensor("params.o_norm.weight", &device));
    fill(layer.gate.as_mut().unwrap(), &golden, "g_proj", &device);
    fill(&mut layer.output, &golden, "o_proj", &device);

    let input = golden.tensor::<3>("x", &device).require_grad();
    let (output, state) = layer.forward(input.clone(), None);
    let close = |found: Vec<f64>, name: &str| {
        let error = largest_error(&found, golden.values(name));
        assert!(error <= STORED, "`{name}` differs by {error:e}");
    };
    let routing = state.routing.as_ref().unwrap();
    let logits = layer.router.projection.forward(input.clone());
    let balance = layer.auxiliary_loss(&state).unwrap();
    close(values(output.clone()), "o");
    close(values(logits.clone()), "router_logits");
    close(values(routing.weights.clone()), "topk_weights");
    close(routing.chosen.iter().map(|memory| *memory as f64).collect(), "topk_indices");
    close(values(balance.clone()), "aux_loss");

    let loss = (output * golden.tensor("do", &device)).sum()
        + (logits * golden.tensor("ct.router_logits", &device)).sum()
        + (balance * golden.tensor("ct.aux_loss", &device)).sum();
    let gradients = loss.backward();
    close(values(input.grad(&gradients).unwrap()), "d_x");
    let mut found = ReferenceGradients::default();
    found.linear("gate", &layer.router.projection, &gradients);
    found.linear("q_proj", &layer.query, &gradients);
    found.linear("g_proj", layer.gate.as_ref().unwrap(), &gradients);
    found.linear("o_proj", &layer.output, &gradients);
    for (memory, linear) in layer.memories.iter().enumerate() {
        found.joined(&of_memory(memory), linear, &gradients);
    }
    if let Some(linear) = &layer.shared {
        found.joined(&of_shared, linear, &gradients);
    }
    let decay = layer.rule.decay.as_ref().unwrap();
    found.parameter("A_log", &decay.a_log, &gradients);
    found.parameter("dt_bias", &decay.dt_bias, &gradients);
    found.parameter("o_norm.weight", &layer.norm.norm.gamma, &gradients);
    for (conv, name) in layer.convolutions.convs.iter().zip(convolutions) {
        found.parameter(name, &conv.weight, &gradients);
    }
    found.assert_equal(&golden, |_| true, STORED);
}

#[test]
fn one_of_three_memories_equals_the_reference_layer() {
    equals_the_reference_layer("11_mom__m3_k1_t9", 3, 1, false);
}

#[test]
fn two_of_four_memories_and_a_shared_one_equal_the_reference_layer() {
    equals_the_reference_layer("11_mom__m4_k2_t21_shared", 4, 2, true);
}

#[test]
fn a_memory_that_no_token_goes_to_is_the_same_to_the_bit() {
    for place in [ConvolutionPlace::Sequence, ConvolutionPlace::Memory] {
        let layer = layer(&config().with_num_memories(6).with_top_k(1).with_conv_place(place), &plain());
        let (_, mut state) = layer.forward(tokens(2, 30), None);
        for step in 0..10 {
            let token = Inputs::new(step, &plain()).uniform::<2>([2, CHANNELS]);
            let (_, after) = layer.step(token, state.clone());
            let chosen = after.routing.as_ref().unwrap().chosen.clone();
            for (row, chosen) in chosen.into_iter().enumerate() {
                for memory in (0..6).filter(|memory| *memory != chosen) {
                    let of_row = |state: &MixtureOfMemoriesState| {
                        let MemoryOfMixture { memory, convolutions } = state.memories[memory].clone();
                        let inputs = convolutions.0.into_iter().flat_map(|x| values(x.narrow(0, row, 1)));
                        values(memory.narrow(0, row, 1)).into_iter().chain(inputs).collect::<Vec<_>>()
                    };
                    assert_eq!(of_row(&state), of_row(&after), "memory {memory} of row {row}");
                }
            }
            state = after;
        }
    }
}

#[test]
fn other_numbers_of_the_memories_change_nothing_else() {
    let layer = layer(&config().with_num_memories(4), &plain());
    let order = [2usize, 0, 3, 1];
    let mut other = layer.clone();
    other.memories = order.iter().map(|memory| layer.memories[*memory].clone()).collect();
    let columns = Tensor::<1, burn::tensor::Int>::from_data(order.map(|memory| memory as i64), &plain());
    let weight = layer.router.projection.weight.val().select(1, columns);
    other.router.projection.weight = parameter(weight);
    let ((wanted, before), (found, after)) =
        (layer.forward(tokens(2, 25), None), other.forward(tokens(2, 25), None));
    assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
    for (new, old) in order.iter().enumerate() {
        let memory =
            |state: &MixtureOfMemoriesState, memory: usize| values(state.memories[memory].memory.clone());
        assert!(largest_error(&memory(&after, new), &memory(&before, *old)) < 1e-12);
    }
}

#[test]
fn one_memory_is_the_layer_inside() {
    let config = config().with_num_memories(1).with_top_k(1).with_shared_memory(false).with_conv_size(None);
    let layer = layer(&config, &plain());
    let inner = GatedDeltaNetConfig::new(CHANNELS).with_num_heads(2).with_head_dim(4);
    let mut inner = double(inner.with_expand_v(1.0).with_conv_size(None).init(&plain()));
    let part = |from, width| parameter(layer.memories[0].weight.val().narrow(1, from, width));
    inner.heads.query = layer.query.clone();
    inner.heads.key.weight = part(0, 8);
    inner.heads.value.weight = part(8, 8);
    inner.heads.beta.as_mut().unwrap().weight = part(16, 2);
    inner.decay.projection.weight = part(18, 2);
    inner.decay.gate = layer.rule.decay.clone().unwrap();
    inner.heads.norm = layer.norm.clone();
    inner.heads.output = layer.output.clone();
    inner.gate = layer.gate.clone();
    let ((found, state), (wanted, memory)) =
        (layer.forward(tokens(2, 40), None), inner.forward(tokens(2, 40), None));
    assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
    let found = values(state.memories[0].memory.clone());
    assert!(largest_error(&found, &values(memory.memory)) < 1e-12);
}

/// All memories with the same projections hold the same, and their average is each of them.
#[test]
fn all_memories_with_one_projection_are_one_memory() {
    let all = config().with_num_memories(3).with_top_k(3).with_single_projection(true);
    let one = all.clone().with_num_memories(1).with_top_k(1);
    let all = layer(&all, &plain());
    let mut one = layer(&one, &plain());
    one.query = all.query.clone();
    one.memories = all.memories.clone();
    one.shared = all.shared.clone();
    one.rule = all.rule.clone();
    one.conv = all.conv.clone();
    one.norm = all.norm.clone();
    one.gate = all.gate.clone();
    one.output = all.output.clone();
    let ((found, _), (wanted, _)) = (all.forward(tokens(2, 20), None), one.forward(tokens(2, 20), None));
    assert!(largest_error(&values(found), &values(wanted)) < 1e-12);
}

#[test]
fn tokens_that_like_all_memories_equally_go_to_the_first_ones_in_every_form() {
    let mut layer = layer(&config(), &plain());
    let weight = layer.router.projection.weight.val();
    layer.router.projection.weight = parameter(weight.zeros_like());
    let (whole, mut state) = (layer.forward(tokens(1, 9), None).0, layer.init_state(1, &plain()));
    for token in 0..9 {
        let input = tokens(1, 9).narrow(1, token, 1).squeeze_dim(1);
        let (output, after) = layer.step(input, state);
        assert_eq!(after.routing.as_ref().unwrap().chosen, [0, 1]);
        let wanted = values(whole.clone().narrow(1, token, 1));
        assert!(largest_error(&values(output), &wanted) < 1e-12);
        state = after;
    }
}

#[test]
fn all_tokens_may_go_to_one_memory() {
    let mut layer = layer(&config().with_top_k(1), &plain());
    let weight = layer.router.projection.weight.val();
    // The second memory is liked by the sum of the channels, all of which are positive here.
    let liked = Tensor::cat(vec![weight.zeros_like().narrow(1, 0, 1), weight.ones_like().narrow(1, 1, 1)], 1);
    let others = weight.zeros_like().narrow(1, 2, 2);
    layer.router.projection.weight = parameter(Tensor::cat(vec![liked, others], 1));
    let input = tokens(2, 20).abs();
    let (output, state) = layer.forward(input.clone(), None);
    assert_eq!(state.routing.as_ref().unwrap().loads(), [0, 40, 0, 0]);
    let (first, middle) = layer.forward(input.clone().narrow(1, 0, 7), None);
    let (second, _) = layer.forward(input.narrow(1, 7, 13), Some(middle));
    let parts = values(Tensor::cat(vec![first, second], 1));
    assert!(largest_error(&parts, &values(output)) < 1e-12);
}

#[test]
fn a_reset_also_clears_memories_that_its_token_does_not_go_to() {
    for place in [ConvolutionPlace::Sequence, ConvolutionPlace::Memory] {
        let layer = layer(&config().with_num_memories(5).with_top_k(1).with_conv_place(place), &plain());
        let (_, state) = layer.forward(tokens(2, 20), None);
        // The first row begins anew with its last token.
        let resets = flags(2, 3, &[2], &plain());
        let input = tokens(2, 3);
        let (output, after) = layer.forward_packed(input.clone(), Some(resets), Some(state));
        let (wanted, fresh) = layer.forward(input.narrow(0, 0, 1).narrow(1, 2, 1), None);
        assert!(largest_error(&values(output.narrow(0, 0, 1).narrow(1, 2, 1)), &values(wanted)) < 1e-12);
        for (found, wanted) in after.memories.iter().zip(&fresh.memories) {
            let error =
                largest_error(&values(found.memory.clone().narrow(0, 0, 1)), &values(wanted.memory.clone()));
            assert!(error < 1e-12);
        }
    }
}

/// The router's weights have a gradient through the weights of the memories; between two choices the output jumps.
#[test]
fn the_gradient_of_the_router_equals_finite_differences() {
    let device = autodiff();
    let layer = layer(&config().with_balance(0.3), &device);
    let input = Inputs::new(3, &device).uniform::<3>([2, 7, CHANNELS]);
    let loss = |layer: &MixtureOfMemories| {
        let (output, state) = layer.forward(input.clone(), None);
        let choice = state.routing.as_ref().unwrap().chosen.clone();
        ((output.square().sum() + layer.auxiliary_loss(&state).unwrap()), choice)
    };
    let (value, choice) = loss(&layer);
    let gradient = layer.router.projection.weight.val().grad(&value.backward()).unwrap();
    let direction = Inputs::new(9, &device.clone().inner()).uniform::<2>([CHANNELS, 4]);
    let slope = values((gradient * direction.clone()).sum())[0];
    let at = |step: f64| {
        let mut moved = layer.clone();
        let weight = moved.router.projection.weight.val().inner() + direction.clone() * step;
        moved.router.projection.weight = parameter(Tensor::from_inner(weight));
        let (value, moved) = loss(&moved);
        assert_eq!(moved, choice, "the step is small enough to change no choice");
        values(value)[0]
    };
    let step = 1e-6;
    let difference = (at(step) - at(-step)) / (2.0 * step);
    assert!((difference - slope).abs() < 1e-6 * slope.abs().max(1.0), "{difference} and {slope}");
}

#[test]
fn the_balance_is_k_where_all_memories_are_used_equally() {
    let mut layer = layer(&config().with_num_memories(3).with_top_k(3).with_balance(1.0), &plain());
    let weight = layer.router.projection.weight.val();
    layer.router.projection.weight = parameter(weight.zeros_like());
    let (_, state) = layer.forward(tokens(2, 5), None);
    let balance = values(layer.auxiliary_loss(&state).unwrap())[0];
    assert!((balance - 3.0).abs() < 1e-12, "{balance}");
}

#[test]
fn the_routing_is_no_part_of_a_state() {
    let layer = layer(&config(), &plain());
    let (_, state) = layer.forward(tokens(2, 5), None);
    assert_eq!(state.bytes(), layer.init_state(2, &plain()).bytes());
    // Five memories of two heads with 4 x 4 numbers, and three inputs of the convolution.
    assert_eq!(state.bytes().total(), 2 * 8 * (5 * 2 * 16 + 3 * CHANNELS));
    let detached = state.detach();
    assert!(detached.routing.is_none() && layer.auxiliary_loss(&detached).is_none());
}

#[test]
fn a_balance_of_zero_asks_for_nothing() {
    let layer = layer(&config().with_balance(0.0), &plain());
    let (_, state) = layer.forward(tokens(1, 5), None);
    assert!(layer.auxiliary_loss(&state).is_none());
}

#[test]
fn a_state_of_fewer_memories_is_refused() {
    let layer = layer(&config(), &plain());
    let mut state = layer.init_state(1, &plain());
    state.memories.pop();
    let said = said(|| layer.forward(tokens(1, 3), Some(state)));
    assert!(said.contains("`state` holds 4 memories, but the layer has 5"), "{said}");
}

#[test]
fn what_is_no_number_goes_somewhere() {
    let layer = layer(&config(), &plain());
    let input = Tensor::full([1, 3, CHANNELS], f64::NAN, (&plain(), DType::F64));
    let (output, state) = layer.forward(input, None);
    assert!(values(output).iter().all(|x| x.is_nan()));
    assert_eq!(state.routing.unwrap().chosen, [0, 1, 0, 1, 0, 1]);
}

#[test]
fn configurations_that_describe_no_mixture_say_why() {
    let refused = |config: MixtureOfMemoriesConfig| said(|| config.init(&plain()));
    for (said, wanted) in [
        (refused(config().with_num_memories(0)), "num_memories = 0, but from 1 to 4096"),
        (refused(config().with_num_memories(1 << 40)), "num_memories = 1099511627776"),
        (refused(config().with_top_k(0)), "top_k = 0, but every token goes to at least 1"),
        (refused(config().with_top_k(5)), "at most num_memories = 4"),
        (refused(config().with_num_heads(0)), "num_heads is 0"),
        (refused(config().with_head_dim(0)), "value channels of head_dim = 0"),
        (refused(config().with_expand_v(0.3)), "expand_v = 0.3 makes 1.2"),
        (refused(config().with_balance(-1.0)), "balance = -1"),
        (refused(config().with_balance(f64::NAN)), "balance = NaN"),
        (refused(config().with_conv_size(Some(1))), "at least 2 taps"),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}
