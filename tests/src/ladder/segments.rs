//! Rung 4, for several sequences in one row: each as if it had been given alone.

use super::change::{Row, Tokens};
use super::{Case, Change, Operator, available};
use crate::{Inputs, Outcome, autodiff, plain};
use burn::tensor::{Bool, DType, Tensor};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use seqzoo::ops::{Form, Segment, Segments};

/// An operator that takes segments.
pub trait Segmented: Operator {
    /// All forms that know something else of them.
    const FORMS: &'static [Form] = &[Form::Naive, Form::Chunked { size: 8 }, Form::Kernel, Form::Auto];

    /// `shape` with so many sequences of so many tokens.
    fn resized(shape: Self::Shape, batch: usize, time: usize) -> Self::Shape;

    /// As [`Operator::run`], with segments.
    fn run_segments(
        &self,
        segments: Segments,
        state: Option<Self::State>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Self::Output, Self::State);
}

/// A case whose rows hold several sequences: its states are those of the segments.
#[derive(Clone, Debug)]
pub struct Packed<O: Operator> {
    /// The case.
    pub case: Case<O>,
    /// Its segments.
    pub segments: Segments,
}

impl<O: Segmented> Packed<O> {
    /// Random inputs, initial states and cotangents for segments, on the device of gradients.
    pub fn random(kind: O::Kind, segments: Segments, seed: u64) -> Self {
        let (rows, time) = (segments.rows(), segments.time());
        let device = autodiff();
        let case = Case::<O>::random(kind, &O::resized(O::shape(time), rows, time), seed, &device);
        let states = O::resized(O::shape(time), segments.count(), time);
        let random = |offset| O::random_state(kind, &states, &mut Inputs::new(seed + offset, &device));
        Self { case: Case { state: Some(random(1)), state_cotangent: random(2), ..case }, segments }
    }

    /// With random resets, of this probability.
    pub fn with_resets(self, probability: f64) -> Self {
        Self { case: self.case.with_resets(5, probability), ..self }
    }

    /// Everything that one call gives.
    pub fn outcome(&self, form: Form) -> Outcome {
        self.case.clone().outcome_of(|case| self.run(case, form))
    }

    /// Output and final states of one call on `case`.
    pub fn run(&self, case: &Case<O>, form: Form) -> (O::Output, O::State) {
        let (state, resets) = (case.state.clone(), case.resets.clone());
        case.inputs.run_segments(self.segments.clone(), state, resets, form)
    }

    /// Everything that a call in parts gives, which end at `ends`.
    fn outcome_in_parts(&self, ends: &[usize], form: Form) -> Outcome {
        self.case.clone().outcome_of(|case| {
            let (mut from, mut state, mut outputs) = (0, case.state.clone(), Vec::new());
            for end in ends {
                let part = case.part(from, *end, state);
                let segments = self.segments.narrow(from..*end);
                let (output, next) = part.inputs.run_segments(segments, part.state, part.resets, form);
                outputs.push(output);
                (from, state) = (*end, Some(next));
            }
            (O::join(outputs), state.expect("there is a part"))
        })
    }

    /// Everything that a call for every segment gives.
    pub fn outcome_one_by_one(&self, form: Form) -> Outcome {
        self.case.clone().outcome_of(|case| {
            let mut states = Vec::new();
            let rows = (0..self.segments.rows()).map(|row| {
                let outputs = self.segments.of_row(row).filter_map(|number| {
                    let (output, state) = self.alone(case, number, form);
                    states.push(state);
                    output
                });
                O::join(outputs.collect())
            });
            let outputs: Vec<_> = rows.collect();
            (
                below(outputs, |output, change| O::map_output(output, change)),
                below(states, |state, change| O::map_state(state, change)),
            )
        })
    }

    /// Output and final state of a segment that is given alone; without tokens the state stays as it is.
    fn alone(&self, case: &Case<O>, number: usize, form: Form) -> (Option<O::Output>, O::State) {
        let Segment { row, start, length } = self.segments.all()[number];
        let state = case.state.clone().expect("a packed case has states");
        let state = O::map_state(state, &mut Row(number));
        if length == 0 {
            return (None, state);
        }
        let inputs = case.inputs.clone().map(&mut Row(row)).map(&mut Tokens(start..start + length));
        let resets = case.resets.clone().map(|resets| resets.narrow(0, row, 1).narrow(1, start, length));
        let (output, state) = inputs.run(Some(state), resets, form);
        (Some(output), state)
    }
}

