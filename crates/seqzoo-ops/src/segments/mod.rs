//! Several sequences in one row, each with a state of its own.

mod gather;
mod parts;
#[cfg(feature = "flex")]
mod spans;
mod unpacking;

pub use parts::SegmentPart;

pub(crate) use gather::gather;
use gather::indices;
#[cfg(feature = "flex")]
pub(crate) use spans::{Span, sequences, spans};
pub(crate) use unpacking::Unpacking;

use std::ops::Range;
use std::sync::Arc;

/// A sequence that lies in a row of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The row of the batch.
    pub row: usize,
    /// The first token, counted in the row.
    pub start: usize,
    /// The number of tokens; there may be none.
    pub length: usize,
}

/// How the rows of a batch `[B, T, ...]` are cut into `N` sequences, which are counted row by row.
///
/// With segments, the states of an operator have `N` in place of `B`: every segment begins with an initial state of its
/// own and ends with a final state of its own, as if it had been given alone. The final state of an empty segment is its
/// initial state. Rows need not agree in the number of their segments, nor in their lengths.
///
/// The kernels on the CPU take them as they lie, and a call costs what its tokens cost. All other forms and kernels pad them
/// to the longest, behind a report that says so: one long segment among many short ones is expensive there. Where all that
/// have tokens are equally long, every form takes them as the rows of a batch.
///
/// This is numbers on the host, shared by clones. Flash-linear-attention calls it `cu_seqlens`.
///
/// # Example
///
/// Three streams of 2, 0 and 3 tokens go on in one call:
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use seqzoo_ops::Segments;
/// use seqzoo_ops::linear_attention::{Decay, LinearAttentionOptions, linear_attention};
///
/// let device = Device::default();
/// let random = |k| Tensor::<4>::random([1, 5, 2, k], Distribution::Default, &device);
/// let options = LinearAttentionOptions { segments: Some(Segments::in_one_row([2, 0, 3])), ..Default::default() };
/// let (output, state) = linear_attention(random(8), random(8), random(4), Decay::None, options);
/// assert_eq!(output.dims(), [1, 5, 2, 4]);
/// assert_eq!(state.memory.dims(), [3, 2, 8, 4]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    time: usize,
    all: Arc<[Segment]>,
    /// For every row, the numbers of its segments.
    rows: Arc<[Range<usize>]>,
}

impl Segments {
    /// Of rows of `time` tokens: for every row the lengths of its segments, in order.
    ///
    /// # Panics
    ///
    /// If the lengths of a row do not sum to `time`.
    #[track_caller]
    pub fn new<L: AsRef<[usize]>>(time: usize, rows: impl IntoIterator<Item = L>) -> Self {
        let (mut all, mut ranges) = (Vec::new(), Vec::new());
        for (row, lengths) in rows.into_iter().enumerate() {
            let (first, mut start) = (all.len(), 0usize);
            for length in lengths.as_ref() {
                all.push(Segment { row, start, length: *length });
                start = start.saturating_add(*length);
            }
            assert!(
                start == time,
                "The argument `segments` has {start} tokens in row {row}, but T = {time} are wanted: the lengths of the \
                 segments of every row sum to its tokens."
            );
            ranges.push(first..all.len());
        }
        Self { time, all: all.into(), rows: ranges.into() }
    }

    /// Of a batch of one row, which has as many tokens as the segments together.
    pub fn in_one_row(lengths: impl AsRef<[usize]>) -> Self {
        let lengths = lengths.as_ref();
        Self::new(lengths.iter().copied().fold(0, usize::saturating_add), [lengths])
    }

    /// Of a batch of one row, from where its segments begin, and where the last one ends: `cu_seqlens`.
    ///
    /// # Panics
    ///
    /// If the first offset is not 0, or one is smaller than the one before it.
    #[track_caller]
    pub fn from_offsets(offsets: impl AsRef<[usize]>) -> Self {
        let offsets = offsets.as_ref();
        let first = offsets.first().copied();
        assert!(first == Some(0), "The argument `offsets` begins with {first:?}, but 0 is wanted.");
        let lengths = offsets.windows(2).map(|ends| {
            let [from, to] = [ends[0], ends[1]];
            assert!(to >= from, "The argument `offsets` falls from {from} to {to}, but it may not fall.");
            to - from
        });
        Self::in_one_row(lengths.collect::<Vec<_>>())
    }

    /// The number of segments, `N`.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// The number of rows, `B`.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The tokens of every row, `T`.
    pub fn time(&self) -> usize {
        self.time
    }

    /// All segments, row by row.
    pub fn all(&self) -> &[Segment] {
        &self.all
    }

    /// The numbers of the segments of a row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[track_caller]
    pub fn of_row(&self, row: usize) -> Range<usize> {
        let rows = self.rows();
        assert!(row < rows, "The argument `row` is {row}, but there are {rows} rows.");
        self.rows[row].clone()
    }

    /// The length of the longest segment; 0 if there is none.
    pub fn longest(&self) -> usize {
        self.all.iter().map(|segment| segment.length).max().unwrap_or(0)
    }

