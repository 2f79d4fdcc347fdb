//! Softmax attention: golden vectors, forms, splits, windows, packing.

mod kernel;
mod landmark;
mod options;
mod prefix;
mod scores;
mod segments;

use burn::tensor::{Bool, DType, Device, FloatDType, Tensor};
use proptest::prelude::*;
use seqzoo::ops::Form;
use seqzoo::ops::attention::{AttentionOptions, AttentionState, Prefix, attention};
use seqzoo_tests::{Golden, Inputs, Outcome, autodiff, flags, largest_error, plain};

const EXACT: f64 = 1e-10;
/// The forms that take a whole sequence at once.
const WHOLE: [Form; 2] = [Form::Parallel, Form::Kernel];
const FORMS: [Form; 3] = [Form::Parallel, Form::Kernel, Form::Naive];

#[derive(Clone)]
struct Case {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    window: Option<usize>,
    bidirectional: bool,
    log_decay: Option<Tensor<3>>,
    sinks: Option<Tensor<1>>,
    prefix: Option<Prefix>,
    resets: Option<Tensor<2, Bool>>,
    cotangent: Tensor<4>,
}

impl Case {
    fn random(
        batch: usize,
        time: usize,
        heads: [usize; 2],
        window: Option<usize>,
        seed: u64,
        device: &Device,
    ) -> Self {
        let mut inputs = Inputs::new(seed, device);
        let [heads, key_heads] = heads;
        Self {
            query: inputs.uniform([batch, time, heads, 4]),
            key: inputs.uniform([batch, time, key_heads, 4]),
            value: inputs.uniform([batch, time, key_heads, 3]),
            window,
            bidirectional: false,
            log_decay: None,
            sinks: None,
            prefix: None,
            resets: None,
            cotangent: inputs.uniform([batch, time, heads, 3]),
        }
    }

    /// With log decays down to -2, or with sinks.
    fn with(mut self, decays: bool, sinks: bool) -> Self {
        let [batch, time, heads, _] = self.query.dims();
        let mut inputs = Inputs::new(22, &self.key.device());
        self.log_decay = decays.then(|| inputs.uniform([batch, time, heads]) - 1.0);
        self.sinks = sinks.then(|| inputs.uniform([heads]));
        self
    }

    /// With keys and values that every token sees.
    fn with_prefix(mut self, length: usize) -> Self {
        let ([_, _, heads, _], device) = (self.key.dims(), self.key.device());
        let mut inputs = Inputs::new(21, &device);
        let (keys, values) = (inputs.uniform([1, length, heads, 4]), inputs.uniform([1, length, heads, 3]));
        self.prefix = Some(Prefix { query: None, keys, values });
        self
    }

    fn part(
        &self,
        from: usize,
        to: usize,
        state: Option<AttentionState>,
        form: Form,
    ) -> (Tensor<4>, AttentionState) {
        let cut = |x: &Tensor<4>| x.clone().narrow(1, from, to - from);
        let options = AttentionOptions {
            initial_state: state,
            window: self.window,
            bidirectional: self.bidirectional,
            log_decay: self.log_decay.clone().map(|log_decay| log_decay.narrow(1, from, to - from)),
            sinks: self.sinks.clone(),
            prefix: self
                .prefix
                .clone()
                .map(|prefix| Prefix { query: prefix.query.as_ref().map(cut), ..prefix }),
            resets: self.resets.clone().map(|resets| resets.narrow(1, from, to - from)),
            form,
            ..Default::default()
        };
        attention(cut(&self.query), cut(&self.key), cut(&self.value), options)
    }

    fn run(&self, form: Form) -> Tensor<4> {
        self.part(0, self.query.dims()[1], None, form).0
    }

    fn in_parts(&self, ends: &[usize]) -> Tensor<4> {
        let (mut from, mut state, mut outputs) = (0, None, Vec::new());
        for end in ends {
            let (output, next) = self.part(from, *end, state, Form::Auto);
            outputs.push(output);
            (from, state) = (*end, Some(next));
        }
        Tensor::cat(outputs, 1)
    }

    fn outcome_of(&self, run: impl Fn(&Self) -> Tensor<4>) -> Outcome {
        let mut case = self.clone();
        case.query = case.query.require_grad();
        case.key = case.key.require_grad();
        case.value = case.value.require_grad();
        case.log_decay = case.log_decay.map(Tensor::require_grad);
        case.sinks = case.sinks.map(Tensor::require_grad);
        let output = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        let gradients = (output * case.cotangent.clone()).sum().backward();
        outcome.put_gradient("q", &case.query, &gradients);
        outcome.put_gradient("k", &case.key, &gradients);
        outcome.put_gradient("v", &case.value, &gradients);
        if let Some(log_decay) = &case.log_decay {
            outcome.put_gradient("log_decay", log_decay, &gradients);
        }
        if let Some(sinks) = &case.sinks {
            outcome.put_gradient("sinks", sinks, &gradients);
        }
        outcome
    }