/// Batches one below the other; `map` changes the tensors of one.
fn below<T>(batches: Vec<T>, map: impl Fn(T, &mut Below) -> T + Copy) -> T
where
    T: Clone,
{
    let mut all = Below { flat: vec![Vec::new(); batches.len()], batch: 0, joining: None };
    for (index, batch) in batches.iter().enumerate() {
        all.batch = index;
        map(batch.clone(), &mut all);
    }
    all.joining = Some(0);
    map(batches.into_iter().next().expect("there is a batch"), &mut all)
}

/// Collects the tensors of batches, and then puts those of all in the place of the first.
struct Below {
    /// For every batch its tensors.
    flat: Vec<Vec<Tensor<1>>>,
    batch: usize,
    /// The number of the tensor that comes next.
    joining: Option<usize>,
}

impl Change for Below {
    fn of<const D: usize>(&mut self, _: &str, tensor: Tensor<D>) -> Tensor<D> {
        let Some(number) = self.joining.as_mut() else {
            self.flat[self.batch].push(tensor.clone().reshape([-1]));
            return tensor;
        };
        let all = Tensor::cat(self.flat.iter().map(|tensors| tensors[*number].clone()).collect(), 0);
        *number += 1;
        let mut shape = tensor.dims();
        shape[0] = all.dims()[0] / shape[1..].iter().product::<usize>();
        all.reshape(shape)
    }
}

/// Two rows of 43 tokens that disagree, with segments beyond a chunk of the kernel, of one token and of none.
pub fn uneven() -> Segments {
    Segments::new(43, [vec![0, 34, 1, 0, 8], vec![5, 38, 0]])
}

/// Segments that are given alone, by the law, are what a packed call gives in every form.
#[track_caller]
fn assert_is_one_by_one<O: Segmented>(packed: &Packed<O>) {
    let wanted = packed.outcome_one_by_one(Form::Naive);
    for form in available::<O>(O::FORMS) {
        packed.outcome(form).assert_close(&wanted, O::TOLERANCE.exact);
    }
}

pub fn packed_segments_equal_separate_sequences<O: Segmented>() {
    for kind in O::KINDS {
        assert_is_one_by_one(&Packed::<O>::random(*kind, uneven(), 3));
    }
}

pub fn resets_may_lie_in_segments<O: Segmented>() {
    for kind in O::KINDS {
        assert_is_one_by_one(&Packed::<O>::random(*kind, uneven(), 4).with_resets(0.15));
    }
}

pub fn segments_of_one_length_equal_separate_sequences<O: Segmented>() {
    for kind in O::KINDS {
        for lengths in [[vec![4, 4, 4], vec![4, 4, 4]], [vec![0, 4, 0, 4, 4], vec![4, 4, 4]]] {
            let segments = Segments::new(12, lengths);
            assert_is_one_by_one(&Packed::<O>::random(*kind, segments, 5).with_resets(0.2));
        }
        // One token of every stream, as they are decoded.
        assert_is_one_by_one(&Packed::<O>::random(*kind, Segments::in_one_row([1, 0, 1, 1]), 6));
    }
}

pub fn one_segment_per_row_is_the_row<O: Segmented>() {
    for kind in O::KINDS {
        for (rows, time) in [(1, 1), (1, 37), (3, 37)] {
            let packed = Packed::<O>::random(*kind, Segments::new(time, vec![[time]; rows]), 7);
            for form in available::<O>(O::FORMS) {
                packed.outcome(form).assert_close(&packed.case.clone().outcome(form), 0.0);
            }
        }
        assert_is_one_by_one(&Packed::<O>::random(*kind, Segments::in_one_row([0, 0, 21, 0]), 8));
    }
}

pub fn a_call_may_end_inside_a_segment<O: Segmented>() {
    for kind in O::KINDS {
        let packed = Packed::<O>::random(*kind, uneven(), 9).with_resets(0.1);
        for form in available::<O>(O::FORMS) {
            let wanted = packed.outcome(form);
            for ends in [&[1, 43][..], &[20, 43], &[5, 34, 35, 43], &[36, 42, 43]] {
                packed.outcome_in_parts(ends, form).assert_close(&wanted, O::TOLERANCE.exact);
            }
        }
    }
}

pub fn segments_without_a_tape_give_the_same<O: Segmented>() {
    for kind in O::KINDS {
        let packed = Packed::<O>::random(*kind, uneven(), 10);
        let case = packed.case.clone().on(&plain(), DType::F64);
        let wanted = packed.outcome_one_by_one(Form::Naive);
        for form in available::<O>(O::FORMS) {
            let (output, state) = packed.run(&case, form);
            let found = super::returned::<O>(&output, &state);
            assert!(wanted.largest_difference(&found) < 1e-10, "{kind:?}, {form:?}");
        }
    }
}

