//! Softmax attention: golden vectors, forms, splits, windows, packing.

mod landmark;
mod options;
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

#[test]
fn a_prefix_is_seen_by_every_token() {
    for (window, resets) in [(None, false), (Some(3), false), (None, true), (Some(4), true)] {
        let mut case = Case::random(2, 17, [4, 2], window, 5, &autodiff()).with_prefix(3);
        let prefix = case.prefix.as_mut().unwrap();
        prefix.query = Some(Inputs::new(8, &autodiff()).uniform(case.query.dims()));
        if resets {
            case.resets = Some(flags(2, 17, &[0, 4, 9], &autodiff()));
        }
        let wanted = case.outcome_of(|case| case.run(Form::Naive));
        for form in WHOLE {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
        case.outcome_of(|case| case.in_parts(&[1, 2, 7, 17])).assert_close(&wanted, EXACT);
        // It changes what every token reads, and is not in the cache.
        let without = Case { prefix: None, ..case.clone() };
        let difference = (case.run(Form::Auto) - without.run(Form::Auto)).abs().min().into_scalar::<f64>();
        assert!(difference > 1e-6, "window {window:?}, resets {resets}: {difference:e}");
        let length = |case: &Case| case.part(0, 17, None, Form::Auto).1.keys.dims()[1];
        assert_eq!(length(&case), length(&without));
    }
}

#[test]
fn a_prefix_is_as_tokens_before_the_first() {
    for form in FORMS {
        let case = Case::random(2, 9, [4, 2], None, 5, &plain()).with_prefix(3);
        let prefix = case.prefix.clone().unwrap();
        let before = |prefix: Tensor<4>, tokens: &Tensor<4>| {
            Tensor::cat(vec![prefix.repeat_dim(0, 2), tokens.clone()], 1)
        };
        let query = case.query.clone().narrow(1, 0, 3);
        let tokens = Case {
            query: Tensor::cat(vec![query, case.query.clone()], 1),
            key: before(prefix.keys, &case.key),
            value: before(prefix.values, &case.value),
            prefix: None,
            ..case.clone()
        };
        let error = (tokens.run(form).narrow(1, 3, 9) - case.run(form)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-13, "{form:?}: {error:e}");
    }
}

#[test]
fn a_prefix_has_gradients() {
    for form in WHOLE {
        a_prefix_has_gradients_in(form);
    }
}

fn a_prefix_has_gradients_in(form: Form) {
    let mut case = Case::random(2, 9, [2, 1], Some(3), 5, &autodiff()).with_prefix(2);
    let prefix = case.prefix.take().unwrap();
    let loss = |keys: Tensor<4>, values: Tensor<4>| {
        let case = Case { prefix: Some(Prefix { query: None, keys, values }), ..case.clone() };
        (case.run(form) * case.cotangent.clone()).sum()
    };
    let (keys, values) = (prefix.keys.require_grad(), prefix.values.require_grad());
    let gradients = loss(keys.clone(), values.clone()).backward();
    let mut inputs = Inputs::new(9, &autodiff());
    for tensor in [&keys, &values] {
        let direction = inputs.uniform(tensor.dims());
        let moved = |step: f64| {
            let moved = |other: &Tensor<4>| match std::ptr::eq(other, tensor) {
                true => other.clone() + direction.clone() * step,
                false => other.clone(),
            };
            loss(moved(&keys), moved(&values)).into_scalar::<f64>()
        };
        let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        let gradient = Tensor::<4>::from_inner(tensor.grad(&gradients).unwrap());
        let analytic = (gradient * direction.clone()).sum().into_scalar::<f64>();
        assert!((numeric - analytic).abs() < 1e-8, "{numeric} and {analytic}");
    }
}

#[test]
#[should_panic(
    expected = "`prefix.values` has the shape [1, 2, 2, 3], but [1, P, HK, V] = [1, 3, 2, 3] is wanted"
)]
fn a_prefix_of_another_length_is_refused() {
    let mut case = Case::random(2, 9, [4, 2], None, 5, &plain()).with_prefix(3);
    let prefix = case.prefix.unwrap();
    case.prefix = Some(Prefix { values: prefix.values.narrow(1, 0, 2), ..prefix });
    case.run(Form::Auto);
}

/// More tokens and channels than a tile of the kernel has, with odd rests.
#[test]
fn the_kernel_equals_the_law_beyond_its_tiles() {
    let kernel = |case: &Case| case.outcome(Form::Kernel);
    for (batch, time, heads, window) in
        [(1, 64, [1, 1], None), (2, 65, [4, 2], Some(64)), (1, 200, [2, 1], Some(70)), (3, 129, [2, 2], None)]
    {
        let mut case = Case::random(batch, time, heads, window, 3, &autodiff());
        let mut inputs = Inputs::new(4, &autodiff());
        case.query = inputs.uniform([batch, time, heads[0], 37]);
        case.key = inputs.uniform([batch, time, heads[1], 37]);
        case.value = inputs.uniform([batch, time, heads[1], 70]);
        case.cotangent = inputs.uniform([batch, time, heads[0], 70]);
        for resets in [None, Some(inputs.flags([batch, time], 0.03))] {
            case.resets = resets;
            kernel(&case).assert_close(&case.outcome(Form::Parallel), EXACT);
        }
    }
}