    fn outcome(&self, form: Form) -> Outcome {
        self.outcome_of(|case| case.run(form))
    }
}

#[test]
fn attention_equals_the_reference() {
    let device = autodiff();
    for name in ["full_t9_gqa", "win1_t5", "win4_t13"] {
        let golden = Golden::load(&format!("17_softmax_attn__{name}"));
        let case = Case {
            query: golden.tensor("q", &device),
            key: golden.tensor("k", &device),
            value: golden.tensor("v", &device),
            window: golden.parameter("window_size").parse().ok(),
            bidirectional: false,
            log_decay: None,
            sinks: None,
            prefix: None,
            resets: None,
            cotangent: golden.tensor("do", &device),
        };
        for form in FORMS {
            let outcome = case.outcome(form);
            for found in outcome.names() {
                let error = largest_error(outcome.values(found), golden.values(found));
                assert!(error <= 2e-6, "{name}, {form:?}: `{found}` differs by {error:e}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_forms_agree(
        batch in 1usize..4,
        time in 1usize..14,
        key_heads in 1usize..3,
        group in 1usize..3,
        window in prop::option::of(1usize..16),
        reset_rate in prop::sample::select(vec![0.0, 0.2, 0.9]),
        (decays, sinks, prefix) in any::<(bool, bool, bool)>(),
        seed: u64,
    ) {
        let mut case = Case::random(batch, time, [key_heads * group, key_heads], window, seed, &autodiff())
            .with(decays, sinks);
        if prefix {
            case = case.with_prefix(3);
        }
        case.resets = (reset_rate > 0.0).then(|| Inputs::new(seed, &autodiff()).flags([batch, time], reset_rate));
        let wanted = case.outcome(Form::Naive);
        for form in WHOLE {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
        let steps: Vec<usize> = (1..=time).collect();
        case.outcome_of(|case| case.in_parts(&steps)).assert_close(&wanted, EXACT);
    }
}

#[test]
fn every_split_gives_the_same() {
    for window in [None, Some(1), Some(5)] {
        for packed in [false, true] {
            let mut case = Case::random(2, 20, [4, 2], window, 1, &autodiff());
            case.resets = packed.then(|| Inputs::new(4, &autodiff()).flags([2, 20], 0.2));
            let wanted = case.outcome(Form::Auto);
            for split in 1..20 {
                case.outcome_of(|case| case.in_parts(&[split, 20])).assert_close(&wanted, EXACT);
            }
        }
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    let starts = [0, 2, 3, 9, 14];
    for window in [None, Some(3)] {
        let mut case = Case::random(2, 14, [2, 2], window, 2, &autodiff());
        let wanted = case.outcome_of(|case| {
            let parts = starts.windows(2).map(|ends| case.part(ends[0], ends[1], None, Form::Auto).0);
            Tensor::cat(parts.collect(), 1)
        });
        case.resets = Some(flags(2, 14, &starts, &autodiff()));
        for form in WHOLE {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn a_window_keeps_its_cache_small() {
    let case = Case::random(1, 14, [2, 2], Some(4), 2, &plain());
    assert_eq!(case.part(0, 14, None, Form::Auto).1.keys.dims(), [1, 3, 2, 4]);
    let case = Case { window: None, ..case };
    assert_eq!(case.part(0, 14, None, Form::Auto).1.keys.dims(), [1, 14, 2, 4]);
}

#[test]
fn a_window_beyond_all_tokens_is_no_window() {
    for form in FORMS {
        let full = Case::random(2, 12, [2, 1], None, 3, &plain());
        let wide = Case { window: Some(usize::MAX), ..full.clone() };
        let run = |case: &Case| {
            let (first, state) = case.part(0, 5, None, form);
            let (second, _) = case.part(5, 12, Some(state), form);
            Tensor::cat(vec![first, second], 1).into_data()
        };
        assert_eq!(run(&full), run(&wide));
    }
}

#[test]
fn narrow_floats_are_computed_in_f32() {
    let case = Case::random(1, 20, [2, 1], Some(6), 3, &plain());
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let run = |wide: bool| {
            let cast = |x: &Tensor<4>| {
                let narrow = x.clone().cast(dtype);
                if wide { narrow.cast(FloatDType::F32) } else { narrow }
            };
            let options = AttentionOptions { window: Some(6), ..Default::default() };
            attention(cast(&case.query), cast(&case.key), cast(&case.value), options)
        };
        let ((output, state), (exact, _)) = (run(false), run(true));
        assert_eq!((output.dtype(), state.keys.dtype()), (dtype.into(), DType::F32));
        let error = (output.cast(FloatDType::F32) - exact.clone()).abs() - exact.abs() * 4e-3;
        assert!(error.max().into_scalar::<f32>() <= 1e-7, "{dtype:?}");
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    let case = Case::random(1, 12, [2, 1], None, 3, &plain());
    let mut other = case.clone();
    other.key = other.key.clone().slice_assign([0..1, 7..8, 0..1, 0..4], other.key.narrow(1, 7, 1) + 1.0);
    for form in FORMS {
        let before = |case: &Case| case.run(form).narrow(1, 0, 7).into_data();
        assert_eq!(before(&case), before(&other), "{form:?}");
    }
}

#[test]
#[should_panic(expected = "The window is 0, but at least 1 is wanted")]
fn an_empty_window_is_refused() {
    Case::random(1, 3, [1, 1], Some(0), 1, &plain()).run(Form::Auto);
}

/// A token whose key and value are no numbers, in the row and at the time given.
fn spoiled(case: &Case, row: usize, time: usize, with: f64) -> Case {
    let spoil = |x: &Tensor<4>| {
        let [_, _, heads, channels] = x.dims();
        let range = [row..row + 1, time..time + 1, 0..heads, 0..channels];
        x.clone().slice_assign(range, Tensor::full([1, 1, heads, channels], with, (&x.device(), DType::F64)))
    };
    Case { key: spoil(&case.key), value: spoil(&case.value), ..case.clone() }
}

#[test]
fn what_is_hidden_does_not_count_even_where_it_is_no_number() {
    let device = plain();
    for (form, with) in FORMS.into_iter().flat_map(|form| [(form, f64::NAN), (form, f64::INFINITY)]) {
        for window in [None, Some(4)] {
            let mut case = Case::random(2, 14, [4, 2], window, 5, &device);
            // The first row is reset at token 6, the second only with a window is rid of token 3.
            let mut rows = [false; 28];
            rows[6] = true;
            case.resets =
                Some(Tensor::from_data(burn::tensor::TensorData::new(rows.to_vec(), [2, 14]), &device));
            let bad = spoiled(&spoiled(&case, 0, 3, with), 1, 3, with);
            let from = |row: usize, time: usize, output: Tensor<4>| {
                output.narrow(0, row, 1).narrow(1, time, 14 - time).into_data()
            };
            let (good, found) = (case.run(form), bad.run(form));
            assert_eq!(from(0, 6, found.clone()), from(0, 6, good.clone()), "{form:?}");
            let seen = found.clone().narrow(1, 3, 3).is_nan().all().into_scalar::<bool>();
            assert!(seen, "{form:?}: what sees no number is none");
            if window.is_some() {
                assert_eq!(from(1, 7, found), from(1, 7, good), "{form:?}");
            }
            // The same through a state, of which the first row is cleared two tokens later.
            for split in [4, 5] {
                let run = |case: &Case| {
                    let (_, state) = case.part(0, split, None, form);
                    let (middle, state) = case.part(split, 8, Some(state), form);
                    let (last, _) = case.part(8, 14, Some(state), form);
                    Tensor::cat(vec![middle, last], 1)
                };
                let rest = |case: &Case| run(case).narrow(0, 0, 1).narrow(1, 6 - split, 8).into_data();
                assert_eq!(rest(&bad), rest(&case), "{form:?}, split at {split}");
            }
        }
    }
}

#[test]
fn no_gradient_comes_from_what_is_hidden() {
    let mut case = Case::random(1, 9, [2, 1], None, 5, &autodiff());
    case.resets = Some(flags(1, 9, &[5], &autodiff()));
    for form in FORMS {
        let last = |case: &Case| {
            let mut case = spoiled(case, 0, 2, f64::NAN);
            case.query = case.query.require_grad();
            let loss = case.run(form).narrow(1, 5, 4).sum();
            case.query.grad(&loss.backward()).unwrap()
        };
        assert!(last(&case).is_finite().all().into_scalar::<bool>(), "{form:?}");
    }
}

#[test]
fn what_nobody_sees_any_more_leaves_the_cache() {
    let device = plain();
    for form in FORMS {
        let mut case = Case::random(3, 12, [2, 1], None, 5, &device);
        let resets = [&[0, 4][..], &[7], &[5, 9]].map(|at| flags(1, 12, at, &device));
        case.resets = Some(Tensor::cat(resets.to_vec(), 0));
        let (_, state) = case.part(0, 12, None, form);
        assert_eq!(
            state.keys.dims(),
            [3, 8, 1, 4],
            "{form:?}: the earliest of the last resets is that at token 4"
        );
        assert_eq!(state.visible.map(|visible| visible.dims()), Some([3, 8]));

        case.resets = Some(flags(3, 12, &[0, 10], &device));
        let (_, state) = case.part(0, 12, None, form);
        assert_eq!((state.keys.dims(), state.values.dims()), ([3, 2, 1, 4], [3, 2, 1, 3]), "{form:?}");
        assert!(state.visible.is_none());

        // An episode takes as much as if there had been none before it.
        let mut state = None;
        for (from, to) in [(0, 3), (3, 7), (7, 9), (9, 12)] {
            case.resets = Some(flags(3, 12, &[3, 7, 9], &device));
            let (_, next) = case.part(from, to, state, form);
            assert_eq!(next.keys.dims()[1], to - from, "{form:?}");
            state = Some(next);
        }
    }
}
