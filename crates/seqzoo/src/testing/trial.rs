//! The checks.

use super::outcome::{Outcome, state_loss, tracked};
use super::random::Random;
use super::{double, flags};
use crate::ops::Segments;
use crate::state::shared_by_all;
use crate::{MixerState, SequenceMixer};
use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Device, Int, Tensor};

/// Checks of a layer on random inputs of `channels` channels in `f64`, which the layer is converted to.
///
/// Every check panics with a sentence if the layer fails it.
#[derive(Clone, Debug)]
pub struct Trial {
    channels: usize,
    device: Device,
    time: usize,
    tolerance: f64,
}

impl Trial {
    /// Checks of layers with `channels` channels, made on `device`. [`law`](Self::law) and
    /// [`detachment`](Self::detachment) want a device with autodiff.
    pub fn new(channels: usize, device: &Device) -> Self {
        Self { channels, device: device.clone(), time: 40, tolerance: 1e-9 }
    }

    /// How many tokens the law is checked on. Default: 40.
    pub fn with_time(self, time: usize) -> Self {
        Self { time, ..self }
    }

    /// How far two ways to compute the same may differ, relative to the largest element. Default: `1e-9`.
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// Every check.
    #[track_caller]
    pub fn all<M: SequenceMixer>(&self, layer: &M) {
        self.law(layer);
        self.fresh_start(layer);
        self.packing(layer);
        self.segments(layer);
        self.causality(layer);
        self.state_on_disk(layer);
        self.untouched_state_on_disk(layer);
        self.selection(layer);
        self.replacement(layer);
        self.fork(layer);
        self.detachment(layer);
    }

    /// The law: `forward` over a sequence = `forward` over any split of it in two = `step` token by token, in
    /// outputs, the final state, and the gradients of input, initial state and parameters. It starts from random
    /// numbers instead of the initial state; see [`law_from`](Self::law_from) where not any numbers will do.
    #[track_caller]
    pub fn law<M: SequenceMixer>(&self, layer: &M) {
        self.check_law(layer, |random, initial| random.state(initial));
    }

    /// [`law`](Self::law) from the state given, of two sequences.
    #[track_caller]
    pub fn law_from<M: SequenceMixer>(&self, layer: &M, state: M::State) {
        self.check_law(layer, |_, _| state.clone());
    }

    #[track_caller]
    fn check_law<M: SequenceMixer>(&self, layer: &M, start: impl Fn(&mut Random, M::State) -> M::State) {
        self.wants_autodiff();
        let (layer, time) = (self.prepared(layer), self.time);
        let whole = self.outcome(&layer, &start, &[time]);
        for split in 1..time {
            let case = format!("split after {split} of {time} tokens");
            self.outcome(&layer, &start, &[split, time]).assert_close(&whole, self.tolerance, &case);
        }
        let steps: Vec<usize> = (1..=time).collect();
        self.outcome(&layer, &start, &steps).assert_close(&whole, self.tolerance, "token by token");
    }

    /// Output, final state and the gradients of input, initial state and all parameters, where the tokens arrive in
    /// parts that end at `ends`.
    fn outcome<M: SequenceMixer>(
        &self,
        layer: &M,
        start: impl Fn(&mut Random, M::State) -> M::State,
        ends: &[usize],
    ) -> Outcome {
        let shape = [2, self.time, self.channels];
        let mut random = self.random(5);
        let input = random.uniform(shape).require_grad();
        let initial = tracked(start(&mut random, layer.init_state(2, &self.device)));
        let after = in_parts(layer, &input, initial.clone(), ends);
        self.recorded(layer, (input, initial), after, &mut random)
    }

    /// Output and final state, and the gradients of input, initial state and all parameters.
    fn recorded<M: SequenceMixer>(
        &self,
        layer: &M,
        (input, initial): (Tensor<3>, M::State),
        (output, last): (Tensor<3>, M::State),
        random: &mut Random,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        outcome.put("output", &output);
        outcome.put_state(&last);
        let weights = random.uniform(output.dims());
        let score = (output * weights).sum();
        let gradients = state_loss(&last, 6, score).backward();
        outcome.put_gradient("input", &input, &gradients);
        outcome.put_state_gradients(&initial, &gradients);
        outcome.put_parameter_gradients(layer, &gradients);
        outcome
    }

