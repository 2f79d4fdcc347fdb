//! Segments as batches without padding.

use super::{Segments, gather, indices};
use burn::tensor::Tensor;

/// As many tokens of each of some segments: a power of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentPart {
    /// The tokens of each.
    pub size: usize,
    /// The numbers of the segments.
    pub segments: Vec<usize>,
    /// Their tokens, counted over the batch `[B·T]`, segment by segment.
    pub tokens: Vec<usize>,
}

impl Segments {
    /// The segments in parts that are a batch each. Every length is a sum of powers of two, and the segments that have the
    /// same power are together: at most `log₂(longest) + 1` parts, in the order in which their tokens come.
    pub fn parts(&self) -> Vec<SegmentPart> {
        let mut done = vec![0; self.count()];
        let powers = usize::BITS - self.longest().leading_zeros();
        let sizes = (0..powers).rev().map(|power| 1usize << power);
        let parts = sizes.map(|size| {
            let all = self.all.iter().enumerate();
            let segments = all.filter(|(_, segment)| segment.length & size != 0).map(|(number, _)| number);
            let segments: Vec<usize> = segments.collect();
            let mut tokens = Vec::with_capacity(segments.len() * size);
            for number in &segments {
                let segment = self.all[*number];
                let start = segment.row * self.time + segment.start + done[*number];
                tokens.extend(start..start + size);
                done[*number] += size;
            }
            SegmentPart { size, segments, tokens }
        });
        parts.filter(|part| !part.segments.is_empty()).collect()
    }
}

impl SegmentPart {
    /// The tokens of the part, `[n, size, ...]`, out of those of the batch, `[B, T, ...]`.
    pub fn of<const D: usize>(&self, tokens: &Tensor<D>) -> Tensor<D> {
        gather(tokens.clone(), self.segments.len(), self.tokens.iter().copied().map(Some))
    }

    /// The states of the part, `[n, ...]`, out of those of all segments, `[N, ...]`.
    pub fn states<const D: usize>(&self, states: &Tensor<D>) -> Tensor<D> {
        states.clone().select(0, indices(&self.segments, &states.device()))
    }

    /// The states of all segments after those of the part have changed.
    pub fn put_states<const D: usize>(&self, states: Tensor<D>, changed: Tensor<D>) -> Tensor<D> {
        let count = states.dims()[0];
        let mut places: Vec<usize> = (0..count).collect();
        self.segments.iter().enumerate().for_each(|(place, number)| places[*number] = count + place);
        let places = indices(&places, &states.device());
        Tensor::cat(vec![states, changed], 0).select(0, places)
    }

    /// What the parts hold, `[n, size, ...]` each, as a batch of `rows` rows, `[B, T, ...]`.
    pub fn joined<const D: usize>(parts: &[Self], held: Vec<Tensor<D>>, rows: usize) -> Tensor<D> {
        let order: Vec<usize> = parts.iter().flat_map(|part| part.tokens.iter().copied()).collect();
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, token)| places[*token] = place);
        let in_one_row = held.into_iter().map(|held| {
            let mut shape = held.dims();
            (shape[0], shape[1]) = (1, shape[0] * shape[1]);
            held.reshape(shape)
        });
        gather(Tensor::cat(in_one_row.collect(), 1), rows, places.into_iter().map(Some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_powers_of_two_in_the_order_of_tokens() {
        let parts = Segments::new(6, [vec![5, 0, 1], vec![4, 2]]).parts();
        let part = |size, segments: &[usize], tokens: &[usize]| SegmentPart {
            size,
            segments: segments.to_vec(),
            tokens: tokens.to_vec(),
        };
        assert_eq!(
            parts,
            [
                part(4, &[0, 3], &[0, 1, 2, 3, 6, 7, 8, 9]),
                part(2, &[4], &[10, 11]),
                part(1, &[0, 2], &[4, 5])
            ]
        );
        assert!(Segments::new(5, Vec::<Vec<usize>>::new()).parts().is_empty());
    }
}
