//! The verification ladder that every operator climbs.
//!
//! An operator says what its random inputs are and how it is called ([`Operator`]); the rungs are the functions of the
//! modules here, generic over it, and [`ladder!`](crate::ladder!) makes tests of them. Each rung holds the next:
//! golden vectors, forms, finite differences, splits, hostile numbers, and what only a kernel can get wrong.

mod case;
mod change;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod device;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod differences;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod forms;
pub mod golden;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod hostile;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod kernel;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod scans;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod segments;
#[allow(missing_docs, reason = "the names of the rungs say what is true")]
pub mod splits;

pub use case::{Case, outcome, returned};
pub use change::{Cast, Change, Times};

use crate::Inputs;
use crate::operators::{Fading, Shape};
use burn::tensor::{Bool, Device, Tensor};
use seqzoo::ops::{Form, Report};
use std::fmt::Debug;

/// An operator, as the inputs of one call.
pub trait Operator: Clone + Debug + Send + Sync + 'static {
    /// The choices that lead to other code: kinds of decays, optional inputs.
    type Kind: Copy + Debug + Send + Sync + 'static;
    /// The extents of a call.
    type Shape: Copy + Debug;
    /// What a call returns for every token, `[B, T, ...]`.
    type Output: Clone + Debug + Send + Sync + 'static;
    /// What a call starts from and returns.
    type State: Clone + Debug + Send + Sync + 'static;

    /// All kinds.
    const KINDS: &'static [Self::Kind];
    /// Those of which other devices have a kernel.
    const DEVICE_KINDS: &'static [Self::Kind] = Self::KINDS;
    /// How far two forms may be apart.
    const TOLERANCE: Tolerance;
    /// Whether it has a kernel on the CPU.
    const HAS_KERNEL: bool = true;

    /// An awkward shape of three sequences.
    fn shape(time: usize) -> Self::Shape;

    /// Random inputs.
    fn random(kind: Self::Kind, shape: &Self::Shape, inputs: &mut Inputs) -> Self;

    /// A random initial state.
    fn random_state(kind: Self::Kind, shape: &Self::Shape, inputs: &mut Inputs) -> Self::State;

    /// A random output.
    fn random_output(shape: &Self::Shape, inputs: &mut Inputs) -> Self::Output;

    /// Every tensor changed, under the name that it has in the golden vectors.
    fn map(self, change: &mut impl Change) -> Self;

    /// Every tensor of an output changed: the first under the name `o`.
    fn map_output(output: Self::Output, change: &mut impl Change) -> Self::Output;

    /// Every tensor of a state changed: under names that begin with `state`, or of three axes and more.
    fn map_state(state: Self::State, change: &mut impl Change) -> Self::State;

    /// Outputs one after the other, along their time.
    fn join(outputs: Vec<Self::Output>) -> Self::Output;

    /// Calls the operator: its output and the final state.
    fn run(
        &self,
        state: Option<Self::State>,
        resets: Option<Tensor<2, Bool>>,
        form: Form,
    ) -> (Self::Output, Self::State);

    /// What the operator would do.
    fn report(time: usize, form: Form, device: &Device) -> Report;
}

/// Those of `forms` that the operator has on the CPU.
fn available<O: Operator>(forms: &[Form]) -> impl Iterator<Item = Form> {
    forms.iter().copied().filter(|form| O::HAS_KERNEL || *form != Form::Kernel)
}

/// An operator with a matrix memory per head.
pub trait MemoryOperator: Operator<Shape = Shape, Output = Tensor<4>> {
    /// The kinds on the rungs that are about decays and precision.
    const PLAIN: &'static [Self::Kind];

    /// The kind with this decay and, with `more`, the other choice that the operator has.
    fn kind(decay: Fading, more: bool) -> Self::Kind;
}

/// How far two forms may be apart, in parts of each tensor's largest element.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// In `f64`.
    pub exact: f64,
    /// In `f64`, under decays that forget almost everything.
    pub harsh: f64,
    /// A kernel in `f32` and the recurrence in `f64`.
    pub single: f64,
}