    /// No state is the initial state, to the last bit.
    #[track_caller]
    pub fn fresh_start<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let input = self.random(3).uniform([2, 9, self.channels]);
        let (none, _) = layer.forward(input.clone(), None);
        let (given, _) = layer.forward(input, Some(layer.init_state(2, &self.device)));
        same(none, given, "a start without a state differs from one with the initial state");
    }

    /// Sequences packed into one row by resets give what they give separately, and what follows sees only the last.
    #[track_caller]
    pub fn packing<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let starts = [0, 1, 6, 20, 27];
        let input = self.random(3).uniform::<3>([2, 27, self.channels]);
        let resets = flags(2, 27, &starts, &self.device);
        let (packed, packed_state) = layer.forward_packed(input.clone(), Some(resets), None);
        let parts: Vec<_> = starts
            .windows(2)
            .map(|ends| layer.forward(input.clone().narrow(1, ends[0], ends[1] - ends[0]), None))
            .collect();
        let last = parts.last().expect("there are four sequences").1.clone();
        let separate = Tensor::cat(parts.into_iter().map(|(output, _)| output).collect(), 1);
        self.close(packed, separate, "packed sequences differ from separate ones");

        let more = self.random(4).uniform::<3>([2, 5, self.channels]);
        let (after, _) = layer.forward(more.clone(), Some(packed_state));
        let (alone, _) = layer.forward(more, Some(last));
        self.close(after, alone, "the state after packed sequences differs from that of the last one");
    }

    /// Segments of one call give what each gives alone, in outputs, final states, and the gradients of input, initial states
    /// and parameters. A layer whose sequences share something in their state is left alone, for it has no segments.
    #[track_caller]
    pub fn segments<M: SequenceMixer>(&self, layer: &M) {
        self.wants_autodiff();
        let layer = self.prepared(layer);
        if shared_by_all(&layer.init_state(1, &self.device)).is_some() {
            return;
        }
        let segments = Segments::new(19, [vec![7, 0, 12], vec![1, 2, 3, 13, 0]]);
        let together = self.outcome_of_segments(&layer, &segments, |input, state| {
            layer.forward_segments(input, &segments, Some(state))
        });
        let alone = self.outcome_of_segments(&layer, &segments, |input, state| {
            let mut rows = vec![Vec::new(); segments.rows()];
            let mut last = state.clone();
            for (number, segment) in segments.all().iter().enumerate().filter(|(_, own)| own.length > 0) {
                let own = state.clone().select(Tensor::from_ints([number as i32], &self.device));
                let tokens = input.clone().narrow(0, segment.row, 1);
                let tokens = tokens.narrow(1, segment.start, segment.length);
                let (output, after) = layer.forward(tokens, Some(own));
                rows[segment.row].push(output);
                last = last.put(&[number], after);
            }
            (Tensor::cat(rows.into_iter().map(|outputs| Tensor::cat(outputs, 1)).collect(), 0), last)
        });
        together.assert_close(&alone, self.tolerance, "segments in one call");
    }

    fn outcome_of_segments<M: SequenceMixer>(
        &self,
        layer: &M,
        segments: &Segments,
        run: impl Fn(Tensor<3>, M::State) -> (Tensor<3>, M::State),
    ) -> Outcome {
        let shape = [segments.rows(), segments.time(), self.channels];
        let mut random = self.random(5);
        let input = random.uniform(shape).require_grad();
        let initial = tracked(random.state(layer.init_state(segments.count(), &self.device)));
        let (output, last) = run(input.clone(), initial.clone());
        self.recorded(layer, (input, initial), (output, last), &mut random)
    }

    /// A token changes nothing before it, to the last bit.
    #[track_caller]
    pub fn causality<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let input = self.random(3).uniform::<3>([2, 30, self.channels]);
        let token = input.clone().narrow(1, 17, 1) + 1.0;
        let changed = input.clone().slice_assign([0..2, 17..18, 0..self.channels], token);
        let before = |input: Tensor<3>| layer.forward(input, None).0.narrow(1, 0, 17);
        same(before(input), before(changed), "a changed token changes outputs before it");
    }

    /// A state that is saved and loaded holds the same numbers and continues to the last bit.
    #[track_caller]
    pub fn state_on_disk<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let (state, more) = self.used(&layer);
        let loaded = reloaded(&layer, &state, &self.device);
        recorded(&loaded).assert_close(&recorded(&state), 0.0, "saved and loaded");
        assert_eq!(loaded.bytes(), state.bytes(), "saved and loaded: the state takes different bytes.");
        let go = |state| layer.forward(more.clone(), Some(state)).0;
        same(go(state), go(loaded), "a loaded state continues differently from the one that was saved");
    }

    /// An initial state that is saved and loaded is still one.
    #[track_caller]
    pub fn untouched_state_on_disk<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let loaded = reloaded(&layer, &layer.init_state(2, &self.device), &self.device);
        let input = self.random(2).uniform::<3>([2, 4, self.channels]);
        let (found, _) = layer.forward(input.clone(), Some(loaded));
        let (wanted, _) = layer.forward(input, None);
        same(found, wanted, "a loaded initial state differs from a start without a state");
    }

    /// Selected sequences of a state go on as they would have, to the last bit.
    #[track_caller]
    pub fn selection<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let (state, more) = self.used(&layer);
        let (all, _) = layer.forward(more.clone(), Some(state.clone()));
        let rows = Tensor::<1, Int>::from_ints([2, 0, 2], &self.device);
        let (picked, _) = layer.forward(more.select(0, rows.clone()), Some(state.select(rows.clone())));
        same(picked, all.select(0, rows), "selected sequences of a state go on differently");
    }

    /// Sequences taken out of a state come back where they are put, to the last bit.
    #[track_caller]
    pub fn replacement<M: SequenceMixer>(&self, layer: &M) {
        let (state, _) = self.used(&self.prepared(layer));
        let rows = |rows: &[i32]| Tensor::<1, Int>::from_ints(rows, &self.device);
        let swapped = state.clone().put(&[2, 0], state.clone().select(rows(&[0, 2])));
        let wanted = state.select(rows(&[2, 1, 0]));
        recorded(&swapped).assert_close(&recorded(&wanted), 0.0, "sequences put into a state");
    }

    /// A copy of a state that goes on leaves the original alone.
    #[track_caller]
    pub fn fork<M: SequenceMixer>(&self, layer: &M) {
        let layer = self.prepared(layer);
        let mut random = self.random(2);
        let (_, state) = layer.forward(random.uniform([1, 9, self.channels]), None);
        let before = recorded(&state);
        layer.forward(random.uniform([1, 5, self.channels]), Some(state.clone()));
        recorded(&state).assert_close(&before, 0.0, "after its copy went on");
    }

    /// No gradient passes a detached state.
    #[track_caller]
    pub fn detachment<M: SequenceMixer>(&self, layer: &M) {
        self.wants_autodiff();
        let layer = self.prepared(layer);
        let mut random = self.random(2);
        let first = random.uniform::<3>([1, 9, self.channels]).require_grad();
        let second = random.uniform::<3>([1, 4, self.channels]).require_grad();
        let (_, state) = layer.forward(first.clone(), None);
        let (output, _) = layer.forward(second.clone(), Some(state.detach()));
        let gradients = output.sum().backward();
        assert!(first.grad(&gradients).is_none(), "A gradient passes a detached state.");
        assert!(second.grad(&gradients).is_some(), "No gradient reaches the tokens after a detached state.");
    }

    /// A state of three sequences, some tokens after resets at different ones, and tokens to go on with. Such resets
    /// leave a mask in the cache of attention, which must survive too.
    fn used<M: SequenceMixer>(&self, layer: &M) -> (M::State, Tensor<3>) {
        let mut random = self.random(2);
        let (seen, more) = (random.uniform([3, 9, self.channels]), random.uniform([3, 4, self.channels]));
        let resets = (0..3).map(|row| flags(1, 9, &[7 - row], &self.device)).collect();
        let (_, state) = layer.forward_packed(seen, Some(Tensor::cat(resets, 0)), None);
        (state, more)
    }

    fn random(&self, seed: u64) -> Random {
        Random::new(seed, &self.device)
    }

    #[track_caller]
    fn wants_autodiff(&self) {
        assert!(
            self.device.is_autodiff(),
            "The check compares gradients: make the layer and the trial on a device with autodiff, such as \
             `Device::default().autodiff()`."
        );
    }

    /// The layer in `f64`.
    #[track_caller]
    fn prepared<M: SequenceMixer>(&self, layer: &M) -> M {
        struct Tracked(bool);
        impl ModuleVisitor for Tracked {
            #[track_caller]
            fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
                assert!(
                    parameter.val().is_autodiff() == self.0,
                    "The layer and the trial must be made on the same device, with autodiff or without."
                );
            }
        }
        layer.visit(&mut Tracked(self.device.is_autodiff()));
        double(layer.clone())
    }

    #[track_caller]
    fn close(&self, found: Tensor<3>, wanted: Tensor<3>, problem: &str) {
        let outcome = |tensor: &Tensor<3>| {
            let mut outcome = Outcome::default();
            outcome.put("output", tensor);
            outcome
        };
        outcome(&found).assert_close(&outcome(&wanted), self.tolerance, problem);
    }
}

