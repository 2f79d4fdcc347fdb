//! The feed-forwards of a model: what they compute, where tokens go, and that no token depends on others through them.

use super::by_hand::{self, Matrix, sigmoid, silu};
use super::small::{VOCABULARY, config};
use burn::module::Param;
use burn::tensor::{Device, Gradients, Int, Tensor};
use seqzoo::models::{ChannelMixerConfig, FeedForward, LanguageModel, LanguageModelConfig};
use seqzoo::ops::Segments;
use seqzoo::parts::{GeGlu, MixtureOfExperts, MixtureOfExpertsConfig, SwiGlu};
use seqzoo::{MixerConfig, MixerState};
use seqzoo_tests::{Inputs, autodiff, double, largest_error, plain, values};

const CHANNELS: usize = 16;

fn five() -> MixtureOfExpertsConfig {
    MixtureOfExpertsConfig::new(5, 2, 6).with_shared_hidden(Some(4))
}

/// A model of one layer with this feed-forward.
fn model(channels: ChannelMixerConfig, device: &Device) -> LanguageModel {
    device.seed(3);
    let pattern = vec![MixerConfig::published("base_conv", CHANNELS).unwrap()];
    double(config(pattern).with_channel_mixer(channels).init(device))
}

fn feed_forward(channels: ChannelMixerConfig, device: &Device) -> FeedForward {
    model(channels, device).blocks.remove(0).channels.unwrap().feed_forward
}

fn experts(config: MixtureOfExpertsConfig, device: &Device) -> MixtureOfExperts {
    match feed_forward(ChannelMixerConfig::MixtureOfExperts(config), device) {
        FeedForward::MixtureOfExperts(experts) => experts,
        other => panic!("{other:?} is no mixture of experts"),
    }
}

fn tokens(batch: usize, time: usize, device: &Device) -> Tensor<3> {
    Inputs::new(7, device).uniform([batch, time, CHANNELS])
}

fn swiglu(x: &[f64], swiglu: &SwiGlu) -> Vec<f64> {
    let [gate, up, down] = [&swiglu.gate, &swiglu.up, &swiglu.down].map(Matrix::of);
    by_hand::gated(x, [&gate, &up, &down], silu)
}

/// What `experts` make of one token.
fn one(x: &[f64], experts: &MixtureOfExperts, top_k: usize, normalise: bool) -> Vec<f64> {
    let likes = by_hand::softmax(&Matrix::of(&experts.router.projection).times(x));
    let chosen = by_hand::largest(&likes, top_k);
    let sum: f64 = if normalise { chosen.iter().map(|(_, like)| like).sum() } else { 1.0 };
    let mut output = vec![0.0; x.len()];
    for (expert, like) in chosen {
        let read = swiglu(x, &experts.experts[expert]);
        output = by_hand::plus(&output, &by_hand::each(&read, |y| y * like / sum));
    }
    if let Some(shared) = &experts.shared {
        let gate = sigmoid(Matrix::of(&shared.gate).times(x)[0]);
        output = by_hand::plus(&output, &by_hand::each(&swiglu(x, &shared.expert), |y| y * gate));
    }
    output
}

#[test]
fn a_mixture_of_experts_is_its_formula() {
    let device = plain();
    let input = tokens(2, 9, &device);
    for (top_k, shared, normalise) in
        [(1, None, true), (2, Some(4), true), (3, Some(4), false), (5, None, false), (5, None, true)]
    {
        let config = five().with_shared_hidden(shared).with_normalise(normalise);
        let experts = experts(MixtureOfExpertsConfig { top_k, ..config }, &device);
        let (output, load) = experts.forward(input.clone());
        let rows = values(input.clone());
        let wanted = rows.chunks_exact(CHANNELS).flat_map(|x| one(x, &experts, top_k, normalise));
        let error = largest_error(&values(output), &wanted.collect::<Vec<_>>());
        assert!(error < 1e-12, "{top_k} of 5: {error:e}");
        let load = load.unwrap();
        assert_eq!((load.tokens, load.counts.iter().sum::<usize>()), (18, 18 * top_k));
    }
}

