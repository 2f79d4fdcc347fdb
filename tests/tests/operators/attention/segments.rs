//! Several sequences in a row, each with a cache of its own.

use super::{EXACT, FORMS};
use burn::tensor::{Device, Tensor};
use seqzoo::ops::attention::{AttentionOptions, AttentionState, Entries, Prefix, attention};
use seqzoo::ops::{Form, Segments};
use seqzoo_tests::{Inputs, Outcome, autodiff, plain, said};

/// What a call is given, and the options of it.
#[derive(Clone)]
struct Case {
    tokens: [Tensor<4>; 3], // query, key and value
    log_decay: Option<Tensor<3>>,
    cache: Vec<Cache>, // of each segment
    lengths: Vec<Vec<usize>>,
    resets: Option<Tensor<2, burn::tensor::Bool>>,
    sinks: Option<Tensor<1>>,
    prefix: Option<Prefix>,
    window: Option<usize>,
    bidirectional: bool,
}

#[derive(Clone)]
struct Cache {
    keys: Tensor<4>,
    values: Tensor<4>,
    log_decays: Option<Tensor<4>>,
}

impl Cache {
    fn state(&self) -> AttentionState {
        AttentionState {
            keys: self.keys.clone().into(),
            values: self.values.clone().into(),
            log_decays: self.log_decays.clone().map(Entries::from),
            visible: None,
        }
    }

    fn tensors(&self) -> impl Iterator<Item = &Tensor<4>> {
        [&self.keys, &self.values].into_iter().chain(&self.log_decays)
    }
}

impl Case {
    fn new(lengths: &[&[usize]], cached: &[usize], decays: bool, device: &Device) -> Self {
        let mut inputs = Inputs::new(3, device);
        let (batch, time) = (lengths.len(), lengths[0].iter().sum());
        let decay = |numbers: Tensor<4>| numbers - 1.0;
        Self {
            tokens: [
                inputs.uniform([batch, time, 4, 3]),
                inputs.uniform([batch, time, 2, 3]),
                inputs.uniform([batch, time, 2, 5]),
            ],
            log_decay: decays.then(|| inputs.uniform([batch, time, 4]) - 1.0),
            cache: cached
                .iter()
                .map(|length| Cache {
                    keys: inputs.uniform([1, *length, 2, 3]),
                    values: inputs.uniform([1, *length, 2, 5]),
                    log_decays: decays.then(|| decay(inputs.uniform([1, *length, 4, 1]))),
                })
                .collect(),
            lengths: lengths.iter().map(|lengths| lengths.to_vec()).collect(),
            resets: None,
            sinks: None,
            prefix: None,
            window: None,
            bidirectional: false,
        }
    }

    fn options(&self, form: Form) -> AttentionOptions {
        AttentionOptions {
            window: self.window,
            bidirectional: self.bidirectional,
            sinks: self.sinks.clone(),
            prefix: self.prefix.clone(),
            form,
            ..Default::default()
        }
    }

    fn segments(&self) -> Segments {
        Segments::new(self.tokens[0].dims()[1], self.lengths.iter())
    }

    /// All caches as one, the shorter ones with hidden entries first.
    fn joined(&self) -> AttentionState {
        let longest = self.cache.iter().map(|cache| cache.keys.dims()[1]).max().unwrap();
        let padded = |x: &Tensor<4>, with: f64| {
            let [_, length, heads, channels] = x.dims();
            // What is hidden does not count, whatever it is.
            let before = Tensor::full([1, longest - length, heads, channels], with, (&x.device(), x.dtype()));
            if longest == length { x.clone() } else { Tensor::cat(vec![before, x.clone()], 1) }
        };
        let all = |of: &dyn Fn(&Cache) -> Tensor<4>| Tensor::cat(self.cache.iter().map(of).collect(), 0);
        let device = self.tokens[0].device();
        let visible = self.cache.iter().flat_map(|cache| {
            let length = cache.keys.dims()[1];
            (0..longest).map(move |entry| entry >= longest - length)
        });
        let visible =
            burn::tensor::TensorData::new(visible.collect::<Vec<bool>>(), [self.cache.len(), longest]);
        AttentionState {
            keys: all(&|cache| padded(&cache.keys, f64::NAN)).into(),
            values: all(&|cache| padded(&cache.values, f64::NAN)).into(),
            log_decays: self
                .log_decay
                .is_some()
                .then(|| all(&|cache| padded(cache.log_decays.as_ref().unwrap(), -1.0)).into()),
            visible: Some(Tensor::from_data(visible, &device)),
        }
    }