/// Tests of one part of the ladder, in the module where this stands.
///
/// `forms`, `differences`, `splits`, `hostile` and `kernel` take an operator with a matrix memory, `segments` one that takes
/// [`segments`], `scans` one whose
/// state is element-wise and `chunks` one without a kernel, for the whole ladder; `device` and `scans_device` also an expression for the device whose
/// kernel is tested.
#[macro_export]
macro_rules! ladder {
    (forms, $operator:ty) => {
        $crate::ladder! { @ forms, $operator, ();
            chunked_equals_naive_at_awkward_lengths,
            the_kernel_equals_naive_at_awkward_lengths,
            the_kernel_equals_naive_at_awkward_widths,
            the_default_chunk_equals_naive_at_its_own_edges,
            every_chunk_size_gives_the_same,
            resets_are_the_same_in_all_forms,
        }
        // proptest finds earlier failures by the file of the test.
        $crate::ladder! { @ forms, $operator, (file!()); any_shape_and_any_decay_gives_the_same }
    };
    (differences, $operator:ty) => {
        $crate::ladder! { @ differences, $operator, (); gradients_equal_finite_differences }
    };
    (splits, $operator:ty) => {
        $crate::ladder! { @ splits, $operator, ();
            every_split_gives_the_same_outputs_states_and_gradients,
            single_tokens_without_a_tape_give_the_same,
            packed_sequences_equal_separate_ones,
            a_token_changes_nothing_before_it,
            a_sequence_does_not_depend_on_its_neighbours_in_the_batch,
            #[should_panic(expected = "3 heads, which do not divide the 4 heads of `value`")]
            heads_that_do_not_group_are_refused,
        }
    };
    (segments, $operator:ty) => {
        $crate::ladder! { @ segments, $operator, ();
            packed_segments_equal_separate_sequences,
            resets_may_lie_in_segments,
            segments_of_one_length_equal_separate_sequences,
            one_segment_per_row_is_the_row,
            a_call_may_end_inside_a_segment,
            segments_without_a_tape_give_the_same,
            a_thousand_streams_of_different_lengths_equal_separate_sequences,
            the_number_of_cores_changes_no_bit,
            single_precision_is_as_good_as_its_type,
            no_rows_have_no_segments,
            #[should_panic(expected = "The argument `segments` has 2 rows, but B = 3 are wanted.")]
            segments_of_other_rows_are_refused,
            #[should_panic(expected = "The argument `segments` has 7 tokens in every row, but T = 9 are wanted.")]
            segments_of_other_tokens_are_refused,
        }
        // proptest finds earlier failures by the file of the test.
        $crate::ladder! { @ segments, $operator, (file!()); any_segments_give_the_same }
    };
    (hostile, $operator:ty) => {
        $crate::ladder! { @ hostile, $operator, ();
            decays_of_e_to_the_minus_30_next_to_none_at_all,
            the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other,
            strong_decay_in_single_precision_is_as_good_as_in_double,
            a_chunk_of_nothing_but_resets_keeps_only_the_last_token,
            sixty_five_thousand_tokens_stay_exact,
            a_reset_before_the_first_token_clears_even_an_infinite_state,
            bf16_inputs_accumulate_in_f32,
            an_output_that_the_loss_never_uses_costs_no_gradient,
        }
    };
    (kernel, $operator:ty) => {
        $crate::ladder! { @ kernel, $operator, ();
            single_precision_is_as_good_as_its_type,
            only_what_belongs_to_the_arguments_is_read,
            the_number_of_cores_changes_no_bit,
            two_threads_may_call_at_once,
            what_needs_no_gradient_gets_none,
            a_report_names_the_kernel_and_its_absence,
        }
    };
    (device, $operator:ty, $device:expr) => {
        $crate::ladder! { @ device, $operator, (&$device);
            the_device_has_a_kernel_and_auto_takes_it,
            awkward_lengths,
            resets_anywhere,
            segments_equal_separate_sequences,
            a_reset_before_the_first_token_clears_even_an_infinite_state,
            any_split_gives_the_same,
            single_tokens_give_the_same_with_gradients,
            single_tokens_give_the_same_without_a_tape,
            decays_of_e_to_the_minus_30_next_to_none_at_all,
            the_gradient_of_a_tiny_decay_has_as_many_digits_as_any_other,
            an_output_that_the_loss_never_uses_costs_no_gradient,
            inputs_may_be_views,
        }
    };
    (memory_device, $operator:ty, $device:expr) => {
        $crate::ladder! { @ device, $operator, (&$device);
            the_device_has_a_kernel_and_auto_takes_it,
            awkward_lengths,
            resets_anywhere,
            a_reset_before_the_first_token_clears_even_an_infinite_state,
            any_split_gives_the_same,
            single_tokens_give_the_same_with_gradients,
            single_tokens_give_the_same_without_a_tape,
            inputs_may_be_views,
            what_others_hold_is_not_overwritten,
        }
    };
    (chunks, $operator:ty) => {
        $crate::ladder! { @ forms, $operator, ();
            chunked_equals_naive_at_awkward_lengths,
            every_chunk_size_gives_the_same,
            resets_are_the_same_in_all_forms,
        }
        $crate::ladder! { differences, $operator }
        $crate::ladder! { @ splits, $operator, ();
            every_split_gives_the_same_outputs_states_and_gradients,
            single_tokens_without_a_tape_give_the_same,
            packed_sequences_equal_separate_ones,
            a_token_changes_nothing_before_it,
            a_sequence_does_not_depend_on_its_neighbours_in_the_batch,
        }
        $crate::ladder! { @ hostile, $operator, ();
            a_chunk_of_nothing_but_resets_keeps_only_the_last_token,
            a_reset_before_the_first_token_clears_even_an_infinite_state,
            bf16_inputs_accumulate_in_f32,
        }
    };
    (scans, $operator:ty) => {
        $crate::ladder! { chunks, $operator }
        $crate::ladder! { @ forms, $operator, (); the_kernel_equals_naive_at_awkward_lengths }
        $crate::ladder! { @ kernel, $operator, ();
            only_what_belongs_to_the_arguments_is_read,
            a_report_names_the_kernel_and_its_absence,
        }
        $crate::ladder! { @ scans, $operator, ();
            all_forms_are_the_law_at_awkward_widths_and_lengths,
            no_sequences_have_outputs_and_gradients_of_none,
            sixty_five_thousand_tokens_stay_exact,
            single_precision_is_as_good_as_its_type,
            the_number_of_cores_changes_no_bit,
            two_threads_may_call_at_once,
            an_output_that_the_loss_never_uses_costs_no_gradient,
        }
        // proptest finds earlier failures by the file of the test.
        $crate::ladder! { @ scans, $operator, (file!()); any_shape_gives_the_same }
    };
    (scans_device, $operator:ty, $device:expr) => {
        $crate::ladder! { @ device, $operator, (&$device);
            the_device_has_a_kernel_and_auto_takes_it,
            awkward_lengths,
            resets_anywhere,
            segments_equal_separate_sequences,
            a_reset_before_the_first_token_clears_even_an_infinite_state,
            any_split_gives_the_same,
            single_tokens_give_the_same_with_gradients,
            single_tokens_give_the_same_without_a_tape,
            inputs_may_be_views,
            scans_at_the_edges_of_chunks_and_cubes,
            scans_of_many_chunks,
            a_chunk_of_nothing_but_resets_keeps_only_the_last_token,
            what_others_hold_is_not_overwritten,
        }
    };
    (@ $part:ident, $operator:ty, $arguments:tt; $($(#[$attribute:meta])* $rung:ident),* $(,)?) => {
        $(
            #[test]
            $(#[$attribute])*
            fn $rung() {
                $crate::ladder::$part::$rung::<$operator> $arguments
            }
        )*
    };
}
