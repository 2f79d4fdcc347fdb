//! Several sequences in one row, each with a state of its own.

use seqzoo::ops::selective_scan::{SelectiveScanOptions, selective_scan_report};
use seqzoo::ops::{Form, Segments};
use seqzoo_tests::ladder::segments::{Segmented, a_report_says_what_is_padded};
use seqzoo_tests::ladder::{Case, Operator};
use seqzoo_tests::operators::SelectiveScan;
use seqzoo_tests::plain;

seqzoo_tests::ladder!(segments, SelectiveScan);

#[test]
fn a_report_names_padding() {
    a_report_says_what_is_padded::<SelectiveScan>(|segments, form| {
        let options = SelectiveScanOptions { segments: Some(segments), form, ..Default::default() };
        selective_scan_report(43, &options, &plain()).to_string()
    });
}

#[test]
#[should_panic(
    expected = "The argument `initial_state` has the shape [3, 6, 5], but [segments, E, N] = [4, 6, 5] is wanted."
)]
fn a_state_of_every_row_is_refused() {
    let case = Case::<SelectiveScan>::random(SelectiveScan::KINDS[0], &SelectiveScan::shape(9), 1, &plain());
    let segments = Segments::new(9, [vec![9], vec![4, 5], vec![9]]);
    case.inputs.run_segments(segments, case.state.clone(), None, Form::Auto);
}
