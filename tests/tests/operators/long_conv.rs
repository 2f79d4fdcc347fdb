//! The long convolution: forms, finite differences, splits, packing, causality, lengths.

use burn::tensor::{Bool, DType, Device, FloatDType, Tensor};
use proptest::prelude::*;
use seqzoo::ops::causal_conv::long::{LongConvOptions, long_conv, long_conv_report};
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv};
use seqzoo::ops::{Form, Kernel};
use seqzoo_tests::{Inputs, Outcome, autodiff, flags, plain, said, values};

const EXACT: f64 = 1e-10;
const FORMS: [Form; 3] = [Form::Naive, Form::Parallel, Form::Kernel];

#[derive(Clone)]
struct Case {
    input: Tensor<3>,
    filter: Tensor<2>,
    skip: Option<Tensor<1>>,
    state: Option<Tensor<3>>,
    resets: Option<Tensor<2, Bool>>,
    seed: u64,
}

impl Case {
    /// `past` inputs before the first token.
    fn random(shape: [usize; 3], taps: usize, past: usize, seed: u64, device: &Device) -> Self {
        let [batch, _, channels] = shape;
        let mut inputs = Inputs::new(seed, device);
        Self {
            input: inputs.uniform(shape),
            filter: inputs.uniform([channels, taps]),
            skip: Some(inputs.uniform([channels])),
            state: (past > 0).then(|| inputs.uniform([batch, past, channels])),
            resets: None,
            seed,
        }
    }

    fn run(&self, form: Form) -> (Tensor<3>, Tensor<3>) {
        self.part(0, self.input.dims()[1], self.state.clone(), form)
    }

    fn part(&self, from: usize, to: usize, state: Option<Tensor<3>>, form: Form) -> (Tensor<3>, Tensor<3>) {
        let options = LongConvOptions {
            skip: self.skip.clone(),
            initial_state: state,
            resets: self.resets.clone().map(|resets| resets.narrow(1, from, to - from)),
            form,
        };
        long_conv(self.input.clone().narrow(1, from, to - from), self.filter.clone(), options)
    }

    fn in_parts(&self, ends: &[usize], form: Form) -> (Tensor<3>, Tensor<3>) {
        let (mut from, mut state, mut outputs) = (0, self.state.clone(), Vec::new());
        for end in ends {
            let (output, next) = self.part(from, *end, state, form);
            outputs.push(output);
            (from, state) = (*end, Some(next));
        }
        (Tensor::cat(outputs, 1), state.unwrap())
    }

    fn loss(&self, output: Tensor<3>, state: Tensor<3>) -> Tensor<1> {
        let mut cotangents = Inputs::new(self.seed + 1, &output.device());
        let loss = (output.clone() * cotangents.uniform(output.dims())).sum();
        if state.dims()[1] == 0 {
            return loss;
        }
        loss + (state.clone() * cotangents.uniform(state.dims())).sum()
    }

    fn outcome_of(&self, run: impl Fn(&Self) -> (Tensor<3>, Tensor<3>)) -> Outcome {
        let mut case = self.clone();
        case.input = case.input.require_grad();
        case.filter = case.filter.require_grad();
        case.skip = case.skip.map(Tensor::require_grad);
        case.state = case.state.map(Tensor::require_grad);
        let (output, state) = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("output", &output);
        outcome.put("final_state", &state);
        let gradients = case.loss(output, state).backward();
        outcome.put_gradient("input", &case.input, &gradients);
        outcome.put_gradient("filter", &case.filter, &gradients);
        if let Some(skip) = &case.skip {
            outcome.put_gradient("skip", skip, &gradients);
        }
        if let Some(state) = &case.state {
            outcome.put_gradient("state", state, &gradients);
        }
        outcome
    }

    fn outcome(&self, form: Form) -> Outcome {
        self.outcome_of(|case| case.run(form))
    }
}

