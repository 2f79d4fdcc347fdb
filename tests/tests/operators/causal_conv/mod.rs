//! The short convolution: forms, finite differences, splits, packing, causality.

mod segments;

use burn::tensor::{Bool, DType, Device, FloatDType, Tensor};
use proptest::prelude::*;
use seqzoo::ops::Form;
use seqzoo::ops::causal_conv::{CausalConvOptions, causal_conv};
use seqzoo_tests::{Inputs, Outcome, autodiff, flags, plain};

const EXACT: f64 = 1e-12;
/// The forms that take all tokens at once.
const WHOLE: [Form; 2] = [Form::Parallel, Form::Kernel];

#[derive(Clone)]
struct Case {
    input: Tensor<3>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    silu: bool,
    state: Option<Tensor<3>>,
    resets: Option<Tensor<2, Bool>>,
    output_cotangent: Tensor<3>,
    state_cotangent: Tensor<3>,
}

impl Case {
    fn random(shape: [usize; 3], width: usize, seed: u64, device: &Device) -> Self {
        let [batch, _, channels] = shape;
        let mut inputs = Inputs::new(seed, device);
        Self {
            input: inputs.uniform(shape),
            weight: inputs.uniform([channels, width]),
            bias: Some(inputs.uniform([channels])),
            silu: seed.is_multiple_of(2),
            state: Some(inputs.uniform([batch, width - 1, channels])),
            resets: None,
            output_cotangent: inputs.uniform(shape),
            state_cotangent: inputs.uniform([batch, width - 1, channels]),
        }
    }

    fn run(&self, form: Form) -> (Tensor<3>, Tensor<3>) {
        self.part(0, self.input.dims()[1], self.state.clone(), form)
    }

    fn part(&self, from: usize, to: usize, state: Option<Tensor<3>>, form: Form) -> (Tensor<3>, Tensor<3>) {
        let options = CausalConvOptions {
            bias: self.bias.clone(),
            silu: self.silu,
            initial_state: state,
            resets: self.resets.clone().map(|resets| resets.narrow(1, from, to - from)),
            segments: None,
            form,
        };
        causal_conv(self.input.clone().narrow(1, from, to - from), self.weight.clone(), options)
    }

    fn in_parts(&self, ends: &[usize]) -> (Tensor<3>, Tensor<3>) {
        let (mut from, mut state, mut outputs) = (0, self.state.clone(), Vec::new());
        for end in ends {
            let (output, next) = self.part(from, *end, state, Form::Auto);
            outputs.push(output);
            (from, state) = (*end, Some(next));
        }
        (Tensor::cat(outputs, 1), state.unwrap())
    }

    fn loss(&self, output: Tensor<3>, state: Tensor<3>) -> Tensor<1> {
        (output * self.output_cotangent.clone()).sum() + (state * self.state_cotangent.clone()).sum()
    }

