//! Segments as a batch, for forms that know nothing of them.

use super::{Segments, gather, indices};
use crate::kernel::Kernel;
use burn::tensor::{Bool, Device, Tensor, TensorData};

/// The segments that have tokens as the rows of a batch `[n, l, ...]`, where `l` is the length of the longest. Shorter
/// ones are padded behind; where all are equally long, that is a reshape.
pub(crate) struct Unpacking {
    segments: Segments,
    /// The numbers of the segments that have tokens, and of those that have none.
    filled: Vec<usize>,
    empty: Vec<usize>,
    longest: usize,
    even: bool,
}

impl Unpacking {
    pub fn new(segments: Segments) -> Self {
        let (filled, empty) = (0..segments.count()).partition(|number| segments.all()[*number].length > 0);
        let (longest, even) = (segments.longest(), segments.are_even());
        Self { segments, filled, empty, longest, even }
    }

    /// Where the form that runs does not take segments as they lie: all but the CPU `kernel` do not, and where nothing is
    /// padded a batch is cheap for all.
    pub fn wanted(segments: Option<&Segments>, kernel: Option<Kernel>) -> Option<Self> {
        let unpacking = Self::new(segments?.clone());
        (unpacking.even || kernel != Some(Kernel::Cpu)).then_some(unpacking)
    }

    /// Whether nothing is padded.
    pub fn is_even(&self) -> bool {
        self.even
    }

    /// Tokens `[b, t, ...]` as `[n, l, ...]`, with zeros behind.
    pub fn unpack<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        self.placed(tokens, |_| None)
    }

    /// The same with the segment's last token behind: what a token asks may have to differ from 0, even where nobody
    /// reads the answer.
    pub fn unpack_repeating<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        self.placed(tokens, Some)
    }

    /// Resets `[b, t]` as `[n, l]`, with none behind.
    pub fn unpack_resets(&self, resets: Tensor<2, Bool>) -> Tensor<2, Bool> {
        if self.even {
            return resets.reshape([self.filled.len(), self.longest]);
        }
        self.unpack(resets.float()).bool()
    }

    /// Resets `[b, t]` as `[n, l]`, with one before every token behind a segment, where what it left in a state could go on
    /// to grow.
    pub fn unpack_resets_closing(
        &self,
        resets: Option<Tensor<2, Bool>>,
        device: &Device,
    ) -> Option<Tensor<2, Bool>> {
        let resets = resets.map(|resets| self.unpack_resets(resets));
        if self.even {
            return resets;
        }
        let lengths = self.filled.iter().map(|number| self.segments.all()[*number].length);
        let flags: Vec<bool> =
            lengths.flat_map(|length| (0..self.longest).map(move |place| place >= length)).collect();
        let shape = [self.filled.len(), self.longest];
        let closing = Tensor::<2, Bool>::from_data(TensorData::new(flags, shape), device);
        Some(match resets {
            Some(resets) => resets.bool_or(closing),
            None => closing,
        })
    }

    /// The last token of every segment, `[n, 1, ...]`, of unpacked ones.
    pub fn last<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        let rows = self.filled.iter().enumerate();
        let ends = rows.map(|(row, number)| row * self.longest + self.segments.all()[*number].length - 1);
        gather(tokens, self.filled.len(), ends.map(Some))
    }

    /// The states of all segments, `[N, ...]`, of those that have tokens alone.
    pub fn states<const D: usize>(&self, states: Tensor<D>) -> Tensor<D> {
        if self.empty.is_empty() {
            states
        } else {
            states.clone().select(0, indices(&self.filled, &states.device()))
        }
    }

    /// Undoes [`unpack`](Self::unpack).
    pub fn pack<const D: usize>(&self, tokens: Tensor<D>) -> Tensor<D> {
        let (rows, time) = (self.segments.rows(), self.segments.time());
        if self.even {
            let mut shape = tokens.dims();
            (shape[0], shape[1]) = (rows, time);
            return tokens.reshape(shape);
        }
        let all = self.filled.iter().enumerate();
        let sources = all.flat_map(|(row, number)| {
            let start = row * self.longest;
            start..start + self.segments.all()[*number].length
        });
        gather(tokens, rows, sources.map(Some))
    }

    /// The final states of all segments, `[N, ...]`, from those of the segments that have tokens and the `initial` ones of
    /// all.
    pub fn final_states<const D: usize>(&self, last: Tensor<D>, initial: Tensor<D>) -> Tensor<D> {
        if self.empty.is_empty() {
            return last;
        }
        let device = last.device();
        let kept = initial.select(0, indices(&self.empty, &device));
        let mut places = vec![0; self.segments.count()];
        for (place, number) in self.filled.iter().chain(&self.empty).enumerate() {
            places[*number] = place;
        }
        Tensor::cat(vec![last, kept], 0).select(0, indices(&places, &device))
    }

    /// Tokens in their places; `behind` makes what comes behind a segment out of its last token.
    fn placed<const D: usize>(
        &self,
        tokens: Tensor<D>,
        behind: impl Fn(usize) -> Option<usize>,
    ) -> Tensor<D> {
        let rows = self.filled.len();
        if self.even {
            let mut shape = tokens.dims();
            (shape[0], shape[1]) = (rows, self.longest);
            return tokens.reshape(shape);
        }
        let sources = self.filled.iter().flat_map(|number| {
            let segment = self.segments.all()[*number];
            let start = segment.row * self.segments.time() + segment.start;
            let last = start + segment.length - 1;
            let behind = behind(last);
            (start..start + self.longest).map(move |token| if token <= last { Some(token) } else { behind })
        });
        gather(tokens, rows, sources)
    }
}
