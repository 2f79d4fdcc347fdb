//! The options of softmax attention together: against loops over plain numbers, in segments, and under hostile numbers.

use burn::tensor::{Bool, Device, FloatDType, Tensor, TensorData};
use proptest::prelude::*;
use seqzoo::ops::attention::{AttentionOptions, AttentionState, Prefix, attention};
use seqzoo::ops::{Form, Segments};
use seqzoo_tests::{Inputs, Outcome, autodiff, plain, values};

const FORMS: [Form; 3] = [Form::Naive, Form::Parallel, Form::Kernel];
const EXACT: f64 = 1e-10;
const KEY: usize = 4;
const VALUE: usize = 3;
const PREFIX: usize = 2;

/// What a call is given.
#[derive(Clone, Debug)]
struct Kind {
    key_heads: usize,
    group: usize,
    /// Entries of every cache.
    cached: usize,
    /// Whether older ones of them are hidden.
    hidden: bool,
    window: Option<usize>,
    bidirectional: bool,
    decays: bool,
    sinks: bool,
    prefix: bool,
    /// The probability of a reset.
    resets: f64,
}

const PLAIN: Kind = Kind {
    key_heads: 2,
    group: 2,
    cached: 0,
    hidden: false,
    window: None,
    bidirectional: false,
    decays: false,
    sinks: false,
    prefix: false,
    resets: 0.0,
};

/// A call whose inputs are all made of one vector, and so have one gradient.
#[derive(Clone, Debug)]
struct Call {
    kind: Kind,
    segments: Segments,
    numbers: Tensor<1>,
    resets: Option<Tensor<2, Bool>>,
    visible: Option<Tensor<2, Bool>>,
}

/// The tensors of a call.
struct Given {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    log_decay: Option<Tensor<3>>,
    sinks: Option<Tensor<1>>,
    prefix: Option<Prefix>,
    cache: Option<AttentionState>,
}

impl Call {
    /// A row for each list of lengths.
    fn random(kind: Kind, segments: Segments, seed: u64, device: &Device) -> Self {
        let (rows, time, count) = (segments.rows(), segments.time(), segments.count());
        let heads = kind.key_heads * kind.group;
        let mut inputs = Inputs::new(seed, device);
        let room = 20 * heads * (rows * time + count * kind.cached + PREFIX);
        let numbers = inputs.uniform([room]);
        let resets = (kind.resets > 0.0).then(|| inputs.flags([rows, time], kind.resets));
        let visible = (kind.hidden && kind.cached > 0).then(|| {
            let first = (0..count).map(|number| (number * 5 + 1) % (kind.cached + 1));
            let row = |first| (0..kind.cached).map(move |entry| entry >= first);
            let flags: Vec<bool> = first.flat_map(row).collect();
            Tensor::from_data(TensorData::new(flags, [count, kind.cached]), device)
        });
        Self { kind, segments, numbers, resets, visible }
    }

    /// Of rows that are one sequence each.
    fn of_rows(kind: Kind, rows: usize, time: usize, seed: u64, device: &Device) -> Self {
        Self::random(kind, Segments::new(time, vec![[time]; rows]), seed, device)
    }

    fn given(&self) -> Given {
        let (rows, time, count) = (self.segments.rows(), self.segments.time(), self.segments.count());
        let Kind { key_heads, group, cached, .. } = self.kind;
        let heads = key_heads * group;
        let mut next = 0;
        let mut take = |shape: [usize; 4]| {
            let length = shape.iter().product();
            next += length;
            self.numbers.clone().narrow(0, next - length, length).reshape(shape)
        };
        let (query, key) = (take([rows, time, heads, KEY]), take([rows, time, key_heads, KEY]));
        let value = take([rows, time, key_heads, VALUE]);
        let decays = take([rows, time, heads, 1]) - 1.0;
        let sinks = take([1, 1, 1, heads]).reshape([heads]);
        let asking = take([rows, time, heads, KEY]);
        let (keys, values) = (take([1, PREFIX, key_heads, KEY]), take([1, PREFIX, key_heads, VALUE]));
        let cache = (cached > 0).then(|| AttentionState {
            keys: take([count, cached, key_heads, KEY]).into(),
            values: take([count, cached, key_heads, VALUE]).into(),
            log_decays: self.kind.decays.then(|| (take([count, cached, heads, 1]) - 1.0).into()),
            visible: self.visible.clone(),
        });
        Given {
            query,
            key,
            value,
            log_decay: self.kind.decays.then(|| decays.reshape([rows, time, heads])),
            sinks: self.kind.sinks.then_some(sinks),
            prefix: self.kind.prefix.then_some(Prefix { query: Some(asking), keys, values }),
            cache,
        }
    }

