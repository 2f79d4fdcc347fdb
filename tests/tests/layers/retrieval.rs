//! Landmark attention that reads some of the blocks: against training, a scalar program, and from a file.

use burn::module::Module;
use burn::tensor::Tensor;
use seqzoo::layers::{
    LandmarkAttention, LandmarkAttentionConfig, LandmarkChoice, LandmarkStore, RetrievalConfig,
};
use seqzoo::{SequenceMixer, StateError};
use seqzoo_tests::{Inputs, double, largest_error, plain, said, values};

const CHANNELS: usize = 12;
const BLOCK: usize = 4;
const CHOICES: [LandmarkChoice; 3] =
    [LandmarkChoice::PerHeadAndToken, LandmarkChoice::PerHead, LandmarkChoice::OverHeads];

fn layer(heads: usize, key_heads: usize, rotary: bool) -> LandmarkAttention {
    plain().seed(7);
    let config = LandmarkAttentionConfig::new(CHANNELS)
        .with_num_heads(heads)
        .with_num_kv_heads(Some(key_heads))
        .with_block(BLOCK)
        .with_rotary(rotary);
    let layer = double(config.init(&plain()));
    // Sharper scores, so that blocks differ.
    layer.map(&mut Sharper)
}

struct Sharper;

impl burn::module::ModuleMapper for Sharper {
    fn map_float<const D: usize>(
        &mut self,
        parameter: burn::module::Param<Tensor<D>>,
    ) -> burn::module::Param<Tensor<D>> {
        parameter.map(|tensor| tensor.mul_scalar(4.0))
    }
}

fn input(batch: usize, time: usize) -> Tensor<3> {
    Inputs::new(2, &plain()).uniform([batch, time, CHANNELS])
}

fn config(top_k: usize, choice: LandmarkChoice) -> RetrievalConfig {
    RetrievalConfig::new(top_k).with_choice(choice)
}

fn store(layer: &LandmarkAttention, config: &RetrievalConfig, batch: usize) -> LandmarkStore {
    LandmarkStore::in_memory(layer, config, batch, &plain()).unwrap()
}

/// The output of tokens that come in calls of these sizes.
fn in_calls(
    layer: &LandmarkAttention,
    store: &mut LandmarkStore,
    input: &Tensor<3>,
    sizes: &[usize],
) -> Tensor<3> {
    let mut from = 0;
    let outputs = sizes.iter().map(|size| {
        from += size;
        layer.retrieve(input.clone().narrow(1, from - size, *size), store).unwrap()
    });
    Tensor::cat(outputs.collect(), 1)
}

fn apart(found: Tensor<3>, wanted: Tensor<3>) -> f64 {
    largest_error(&values(found), &values(wanted))
}

#[test]
fn all_blocks_are_what_training_reads() {
    let input = input(2, 31);
    for (heads, key_heads) in [(2, 2), (3, 1)] {
        for (rotary, choice) in
            [true, false].into_iter().flat_map(|rotary| CHOICES.map(|choice| (rotary, choice)))
        {
            let layer = layer(heads, key_heads, rotary);
            let (wanted, _) = layer.forward(input.clone(), None);
            for top_k in [7, 20] {
                let mut store = store(&layer, &config(top_k, choice), 2);
                let found = in_calls(&layer, &mut store, &input, &[31]);
                let error = apart(found, wanted.clone());
                assert!(error < 1e-12, "{heads} heads, rotary {rotary}, {choice:?}, top {top_k}: {error:e}");
                assert_eq!((store.blocks(), store.position()), (7, 31));
            }
        }
    }
}

/// The formula for one sequence, number by number.
struct Scalar {
    heads: usize,
    key_heads: usize,
    width: usize,
    rotary: bool,
    top_k: usize,
    query: Vec<f64>,
    key: Vec<f64>,
    value: Vec<f64>,
}

impl Scalar {
    fn new(
        layer: &LandmarkAttention,
        input: &Tensor<3>,
        heads: [usize; 2],
        rotary: bool,
        top_k: usize,
    ) -> Self {
        let project = |linear: &burn::nn::Linear| values(linear.forward(input.clone()));
        let [heads, key_heads] = heads;
        Self {
            heads,
            key_heads,
            width: CHANNELS / heads,
            rotary,
            top_k,
            query: project(&layer.query),
            key: project(&layer.key),
            value: project(&layer.value),
        }
    }