#[test]
fn a_feed_forward_with_gelu_is_its_formula() {
    let device = plain();
    let input = tokens(2, 3, &device);
    for bias in [true, false] {
        let FeedForward::GeGlu(geglu) = feed_forward(ChannelMixerConfig::GeGlu { hidden: 6, bias }, &device)
        else {
            panic!("another feed-forward")
        };
        let GeGlu { gate, up, down } = &geglu;
        assert_eq!(gate.bias.is_some(), bias);
        let linear = |linear: &burn::nn::Linear, x: &[f64]| {
            let product = Matrix::of(linear).times(x);
            match &linear.bias {
                Some(bias) => by_hand::plus(&product, &values(bias.val())),
                None => product,
            }
        };
        let rows = values(input.clone());
        let wanted = rows.chunks_exact(CHANNELS).flat_map(|x| {
            let gate = by_hand::each(&linear(gate, x), by_hand::gelu);
            linear(down, &by_hand::times(&gate, &linear(up, x)))
        });
        let error = largest_error(&values(geglu.forward(input.clone())), &wanted.collect::<Vec<_>>());
        assert!(error < 1e-12, "{error:e}");
    }
}

/// The matrices of all experts, of the router and of the shared one.
fn matrices(experts: &mut MixtureOfExperts) -> Vec<&mut Param<Tensor<2>>> {
    let MixtureOfExperts { router, experts, shared, .. } = experts;
    let mut linears = vec![&mut router.projection];
    for SwiGlu { gate, up, down } in experts {
        linears.extend([gate, up, down]);
    }
    if let Some(shared) = shared {
        let SwiGlu { gate, up, down } = &mut shared.expert;
        linears.extend([&mut shared.gate, gate, up, down]);
    }
    linears.into_iter().map(|linear| &mut linear.weight).collect()
}

#[test]
fn gradients_of_a_mixture_of_experts_equal_finite_differences() {
    const STEP: f64 = 1e-5;
    let device = autodiff();
    for normalise in [true, false] {
        let config = five().with_balance(1.0).with_normalise(normalise);
        let mut experts = experts(config, &device);
        let input = tokens(2, 9, &device).require_grad();
        let upstream = Inputs::new(8, &device).uniform::<3>([2, 9, CHANNELS]);
        let loss = |experts: &MixtureOfExperts, input: Tensor<3>| {
            let (output, load) = experts.forward(input);
            (output * upstream.clone()).sum() + experts.auxiliary_loss(&load.unwrap()).unwrap()
        };
        let gradients = loss(&experts, input.clone()).backward();
        let along =
            |gradient: Tensor<2>, direction: Tensor<2>| (gradient * direction).sum().into_scalar::<f64>();
        let close = |found: f64, wanted: f64, what: &str| {
            assert!((found - wanted).abs() <= 1e-7 * wanted.abs().max(1.0), "{what}: {found} and {wanted}");
        };

        let random = |seed, shape| Inputs::new(seed, &plain()).uniform::<2>(shape);
        let direction = random(1, [18, CHANNELS]);
        let at = |step: f64| {
            let moved = direction.clone().mul_scalar(step).reshape([2, 9, CHANNELS]);
            loss(&experts, Tensor::from_inner(input.clone().inner() + moved)).into_scalar::<f64>()
        };
        let wanted = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        let found = input.grad(&gradients).unwrap().reshape([18, CHANNELS]);
        close(along(found, direction.clone()), wanted, "the input");

        for index in 0..matrices(&mut experts).len() {
            let weight = matrices(&mut experts)[index].val();
            let direction = random(index as u64 + 2, weight.dims());
            let mut at = |step: f64| {
                let moved = weight.clone().inner() + direction.clone().mul_scalar(step);
                *matrices(&mut experts)[index] = Param::from_tensor(Tensor::from_inner(moved));
                loss(&experts, input.clone()).into_scalar::<f64>()
            };
            let wanted = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            *matrices(&mut experts)[index] = Param::from_tensor(weight.clone());
            let found = weight.grad(&gradients).map_or(0.0, |gradient| along(gradient, direction));
            close(found, wanted, &format!("the matrix {index}"));
        }
    }
}

/// The gradient of a sum of `experts` over `input`.
fn gradients(experts: &MixtureOfExperts, input: Tensor<3>) -> Gradients {
    experts.forward(input).0.sum().backward()
}