    /// The tokens `from..to` of the rows `row..row + rows`.
    fn call(
        &self,
        given: &Given,
        rows: std::ops::Range<usize>,
        tokens: std::ops::Range<usize>,
        segments: Option<Segments>,
        initial_state: Option<AttentionState>,
        form: Form,
    ) -> (Tensor<4>, AttentionState) {
        let cut =
            |x: &Tensor<4>| x.clone().narrow(0, rows.start, rows.len()).narrow(1, tokens.start, tokens.len());
        let log_decay = given.log_decay.as_ref();
        let prefix = given.prefix.clone();
        let resets = self.resets.as_ref();
        let options = AttentionOptions {
            initial_state,
            window: self.kind.window,
            bidirectional: self.kind.bidirectional,
            log_decay: log_decay.map(|decay| cut(&decay.clone().unsqueeze_dim(3)).squeeze_dim(3)),
            sinks: given.sinks.clone(),
            prefix: prefix.map(|prefix| Prefix { query: prefix.query.as_ref().map(&cut), ..prefix }),
            resets: resets.map(|resets| {
                let resets = resets.clone().narrow(0, rows.start, rows.len());
                resets.narrow(1, tokens.start, tokens.len())
            }),
            segments,
            form,
            ..Default::default()
        };
        attention(cut(&given.query), cut(&given.key), cut(&given.value), options)
    }

    /// One call that is given rows.
    fn whole(&self, given: &Given, form: Form) -> (Tensor<4>, AttentionState) {
        let (rows, time) = (self.segments.rows(), self.segments.time());
        self.call(given, 0..rows, 0..time, None, given.cache.clone(), form)
    }

    /// One call that is given segments.
    fn packed(&self, given: &Given, form: Form) -> (Tensor<4>, AttentionState) {
        self.in_parts(given, &[self.segments.time()], form)
    }

    /// Calls that end at `ends`, each with what of the segments lies there.
    fn in_parts(&self, given: &Given, ends: &[usize], form: Form) -> (Tensor<4>, AttentionState) {
        let (mut from, mut state, mut outputs) = (0, given.cache.clone(), Vec::new());
        for end in ends {
            let segments = Some(self.segments.narrow(from..*end));
            let (output, next) = self.call(given, 0..self.segments.rows(), from..*end, segments, state, form);
            outputs.push(output);
            (from, state) = (*end, Some(next));
        }
        (Tensor::cat(outputs, 1), state.expect("there is a part"))
    }

    /// A call for every segment: the outputs, and the entries of every final cache.
    fn one_by_one(&self, given: &Given, form: Form) -> (Tensor<4>, Vec<Vec<Tensor<1>>>) {
        let mut states = Vec::new();
        let rows = (0..self.segments.rows()).map(|row| {
            let mut outputs = Vec::new();
            for number in self.segments.of_row(row) {
                let segment = self.segments.all()[number];
                let state = given.cache.clone().map(|cache| sequence(cache, number));
                if segment.length == 0 {
                    states.push(state.map_or(Vec::new(), |state| entries(&self.kind, state, 0)));
                    continue;
                }
                let tokens = segment.start..segment.start + segment.length;
                let (output, state) = self.call(given, row..row + 1, tokens, None, state, form);
                outputs.push(output);
                states.push(entries(&self.kind, state, 0));
            }
            Tensor::cat(outputs, 1)
        });
        (Tensor::cat(rows.collect(), 0), states)
    }

