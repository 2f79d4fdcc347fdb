//! How a sequence is cut.

/// Tokens per chunk.
pub(crate) const CHUNK: usize = 32;

/// Tokens per block inside a chunk: products of decays stay inside one.
pub(crate) const BLOCK: usize = 16;

/// Tokens that are worked on at once. No chunk has a reset behind its first token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// The first token.
    pub start: usize,
    /// The number of tokens, at most [`CHUNK`].
    pub length: usize,
    /// Whether the memory is cleared before the first token.
    pub clears: bool,
    /// Where the memory before the chunk is kept, counted over the sequence. A chunk that clears the
    /// memory keeps none, so that there are never more than `T / CHUNK + 1` of them.
    pub kept: usize,
}

/// Cuts `time` tokens into chunks; `resets` has a number other than 0 where the memory is cleared.
pub(crate) fn chunks<E: PartialEq + Default>(time: usize, resets: Option<&[E]>) -> Vec<Chunk> {
    let reset = |token: usize| resets.is_some_and(|resets| resets[token] != E::default());
    let mut chunks = Vec::with_capacity(time.div_ceil(CHUNK));
    let (mut start, mut kept) = (0, 0);
    while start < time {
        let most = CHUNK.min(time - start);
        let length = (1..most).find(|offset| reset(start + offset)).unwrap_or(most);
        let clears = reset(start);
        chunks.push(Chunk { start, length, clears, kept });
        kept += usize::from(!clears);
        start += length;
    }
    chunks
}

/// How many memories a cut sequence keeps, with room for the final one.
pub(crate) fn kept(chunks: &[Chunk]) -> usize {
    1 + chunks.iter().filter(|chunk| !chunk.clears).count()
}

/// Where the memory after chunk `index` is kept, if what comes behind reads it.
pub(crate) fn slot_after(all: &[Chunk], index: usize) -> Option<usize> {
    match all.get(index + 1) {
        None => Some(kept(all) - 1),
        Some(next) => (!next.clears).then_some(next.kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_cut_into_whole_chunks_and_a_rest() {
        let lengths = |time| chunks::<f32>(time, None).iter().map(|chunk| chunk.length).collect::<Vec<_>>();
        assert_eq!(lengths(1), [1]);
        assert_eq!(lengths(CHUNK), [CHUNK]);
        assert_eq!(lengths(2 * CHUNK + 1), [CHUNK, CHUNK, 1]);
    }

    #[test]
    fn resets_begin_chunks_and_keep_no_memory() {
        let mut resets = vec![0.0f32; 40];
        for token in [0, 5, 6] {
            resets[token] = 1.0;
        }
        let cut = chunks(40, Some(&resets));
        let short: Vec<_> = cut.iter().map(|each| (each.start, each.length, each.clears)).collect();
        assert_eq!(short, [(0, 5, true), (5, 1, true), (6, 32, true), (38, 2, false)]);
        assert_eq!(kept(&cut), 2);
        let all = chunks(40, Some(&[1.0f32; 40]));
        assert_eq!((all.len(), kept(&all)), (40, 1));
    }
}