    fn outcome_of(&self, run: impl Fn(&Self) -> (Tensor<3>, Tensor<3>)) -> Outcome {
        let mut case = self.clone();
        case.input = case.input.require_grad();
        case.weight = case.weight.require_grad();
        case.bias = case.bias.map(Tensor::require_grad);
        case.state = case.state.map(Tensor::require_grad);
        let (output, state) = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("output", &output);
        outcome.put("final_state", &state);
        let gradients = case.loss(output, state).backward();
        outcome.put_gradient("input", &case.input, &gradients);
        outcome.put_gradient("weight", &case.weight, &gradients);
        if let Some(bias) = &case.bias {
            outcome.put_gradient("bias", bias, &gradients);
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
fn the_last_tap_multiplies_the_current_token() {
    let device = plain();
    let input = Tensor::<3>::from_floats([[[1.0], [10.0], [100.0]]], &device);
    let weight = Tensor::<2>::from_floats([[1.0, 2.0]], &device);
    let (output, state) = causal_conv(input, weight, CausalConvOptions::default());
    assert_eq!(output.into_data().try_to_vec::<f32>().unwrap(), [2.0, 21.0, 210.0]);
    assert_eq!(state.into_data().try_to_vec::<f32>().unwrap(), [100.0]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn all_forms_agree(
        batch in 1usize..4,
        time in 1usize..14,
        channels in 1usize..40,
        width in 2usize..6,
        carried: bool,
        reset_rate in prop::sample::select(vec![0.0, 0.2, 0.9]),
        seed: u64,
    ) {
        let mut case = Case::random([batch, time, channels], width, seed, &autodiff());
        case.resets = (reset_rate > 0.0).then(|| Inputs::new(seed, &autodiff()).flags([batch, time], reset_rate));
        if !carried {
            (case.state, case.bias) = (None, None);
        }
        let wanted = case.outcome(Form::Naive);
        for form in WHOLE {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn every_split_gives_the_same_outputs_states_and_gradients() {
    for resets in [None, Some(flags(3, 20, &[0, 5, 6, 13], &autodiff()))] {
        let case = Case { resets, ..Case::random([3, 20, 4], 4, 1, &autodiff()) };
        let wanted = case.outcome(Form::Auto);
        for split in 1..20 {
            case.outcome_of(|case| case.in_parts(&[split, 20])).assert_close(&wanted, EXACT);
        }
        let steps: Vec<usize> = (1..=20).collect();
        case.outcome_of(|case| case.in_parts(&steps)).assert_close(&wanted, EXACT);
    }
}

#[test]
fn sequences_of_a_batch_do_not_see_each_other() {
    let case = Case::random([3, 11, 2], 4, 8, &plain());
    let row = |row: usize| Case {
        input: case.input.clone().narrow(0, row, 1),
        state: case.state.clone().map(|state| state.narrow(0, row, 1)),
        ..case.clone()
    };
    for form in WHOLE {
        let all = case.run(form).0;
        for index in 0..3 {
            assert_eq!(row(index).run(form).0.into_data(), all.clone().narrow(0, index, 1).into_data());
        }
    }
}

#[test]
fn sixty_five_thousand_tokens_equal_their_last_ones() {
    let time = 65_536;
    let case = Case::random([1, time, 2], 4, 3, &plain());
    let (whole, state) = case.run(Form::Auto);
    let (part, last) = case.part(time - 50, time, None, Form::Naive);
    let error = (whole.narrow(1, time - 40, 40) - part.narrow(1, 10, 40)).abs().max();
    assert!(error.into_scalar::<f64>() < EXACT);
    assert_eq!(state.into_data(), last.into_data());
}

#[test]
fn large_numbers_and_narrow_floats_pass() {
    let device = plain();
    let mut inputs = Inputs::single(4, &device);
    let (input, weight) = (inputs.between::<3>([1, 30, 4], -1e30, 1e30), inputs.uniform::<2>([4, 3]));
    let (output, _) = causal_conv(input.clone(), weight.clone(), CausalConvOptions::default());
    assert!(output.abs().max().into_scalar::<f32>().is_finite());

    let (input, weight) = (inputs.uniform::<3>([1, 30, 4]), inputs.uniform::<2>([4, 3]));
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let narrow = |x: Tensor<3>| x.cast(dtype);
        let taps = weight.clone().cast(dtype);
        let (output, state) = causal_conv(narrow(input.clone()), taps.clone(), CausalConvOptions::default());
        assert_eq!((output.dtype(), state.dtype()), (dtype.into(), DType::F32));
        let wide = narrow(input.clone()).cast(FloatDType::F32);
        let (exact, _) = causal_conv(wide, taps.cast(FloatDType::F32), CausalConvOptions::default());
        // The sums are f32; only the output is rounded, by at most half of its last place.
        let error = (output.cast(FloatDType::F32) - exact.clone()).abs() - exact.abs() * 4e-3;
        assert!(error.max().into_scalar::<f32>() <= 1e-7, "{dtype:?}");
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let case = Case { silu: true, ..Case::random([2, 9, 3], 4, 5, &autodiff()) };
    for form in [Form::Parallel, Form::Kernel, Form::Naive] {
        let mut directions = Inputs::new(6, &plain());
        let (along, taps) = (directions.uniform([2, 9, 3]), directions.uniform([3, 4]));
        let (offset, past) = (directions.uniform([3]), directions.uniform([2, 3, 3]));
        let at = |step: f64| {
            let mut moved = case.clone();
            moved.input = moved.input + along.clone() * step;
            moved.weight = moved.weight + taps.clone() * step;
            moved.bias = moved.bias.map(|bias| bias + offset.clone() * step);
            moved.state = moved.state.map(|state| state + past.clone() * step);
            let (output, state) = moved.run(form);
            moved.loss(output, state).into_scalar::<f64>()
        };
        let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
        let outcome = case.outcome(form);
        let flat = |data: burn::tensor::TensorData| data.try_to_vec::<f64>().unwrap();
        let dot = |a: &[f64], b: Vec<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let analytic = dot(outcome.values("d_input"), flat(along.to_data()))
            + dot(outcome.values("d_weight"), flat(taps.to_data()))
            + dot(outcome.values("d_bias"), flat(offset.to_data()))
            + dot(outcome.values("d_state"), flat(past.to_data()));
        assert!((numeric - analytic).abs() < 1e-8 * numeric.abs().max(1.0));
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    let starts = [0, 2, 3, 9, 14];
    let mut case = Case::random([2, 14, 3], 4, 2, &autodiff());
    case.state = None;
    let wanted = case.outcome_of(|case| {
        let parts: Vec<_> =
            starts.windows(2).map(|ends| case.part(ends[0], ends[1], None, Form::Naive)).collect();
        let state = parts.last().unwrap().1.clone();
        (Tensor::cat(parts.into_iter().map(|(output, _)| output).collect(), 1), state)
    });
    case.resets = Some(flags(2, 14, &starts, &autodiff()));
    for form in WHOLE {
        case.outcome(form).assert_close(&wanted, EXACT);
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    let case = Case::random([1, 12, 2], 3, 3, &plain());
    let mut other = case.clone();
    other.input = other.input.clone().slice_assign([0..1, 7..8, 0..2], other.input.narrow(1, 7, 1) + 1.0);
    for form in WHOLE {
        let before = |case: &Case| case.run(form).0.narrow(1, 0, 7).into_data();
        assert_eq!(before(&case), before(&other));
    }
}

#[test]
#[should_panic(expected = "The argument `weight` has 1 taps, but at least 2 are wanted")]
fn one_tap_is_refused() {
    Case::random([1, 2, 2], 1, 1, &plain()).run(Form::Auto);
}

#[test]
fn single_precision_is_as_good_as_its_type() {
    let case = Case { silu: true, ..Case::random([2, 200, 37], 4, 6, &autodiff()) };
    let mut single = case.clone();
    let narrow = FloatDType::F32;
    single.input = single.input.cast(narrow);
    single.weight = single.weight.cast(narrow);
    single.bias = single.bias.map(|bias| bias.cast(narrow));
    single.state = single.state.map(|state| state.cast(narrow));
    single.output_cotangent = single.output_cotangent.cast(narrow);
    single.state_cotangent = single.state_cotangent.cast(narrow);
    single.outcome(Form::Kernel).assert_close(&case.outcome(Form::Naive), 2e-6);
}

#[test]
fn the_number_of_cores_changes_no_bit() {
    let mut case = Case::random([3, 2000, 70], 4, 7, &autodiff());
    case.resets = Some(Inputs::new(7, &autodiff()).flags([3, 2000], 0.02));
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads start").install(|| case.outcome(Form::Kernel))
    };
    let one = with(1);
    for threads in [2, 3, 8] {
        with(threads).assert_close(&one, 0.0);
    }
}
