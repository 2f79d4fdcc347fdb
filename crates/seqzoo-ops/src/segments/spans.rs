//! Segments as kernels walk over them.

use super::{Segment, Segments};

/// A sequence in the tensors of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its number among all sequences, in the order of their states.
    pub number: usize,
    /// The first token, counted over the batch.
    pub first: usize,
    /// The number of tokens.
    pub length: usize,
}

/// The sequences of a call: the rows of a batch, or the segments in them.
pub(crate) fn sequences(batch: usize, time: usize, segments: Option<&Segments>) -> Vec<Segment> {
    match segments {
        None => (0..batch).map(|row| Segment { row, start: 0, length: time }).collect(),
        Some(segments) => segments.all().to_vec(),
    }
}

/// The same, without the rows.
pub(crate) fn spans(batch: usize, time: usize, segments: Option<&Segments>) -> Vec<Span> {
    let numbered = sequences(batch, time, segments).into_iter().enumerate();
    let span = |(number, Segment { row, start, length })| Span { number, first: row * time + start, length };
    numbered.map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_where_rows_or_segments_lie() {
        let places = |segments: Option<&Segments>| -> Vec<_> {
            spans(2, 5, segments).iter().map(|span| (span.number, span.first, span.length)).collect()
        };
        assert_eq!(places(None), [(0, 0, 5), (1, 5, 5)]);
        let segments = Segments::new(5, [vec![2, 0, 3], vec![5]]);
        assert_eq!(places(Some(&segments)), [(0, 0, 2), (1, 2, 0), (2, 2, 3), (3, 5, 5)]);
    }
}
