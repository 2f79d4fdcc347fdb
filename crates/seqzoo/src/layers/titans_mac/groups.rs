//! The sequences of a batch by where they stand in their segments, and the pieces into which segments cut them.

use burn::tensor::{Bool, Device, Int, Tensor};

/// Sequences that stand at the same place of their segments and are reset before the same tokens.
pub(super) struct Group {
    rows: Vec<usize>,
    /// The place of the first token in its segment.
    pub place: usize,
    resets: Vec<usize>,
}

/// Tokens `from .. to`, of one segment.
pub(super) struct Piece {
    pub from: usize,
    pub to: usize,
    /// Whether a segment begins with the first of them.
    pub begins: bool,
    /// Whether the state is cleared before that.
    pub cleared: bool,
}

/// The groups of sequences that stand at `places`, with `resets`, `[B, T]`.
pub(super) fn groups(places: &[usize], resets: Option<&Tensor<2, Bool>>) -> Vec<Group> {
    let flags: Vec<bool> = resets.map_or_else(Vec::new, |resets| resets.to_data().iter().collect());
    let time = resets.map_or(0, |resets| resets.dims()[1]);
    let mut groups: Vec<Group> = Vec::new();
    for (row, place) in places.iter().enumerate() {
        let resets: Vec<usize> = (0..time).filter(|token| flags[row * time + token]).collect();
        match groups.iter_mut().find(|group| group.place == *place && group.resets == resets) {
            Some(group) => group.rows.push(row),
            None => groups.push(Group { rows: vec![row], place: *place, resets }),
        }
    }
    groups
}

impl Group {
    /// Its sequences in the batch.
    pub fn indices(&self, device: &Device) -> Tensor<1, Int> {
        let rows: Vec<i64> = self.rows.iter().map(|row| *row as i64).collect();
        Tensor::from_data(rows.as_slice(), device)
    }

    /// `time` tokens cut where a segment of `segment` tokens begins, and at resets, with which one begins as well.
    pub fn pieces(&self, time: usize, segment: usize) -> Vec<Piece> {
        let (mut pieces, mut from, mut place) = (Vec::new(), 0, self.place);
        let mut resets = self.resets.iter().copied().peekable();
        while from < time {
            let cleared = resets.next_if_eq(&from).is_some();
            if cleared {
                place = 0;
            }
            let end = resets.peek().copied().unwrap_or(time);
            let to = end.min(from + segment - place);
            pieces.push(Piece { from, to, begins: place == 0, cleared });
            place = (place + to - from) % segment;
            from = to;
        }
        pieces
    }
}

/// Where every sequence of the batch is found after the groups have been put one after the other.
pub(super) fn order(groups: &[Group], device: &Device) -> Tensor<1, Int> {
    let rows: Vec<usize> = groups.iter().flat_map(|group| group.rows.iter().copied()).collect();
    let mut order = vec![0i64; rows.len()];
    for (found, row) in rows.into_iter().enumerate() {
        order[row] = found as i64;
    }
    Tensor::from_data(order.as_slice(), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn groups_of(places: &[usize], resets: &[&[usize]], time: usize) -> Vec<Group> {
        let flags: Vec<bool> =
            resets.iter().flat_map(|row| (0..time).map(|token| row.contains(&token))).collect();
        let flags = Tensor::from_data(TensorData::new(flags, [places.len(), time]), &Device::flex());
        groups(places, Some(&flags))
    }

    fn ends(group: &Group, time: usize) -> Vec<(usize, usize)> {
        group.pieces(time, 4).into_iter().map(|piece| (piece.from, piece.to)).collect()
    }

    #[test]
    fn segments_are_pieces() {
        let groups = groups_of(&[0, 0], &[&[], &[]], 10);
        assert_eq!(groups.len(), 1);
        assert_eq!(ends(&groups[0], 10), [(0, 4), (4, 8), (8, 10)]);
        assert!(groups[0].pieces(10, 4).iter().all(|piece| piece.begins && !piece.cleared));
    }

    #[test]
    fn a_piece_may_begin_inside_a_segment_and_end_before_a_reset() {
        let groups = groups_of(&[3, 0, 3], &[&[], &[0, 2], &[]], 7);
        let rows: Vec<_> = groups.iter().map(|group| group.rows.clone()).collect();
        assert_eq!(rows, [vec![0, 2], vec![1]]);
        assert_eq!(ends(&groups[0], 7), [(0, 1), (1, 5), (5, 7)]);
        assert_eq!(ends(&groups[1], 7), [(0, 2), (2, 6), (6, 7)]);
        let begins: Vec<_> = groups[0].pieces(7, 4).iter().map(|piece| piece.begins).collect();
        assert_eq!(begins, [false, true, true]);
        let cleared: Vec<_> = groups[1].pieces(7, 4).iter().map(|piece| piece.cleared).collect();
        assert_eq!(cleared, [true, true, false]);
        let order: Vec<i64> = order(&groups, &Device::flex()).into_data().iter().collect();
        assert_eq!(order, [0, 2, 1]);
    }
}
