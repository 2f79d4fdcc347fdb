//! Landmark attention: golden vectors, forms, splits, packing, finite differences, hostile scores.

use burn::tensor::{Bool, DType, Device, FloatDType, Int, Tensor, TensorData};
use proptest::prelude::*;
use seqzoo::ops::Form;
use seqzoo::ops::attention::landmark::{
    LandmarkOptions, LandmarkState, landmark_attention, landmark_attention_report,
};
use seqzoo::ops::attention::{AttentionOptions, attention};
use seqzoo_tests::{Golden, Inputs, Outcome, autodiff, flags, largest_error, plain, said, values};

const EXACT: f64 = 1e-10;
const FORMS: [Form; 3] = [Form::Naive, Form::Parallel, Form::Kernel];
/// The forms that take a whole sequence at once.
const WHOLE: [Form; 2] = [Form::Parallel, Form::Kernel];

#[derive(Clone)]
struct Case {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    landmarks: Tensor<2, Bool>,
    scale: Option<f64>,
    resets: Option<Tensor<2, Bool>>,
    cotangent: Tensor<4>,
}

impl Case {
    /// With a landmark at the end of every `block` tokens.
    fn random(
        [batch, time]: [usize; 2],
        heads: [usize; 2],
        block: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let mut inputs = Inputs::new(seed, device);
        let [heads, key_heads] = heads;
        let at: Vec<usize> = (0..time).filter(|place| (place + 1) % block == 0).collect();
        Self {
            query: inputs.uniform([batch, time, heads, 4]),
            key: inputs.uniform([batch, time, key_heads, 4]),
            value: inputs.uniform([batch, time, key_heads, 3]),
            landmarks: flags(batch, time, &at, device),
            scale: Some(2.0),
            resets: None,
            cotangent: inputs.uniform([batch, time, heads, 3]),
        }
    }

    /// With landmarks anywhere.
    fn with_landmarks(mut self, rate: f64, seed: u64) -> Self {
        let [batch, time, ..] = self.query.dims();
        self.landmarks = Inputs::new(seed, &self.query.device()).flags([batch, time], rate);
        self
    }

    fn time(&self) -> usize {
        self.query.dims()[1]
    }

    fn part(
        &self,
        from: usize,
        to: usize,
        state: Option<LandmarkState>,
        form: Form,
    ) -> (Tensor<4>, LandmarkState) {
        let cut = |x: &Tensor<4>| x.clone().narrow(1, from, to - from);
        let cut_flags = |x: &Tensor<2, Bool>| x.clone().narrow(1, from, to - from);
        let options = LandmarkOptions {
            initial_state: state,
            scale: self.scale,
            resets: self.resets.as_ref().map(cut_flags),
            form,
        };
        let landmarks = cut_flags(&self.landmarks);
        landmark_attention(cut(&self.query), cut(&self.key), cut(&self.value), landmarks, options)
    }

    fn run(&self, form: Form) -> Tensor<4> {
        self.part(0, self.time(), None, form).0
    }

    fn in_parts(&self, ends: &[usize], form: Form) -> (Tensor<4>, LandmarkState) {
        let (mut from, mut state, mut outputs) = (0, None, Vec::new());
        for end in ends {
            let (output, next) = self.part(from, *end, state, form);
            outputs.push(output);
            (from, state) = (*end, Some(next));
        }
        (Tensor::cat(outputs, 1), state.unwrap())
    }

    /// Output, state and gradients, with random gradients upstream of output and state.
    fn outcome_of(&self, run: impl Fn(&Self) -> (Tensor<4>, LandmarkState)) -> Outcome {
        let mut case = self.clone();
        case.query = case.query.require_grad();
        case.key = case.key.require_grad();
        case.value = case.value.require_grad();
        let (output, state) = run(&case);
        let mut outcome = Outcome::default();
        outcome.put("o", &output);
        let (keys, values) = (state.keys.tensor(), state.values.tensor());
        outcome.put("keys", &keys);
        outcome.put("values", &values);
        outcome.put("landmarks", &state.landmarks.float());
        let mut inputs = Inputs::new(5, &keys.device());
        let upstream = (keys.clone() * inputs.uniform(keys.dims())).sum()
            + (values.clone() * inputs.uniform(values.dims())).sum();
        let gradients = ((output * case.cotangent.clone()).sum() + upstream).backward();
        outcome.put_gradient("q", &case.query, &gradients);
        outcome.put_gradient("k", &case.key, &gradients);
        outcome.put_gradient("v", &case.value, &gradients);
        outcome
    }