#[test]
fn a_long_sequence_is_cut_for_its_gradients() {
    let mut case = Case::random(1, 1300, [2, 1], None, 3, &autodiff());
    for window in [None, Some(100)] {
        case.window = window;
        case.outcome(Form::Kernel).assert_close(&case.outcome(Form::Parallel), EXACT);
    }
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    let case = Case::random(2, 1100, [4, 2], None, 3, &autodiff());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| case.outcome(Form::Kernel))
    };
    on(3).assert_close(&on(1), 0.0);
}

#[test]
fn a_sequence_does_not_depend_on_its_neighbours_in_the_batch() {
    let case = Case::random(3, 150, [2, 1], None, 3, &plain());
    let alone = |x: &Tensor<4>| x.clone().narrow(0, 1, 1);
    let one =
        Case { query: alone(&case.query), key: alone(&case.key), value: alone(&case.value), ..case.clone() };
    assert_eq!(one.run(Form::Kernel).into_data(), case.run(Form::Kernel).narrow(0, 1, 1).into_data());
}

#[test]
fn large_scores_are_as_exact_as_small_ones() {
    let mut case = Case::random(1, 150, [2, 1], None, 3, &autodiff());
    // Up to 10,000 in the products, with keys that repeat.
    case.query = case.query * 1e4;
    case.key = Tensor::cat(vec![case.key.clone().narrow(1, 0, 75), case.key.narrow(1, 0, 75)], 1);
    let wanted = case.outcome(Form::Naive);
    for form in WHOLE {
        case.outcome(form).assert_close(&wanted, 1e-7);
    }
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    let case = Case::random(1, 300, [2, 1], None, 3, &autodiff());
    let narrow = |x: &Tensor<4>| x.clone().cast(FloatDType::F32);
    let single = Case {
        query: narrow(&case.query),
        key: narrow(&case.key),
        value: narrow(&case.value),
        cotangent: narrow(&case.cotangent),
        ..case.clone()
    };
    let wanted = case.outcome(Form::Naive);
    for form in WHOLE {
        single.outcome(form).assert_close(&wanted, 2e-5);
    }
}

#[test]
fn one_token_reads_a_long_cache_in_parts() {
    let case = Case::random(2, 2003, [4, 2], None, 3, &plain());
    for window in [None, Some(700)] {
        let case = Case { window, ..case.clone() };
        let (_, state) = case.part(0, 2000, None, Form::Kernel);
        let last = |form| case.part(2000, 2003, Some(state.clone()), form).0;
        let error = (last(Form::Kernel) - last(Form::Naive)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-13, "{error:e}");
    }
}

#[test]
fn forgetting_attention_equals_the_reference() {
    let device = autodiff();
    let golden = Golden::load("14_forgetting_attn__t17");
    let case = Case {
        query: golden.tensor("q", &device),
        key: golden.tensor("k", &device),
        value: golden.tensor("v", &device),
        window: None,
        bidirectional: false,
        log_decay: Some(golden.tensor("g", &device)),
        sinks: None,
        prefix: None,
        resets: None,
        cotangent: golden.tensor("do", &device),
    };
    for form in FORMS {
        let outcome = case.outcome(form);
        for (ours, theirs) in
            [("o", "o"), ("d_q", "d_q"), ("d_k", "d_k"), ("d_v", "d_v"), ("d_log_decay", "d_g")]
        {
            let error = largest_error(outcome.values(ours), golden.values(theirs));
            assert!(error <= 2e-6, "{form:?}: `{theirs}` differs by {error:e}");
        }
    }
}