#[test]
fn all_tokens_may_choose_one_expert() {
    let device = autodiff();
    let config = MixtureOfExpertsConfig::new(5, 1, 6);
    let mut experts = experts(config, &device);
    // All inputs are positive, so that all tokens like the expert 2 best.
    let input = Inputs::new(7, &device).between::<3>([2, 20, CHANNELS], 0.1, 1.0);
    let mut rows = vec![0.0; CHANNELS * 5];
    rows.iter_mut().skip(2).step_by(5).for_each(|weight| *weight = 4.0);
    let weight = Tensor::<1>::from_data(rows.as_slice(), (&device, burn::tensor::DType::F64));
    experts.router.projection.weight = Param::from_tensor(weight.reshape([CHANNELS, 5]));
    let (output, load) = experts.forward(input.clone());
    let load = load.unwrap();
    assert_eq!(load.counts, [0, 0, 40, 0, 0]);
    let alone = experts.experts[2].forward(input.clone());
    assert!(largest_error(&values(output), &values(alone)) < 1e-12);
    let loss = load.balance_loss().into_scalar::<f64>();
    assert!((4.9..=5.0).contains(&loss), "{loss}");

    let gradients = gradients(&experts, input);
    for (index, expert) in experts.experts.iter().enumerate() {
        assert_eq!(expert.gate.weight.val().grad(&gradients).is_some(), index == 2);
    }
}

#[test]
fn the_work_grows_with_the_experts_of_a_token_and_not_with_all() {
    let device = autodiff();
    let experts = experts(MixtureOfExpertsConfig::new(200, 2, 6), &device);
    let gradients = gradients(&experts, tokens(1, 3, &device));
    let touched = experts.experts.iter().filter(|expert| expert.down.weight.val().grad(&gradients).is_some());
    assert!((2..=6).contains(&touched.count()));
}

#[test]
fn of_experts_liked_equally_the_first_are_taken_at_any_split() {
    let device = plain();
    let mut experts = experts(five(), &device);
    let input = tokens(1, 30, &device);
    // Two pairs of equal columns, and one between.
    let columns = experts.router.projection.weight.val();
    let column = |index: usize| columns.clone().narrow(1, index, 1);
    let equal = Tensor::cat([1, 0, 0, 1, 2].map(column).to_vec(), 1);
    experts.router.projection.weight = Param::from_tensor(equal);
    let whole = experts.router.forward(input.clone());
    assert!(
        !whole
            .chosen
            .chunks_exact(2)
            .any(|pair| [[3, 1], [2, 1], [4, 3], [3, 0]].contains(&[pair[0], pair[1]]))
    );
    for sizes in [vec![1; 30], vec![7, 1, 22], vec![29, 1]] {
        let (mut from, mut chosen, mut outputs) = (0, Vec::new(), Vec::new());
        for size in sizes {
            let part = input.clone().narrow(1, from, size);
            chosen.extend(experts.router.forward(part.clone()).chosen);
            outputs.push(experts.forward(part).0);
            from += size;
        }
        assert_eq!(chosen, whole.chosen);
        let all = experts.forward(input.clone()).0;
        assert!(largest_error(&values(Tensor::cat(outputs, 1)), &values(all)) < 1e-13);
    }
}

#[test]
fn a_token_is_the_same_whatever_the_others_are() {
    let device = plain();
    let experts = experts(five(), &device);
    let input = tokens(2, 9, &device);
    let others = Inputs::new(9, &device).uniform::<3>([2, 9, CHANNELS]);
    let changed =
        others.slice_assign([0..1, 4..5, 0..CHANNELS], input.clone().slice([0..1, 4..5, 0..CHANNELS]));
    let token = |input: Tensor<3>| values(experts.forward(input).0.slice([0..1, 4..5, 0..CHANNELS]));
    assert!(largest_error(&token(changed), &token(input)) < 1e-13);
}

/// Three layers, each with another feed-forward.
fn mixed() -> LanguageModelConfig {
    let pattern = ["gated_linear_attention", "softmax_attention"];
    let pattern = pattern.map(|kind| MixerConfig::published(kind, CHANNELS).unwrap()).to_vec();
    config(pattern).with_num_layers(Some(4)).with_channel_pattern(vec![
        ChannelMixerConfig::MixtureOfExperts(five()),
        ChannelMixerConfig::GeGlu { hidden: 6, bias: true },
        ChannelMixerConfig::SwiGluOf { hidden: 8 },
    ])
}

fn ids(batch: usize, time: usize, device: &Device) -> Tensor<2, Int> {
    Inputs::new(4, device).between([batch, time], 0.0, VOCABULARY as f64).int()
}