    /// The same segments as far as they lie in `tokens` of every row. There are as many as before: those of which no token
    /// lies there are empty. So a row may be computed in parts that end anywhere, and the states of one part are those
    /// that the next one begins with.
    ///
    /// # Panics
    ///
    /// If `tokens` are not among those of the rows.
    #[track_caller]
    pub fn narrow(&self, tokens: Range<usize>) -> Self {
        let Range { start: from, end: to } = tokens;
        assert!(
            from <= to && to <= self.time,
            "The argument `tokens` is {from}..{to}, but a range inside 0..{} is wanted.",
            self.time
        );
        self.map(to - from, |Segment { row, start, length }| {
            let [begin, end] = [start, start + length].map(|edge| edge.clamp(from, to));
            Segment { row, start: begin - from, length: end - begin }
        })
    }

    /// The same segments where every token becomes `steps` of them.
    pub(crate) fn stretched(&self, steps: usize) -> Self {
        self.map(self.time * steps, |Segment { row, start, length }| Segment {
            row,
            start: start * steps,
            length: length * steps,
        })
    }

    fn map(&self, time: usize, change: impl Fn(Segment) -> Segment) -> Self {
        Self { time, all: self.all.iter().copied().map(change).collect(), rows: self.rows.clone() }
    }

    /// Whether all segments that have tokens have equally many.
    pub(crate) fn are_even(&self) -> bool {
        let longest = self.longest();
        self.all.iter().all(|segment| [0, longest].contains(&segment.length))
    }

    /// Panics unless these are segments of `batch` rows of `time` tokens.
    #[track_caller]
    pub(crate) fn check(&self, batch: usize, time: usize) {
        let rows = self.rows();
        assert!(rows == batch, "The argument `segments` has {rows} rows, but B = {batch} are wanted.");
        assert!(
            self.time == time,
            "The argument `segments` has {} tokens in every row, but T = {time} are wanted.",
            self.time
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(segments: &Segments) -> Vec<(usize, usize, usize)> {
        segments.all().iter().map(|segment| (segment.row, segment.start, segment.length)).collect()
    }

    #[test]
    fn segments_are_counted_row_by_row() {
        let segments = Segments::new(5, [vec![2, 0, 3], vec![5]]);
        assert_eq!(places(&segments), [(0, 0, 2), (0, 2, 0), (0, 2, 3), (1, 0, 5)]);
        assert_eq!((segments.count(), segments.rows(), segments.time(), segments.longest()), (4, 2, 5, 5));
        assert_eq!((segments.of_row(0), segments.of_row(1)), (0..3, 3..4));
        assert!(!segments.are_even() && Segments::in_one_row([3, 0, 3]).are_even());
    }

    #[test]
    fn there_may_be_no_rows() {
        let none = Segments::new(5, Vec::<Vec<usize>>::new());
        assert_eq!((none.count(), none.rows(), none.longest(), none.are_even()), (0, 0, 0, true));
    }

    #[test]
    fn offsets_are_where_segments_begin() {
        assert_eq!(Segments::from_offsets([0, 2, 2, 5]), Segments::in_one_row([2, 0, 3]));
    }

    #[test]
    fn a_part_has_as_many_segments_as_the_whole() {
        let segments = Segments::new(6, [[2, 0, 4], [1, 5, 0]]);
        let part = segments.narrow(1..4);
        assert_eq!(part, Segments::new(3, [[1, 0, 2], [0, 3, 0]]));
        assert_eq!(segments.narrow(0..6), segments);
        assert_eq!(
            places(&segments.narrow(6..6)),
            [(0, 0, 0), (0, 0, 0), (0, 0, 0), (1, 0, 0), (1, 0, 0), (1, 0, 0)]
        );
    }

    #[test]
    fn steps_stretch_every_segment() {
        assert_eq!(Segments::in_one_row([2, 0, 1]).stretched(3), Segments::in_one_row([6, 0, 3]));
    }

    #[test]
    #[should_panic(expected = "has 4 tokens in row 1, but T = 5 are wanted")]
    fn lengths_that_do_not_sum_to_the_tokens_are_refused() {
        Segments::new(5, [vec![2, 3], vec![4]]);
    }

    #[test]
    #[should_panic(expected = "has 18446744073709551615 tokens in row 0")]
    fn lengths_beyond_all_numbers_are_refused() {
        Segments::new(5, [[usize::MAX, 6]]);
    }

    #[test]
    #[should_panic(expected = "`offsets` falls from 4 to 3")]
    fn offsets_that_fall_are_refused() {
        Segments::from_offsets([0, 4, 3]);
    }

    #[test]
    #[should_panic(expected = "`offsets` begins with None, but 0 is wanted")]
    fn no_offsets_are_refused() {
        Segments::from_offsets([0usize; 0]);
    }

    #[test]
    #[should_panic(expected = "`tokens` is 2..7, but a range inside 0..5 is wanted")]
    fn a_part_beyond_the_row_is_refused() {
        Segments::in_one_row([5]).narrow(2..7);
    }
}