    /// Output, entries of the final caches, and the gradient of all inputs.
    fn outcome(&self, run: impl Fn(&Self, &Given) -> (Tensor<4>, Vec<Vec<Tensor<1>>>)) -> Outcome {
        let call = Self { numbers: self.numbers.clone().require_grad(), ..self.clone() };
        let (output, entries) = run(&call, &call.given());
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        let mut all = vec![output.reshape([-1])];
        all.extend(entries.into_iter().flatten());
        let all = Tensor::cat(all, 0);
        outcome.put("all", &all);
        let cotangent = Inputs::new(9, &all.device()).uniform(all.dims());
        let gradients = (all * cotangent).sum().backward();
        outcome.put_gradient("numbers", &call.numbers, &gradients);
        outcome
    }

    fn outcome_whole(&self, form: Form) -> Outcome {
        self.outcome(|call, given| listed(call, call.whole(given, form)))
    }

    fn outcome_packed(&self, form: Form) -> Outcome {
        self.outcome(|call, given| listed(call, call.packed(given, form)))
    }

    fn outcome_one_by_one(&self, form: Form) -> Outcome {
        self.outcome(|call, given| call.one_by_one(given, form))
    }

    /// The output of rows, number by number.
    fn law(&self) -> Vec<f64> {
        let given = self.given();
        let [rows, time, heads, _] = given.query.dims();
        let Kind { key_heads, group, cached, window, bidirectional, .. } = self.kind;
        let length = cached + time;
        let flag = |flags: &Option<Tensor<2, Bool>>| -> Option<Vec<bool>> {
            flags.as_ref().map(|flags| flags.to_data().iter().collect())
        };
        let (resets, visible) = (flag(&self.resets), flag(&self.visible));
        // Entries of the caches before the tokens, `[rows, length, heads, channels]`.
        let joined = |old: Option<Tensor<4>>, new: Tensor<4>| match old {
            Some(old) => values(Tensor::cat(vec![old, new], 1)),
            None => values(new),
        };
        let cache = given.cache.as_ref();
        let keys = joined(cache.map(|cache| cache.keys.tensor()), given.key.clone());
        let all_values = joined(cache.map(|cache| cache.values.tensor()), given.value.clone());
        let decays = given.log_decay.clone().map(|new| {
            let old = cache.and_then(|cache| cache.log_decays.as_ref()).map(|entries| entries.tensor());
            joined(old, new.unsqueeze_dim(3))
        });
        let query = values(given.query.clone());
        let sinks = given.sinks.clone().map(values);
        let prefix = given.prefix.clone().map(|Prefix { query, keys, values: learned }| {
            (values(query.expect("it asks")), values(keys), values(learned))
        });
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() * 0.5;
        let some = |all: &[f64], at: usize, width: usize| all[at * width..][..width].to_vec();

        let mut outputs = Vec::new();
        for (row, token, head) in (0..rows)
            .flat_map(|row| (0..time).map(move |token| (row, token)))
            .flat_map(|(row, token)| (0..heads).map(move |head| (row, token, head)))
        {
            let (place, key_head) = (cached + token, head / group);
            let asked = some(&query, (row * time + token) * heads + head, KEY);
            let mut seen: Vec<(f64, Vec<f64>)> = Vec::new();
            for key in 0..length {
                let (first, last) = (key.min(place), key.max(place));
                let mut between = (first + 1).max(cached)..last + 1;
                let reset = resets
                    .as_ref()
                    .is_some_and(|resets| between.any(|place| resets[row * time + place - cached]));
                let gone = key < cached && visible.as_ref().is_some_and(|v| !v[row * cached + key]);
                let far = window.is_some_and(|window| last - first >= window);
                if reset || gone || far || (key > place && !bidirectional) {
                    continue;
                }
                let at = (row * length + key) * key_heads + key_head;
                let decay: f64 = decays.as_ref().map_or(0.0, |decays| {
                    (key + 1..=place).map(|place| decays[(row * length + place) * heads + head]).sum()
                });
                seen.push((dot(&asked, &some(&keys, at, KEY)) + decay, some(&all_values, at, VALUE)));
            }
            if let Some((asking, keys, learned)) = &prefix {
                let asked = some(asking, (row * time + token) * heads + head, KEY);
                for at in (0..PREFIX).map(|place| place * key_heads + key_head) {
                    seen.push((dot(&asked, &some(keys, at, KEY)), some(learned, at, VALUE)));
                }
            }
            if let Some(sinks) = &sinks {
                seen.push((sinks[head], vec![0.0; VALUE]));
            }
            let total: f64 = seen.iter().map(|(score, _)| score.exp()).sum();
            for channel in 0..VALUE {
                let sum: f64 = seen.iter().map(|(score, value)| score.exp() * value[channel]).sum();
                outputs.push(sum / total);
            }
        }
        outputs
    }
}