    fn of<'a>(&self, tokens: &'a [f64], heads: usize, token: usize, head: usize) -> &'a [f64] {
        &tokens[(token * heads + head) * self.width..][..self.width]
    }

    fn rotated(&self, vector: &[f64], position: usize) -> Vec<f64> {
        if !self.rotary {
            return vector.to_vec();
        }
        let half = self.width / 2;
        let angle = |pair: usize| position as f64 * 10000f64.powf(-(pair as f64) / half as f64);
        let turn = |channel: usize| {
            let (pair, sign) = if channel < half { (channel, -1.0) } else { (channel - half, 1.0) };
            let other = if channel < half { channel + half } else { channel - half };
            vector[channel] * angle(pair).cos() + sign * vector[other] * angle(pair).sin()
        };
        (0..self.width).map(turn).collect()
    }

    /// The score of a token's query in the current block's slot and a key at `position`.
    fn score(&self, token: usize, head: usize, other: usize, position: usize) -> f64 {
        let slot = (token / BLOCK).min(self.top_k + 1);
        let query = self.rotated(self.of(&self.query, self.heads, token, head), slot * BLOCK + token % BLOCK);
        let key = self.rotated(self.of(&self.key, self.key_heads, other, self.key_head(head)), position);
        query.iter().zip(&key).map(|(q, k)| q * k).sum::<f64>() / (self.width as f64).sqrt()
    }

    fn key_head(&self, head: usize) -> usize {
        head / (self.heads / self.key_heads)
    }

    /// How much the landmarks of the blocks before weigh for the choice.
    fn weights(&self, token: usize, head: usize) -> Vec<f64> {
        let blocks = token / BLOCK;
        let scores: Vec<f64> = (0..blocks)
            .map(|block| {
                let recent = block + self.top_k >= blocks;
                let slot = if recent { block + (self.top_k + 1).min(blocks) - blocks } else { 0 };
                self.score(token, head, block * BLOCK + BLOCK - 1, slot * BLOCK + BLOCK - 1)
            })
            .collect();
        softmax(&scores)
    }

    fn chosen(&self, token: usize, head: usize, choice: LandmarkChoice) -> Vec<usize> {
        let all: Vec<Vec<f64>> = match choice {
            LandmarkChoice::PerHeadAndToken => vec![self.weights(token, head)],
            LandmarkChoice::PerHead => {
                let last = (self.query.len() / CHANNELS).min(token - token % BLOCK + BLOCK);
                (token - token % BLOCK..last).map(|token| self.weights(token, head)).collect()
            }
            LandmarkChoice::OverHeads => (0..self.heads).map(|head| self.weights(token, head)).collect(),
        };
        let weight = |block: usize| all.iter().map(|row| row[block]).fold(0.0, f64::max);
        let mut order: Vec<usize> = (0..token / BLOCK).collect();
        order.sort_by(|a, b| weight(*b).total_cmp(&weight(*a)));
        order.truncate(self.top_k);
        order.sort();
        order
    }

    fn read(&self, token: usize, head: usize, choice: LandmarkChoice) -> Vec<f64> {
        let blocks = token / BLOCK;
        let slot = blocks.min(self.top_k + 1);
        let chosen = self.chosen(token, head, choice);
        let slots = chosen.iter().enumerate().map(|(rank, block)| {
            let recent = blocks > self.top_k && block + self.top_k >= blocks;
            if recent { rank + 1 } else { rank }
        });
        let slots: Vec<usize> = slots.collect();
        let own = blocks * BLOCK..(token + 1).min(blocks * BLOCK + BLOCK - 1);
        let gates = chosen.iter().zip(&slots).map(|(block, slot)| {
            self.score(token, head, block * BLOCK + BLOCK - 1, slot * BLOCK + BLOCK - 1)
        });
        let local = own.clone().map(|other| self.score(token, head, other, slot * BLOCK + other % BLOCK));
        let top = softmax(&gates.chain(local).collect::<Vec<_>>());
        let mut output = vec![0.0; self.width];
        let mut add = |other: usize, weight: f64| {
            let value = self.of(&self.value, self.key_heads, other, self.key_head(head));
            output.iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * value);
        };
        for ((block, slot), gate) in chosen.iter().zip(&slots).zip(&top) {
            let scores: Vec<f64> = (0..BLOCK - 1)
                .map(|place| self.score(token, head, block * BLOCK + place, slot * BLOCK + place))
                .collect();
            for (place, weight) in softmax(&scores).into_iter().enumerate() {
                add(block * BLOCK + place, gate * weight);
            }
        }
        own.zip(&top[chosen.len()..]).for_each(|(other, weight)| add(other, *weight));
        output
    }
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = scores.iter().map(|score| (score - largest).exp()).sum();
    scores.iter().map(|score| (score - largest).exp() / sum).collect()
}