/// Runs `input` in parts that end at `ends`; parts of one token go through `step`.
fn in_parts<M: SequenceMixer>(
    layer: &M,
    input: &Tensor<3>,
    state: M::State,
    ends: &[usize],
) -> (Tensor<3>, M::State) {
    let (mut from, mut state, mut outputs) = (0, state, Vec::new());
    for end in ends {
        let part = input.clone().narrow(1, from, end - from);
        let (output, next) = if end - from == 1 {
            let (output, next) = layer.step(part.squeeze_dim(1), state);
            (output.unsqueeze_dim(1), next)
        } else {
            layer.forward(part, Some(state))
        };
        outputs.push(output);
        (from, state) = (*end, next);
    }
    (Tensor::cat(outputs, 1), state)
}

#[track_caller]
fn same(found: Tensor<3>, wanted: Tensor<3>, problem: &str) {
    assert!(found.into_data() == wanted.into_data(), "The layer breaks its contract: {problem}.");
}

fn recorded<S: MixerState>(state: &S) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.put_state(state);
    outcome
}

/// `state` through a file.
#[track_caller]
fn reloaded<M: SequenceMixer>(layer: &M, state: &M::State, device: &Device) -> M::State {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let path = directory.path().join("layer.state");
    state.save(&path).unwrap_or_else(|error| panic!("The state cannot be saved: {error}."));
    layer.load_state(&path, device).unwrap_or_else(|error| panic!("The state cannot be loaded: {error}."))
}