    fn outcome(&self, form: Form) -> Outcome {
        self.outcome_of(|case| case.part(0, case.time(), None, form))
    }
}

fn unit_vectors(count: usize, device: &Device) -> Tensor<2> {
    Tensor::<2>::eye(count, device).cast(FloatDType::F64)
}

/// Queries, keys and values of which the scores are those given and the output is the weights: `[B, H, T, T]`.
fn of_scores(golden: &Golden, device: &Device) -> Case {
    let scores = golden.tensor::<4>("scores", device).swap_dims(1, 2);
    let [batch, time, heads, _] = scores.dims();
    let unit = unit_vectors(time, device).reshape([1, time, 1, time]);
    Case {
        query: scores,
        key: unit.clone().expand([batch, time, heads, time]),
        value: unit.expand([batch, time, heads, time]),
        landmarks: golden.tensor::<2>("is_landmark", device).greater_scalar(0.5),
        scale: Some(1.0),
        resets: None,
        cotangent: golden.tensor::<4>("ct.probs", device).swap_dims(1, 2),
    }
}

#[test]
fn weights_equal_the_reference() {
    let device = autodiff();
    for name in ["t1", "t10_b3_legacy", "t12_b4"] {
        let golden = Golden::load(&format!("12_landmark_softmax__{name}"));
        for form in FORMS {
            let mut case = of_scores(&golden, &device);
            case.query = case.query.require_grad();
            let output = case.run(form);
            let gradients = (output.clone() * case.cotangent.clone()).sum().backward();
            let gradient = case.query.grad(&gradients).unwrap();
            for (found, wanted) in [(output.inner(), "probs"), (gradient, "d_scores")] {
                let error = largest_error(&values(found.swap_dims(1, 2)), golden.values(wanted));
                assert!(error <= 2e-6, "{name}, {form:?}: `{wanted}` differs by {error:e}");
            }
        }
    }
}