#[test]
fn every_split_keeps_log_decays_and_sinks() {
    for (window, resets) in [(None, false), (Some(5), true)] {
        let mut case = Case::random(2, 20, [4, 2], window, 1, &autodiff()).with(true, true);
        case.resets = resets.then(|| Inputs::new(4, &autodiff()).flags([2, 20], 0.15));
        let wanted = case.outcome(Form::Naive);
        for split in 1..20 {
            case.outcome_of(|case| case.in_parts(&[split, 20])).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn both_directions_are_the_same_in_all_forms() {
    for (time, window) in [(9, None), (9, Some(3)), (150, Some(70)), (300, None), (5, Some(1))] {
        for resets in [false, true] {
            let mut case =
                Case::random(2, time, [4, 2], window, 1, &autodiff()).with(false, true).with_prefix(2);
            case.bidirectional = true;
            case.resets = resets.then(|| Inputs::new(4, &autodiff()).flags([2, time], 0.1));
            let wanted = case.outcome(Form::Naive);
            for form in WHOLE {
                case.outcome(form).assert_close(&wanted, EXACT);
            }
            // With a cache, which all see.
            let after = |form| {
                let (_, state) = case.part(0, 4, None, Form::Naive);
                case.part(4, time, Some(state), form).0
            };
            for form in WHOLE {
                let error = (after(form) - after(Form::Naive)).abs().max().into_scalar::<f64>();
                assert!(error < EXACT, "{form:?}: {error:e}");
            }
        }
    }
}

#[test]
fn both_directions_see_what_comes() {
    let mut case = Case::random(1, 5, [1, 1], None, 1, &plain());
    case.bidirectional = true;
    // Backwards, the same tokens give the same.
    let turned = |x: &Tensor<4>| x.clone().flip([1]);
    let backwards = Case {
        query: turned(&case.query),
        key: turned(&case.key),
        value: turned(&case.value),
        ..case.clone()
    };
    for form in FORMS {
        let error = (turned(&backwards.run(form)) - case.run(form)).abs().max().into_scalar::<f64>();
        assert!(error < 1e-14, "{form:?}: {error:e}");
    }
}

#[test]
fn a_sink_is_a_key_without_a_value() {
    let case = Case::random(2, 9, [2, 1], Some(4), 1, &plain()).with(false, true);
    let without = Case { sinks: None, ..case.clone() };
    let never = Case { sinks: Some(case.sinks.clone().unwrap() - 1e4), ..case.clone() };
    let always = Case { sinks: Some(case.sinks.clone().unwrap() + 1e4), ..case.clone() };
    for form in FORMS {
        let most = |x: Tensor<4>| x.abs().max().into_scalar::<f64>();
        assert!(most(never.run(form) - without.run(form)) < 1e-14, "{form:?}");
        assert_eq!(most(always.run(form)), 0.0, "{form:?}");
    }
}

#[test]
fn a_fixed_log_decay_counts_the_tokens_between() {
    // ALiBi: the score falls by the slope with every token between.
    let mut case = Case::random(1, 7, [1, 1], None, 1, &plain());
    case.log_decay = Some(case.query.clone().narrow(3, 0, 1).zeros_like().reshape([1, 7, 1]) - 0.25);
    let scores = case.query.clone().swap_dims(1, 2).matmul(case.key.clone().permute([0, 2, 3, 1])) * 0.5;
    let places = Tensor::<1, burn::tensor::Int>::arange(0..7, &plain()).float().cast(FloatDType::F64);
    let apart = places.clone().reshape([7, 1]).expand([7, 7]) - places.reshape([1, 7]).expand([7, 7]);
    let hidden = apart.clone().lower_scalar(0.0).unsqueeze::<4>();
    let scores = (scores - apart.unsqueeze::<4>() * 0.25).mask_fill(hidden, -1e30);
    let wanted = burn::tensor::activation::softmax(scores, 3)
        .matmul(case.value.clone().swap_dims(1, 2))
        .swap_dims(1, 2);
    for form in FORMS {
        let error = (case.run(form) - wanted.clone()).abs().max().into_scalar::<f64>();
        assert!(error < 1e-14, "{form:?}: {error:e}");
    }
}

#[test]
fn log_decays_stay_exact_over_long_sequences() {
    let case = Case::random(1, 3000, [1, 1], None, 1, &plain()).with(true, false);
    let single = |x: &Tensor<4>| x.clone().cast(FloatDType::F32);
    let narrow = Case {
        query: single(&case.query),
        key: single(&case.key),
        value: single(&case.value),
        log_decay: case.log_decay.clone().map(|x| x.cast(FloatDType::F32)),
        ..case.clone()
    };
    let wanted = case.run(Form::Kernel);
    for form in WHOLE {
        let error =
            (narrow.run(form).cast(FloatDType::F64) - wanted.clone()).abs().max().into_scalar::<f64>();
        // `Parallel` sums up to 256 of them in f32.
        assert!(error < 1e-5, "{form:?}: {error:e}");
    }
}

#[test]
#[should_panic(expected = "`log_decay` and `bidirectional` are given together")]
fn a_decay_in_both_directions_is_refused() {
    let case = Case::random(1, 3, [1, 1], None, 1, &plain()).with(true, false);
    Case { bidirectional: true, ..case }.run(Form::Auto);
}

#[test]
#[should_panic(expected = "The initial state has no log decays, but the call has some")]
fn a_cache_without_decays_is_refused() {
    let case = Case::random(1, 3, [1, 1], None, 1, &plain());
    let (_, state) = case.part(0, 2, None, Form::Auto);
    case.with(true, false).part(2, 3, Some(state), Form::Auto);
}