#[test]
fn layers_may_have_different_feed_forwards_and_keep_the_law() {
    let device = plain();
    device.seed(3);
    let model = double(mixed().init(&device));
    let kinds = model.blocks.iter().map(|block| match &block.channels.as_ref().unwrap().feed_forward {
        FeedForward::SwiGlu(_) => "swiglu",
        FeedForward::GeGlu(_) => "geglu",
        FeedForward::MixtureOfExperts(_) => "experts",
    });
    assert_eq!(kinds.collect::<Vec<_>>(), ["experts", "geglu", "swiglu", "experts"]);
    let tokens = ids(2, 30, &device);
    let (whole, state) = model.forward(tokens.clone(), None);
    let loads: Vec<_> = state.routing.iter().map(|load| load.as_ref().map(|load| load.tokens)).collect();
    assert_eq!(loads, [Some(60), None, None, Some(60)]);
    for sizes in [vec![1; 30], vec![7, 1, 22]] {
        let (mut from, mut state, mut parts) = (0, None, Vec::new());
        for size in sizes {
            let (logits, next) = model.forward(tokens.clone().narrow(1, from, size), state);
            parts.push(logits);
            (from, state) = (from + size, Some(next));
        }
        assert!(largest_error(&values(Tensor::cat(parts, 1)), &values(whole.clone())) < 1e-9);
    }
}

#[test]
fn streams_of_different_lengths_go_to_experts_as_each_alone() {
    let device = plain();
    device.seed(3);
    let recurrent = vec![MixerConfig::published("gated_linear_attention", CHANNELS).unwrap()];
    let model = double(LanguageModelConfig { pattern: recurrent, ..mixed() }.init(&device));
    let (tokens, lengths) = (ids(1, 12, &device), [5, 1, 6]);
    let (whole, _) = model.hidden_segments(tokens.clone(), &Segments::in_one_row(lengths), None);
    let mut from = 0;
    for length in lengths {
        let (alone, _) = model.hidden(tokens.clone().narrow(1, from, length), None, None);
        let own = whole.clone().narrow(1, from, length);
        assert!(largest_error(&values(own), &values(alone)) < 1e-12);
        from += length;
    }
}

#[test]
fn an_empty_batch_goes_to_no_expert() {
    for device in [plain(), autodiff()] {
        let model = mixed().init(&device);
        let (logits, state) = model.forward(Tensor::zeros([0, 3], &device), None);
        assert_eq!((logits.dims(), state.routing.len()), ([0, 3, VOCABULARY], 4));
        assert!(state.routing.iter().all(Option::is_none) && model.auxiliary_loss(&state).is_none());
    }
}

#[test]
fn a_model_wants_its_experts_used_evenly() {
    let device = autodiff();
    let balanced = |balance| {
        device.seed(3);
        let experts = ChannelMixerConfig::MixtureOfExperts(five().with_balance(balance));
        double(mixed().with_channel_pattern(vec![experts, ChannelMixerConfig::None]).init(&device))
    };
    let model = balanced(0.5);
    let (_, state) = model.forward(ids(2, 8, &device), None);
    let loss = model.auxiliary_loss(&state).unwrap();
    let wanted: f64 = state
        .routing
        .iter()
        .flatten()
        .map(|load| {
            let mean = values(load.mean.clone());
            let fractions = load.counts.iter().map(|count| *count as f64 / 16.0);
            0.5 * 5.0 * fractions.zip(mean).map(|(fraction, mean)| fraction * mean).sum::<f64>()
        })
        .sum();
    assert!((loss.clone().into_scalar::<f64>() - wanted).abs() < 1e-12);
    let gradients = loss.backward();
    let FeedForward::MixtureOfExperts(first) = &model.blocks[0].channels.as_ref().unwrap().feed_forward
    else {
        panic!("another feed-forward")
    };
    assert!(first.router.projection.weight.val().grad(&gradients).is_some());

    // It is of the call alone: not of a state that was changed, saved or loaded.
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("state");
    state.clone().without_autodiff().save(&path).unwrap();
    let loaded = model.load_state(&path, &device).unwrap();
    assert!(model.auxiliary_loss(&loaded).is_none());
    assert!(model.auxiliary_loss(&state.clone().detach()).is_none());
    assert_eq!(loaded.bytes(), state.bytes());
    let (_, state) = balanced(0.0).forward(ids(2, 8, &device), None);
    assert!(balanced(0.0).auxiliary_loss(&state).is_none());
}

#[test]
fn every_feed_forward_is_saved_and_read() {
    let device = plain();
    let directory = tempfile::tempdir().unwrap();
    let model = mixed().init(&device);
    model.save(directory.path()).unwrap();
    let loaded = LanguageModel::load(directory.path(), &device).unwrap();
    assert_eq!(loaded.config().to_string(), model.config().to_string());
    let logits = |model: &LanguageModel| model.forward(ids(1, 5, &device), None).0.into_data();
    assert_eq!(logits(&loaded), logits(&model));
}