#[test]
fn some_blocks_are_read_as_the_formula_says() {
    let input = input(1, 42);
    for (heads, choice) in
        [[2, 2], [3, 1]].into_iter().flat_map(|heads| CHOICES.map(|choice| (heads, choice)))
    {
        for (top_k, rotary) in [(1, true), (2, true), (3, true), (2, false)] {
            let [query_heads, key_heads] = heads;
            let layer = layer(query_heads, key_heads, rotary);
            let scalar = Scalar::new(&layer, &input, heads, rotary, top_k);
            let rows = (0..42).flat_map(|token| (0..query_heads).map(move |head| (token, head)));
            let read: Vec<f64> = rows.flat_map(|(token, head)| scalar.read(token, head, choice)).collect();
            let read = burn::tensor::TensorData::new(read, [1, 42, CHANNELS]);
            let options = (&plain(), burn::tensor::DType::F64);
            let wanted = layer.output.forward(Tensor::<3>::from_data(read, options));
            let mut store = store(&layer, &config(top_k, choice), 1);
            let error = apart(in_calls(&layer, &mut store, &input, &[42]), wanted);
            assert!(error < 1e-12, "{heads:?}, {choice:?}, top {top_k}, rotary {rotary}: {error:e}");
        }
    }
}

#[test]
fn it_does_not_matter_how_tokens_arrive() {
    let input = input(2, 34);
    let layer = layer(3, 1, true);
    for choice in [LandmarkChoice::PerHeadAndToken, LandmarkChoice::OverHeads] {
        let run =
            |sizes: &[usize]| in_calls(&layer, &mut store(&layer, &config(2, choice), 2), &input, sizes);
        let wanted = run(&[34]);
        for sizes in [vec![1; 34], vec![3, 30, 1], vec![4; 8], vec![17, 17]] {
            let sizes = if sizes.iter().sum::<usize>() == 32 { [sizes, vec![2]].concat() } else { sizes };
            assert!(apart(run(&sizes), wanted.clone()) < 1e-12, "{choice:?}, {sizes:?}");
        }
    }
    // One token at a time, a head has only that to choose for.
    let run = |choice| in_calls(&layer, &mut store(&layer, &config(2, choice), 2), &input, &[1; 34]);
    assert!(apart(run(LandmarkChoice::PerHead), run(LandmarkChoice::PerHeadAndToken)) < 1e-12);
}

#[test]
fn the_budget_bounds_what_is_on_the_device_and_changes_no_output() {
    let input = input(2, 400);
    let layer = layer(2, 1, true);
    for choice in CHOICES {
        // Sequences, heads, top_k.
        let least = 2 * 2 * 2;
        let run = |budget: usize| {
            let mut store = store(&layer, &config(2, choice).with_budget(Some(budget)), 2);
            let (mut outputs, mut room) = (Vec::new(), None);
            for from in (0..400).step_by(50) {
                outputs.push(layer.retrieve(input.clone().narrow(1, from, 50), &mut store).unwrap());
                assert!(store.resident() <= budget);
                let landmarks = 2 * store.blocks() * 6 * 8;
                let local = 2 * 2 * (store.position() as usize % BLOCK) * 6 * 8;
                let rest = store.device_bytes() - landmarks - local;
                assert_eq!(*room.get_or_insert(rest), rest);
            }
            (Tensor::cat(outputs, 1), store.counts())
        };
        let ((small, few), (large, many)) = (run(least), run(200));
        assert!(apart(small, large) < 1e-12, "{choice:?}");
        assert_eq!(few.read, many.read);
        assert!(few.loaded >= many.loaded && many.loaded <= 200, "{few:?}, {many:?}");
    }
}

#[test]
fn blocks_are_counted() {
    let layer = layer(2, 1, true);
    let mut store = store(&layer, &config(2, LandmarkChoice::PerHeadAndToken).with_budget(Some(1000)), 3);
    let input = input(3, 22);
    in_calls(&layer, &mut store, &input, &[22]);
    // Three sequences, two heads; tokens 4 to 7 read one block, the others two.
    assert_eq!(store.counts().read, 3 * 2 * (4 + 2 * 14));
    assert!(store.counts().loaded <= 3 * 5);
}