    fn packed(&self, form: Form) -> (Tensor<4>, Vec<AttentionState>) {
        let [query, key, value] = self.tokens.clone();
        let options = AttentionOptions {
            initial_state: Some(self.joined()),
            log_decay: self.log_decay.clone(),
            resets: self.resets.clone(),
            segments: Some(self.segments()),
            ..self.options(form)
        };
        let (output, state) = attention(query, key, value, options);
        let visible =
            state.visible.as_ref().map(|visible| visible.to_data().iter::<bool>().collect::<Vec<_>>());
        let length = state.keys.dims()[1];
        let states = (0..self.cache.len()).map(|number| {
            let hidden = visible.as_ref().map_or(0, |visible| {
                visible[number * length..][..length].iter().take_while(|visible| !**visible).count()
            });
            let own = |entries: &Entries| from(entries.tensor().narrow(0, number, 1), hidden);
            AttentionState {
                keys: own(&state.keys),
                values: own(&state.values),
                log_decays: state.log_decays.as_ref().map(own),
                visible: None,
            }
        });
        (output, states.collect())
    }

    fn one_by_one(&self) -> (Tensor<4>, Vec<AttentionState>) {
        let segments = self.segments();
        let [batch, time, heads, _] = self.tokens[0].dims();
        let (mut rows, mut states) = (Vec::new(), Vec::new());
        for row in 0..batch {
            let mut outputs = Vec::new();
            for number in segments.of_row(row) {
                let segment = segments.all()[number];
                let state = self.cache[number].state();
                if segment.length == 0 {
                    // Of a longer cache than a window needs, the rest may go.
                    let kept = self.window.map_or(usize::MAX, |window| (window - 1).max(1));
                    let length = state.keys.dims()[1];
                    let first = length.saturating_sub(kept);
                    let newest = |entries: &Entries| from(entries.tensor(), first);
                    states.push(AttentionState {
                        keys: newest(&state.keys),
                        values: newest(&state.values),
                        log_decays: state.log_decays.as_ref().map(newest),
                        visible: None,
                    });
                    continue;
                }
                let (start, length) = (segment.start, segment.length);
                fn cut<const D: usize>(x: &Tensor<D>, row: usize, start: usize, length: usize) -> Tensor<D> {
                    x.clone().narrow(0, row, 1).narrow(1, start, length)
                }
                let [query, key, value] = self.tokens.each_ref().map(|x| cut(x, row, start, length));
                let options = AttentionOptions {
                    initial_state: Some(state),
                    log_decay: self.log_decay.as_ref().map(|x| cut(x, row, start, length)),
                    resets: self
                        .resets
                        .clone()
                        .map(|resets| resets.narrow(0, row, 1).narrow(1, start, length)),
                    ..self.options(Form::Naive)
                };
                let (output, state) = attention(query, key, value, options);
                outputs.push(output);
                states.push(state);
            }
            rows.push(Tensor::cat(outputs, 1));
        }
        let output = Tensor::cat(rows, 0);
        assert_eq!(output.dims()[..3], [batch, time, heads]);
        (output, states)
    }

    fn outcome(&self, run: impl Fn(&Self) -> (Tensor<4>, Vec<AttentionState>)) -> Outcome {
        let mut case = self.clone();
        case.tokens = case.tokens.map(Tensor::require_grad);
        case.log_decay = case.log_decay.map(Tensor::require_grad);
        case.sinks = case.sinks.map(Tensor::require_grad);
        for cache in &mut case.cache {
            cache.keys = cache.keys.clone().require_grad();
            cache.values = cache.values.clone().require_grad();
            cache.log_decays = cache.log_decays.clone().map(Tensor::require_grad);
        }
        let (output, states) = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        let mut inputs = Inputs::new(5, &autodiff());
        let mut loss = (output.clone() * inputs.uniform(output.dims())).sum();
        for (number, state) in states.iter().enumerate() {
            for (name, entries) in [
                ("keys", Some(&state.keys)),
                ("values", Some(&state.values)),
                ("decays", state.log_decays.as_ref()),
            ] {
                let Some(entries) = entries.filter(|entries| entries.dims()[1] > 0) else { continue };
                outcome.put(&format!("state {number} {name}"), &entries.tensor());
                loss = loss + (entries.tensor() * inputs.uniform(entries.dims())).sum();
            }
        }
        let gradients = loss.backward();
        for (name, tensor) in ["q", "k", "v"].into_iter().zip(&case.tokens) {
            outcome.put_gradient(name, tensor, &gradients);
        }
        if let Some(log_decay) = &case.log_decay {
            outcome.put_gradient("log_decay", log_decay, &gradients);
        }
        if let Some(sinks) = &case.sinks {
            outcome.put_gradient("sinks", sinks, &gradients);
        }
        for (number, cache) in case.cache.iter().enumerate() {
            for (index, tensor) in cache.tensors().enumerate().filter(|(_, tensor)| tensor.dims()[1] > 0) {
                outcome.put_gradient(&format!("cache {number} {index}"), tensor, &gradients);
            }
        }
        outcome
    }