/// The sequence `number` of a cache.
fn sequence(cache: AttentionState, number: usize) -> AttentionState {
    let row = |entries: Tensor<4>| entries.narrow(0, number, 1).into();
    AttentionState {
        keys: row(cache.keys.tensor()),
        values: row(cache.values.tensor()),
        log_decays: cache.log_decays.map(|decays| row(decays.tensor())),
        visible: cache.visible.map(|visible| visible.narrow(0, number, 1)),
    }
}

/// What a later token can see of the sequence `number` of a cache: keys, values and log decays.
fn entries(kind: &Kind, cache: AttentionState, number: usize) -> Vec<Tensor<1>> {
    let cache = sequence(cache, number);
    let length = cache.keys.dims()[1];
    let visible: Vec<bool> =
        cache.visible.map_or(vec![true; length], |visible| visible.to_data().iter().collect());
    assert!(visible.is_sorted(), "what is hidden lies before what is not");
    let count = visible.iter().filter(|visible| **visible).count();
    let kept = kind.window.map_or(count, |window| count.min(window.saturating_sub(1).max(1)));
    if kept == 0 {
        return Vec::new();
    }
    let mut all = vec![cache.keys.tensor(), cache.values.tensor()];
    all.extend(cache.log_decays.map(|decays| decays.tensor()));
    all.into_iter().map(|entries| entries.narrow(1, length - kept, kept).reshape([-1])).collect()
}

/// The output, and the entries of every sequence.
fn listed(call: &Call, (output, state): (Tensor<4>, AttentionState)) -> (Tensor<4>, Vec<Vec<Tensor<1>>>) {
    let count = state.keys.dims()[0];
    let all = (0..count).map(|number| entries(&call.kind, state.clone(), number));
    (output, all.collect())
}

/// Kinds that lead to other code.
fn kinds() -> Vec<Kind> {
    let more = Kind { cached: 5, hidden: true, decays: true, sinks: true, ..PLAIN };
    vec![
        PLAIN,
        Kind { cached: 3, ..PLAIN },
        Kind { window: Some(4), cached: 3, hidden: true, resets: 0.1, ..PLAIN },
        Kind { window: Some(1), cached: 1, sinks: true, ..PLAIN },
        more.clone(),
        Kind { window: Some(6), resets: 0.1, prefix: true, ..more.clone() },
        Kind { decays: false, bidirectional: true, ..more.clone() },
        Kind { decays: false, bidirectional: true, window: Some(3), resets: 0.1, prefix: true, ..more },
    ]
}

