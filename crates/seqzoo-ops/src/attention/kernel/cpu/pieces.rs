//! Keys that a tile of queries reads together.

use super::call::Call;
use super::places::{KEYS, Sequence};
use std::ops::Range;

/// Some keys, and how they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub keys: Range<usize>,
    pub reading: Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Each key with a weight of its own, by queries at places before `until`.
    Plain { until: usize },
    /// The last key is the landmark of the others, and shares what it gets among them; by queries at places from `from` on.
    Gated { from: usize },
}

/// A block: ordinary keys and the landmark after them, which the last block may lack.
#[derive(Clone, Debug)]
struct Block {
    ordinary: Range<usize>,
    landmark: bool,
}

/// The blocks of a sequence of `length` keys.
fn blocks(landmarks: &[usize], length: usize) -> impl Iterator<Item = Block> {
    let mut start = 0;
    let ends = landmarks.iter().map(|landmark| (*landmark, true)).chain([(length, false)]);
    ends.map(move |(end, landmark)| {
        let ordinary = start..end;
        start = end + 1;
        Block { ordinary, landmark }
    })
    .filter(|block| block.landmark || !block.ordinary.is_empty())
}

/// Keys in tiles.
fn tiles(keys: Range<usize>, until: usize) -> impl Iterator<Item = Piece> {
    let end = keys.end;
    keys.step_by(KEYS)
        .map(move |key| Piece { keys: key..end.min(key + KEYS), reading: Reading::Plain { until } })
}

/// What the queries at `places` read, in order.
pub(super) fn read_by<E>(call: &Call<'_, E>, sequence: &Sequence, places: &Range<usize>) -> Vec<Piece> {
    let length = sequence.keys();
    let [first, last] = [places.start, places.end - 1].map(|place| call.reach.keys(place, length));
    let Some(landmarks) = call.landmarks(sequence) else {
        return tiles(first.start..last.end, usize::MAX).collect();
    };
    let mut pieces = Vec::new();
    for Block { ordinary, landmark } in blocks(landmarks, length) {
        if ordinary.start >= places.end {
            break;
        }
        let after = ordinary.end + 1;
        if landmark && after < places.end {
            pieces.push(Piece { keys: ordinary.start..after, reading: Reading::Gated { from: after } });
        }
        if !landmark || places.start < after {
            let until = if landmark { after } else { usize::MAX };
            pieces.extend(tiles(ordinary.start..ordinary.end.min(places.end), until));
        }
    }
    pieces
}

/// Keys whose gradients are found together: tiles, or whole blocks.
pub(super) fn together<E>(call: &Call<'_, E>, sequence: &Sequence) -> Vec<Range<usize>> {
    let length = sequence.keys();
    let tiles = |keys: Range<usize>| tiles(keys, usize::MAX).map(|piece| piece.keys);
    match call.landmarks(sequence) {
        None => tiles(0..length).collect(),
        Some(landmarks) => {
            let mut all = Vec::new();
            for Block { ordinary, landmark } in blocks(landmarks, length) {
                match landmark {
                    true => all.push(ordinary.start..ordinary.end + 1),
                    false => all.extend(tiles(ordinary)),
                }
            }
            all
        }
    }
}

/// How the queries at `places` read `keys`, which are one of [`together`].
pub(super) fn readings<E>(
    call: &Call<'_, E>,
    sequence: &Sequence,
    keys: &Range<usize>,
    places: &Range<usize>,
) -> [Option<Piece>; 2] {
    let last = keys.end - 1;
    if !call.is_landmark(sequence, last) {
        return [Some(Piece { keys: keys.clone(), reading: Reading::Plain { until: usize::MAX } }), None];
    }
    let plain = places.start < keys.end && keys.start < last;
    let gated = keys.end < places.end;
    [
        plain.then_some(Piece { keys: keys.start..last, reading: Reading::Plain { until: keys.end } }),
        gated.then(|| Piece { keys: keys.clone(), reading: Reading::Gated { from: keys.end } }),
    ]
}

/// The keys of the longest piece, at least those of a tile.
pub(super) fn longest<E>(call: &Call<'_, E>) -> usize {
    let of = |sequence: &Sequence| {
        let landmarks = call.landmarks(sequence)?;
        let gated = blocks(landmarks, sequence.keys()).filter(|block| block.landmark);
        gated.map(|block| block.ordinary.len() + 1).max()
    };
    call.sequences.iter().filter_map(of).max().unwrap_or(0).max(KEYS)
}