pub fn a_thousand_streams_of_different_lengths_equal_separate_sequences<O: Segmented>() {
    let kind = O::KINDS[O::KINDS.len() - 1];
    let lengths: Vec<usize> =
        (0..1000).map(|number| number * 7 % 13 * usize::from(number % 5 != 0)).collect();
    let packed = Packed::<O>::random(kind, Segments::in_one_row(lengths), 11).with_resets(0.02);
    let wanted = packed.outcome_one_by_one(Form::Auto);
    for form in available::<O>(O::FORMS) {
        packed.outcome(form).assert_close(&wanted, O::TOLERANCE.exact);
    }
}

pub fn the_number_of_cores_changes_no_bit<O: Segmented>() {
    // Fewer segments with heads than cores are divided by chunks, more go from core to core.
    let segments = Segments::new(4500, [[7, 4493, 0], [2000, 1500, 1000]]);
    for kind in O::KINDS {
        let packed = Packed::<O>::random(*kind, segments.clone(), 12).with_resets(0.003);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("threads start").install(|| packed.outcome(Form::Kernel))
        };
        let one = with(1);
        for threads in [2, 3, 40] {
            with(threads).assert_close(&one, 0.0);
        }
        one.assert_close(&packed.outcome_one_by_one(Form::Auto), O::TOLERANCE.exact);
    }
}

pub fn single_precision_is_as_good_as_its_type<O: Segmented>() {
    super::device::segments_equal_separate_sequences::<O>(&autodiff());
}

pub fn no_rows_have_no_segments<O: Segmented>() {
    for kind in O::KINDS {
        let packed = Packed::<O>::random(*kind, Segments::new(5, Vec::<Vec<usize>>::new()), 13);
        for form in available::<O>(O::FORMS) {
            let (output, state) = packed.run(&packed.case, form);
            let returned = super::returned::<O>(&output, &state);
            for name in returned.names() {
                assert!(returned.values(name).is_empty(), "{kind:?}, {form:?}: {name}");
            }
        }
    }
}

/// `source` is the file of the test, by which proptest finds the cases that have failed before.
pub fn any_segments_give_the_same<O: Segmented>(source: &'static str) {
    let drawn = (
        0..O::KINDS.len(),
        prop::collection::vec(
            prop::collection::vec(prop::sample::select(vec![0usize, 0, 1, 2, 5, 17, 33]), 0..6),
            1..4,
        ),
        prop::sample::select(vec![0.0, 0.1, 0.9]),
        any::<u32>(),
    );
    let config = ProptestConfig { source_file: Some(source), ..ProptestConfig::with_cases(24) };
    let result = TestRunner::new(config).run(&drawn, |(kind, mut rows, reset_rate, seed)| {
        // Rows of as many tokens as the longest of them, and of one at least.
        let sum = |lengths: &Vec<usize>| lengths.iter().sum::<usize>();
        let time = rows.iter().map(sum).max().unwrap_or(0).max(1);
        for lengths in &mut rows {
            let missing = time - sum(lengths);
            lengths.push(missing);
        }
        let mut packed = Packed::<O>::random(O::KINDS[kind], Segments::new(time, rows), u64::from(seed));
        if reset_rate > 0.0 {
            packed = packed.with_resets(reset_rate);
        }
        assert_is_one_by_one(&packed);
        Ok(())
    });
    result.unwrap_or_else(|failure| panic!("{failure}"));
}

/// A call with `segments` for three rows of nine tokens.
fn refused<O: Segmented>(segments: Segments) {
    let case = Case::<O>::random(O::KINDS[0], &O::shape(9), 1, &plain());
    case.inputs.run_segments(segments, None, None, Form::Auto);
}

pub fn segments_of_other_rows_are_refused<O: Segmented>() {
    refused::<O>(Segments::new(9, [[4, 5], [1, 8]]));
}

pub fn segments_of_other_tokens_are_refused<O: Segmented>() {
    refused::<O>(Segments::new(7, [[3, 4], [1, 6], [7, 0]]));
}

pub fn a_report_says_what_is_padded<O: Segmented>(report: impl Fn(Segments, Form) -> String) {
    let (uneven, even) = (uneven(), Segments::in_one_row([4, 0, 4]));
    assert_eq!(report(uneven.clone(), Form::Naive), "token by token (segments padded to the longest)");
    assert_eq!(report(even, Form::Naive), "token by token (asked for)");
    if O::HAS_KERNEL {
        assert_eq!(report(uneven, Form::Auto), "native CPU kernel (the device has it)");
    }
}