#[test]
fn the_first_tap_multiplies_the_current_token() {
    let device = plain();
    let input = Tensor::<3>::from_floats([[[1.0], [10.0], [100.0]]], &device);
    let filter = Tensor::<2>::from_floats([[2.0, 1.0, 7.0, 5.0, 3.0]], &device);
    for form in FORMS {
        let options = LongConvOptions { form, ..Default::default() };
        let (output, kept) = long_conv(input.clone(), filter.clone(), options);
        assert_eq!(values(output), [2.0, 21.0, 217.0]);
        assert_eq!(values(kept), [1.0, 10.0, 100.0]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn all_forms_agree(
        batch in 1usize..4,
        time in 1usize..30,
        channels in 1usize..5,
        taps in 1usize..40,
        past in 0usize..40,
        skipped: bool,
        reset_rate in prop::sample::select(vec![0.0, 0.1, 0.9]),
        seed in 0u64..1000,
    ) {
        let mut case = Case::random([batch, time, channels], taps, past.min(taps - 1), seed, &autodiff());
        case.resets = (reset_rate > 0.0).then(|| Inputs::new(seed, &autodiff()).flags([batch, time], reset_rate));
        if !skipped {
            case.skip = None;
        }
        let wanted = case.outcome(Form::Naive);
        case.outcome(Form::Parallel).assert_close(&wanted, EXACT);
        case.outcome(Form::Kernel).assert_close(&wanted, EXACT);
    }
}

/// Lengths at which the kernel transforms, whole and in blocks, and the parallel form has several blocks.
#[test]
fn forms_agree_on_long_sequences_and_filters() {
    for (time, taps, past) in
        [(600, 600, 0), (600, 599, 598), (1500, 90, 40), (130, 2000, 1500), (700, 3000, 0), (3, 900, 899)]
    {
        for resets in [None, Some(flags(2, time, &[0, 2, time / 2, time - 1], &autodiff()))] {
            let mut case = Case::random([2, time, 3], taps, past, 4, &autodiff());
            // Rows of a batch have resets of their own.
            case.resets = resets.map(|all| {
                let none = all.clone().narrow(0, 0, 1).bool_not().bool_and(all.clone().narrow(0, 0, 1));
                Tensor::cat(vec![all.narrow(0, 0, 1), none], 0)
            });
            let wanted = case.outcome(Form::Naive);
            case.outcome(Form::Parallel).assert_close(&wanted, EXACT);
            case.outcome(Form::Kernel).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn every_split_gives_the_same_outputs_states_and_gradients() {
    for taps in [1, 2, 7, 20, 33] {
        for resets in [None, Some(flags(3, 20, &[0, 5, 6, 13], &autodiff()))] {
            let past = (taps - 1).min(4);
            let case = Case { resets, ..Case::random([3, 20, 4], taps, past, 1, &autodiff()) };
            let wanted = case.outcome(Form::Naive);
            for split in 1..20 {
                case.outcome_of(|case| case.in_parts(&[split, 20], Form::Auto)).assert_close(&wanted, EXACT);
            }
            let steps: Vec<usize> = (1..=20).collect();
            for form in FORMS {
                case.outcome_of(|case| case.in_parts(&steps, form)).assert_close(&wanted, EXACT);
            }
        }
    }
}

#[test]
fn long_parts_give_the_same_as_the_whole() {
    let case = Case::random([1, 1200, 3], 500, 0, 3, &autodiff());
    let wanted = case.outcome(Form::Kernel);
    for ends in [vec![1, 700, 1200], vec![300, 600, 900, 1200], vec![1199, 1200]] {
        case.outcome_of(|case| case.in_parts(&ends, Form::Kernel)).assert_close(&wanted, EXACT);
    }
}

#[test]
fn the_state_holds_what_the_filter_can_still_see() {
    let device = plain();
    for (time, taps, past, kept) in
        [(5, 20, 0, 5), (5, 20, 7, 12), (5, 20, 19, 19), (5, 3, 2, 2), (5, 1, 0, 0)]
    {
        for form in FORMS {
            let case = Case::random([2, time, 3], taps, past, 1, &device);
            assert_eq!(case.run(form).1.dims(), [2, kept, 3]);
        }
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    for (time, starts) in [(14, vec![0, 2, 3, 9, 14]), (2000, vec![0, 700, 701, 1300, 2000])] {
        let mut case = Case::random([2, time, 3], time, 0, 2, &autodiff());
        let wanted = case.outcome_of(|case| {
            let parts: Vec<_> =
                starts.windows(2).map(|ends| case.part(ends[0], ends[1], None, Form::Auto)).collect();
            let last = parts.last().unwrap().1.clone();
            let zeros = Tensor::zeros([2, time - 1 - last.dims()[1], 3], (&last.device(), last.dtype()));
            let output = Tensor::cat(parts.into_iter().map(|(output, _)| output).collect(), 1);
            (output, Tensor::cat(vec![zeros, last], 1))
        });
        case.resets = Some(flags(2, time, &starts, &autodiff()));
        for form in [Form::Parallel, Form::Kernel] {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn sequences_of_a_batch_do_not_see_each_other() {
    let case = Case::random([3, 700, 2], 650, 30, 8, &plain());
    let row = |row: usize| Case {
        input: case.input.clone().narrow(0, row, 1),
        state: case.state.clone().map(|state| state.narrow(0, row, 1)),
        ..case.clone()
    };
    let all = case.run(Form::Kernel).0;
    for index in 0..3 {
        assert_eq!(row(index).run(Form::Kernel).0.into_data(), all.clone().narrow(0, index, 1).into_data());
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    for (time, taps) in [(12, 9), (900, 900)] {
        for form in FORMS {
            let case = Case::random([1, time, 2], taps, 0, 3, &plain());
            let mut other = case.clone();
            let at = time / 2;
            let token = other.input.clone().narrow(1, at, 1) + 1.0;
            other.input = other.input.slice_assign([0..1, at..at + 1, 0..2], token);
            let before = |case: &Case| case.run(form).0.narrow(1, 0, at);
            let changed = (before(&case) - before(&other)).abs().max().into_scalar::<f64>();
            // Transforms round all tokens together.
            assert!(changed <= if time < 100 { 0.0 } else { EXACT }, "{form:?}: {changed}");
        }
    }
}

#[test]
fn what_is_no_number_stays_in_its_segment() {
    let device = plain();
    for time in [10, 900] {
        for form in FORMS {
            let mut case = Case::random([2, time, 3], time, time - 1, 3, &device);
            case.resets = Some(flags(2, time, &[4], &device));
            let wanted = case.run(form);
            case.state = case.state.map(|state| state * f64::NAN);
            let bad = case.input.clone().narrow(1, 0, 4) * f64::INFINITY;
            case.input = case.input.slice_assign([0..2, 0..4, 0..3], bad);
            let (output, kept) = case.run(form);
            assert_eq!(
                output.narrow(1, 4, time - 4).into_data(),
                wanted.0.narrow(1, 4, time - 4).into_data(),
                "{form:?}"
            );
            assert_eq!(kept.into_data(), wanted.1.into_data(), "{form:?}");
        }
    }
}

#[test]
fn sixty_five_thousand_tokens_in_f32_equal_the_sum_in_f64() {
    let (time, channels) = (65_536, 2);
    let case = Case::random([1, time, channels], time, 0, 3, &plain());
    let narrow = |form| {
        let options = LongConvOptions { form, ..Default::default() };
        let (input, filter) =
            (case.input.clone().cast(FloatDType::F32), case.filter.clone().cast(FloatDType::F32));
        long_conv(input, filter, options)
    };
    let (found, kept) = narrow(Form::Kernel);
    assert_eq!(kept.dims(), [1, time - 1, channels]);
    let (input, filter) = (case.input.clone().reshape([time, channels]), case.filter.clone());
    for t in [0, 1, 1000, 32_768, 65_535] {
        let newest_first = input.clone().narrow(0, 0, t + 1).flip([0]);
        let exact = values((newest_first * filter.clone().narrow(1, 0, t + 1).transpose()).sum_dim(0));
        let found = values(found.clone().narrow(1, t, 1));
        for (found, exact) in found.into_iter().zip(exact) {
            // The outputs are up to a few hundred, and a transform rounds at their scale.
            assert!((found - exact).abs() < 2e-3, "token {t}: {found} and {exact}");
        }
    }
}

#[test]
fn a_filter_of_four_taps_is_the_short_convolution() {
    let case = Case::random([2, 50, 3], 4, 3, 5, &autodiff());
    let wanted = case.outcome_of(|case| {
        let options = CausalConvOptions { initial_state: case.state.clone(), ..Default::default() };
        let (output, state) = causal_conv(case.input.clone(), case.filter.clone().flip([1]), options);
        (output + case.input.clone() * case.skip.clone().unwrap().unsqueeze(), state)
    });
    for form in FORMS {
        case.outcome(form).assert_close(&wanted, 1e-12);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    for (time, taps, past) in [(9, 12, 5), (400, 400, 100)] {
        let case = Case::random([2, time, 3], taps, past, 5, &autodiff());
        for form in [Form::Parallel, Form::Kernel] {
            let mut directions = Inputs::new(6, &autodiff());
            let (along, filter) = (directions.uniform([2, time, 3]), directions.uniform([3, taps]));
            let (skip, state) = (directions.uniform([3]), directions.uniform([2, past, 3]));
            let at = |step: f64| {
                let mut moved = case.clone();
                moved.input = moved.input + along.clone() * step;
                moved.filter = moved.filter + filter.clone() * step;
                moved.skip = moved.skip.map(|old| old + skip.clone() * step);
                moved.state = moved.state.map(|old| old + state.clone() * step);
                let (output, state) = moved.run(form);
                moved.loss(output, state).into_scalar::<f64>()
            };
            let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
            let outcome = case.outcome(form);
            let dot = |a: &[f64], b: Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let analytic = dot(outcome.values("d_input"), values(along.clone()))
                + dot(outcome.values("d_filter"), values(filter.clone()))
                + dot(outcome.values("d_skip"), values(skip.clone()))
                + dot(outcome.values("d_state"), values(state.clone()));
            assert!((numeric - analytic).abs() < 1e-7 * numeric.abs().max(1.0), "{numeric} and {analytic}");
        }
    }
}

#[test]
fn narrow_floats_are_summed_in_f32() {
    let device = plain();
    let mut inputs = Inputs::single(4, &device);
    let (input, filter) = (inputs.uniform::<3>([1, 300, 4]), inputs.uniform::<2>([4, 300]));
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let (input, filter) = (input.clone().cast(dtype), filter.clone().cast(dtype));
        let (output, state) = long_conv(input.clone(), filter.clone(), LongConvOptions::default());
        assert_eq!((output.dtype(), state.dtype()), (dtype.into(), DType::F32));
        let (input, filter) = (input.cast(FloatDType::F32), filter.cast(FloatDType::F32));
        let (exact, _) = long_conv(input, filter, LongConvOptions::default());
        let error = (output.cast(FloatDType::F32) - exact.clone()).abs() - exact.abs() * 4e-3;
        assert!(error.max().into_scalar::<f32>() <= 1e-7, "{dtype:?}");
    }
}

#[test]
fn no_sequences_have_outputs_and_gradients_of_none() {
    let device = autodiff();
    for form in FORMS {
        let case = Case::random([0, 5, 3], 8, 4, 1, &device);
        let (output, kept) = case.run(form);
        assert_eq!((output.dims(), kept.dims()), ([0, 5, 3], [0, 7, 3]));
    }
    let input = Tensor::<3>::zeros([0, 5, 2], &device).require_grad();
    let filter = Tensor::<2>::zeros([2, 3], &device);
    let (output, kept) = long_conv(input.clone(), filter, LongConvOptions::default());
    let gradients = (output.sum() + kept.sum()).backward();
    assert_eq!(input.grad(&gradients).unwrap().dims(), [0, 5, 2]);
}

#[test]
fn an_empty_state_is_none() {
    let device = autodiff();
    for form in FORMS {
        let mut case = Case::random([2, 5, 3], 8, 0, 1, &device);
        let wanted = case.outcome(form);
        case.state = Some(Tensor::zeros([2, 0, 3], (&device, DType::F64)));
        let (output, kept) = case.run(form);
        assert_eq!(values(output), wanted.values("output"));
        assert_eq!(values(kept), wanted.values("final_state"));
    }
}

#[test]
fn the_report_names_the_kernel() {
    let report = long_conv_report(100, &LongConvOptions::default(), &plain());
    assert_eq!((report.form, report.kernel), (Form::Kernel, Some(Kernel::Cpu)));
    let options = LongConvOptions { form: Form::Parallel, ..Default::default() };
    assert_eq!(long_conv_report(100, &options, &plain()).form, Form::Parallel);
}

#[test]
fn wrong_arguments_are_refused() {
    let device = plain();
    let run = |input: [usize; 3], filter: [usize; 2], change: &dyn Fn(&mut LongConvOptions)| {
        let mut options = LongConvOptions::default();
        change(&mut options);
        let (input, filter) = (Tensor::zeros(input, &device), Tensor::zeros(filter, &device));
        said(|| long_conv(input, filter, options))
    };
    let refused = |said: String, sentence: &str| assert!(said.contains(sentence), "{said}");
    let nothing = |_: &mut LongConvOptions| {};
    refused(run([2, 0, 3], [3, 4], &nothing), "`input` has no elements on its time axis");
    refused(run([2, 5, 0], [0, 4], &nothing), "`input` has no elements on its channel axis");
    refused(run([2, 5, 3], [3, 0], &nothing), "`filter` has no elements on its tap axis");
    refused(run([2, 5, 3], [4, 6], &nothing), "`filter` has the shape [4, 6], but [D, L] = [3, 6] is wanted");
    let zeros = |shape: [usize; 3]| Some(Tensor::<3>::zeros(shape, &plain()));
    refused(
        run([2, 5, 3], [3, 4], &|options| options.initial_state = zeros([2, 4, 3])),
        "`initial_state` holds 4 inputs, but at most L - 1 = 3 are wanted",
    );
    refused(
        run([2, 5, 3], [3, 4], &|options| options.initial_state = zeros([1, 3, 3])),
        "`initial_state` has the shape [1, 3, 3], but [B, P, D] = [2, 3, 3] is wanted",
    );
    refused(
        run([2, 5, 3], [3, 4], &|options| options.skip = Some(Tensor::zeros([2], &plain()))),
        "`skip` has the shape [2], but [D] = [3] is wanted",
    );
    refused(
        run([2, 5, 3], [3, 4], &|options| options.resets = Some(Tensor::full([2, 4], false, &plain()))),
        "`resets` has the shape [2, 4], but [B, T] = [2, 5] is wanted",
    );
    refused(
        run([2, 5, 3], [3, 4], &|options| options.form = Form::Chunked { size: 4 }),
        "use `Form::Auto` or `Form::Parallel`",
    );
}