    fn check(&self) {
        let wanted = self.outcome(Self::one_by_one);
        for form in FORMS {
            self.outcome(|case| case.packed(form)).assert_close(&wanted, EXACT);
        }
    }
}

/// Entries from one on; there may be none.
fn from(entries: Tensor<4>, first: usize) -> Entries {
    let [rows, length, heads, channels] = entries.dims();
    match first == length {
        true => Tensor::zeros([rows, 0, heads, channels], (&entries.device(), entries.dtype())).into(),
        false => entries.narrow(1, first, length - first).into(),
    }
}

const ROWS: [&[usize]; 2] = [&[3, 0, 6, 1], &[7, 3]];
const CACHED: [usize; 6] = [2, 3, 0, 5, 0, 1];

#[test]
fn packed_segments_equal_separate_sequences() {
    for window in [None, Some(3), Some(1)] {
        for decays in [false, true] {
            let mut case = Case::new(&ROWS, &CACHED, decays, &autodiff());
            case.window = window;
            case.check();
            case.sinks = Some(Inputs::new(4, &autodiff()).uniform([4]));
            case.resets = Some(Inputs::new(4, &autodiff()).flags([2, 10], 0.2));
            case.check();
        }
    }
}

#[test]
fn segments_in_both_directions() {
    for window in [None, Some(2)] {
        let mut case = Case::new(&ROWS, &CACHED, false, &autodiff());
        (case.bidirectional, case.window) = (true, window);
        case.check();
        case.resets = Some(Inputs::new(4, &autodiff()).flags([2, 10], 0.2));
        case.check();
    }
}

#[test]
fn all_segments_see_the_prefix() {
    let mut case = Case::new(&ROWS, &CACHED, false, &autodiff());
    let mut inputs = Inputs::new(21, &autodiff());
    let (keys, values) = (inputs.uniform([1, 2, 2, 3]), inputs.uniform([1, 2, 2, 5]));
    case.prefix = Some(Prefix { query: None, keys, values });
    case.check();
}

#[test]
fn segments_of_one_length_equal_separate_sequences() {
    Case::new(&[&[4, 4, 0], &[4, 0, 4]], &[2, 2, 2, 2, 2, 2], true, &autodiff()).check();
}

#[test]
fn a_thousand_streams_of_different_lengths_equal_separate_sequences() {
    let lengths: Vec<usize> = (0..1000).map(|number| number % 7).collect();
    let cached: Vec<usize> = (0..1000).map(|number| number % 5).collect();
    let case = Case::new(&[&lengths], &cached, false, &plain());
    let (wanted, _) = case.one_by_one();
    for form in [Form::Parallel, Form::Kernel] {
        let error = (case.packed(form).0 - wanted.clone()).abs().max().into_scalar::<f64>();
        assert!(error < EXACT, "{form:?}: {error:e}");
    }
}

#[test]
fn a_cache_of_the_rows_is_refused() {
    let case = Case::new(&ROWS, &CACHED, false, &plain());
    let [query, key, value] = case.tokens.clone();
    let options = AttentionOptions {
        initial_state: Some(case.cache[0].state()),
        segments: Some(case.segments()),
        ..Default::default()
    };
    let text = said(|| attention(query, key, value, options));
    assert!(text.contains("[N, S, HK, K] = [6, 2, 2, 3] is wanted"), "{text}");
}