prop_compose! {
    fn any_kind()(
        key_heads in 1usize..3,
        group in 1usize..3,
        cached in prop::sample::select(vec![0usize, 0, 1, 4, 9]),
        window in prop::option::of(1usize..12),
        (hidden, bidirectional, decays, sinks, prefix) in any::<(bool, bool, bool, bool, bool)>(),
        resets in prop::sample::select(vec![0.0, 0.2, 0.9]),
    ) -> Kind {
        let decays = decays && !bidirectional;
        Kind { key_heads, group, cached, hidden, window, bidirectional, decays, sinks, prefix, resets }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_form_is_the_loop_over_plain_numbers(
        kind in any_kind(), rows in 1usize..4, time in 1usize..14, seed: u64,
    ) {
        let call = Call::of_rows(kind, rows, time, seed, &plain());
        let (wanted, given) = (call.law(), call.given());
        for form in FORMS {
            let found = values(call.whole(&given, form).0);
            let error = found.iter().zip(&wanted).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
            prop_assert!(found.len() == wanted.len() && error < 1e-12, "{form:?}: {error:e}");
        }
    }

    #[test]
    fn any_segments_equal_separate_sequences(
        kind in any_kind(),
        lengths in prop::collection::vec(prop::collection::vec(0usize..7, 0..5), 1..4),
        seed: u64,
    ) {
        let sum = |lengths: &Vec<usize>| lengths.iter().sum::<usize>();
        let time = lengths.iter().map(sum).max().unwrap_or(0).max(1);
        let rows = lengths.iter().map(|lengths| {
            let mut lengths = lengths.clone();
            lengths.push(time - sum(&lengths));
            lengths
        });
        let call = Call::random(kind, Segments::new(time, rows.collect::<Vec<_>>()), seed, &autodiff());
        let wanted = call.outcome_one_by_one(Form::Naive);
        for form in FORMS {
            call.outcome_packed(form).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for kind in kinds() {
        let call = Call::of_rows(kind, 2, 9, 1, &autodiff());
        let direction = values::<1>(Inputs::new(2, &plain()).uniform(call.numbers.dims()));
        for form in FORMS {
            let outcome = call.outcome_whole(form);
            let cotangent = values::<1>(Inputs::new(9, &plain()).uniform([outcome.values("all").len()]));
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let moved = |step: f64| {
                let along = Tensor::from_data(
                    TensorData::new(direction.clone(), [direction.len()]),
                    (&autodiff(), burn::tensor::DType::F64),
                );
                let call = Call { numbers: call.numbers.clone() + along * step, ..call.clone() };
                dot(call.outcome_whole(form).values("all"), &cotangent)
            };
            let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let analytic = dot(outcome.values("d_numbers"), &direction);
            let error = (numeric - analytic).abs();
            assert!(error < 1e-8 * numeric.abs().max(1.0), "{form:?}, {:?}: {error:e}", call.kind);
        }
    }
}

#[test]
fn a_call_may_end_inside_a_segment() {
    let segments = Segments::new(23, [vec![0, 14, 1, 0, 8], vec![5, 18, 0]]);
    for kind in kinds().into_iter().filter(|kind| !kind.bidirectional) {
        let call = Call::random(kind, segments.clone(), 3, &autodiff());
        let wanted = call.outcome_packed(Form::Naive);
        for form in FORMS {
            for ends in [&[1, 23][..], &[10, 23], &[5, 14, 15, 23], &[16, 22, 23]] {
                let parts = |call: &Call, given: &Given| listed(call, call.in_parts(given, ends, form));
                call.outcome(parts).assert_close(&wanted, EXACT);
            }
        }
    }
}

#[test]
fn one_token_of_every_stream_is_a_step() {
    for kind in kinds() {
        let call = Call::random(kind, Segments::in_one_row([1, 0, 1, 1]), 4, &autodiff());
        let wanted = call.outcome_one_by_one(Form::Naive);
        for form in FORMS {
            call.outcome_packed(form).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn a_stream_of_segments_keeps_no_more_than_its_longest() {
    // Two streams take turns in how many tokens they get: the caches hold what the longer one has, not the sum of the longest.
    let call = Call::random(PLAIN, Segments::new(8, [[5, 3]]), 5, &plain());
    let given = call.given();
    let state = |segments: [usize; 2], state| {
        call.call(&given, 0..1, 0..8, Some(Segments::in_one_row(segments)), state, Form::Auto).1
    };
    let first = state([5, 3], None);
    assert_eq!(first.keys.dims()[..2], [2, 5]);
    assert_eq!(state([3, 5], Some(first)).keys.dims()[..2], [2, 8]);
}

#[test]
fn no_rows_have_no_segments() {
    let segments = Segments::new(5, Vec::<Vec<usize>>::new());
    for form in FORMS {
        let options = AttentionOptions { segments: Some(segments.clone()), form, ..Default::default() };
        let tokens = |heads, channels| Tensor::zeros([0, 5, heads, channels], &plain());
        let (output, state) = attention(tokens(4, KEY), tokens(2, KEY), tokens(2, VALUE), options);
        assert_eq!((output.dims(), state.keys.dims()[0]), ([0, 5, 4, VALUE], 0), "{form:?}");
    }
}

/// The output of one head with these log decays, computed in `dtype`.
fn decayed(time: usize, log_decay: Vec<f64>, dtype: FloatDType, form: Form) -> Tensor<4> {
    let device = plain();
    let mut inputs = Inputs::new(7, &device);
    let tokens = [1, time, 1, KEY];
    let [query, key, value] = [inputs.uniform(tokens), inputs.uniform(tokens), inputs.uniform(tokens)];
    let log_decay =
        Tensor::<3>::from_data(TensorData::new(log_decay, [1, time, 1]), (&device, burn::tensor::DType::F64));
    let options = AttentionOptions { log_decay: Some(log_decay.cast(dtype)), form, ..Default::default() };
    let cast = |x: Tensor<4>| x.cast(dtype);
    attention(cast(query), cast(key), cast(value), options).0.cast(FloatDType::F64)
}

#[test]
fn strong_decay_in_single_precision_is_as_good_as_in_double() {
    // Decays of e^-30 next to none at all, and gates that forget everything: what lies after them has all its digits.
    let draws: Vec<f64> = values::<1>(Inputs::new(8, &plain()).between([300], 0.0, 1.0));
    for strong in [-30.0, -1e4, -1e8] {
        for rate in [0.02, 0.7] {
            let log_decay: Vec<f64> =
                draws.iter().map(|x| if *x < rate { strong } else { -0.25 * x }).collect();
            let wanted = decayed(300, log_decay.clone(), FloatDType::F64, Form::Naive);
            for form in FORMS {
                let found = decayed(300, log_decay.clone(), FloatDType::F32, form);
                let error = (found - wanted.clone()).abs().max().into_scalar::<f64>();
                assert!(error < 3e-6, "{form:?}, {strong}, {rate}: {error:e}");
            }
        }
    }
}

#[test]
fn a_decay_of_minus_infinity_forgets_all_before_it() {
    let mut log_decay = vec![-0.5; 40];
    log_decay[17] = f64::NEG_INFINITY;
    let reset = |form| {
        let mut finite = log_decay.clone();
        finite[17] = -1e6;
        decayed(40, finite, FloatDType::F64, form)
    };
    for form in FORMS {
        let found = decayed(40, log_decay.clone(), FloatDType::F64, form);
        let error = (found - reset(Form::Naive)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-12, "{form:?}: {error:e}");
    }
}

#[test]
fn a_hidden_decay_does_not_count_even_where_it_is_no_number() {
    let device = plain();
    for (window, reset) in [(None, true), (Some(4), false), (Some(4), true)] {
        let kind = Kind { decays: true, window, key_heads: 1, group: 1, ..PLAIN };
        let mut call = Call::of_rows(kind, 1, 14, 5, &device);
        call.resets = reset.then(|| seqzoo_tests::flags(1, 14, &[6], &device));
        let good = call.given();
        let mut bad = call.given();
        bad.log_decay = bad.log_decay.map(|decay| {
            decay.slice_assign(
                [0..1, 3..4, 0..1],
                Tensor::full([1, 1, 1], f64::NAN, (&device, burn::tensor::DType::F64)),
            )
        });
        // Those that see it are NaN, and the others what they are without it.
        let found = |given: &Given, form, from, count| call.whole(given, form).0.narrow(1, from, count);
        for form in FORMS {
            for (from, count) in [(0, 3), (8, 6)] {
                let [bad, good] = [&bad, &good].map(|given| found(given, form, from, count).into_data());
                assert_eq!(bad, good, "{form:?}, {window:?}, {reset}");
            }
            let seen = found(&bad, form, 3, 3).is_nan().all().into_scalar::<bool>();
            assert!(seen, "{form:?}, {window:?}, {reset}");
        }
    }
}

#[test]
fn large_scores_are_those_of_the_largest_key() {
    // Scores of +-1e4 beside sinks and decays as large: one key, or the sink, has all the weight.
    let device = plain();
    for dtype in [FloatDType::F32, FloatDType::F64] {
        let call = Call::of_rows(Kind { cached: 3, decays: true, sinks: true, ..PLAIN }, 2, 40, 5, &device);
        let given = call.given();
        let cast = |x: Tensor<4>, factor: f64| (x * factor).cast(dtype);
        let run = |form| {
            let cache = given.cache.clone().map(|cache| AttentionState {
                keys: cast(cache.keys.tensor(), 200.0).into(),
                values: cast(cache.values.tensor(), 1.0).into(),
                log_decays: cache.log_decays.map(|decays| cast(decays.tensor(), 5e3).into()),
                visible: None,
            });
            let options = AttentionOptions {
                initial_state: cache,
                log_decay: given.log_decay.clone().map(|decay| (decay * 5e3).cast(dtype)),
                sinks: given.sinks.clone().map(|sinks| (sinks * 1e4).cast(dtype)),
                form,
                ..Default::default()
            };
            let (query, key) = (cast(given.query.clone(), 200.0), cast(given.key.clone(), 200.0));
            attention(query, key, cast(given.value.clone(), 1.0), options).0.cast(FloatDType::F64)
        };
        let wanted = run(Form::Naive);
        assert!(wanted.clone().is_finite().all().into_scalar::<bool>());
        for form in FORMS {
            let error = (run(form) - wanted.clone()).abs().max().into_scalar::<f64>();
            let most = if dtype == FloatDType::F64 { 1e-10 } else { 5e-3 };
            assert!(error < most, "{form:?}, {dtype:?}: {error:e}");
        }
    }
}

#[test]
fn one_token_after_a_hundred_thousand() {
    let length = 100_000;
    for window in [None, Some(5000)] {
        let kind = Kind { cached: length, decays: true, sinks: true, window, key_heads: 1, ..PLAIN };
        let call = Call::of_rows(kind, 1, 1, 5, &plain());
        let Given { query, key, value, log_decay, sinks, cache, .. } = call.given();
        let cache = cache.expect("entries are cached");
        // So weak that the oldest entries count.
        let weak = |decays: Tensor<4>| decays * 1e-5;
        let log_decay = weak(log_decay.expect("it decays").unsqueeze_dim(3));
        let log_decays = weak(cache.log_decays.as_ref().expect("it decays").tensor());
        let [query_numbers, keys, all_values, decays] = [
            query.clone(),
            Tensor::cat(vec![cache.keys.tensor(), key.clone()], 1),
            Tensor::cat(vec![cache.values.tensor(), value.clone()], 1),
            Tensor::cat(vec![log_decays.clone(), log_decay.clone()], 1),
        ]
        .map(values);
        let sink_numbers = values(sinks.clone().expect("there are sinks"));
        let mut wanted = Vec::new();
        for (head, sink) in sink_numbers.into_iter().enumerate() {
            let asked = &query_numbers[head * KEY..][..KEY];
            let (mut total, mut sum, mut decay) = (sink.exp(), [0.0; VALUE], 0.0);
            for entry in (0..=length).rev().take(window.unwrap_or(usize::MAX)) {
                let dot: f64 = asked.iter().zip(&keys[entry * KEY..]).map(|(a, b)| a * b).sum();
                let weight = (dot * 0.5 + decay).exp();
                total += weight;
                for (sum, value) in sum.iter_mut().zip(&all_values[entry * VALUE..]) {
                    *sum += weight * value;
                }
                decay += decays[entry * 2 + head];
            }
            wanted.extend(sum.map(|sum| sum / total));
        }
        let cache = AttentionState { log_decays: Some(log_decays.into()), ..cache };
        for form in [Form::Parallel, Form::Kernel] {
            let options = AttentionOptions {
                initial_state: Some(cache.clone()),
                window,
                log_decay: Some(log_decay.clone().squeeze_dim(3)),
                sinks: sinks.clone(),
                form,
                ..Default::default()
            };
            let found = values(attention(query.clone(), key.clone(), value.clone(), options).0);
            let error = found.iter().zip(&wanted).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
            assert!(error < 1e-12, "{form:?}, {window:?}: {error:e}");
        }
    }
}