#[test]
fn a_layer_of_the_reference_is_the_operator_between_two_products() {
    let device = autodiff();
    let golden = Golden::load("12_landmark_attention__t13_b4");
    for form in FORMS {
        let leaf = |name: &str| golden.tensor::<2>(name, &device).require_grad();
        let (into, out) = (leaf("params.c_attn.weight"), leaf("params.c_proj.weight"));
        let x = golden.tensor::<3>("x", &device).require_grad();
        let projected = x.clone().squeeze_dim::<2>(0).matmul(into.clone().transpose()); // [t, 3c]
        let part = |index: usize| projected.clone().narrow(1, 8 * index, 8).reshape([1, 13, 2, 4]);
        let landmarks = golden.tensor::<2>("is_landmark", &device).greater_scalar(0.5);
        let options = LandmarkOptions { form, ..Default::default() };
        let (read, _) = landmark_attention(part(0), part(1), part(2), landmarks, options);
        let output = read.reshape([13, 8]).matmul(out.clone().transpose()).unsqueeze_dim::<3>(0);
        let gradients = (output.clone() * golden.tensor("do", &device)).sum().backward();
        for (found, wanted) in [
            (values(output.inner()), "o"),
            (values(x.grad(&gradients).unwrap()), "d_x"),
            (values(into.grad(&gradients).unwrap()), "d_params.c_attn.weight"),
            (values(out.grad(&gradients).unwrap()), "d_params.c_proj.weight"),
        ] {
            let error = largest_error(&found, golden.values(wanted));
            assert!(error <= 2e-6, "{form:?}: `{wanted}` differs by {error:e}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_forms_agree(
        batch in 1usize..4,
        time in 1usize..18,
        key_heads in 1usize..3,
        group in 1usize..3,
        landmark_rate in prop::sample::select(vec![0.0, 0.2, 0.5, 1.0]),
        reset_rate in prop::sample::select(vec![0.0, 0.2, 0.9]),
        seed: u64,
    ) {
        let device = autodiff();
        let mut case = Case::random([batch, time], [key_heads * group, key_heads], 1, seed, &device)
            .with_landmarks(landmark_rate, seed);
        case.resets = (reset_rate > 0.0).then(|| Inputs::new(seed ^ 1, &device).flags([batch, time], reset_rate));
        let wanted = case.outcome(Form::Naive);
        for form in WHOLE {
            case.outcome(form).assert_close(&wanted, EXACT);
        }
        let steps: Vec<usize> = (1..=time).collect();
        for form in FORMS {
            case.outcome_of(|case| case.in_parts(&steps, form)).assert_close(&wanted, EXACT);
        }
    }
}

#[test]
fn every_split_gives_the_same() {
    for packed in [false, true] {
        let mut case = Case::random([2, 20], [4, 2], 5, 1, &autodiff());
        case.resets = packed.then(|| Inputs::new(4, &autodiff()).flags([2, 20], 0.15));
        let wanted = case.outcome(Form::Auto);
        for split in 1..20 {
            for form in FORMS {
                case.outcome_of(|case| case.in_parts(&[split, 20], form)).assert_close(&wanted, EXACT);
            }
        }
    }
}

/// More tokens than queries are worked on at once, which a split cuts elsewhere.
#[test]
fn long_sequences_are_cut_without_a_trace() {
    let case = Case::random([2, 300], [2, 1], 9, 1, &autodiff());
    let wanted = case.outcome(Form::Auto);
    for split in [1, 127, 128, 129, 250] {
        case.outcome_of(|case| case.in_parts(&[split, 300], Form::Auto)).assert_close(&wanted, EXACT);
    }
}

#[test]
fn packed_sequences_equal_separate_ones() {
    let starts = [0, 2, 3, 9, 14];
    let mut case = Case::random([2, 14], [2, 2], 3, 2, &plain());
    let parts = starts.windows(2).map(|ends| case.part(ends[0], ends[1], None, Form::Auto).0);
    let wanted = Tensor::cat(parts.collect(), 1);
    case.resets = Some(flags(2, 14, &starts, &plain()));
    for form in FORMS {
        assert!(largest_error(&values(case.run(form)), &values(wanted.clone())) <= EXACT);
    }
}

#[test]
fn gradients_equal_finite_differences() {
    let mut case = Case::random([1, 9], [2, 1], 3, 6, &autodiff());
    case.resets = Some(flags(1, 9, &[4], &autodiff()));
    let found = case.outcome_of(|case| {
        let (output, state) = case.part(0, 9, None, Form::Parallel);
        (output, LandmarkState { keys: state.keys.tensor().detach().into(), ..state })
    });
    let loss = |case: &Case| (case.run(Form::Parallel) * case.cotangent.clone()).sum().into_scalar::<f64>();
    let step = 1e-5;
    for (name, of) in [("d_q", 0), ("d_k", 1)] {
        let tensor = [&case.query, &case.key][of].clone();
        let wanted: Vec<f64> = (0..tensor.dims().iter().product::<usize>())
            .map(|place| {
                let at = |change: f64| {
                    let mut numbers = values(tensor.clone());
                    numbers[place] += change;
                    let data = TensorData::new(numbers, tensor.dims());
                    let changed = Tensor::from_data(data, (&tensor.device(), DType::F64));
                    let mut case = case.clone();
                    *[&mut case.query, &mut case.key][of] = changed;
                    loss(&case)
                };
                (at(step) - at(-step)) / (2.0 * step)
            })
            .collect();
        let error = largest_error(found.values(name), &wanted);
        assert!(error <= 1e-8, "`{name}` differs by {error:e}");
    }
}

#[test]
fn a_token_changes_nothing_before_it() {
    let case = Case::random([1, 140], [2, 1], 5, 3, &plain());
    for place in [7, 9, 133] {
        let mut other = case.clone();
        let [_, _, _, channels] = other.key.dims();
        let range = [0..1, place..place + 1, 0..1, 0..channels];
        other.key = other.key.clone().slice_assign(range, other.key.narrow(1, place, 1) + 1.0);
        for form in FORMS {
            let before = |case: &Case| case.run(form).narrow(1, 0, place).into_data();
            assert_eq!(before(&case), before(&other));
        }
    }
}

#[test]
fn without_landmarks_it_is_attention() {
    let mut case = Case::random([2, 30], [4, 2], 100, 3, &plain());
    case.scale = None;
    let (wanted, _) =
        attention(case.query.clone(), case.key.clone(), case.value.clone(), AttentionOptions::default());
    for form in FORMS {
        assert!(largest_error(&values(case.run(form)), &values(wanted.clone())) <= EXACT);
    }
}

#[test]
fn what_sees_nothing_reads_zeros_and_an_empty_block_loses_its_weight() {
    let device = plain();
    for form in FORMS {
        // The weights themselves: values are unit vectors.
        let mut case = Case::random([1, 6], [1, 1], 100, 3, &device);
        let unit = unit_vectors(6, &device).reshape([1, 6, 1, 6]);
        (case.value, case.scale) = (unit, Some(0.1));
        case.landmarks = flags(1, 6, &[0, 1, 4], &device);
        let rows: Vec<f64> = values(case.run(form).sum_dim(3));
        assert_eq!(rows[..2], [0.0, 0.0], "{form:?}: nothing is there to be read");
        assert!(rows[2] > 0.2 && rows[2] < 0.5, "{form:?}: the landmarks of empty blocks keep a share");
        let columns: Vec<f64> = values(case.run(form).sum_dim(1));
        assert_eq!([columns[0], columns[1], columns[4]], [0.0; 3], "{form:?}: landmarks are not read");
    }
}

#[test]
fn scores_of_ten_thousand_stay_numbers() {
    let device = autodiff();
    for sign in [1.0, -1.0] {
        let mut case = Case::random([2, 17], [2, 1], 4, 8, &device);
        case.scale = Some(sign * 1e4);
        // The softmax is so sharp that some gradients are as good as 0: the error of those is one of a number around 1.
        let wanted = case.outcome(Form::Naive);
        for form in WHOLE {
            let found = case.outcome(form);
            for name in wanted.names() {
                let wanted = wanted.values(name);
                let least = wanted.iter().fold(1.0f64, |least, number| least.max(number.abs()));
                let error = largest_error(found.values(name), wanted);
                let scale = wanted.iter().fold(0.0f64, |scale, number| scale.max(number.abs()));
                assert!(error * scale <= EXACT * least, "{form:?}: `{name}` differs by {error:e}");
            }
        }
        // In f32 all is finite as well.
        let single = |x: &Tensor<4>| x.clone().inner().cast(FloatDType::F32).autodiff().require_grad();
        let (query, key, value) = (single(&case.query), single(&case.key), single(&case.value));
        let options = LandmarkOptions { scale: case.scale, ..Default::default() };
        let (output, _) = landmark_attention(query.clone(), key.clone(), value, case.landmarks, options);
        let gradients = output.clone().sum().backward();
        for tensor in [output.inner(), query.grad(&gradients).unwrap(), key.grad(&gradients).unwrap()] {
            assert!(tensor.is_finite().all().into_scalar::<bool>());
        }
    }
}

#[test]
fn narrow_floats_are_computed_in_f32() {
    let case = Case::random([1, 20], [2, 1], 6, 3, &plain());
    for dtype in [FloatDType::BF16, FloatDType::F16] {
        let run = |wide: bool| {
            let cast = |x: &Tensor<4>| {
                let narrow = x.clone().cast(dtype);
                if wide { narrow.cast(FloatDType::F32) } else { narrow }
            };
            let options = LandmarkOptions::default();
            landmark_attention(
                cast(&case.query),
                cast(&case.key),
                cast(&case.value),
                case.landmarks.clone(),
                options,
            )
        };
        let ((output, state), (exact, _)) = (run(false), run(true));
        assert_eq!((output.dtype(), state.keys.dtype()), (dtype.into(), DType::F32));
        let error = (output.cast(FloatDType::F32) - exact.clone()).abs() - exact.abs() * 4e-3;
        assert!(error.max().into_scalar::<f32>() <= 1e-7, "{dtype:?}");
    }
}

#[test]
fn what_is_hidden_does_not_count_even_where_it_is_no_number() {
    let device = plain();
    for (form, with) in FORMS.into_iter().flat_map(|form| [(form, f64::NAN), (form, f64::INFINITY)]) {
        // An ordinary token and a landmark before the reset.
        for place in [1, 3] {
            let mut case = Case::random([2, 14], [4, 2], 4, 5, &device);
            case.resets = Some(flags(2, 14, &[6], &device));
            let spoil = |x: &Tensor<4>| {
                let [_, _, heads, channels] = x.dims();
                let range = [0..2, place..place + 1, 0..heads, 0..channels];
                let wild = Tensor::full([2, 1, heads, channels], with, (&device, DType::F64));
                x.clone().slice_assign(range, wild)
            };
            let bad = Case { key: spoil(&case.key), value: spoil(&case.value), ..case.clone() };
            let (good, found) = (case.run(form), bad.run(form));
            let part = |x: &Tensor<4>, from: usize, to: usize| x.clone().narrow(1, from, to - from);
            assert_eq!(part(&found, 6, 14).into_data(), part(&good, 6, 14).into_data(), "{form:?}");
            assert!(part(&found, 4, 6).is_nan().all().into_scalar::<bool>(), "{form:?}");
            for split in [4, 6] {
                let (_, state) = bad.part(0, split, None, form);
                let (rest, _) = bad.part(split, 14, Some(state), form);
                let (_, clean) = case.part(0, split, None, form);
                let (wanted, _) = case.part(split, 14, Some(clean), form);
                let after = |x: &Tensor<4>| part(x, 6 - split, 14 - split).into_data();
                assert_eq!(after(&rest), after(&wanted), "{form:?}, split at {split}");
            }
        }
    }
}

#[test]
fn what_nobody_sees_any_more_leaves_the_cache() {
    let device = plain();
    for form in FORMS {
        let mut case = Case::random([3, 12], [2, 1], 4, 5, &device);
        let resets = [&[0, 4][..], &[7], &[5, 9]].map(|at| flags(1, 12, at, &device));
        case.resets = Some(Tensor::cat(resets.to_vec(), 0));
        let (_, state) = case.part(0, 12, None, form);
        assert_eq!((state.keys.dims(), state.landmarks.dims()), ([3, 8, 1, 4], [3, 8]), "{form:?}");
        assert_eq!(state.visible.map(|visible| visible.dims()), Some([3, 8]));
        case.resets = Some(flags(3, 12, &[0, 10], &device));
        let (_, state) = case.part(0, 12, None, form);
        assert_eq!((state.keys.dims(), state.landmarks.dims()), ([3, 2, 1, 4], [3, 2]), "{form:?}");
        assert!(state.visible.is_none());
    }
}

#[test]
fn no_sequences_have_no_outputs() {
    let device = plain();
    let zeros = |heads: usize, channels: usize| Tensor::<4>::zeros([0, 5, heads, channels], &device);
    let none = Tensor::<2, Int>::zeros([0, 5], &device).bool();
    for form in FORMS {
        let options = LandmarkOptions { form, ..Default::default() };
        let (output, state) =
            landmark_attention(zeros(4, 3), zeros(2, 3), zeros(2, 6), none.clone(), options);
        assert_eq!((output.dims(), state.keys.dims()), ([0, 5, 4, 6], [0, 5, 2, 3]));
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let case = Case::random([2, 6], [4, 2], 3, 5, &plain());
    let run = |change: &dyn Fn(&mut Case)| {
        let mut case = case.clone();
        change(&mut case);
        let Case { query, key, value, landmarks, resets, .. } = case;
        let options = LandmarkOptions { resets, ..Default::default() };
        said(|| landmark_attention(query, key, value, landmarks, options))
    };
    let (_, state) = case.part(0, 6, None, Form::Auto);
    let from = |state: LandmarkState| said(|| case.part(0, 6, Some(state.clone()), Form::Auto));
    let short = state.landmarks.clone().narrow(1, 0, 4);
    for (said, wanted) in [
        (run(&|case| case.key = case.key.clone().narrow(1, 0, 5)), "`key` has the shape [2, 5, 2, 4]"),
        (
            run(&|case| case.query = case.query.clone().narrow(2, 0, 3)),
            "`key` has 2 heads, which do not divide the 3 heads of `query`",
        ),
        (
            run(&|case| case.landmarks = case.landmarks.clone().narrow(0, 0, 1)),
            "`landmarks` has the shape [1, 6], but [B, T] = [2, 6] is wanted",
        ),
        (run(&|case| case.resets = Some(flags(2, 5, &[], &plain()))), "`resets` has the shape [2, 5]"),
        (from(LandmarkState { landmarks: short, ..state }), "`initial_state.landmarks` has the shape [2, 4]"),
        (
            said(|| {
                let form = Form::Chunked { size: 4 };
                landmark_attention_report(5, &LandmarkOptions { form, ..Default::default() }, &plain())
            }),
            "use `Form::Auto` or `Form::Parallel`",
        ),
    ] {
        assert!(said.contains(wanted), "{said}");
    }
}