#[test]
fn a_store_in_a_file_is_one_in_memory_to_the_bit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks");
    let (input, layer) = (input(2, 60), layer(2, 2, true));
    for choice in CHOICES {
        let config = config(2, choice);
        let mut memory = store(&layer, &config, 2);
        let wanted = in_calls(&layer, &mut memory, &input, &[30, 30]);
        let mut file = LandmarkStore::create(&path, &layer, &config, 2, &plain()).unwrap();
        let found = in_calls(&layer, &mut file, &input, &[30, 30]);
        assert_eq!(found.into_data(), wanted.clone().into_data());
        assert_eq!((file.counts(), file.position()), (memory.counts(), memory.position()));
        drop(file);

        // A stream that stopped inside a block goes on from the block's first token.
        let mut file = LandmarkStore::create(&path, &layer, &config, 2, &plain()).unwrap();
        in_calls(&layer, &mut file, &input, &[30]);
        drop(file);
        let mut file = LandmarkStore::open(&path, &layer, &config, 2, &plain()).unwrap();
        assert_eq!((file.position(), file.blocks()), (28, 7));
        let rest = in_calls(&layer, &mut file, &input.clone().narrow(1, 28, 32), &[2, 30]);
        assert_eq!(rest.narrow(1, 2, 30).into_data(), wanted.narrow(1, 30, 30).into_data());
    }
}

#[test]
fn a_file_that_is_not_whole_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("blocks");
    let (layer, config) = (layer(2, 2, true), config(2, LandmarkChoice::PerHead));
    let mut file = LandmarkStore::create(&path, &layer, &config, 1, &plain()).unwrap();
    in_calls(&layer, &mut file, &input(1, 13), &[13]);
    let open = || LandmarkStore::open(&path, &layer, &config, 1, &plain()).map(|store| store.blocks());
    let refused = || match open() {
        Ok(_) => panic!("an error was expected"),
        Err(error) => error.to_string(),
    };
    assert!(refused().contains("another store uses it"));
    drop(file);
    assert_eq!(open().unwrap(), 3);

    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 7, 119, 120, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(refused().contains("is not a whole state file: "), "{length}");
    }
    std::fs::write(&path, [whole.clone(), vec![0]].concat()).unwrap();
    assert!(refused().contains("its 3 blocks do not make the"), "{}", refused());
    // Every byte of the header, and some of the blocks.
    for place in (0..120).chain((120..whole.len()).step_by(97)) {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let said = refused();
        assert!(
            said.contains("is not a whole state file") || said.contains("does not fit"),
            "{place}: {said}"
        );
        assert_eq!(said.lines().count(), 1);
    }
    std::fs::write(&path, &whole).unwrap();
    let other = LandmarkStore::open(&path, &layer, &config, 2, &plain());
    assert!(matches!(other, Err(StateError::Mismatch { .. })));
    assert!(matches!(
        LandmarkStore::open(directory.path().join("none"), &layer, &config, 1, &plain()),
        Err(StateError::Io { .. })
    ));
    assert_eq!(open().unwrap(), 3);
}

#[test]
fn what_does_not_fit_is_named() {
    let layer = layer(2, 2, true);
    let refused =
        |config: RetrievalConfig, batch| match LandmarkStore::in_memory(&layer, &config, batch, &plain()) {
            Ok(_) => panic!("an error was expected"),
            Err(error) => error.to_string(),
        };
    let of = |top_k| config(top_k, LandmarkChoice::PerHead);
    for (said, wanted) in [
        (refused(of(0), 1), "top_k is 0"),
        (refused(of(2), 0), "a store of no sequences"),
        (refused(of(2).with_budget(Some(11)), 3), "budget = 11, but at least 12 are wanted"),
        (refused(of(usize::MAX), 3), "numbers are wanted"),
        (
            said(|| layer.retrieve(input(2, 3), &mut store(&layer, &of(2), 1))),
            "`input` has the shape [2, 3, 12], but [B, T, D] = [1, 3, 12] is wanted",
        ),
        (
            said(|| layer.retrieve(Tensor::zeros([2, 0, CHANNELS], &plain()), &mut store(&layer, &of(2), 2))),
            "`input` has no elements on its time axis",
        ),
        (
            said(|| self::layer(2, 1, true).retrieve(input(1, 3), &mut store(&layer, &of(2), 1))),
            "The argument `store` is of another layer",
        ),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}
