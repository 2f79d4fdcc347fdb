//! Where the tokens of every block lie.

use super::{LandmarkState, Problem};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Stands for a place where no token is: after all tokens.
const NOWHERE: i32 = i32::MAX;

/// The tokens of a cache and after it, by blocks: `G` of them in every sequence, padded to `L` ordinary tokens.
pub(super) struct Layout {
    pub blocks: usize,
    pub width: usize,
    /// The places of the ordinary tokens, `[b, g, l]`, of which there are none after the last.
    tokens: Vec<i32>,
    /// The places of the landmarks, `[b, g]`.
    landmarks: Vec<i32>,
    /// The block of each new token, `[b, t]`.
    block: Vec<i32>,
    /// The place before which everything is hidden from each new token, `[b, t]`.
    start: Vec<i32>,
    batch: usize,
    time: usize,
    resets: bool,
    /// What of the cache the token after these sees, `[b, s + t]`.
    visible: Option<Vec<bool>>,
}

/// One sequence: cached tokens, then new ones.
#[derive(Default)]
struct Row {
    blocks: Vec<Vec<i32>>,
    landmarks: Vec<i32>,
    block: Vec<i32>,
    start: Vec<i32>,
    visible: Vec<bool>,
}

impl Row {
    fn new(landmarks: impl Iterator<Item = bool>, visible: &[bool], resets: &[bool], cached: usize) -> Self {
        let mut row = Self { blocks: vec![Vec::new()], ..Self::default() };
        let mut start = 0;
        for (place, landmark) in landmarks.enumerate() {
            let new = place.checked_sub(cached);
            if new.is_some_and(|new| resets.get(new).copied().unwrap_or(false)) {
                start = place as i32;
            }
            let seen = new.is_some() || visible.get(place).copied().unwrap_or(true);
            row.visible.push(seen);
            if new.is_some() {
                row.block.push(row.landmarks.len() as i32);
                row.start.push(start);
            }
            match (seen, landmark) {
                (false, _) => {}
                (true, false) => row.blocks.last_mut().expect("there is a block").push(place as i32),
                (true, true) => {
                    row.landmarks.push(place as i32);
                    row.blocks.push(Vec::new());
                }
            }
        }
        row.visible.iter_mut().take(start as usize).for_each(|visible| *visible = false);
        row
    }
}

impl Layout {
    pub fn new(problem: &Problem) -> Self {
        let [batch, time, ..] = problem.query.dims();
        let cached = problem.cache.as_ref().map_or(0, LandmarkState::length);
        let read = |flags: &Tensor<2, Bool>| flags.to_data().iter::<bool>().collect::<Vec<bool>>();
        let new = read(&problem.landmarks);
        let old = problem.cache.as_ref().map_or_else(Vec::new, |cache| read(&cache.landmarks));
        let visible = problem.cache.as_ref().and_then(|cache| cache.visible.as_ref()).map(read);
        let resets = problem.resets.as_ref().map(read);
        let part = |flags: &Option<Vec<bool>>, row: usize, length: usize| {
            flags.as_ref().map_or_else(Vec::new, |flags| flags[row * length..(row + 1) * length].to_vec())
        };
        let rows: Vec<Row> = (0..batch)
            .map(|row| {
                let old = old[row * cached..(row + 1) * cached].iter();
                let flags = old.chain(&new[row * time..(row + 1) * time]).copied();
                Row::new(flags, &part(&visible, row, cached), &part(&resets, row, time), cached)
            })
            .collect();

        let blocks = rows.iter().map(|row| row.blocks.len()).max().unwrap_or(1);
        let widths = rows.iter().flat_map(|row| row.blocks.iter().map(Vec::len));
        let width = widths.max().unwrap_or(1).max(1);
        let padded = |places: &[i32], length| {
            let rest = std::iter::repeat_n(NOWHERE, length - places.len());
            places.iter().copied().chain(rest).collect::<Vec<i32>>()
        };
        let tokens = |row: &Row| {
            let rest = std::iter::repeat_n(Vec::new(), blocks - row.blocks.len());
            let all = row.blocks.iter().cloned().chain(rest);
            all.flat_map(|block| padded(&block, width)).collect::<Vec<i32>>()
        };
        let hides = visible.is_some() || resets.is_some();
        Self {
            blocks,
            width,
            tokens: rows.iter().flat_map(tokens).collect(),
            landmarks: rows.iter().flat_map(|row| padded(&row.landmarks, blocks)).collect(),
            block: rows.iter().flat_map(|row| row.block.iter().copied()).collect(),
            start: rows.iter().flat_map(|row| row.start.iter().copied()).collect(),
            batch,
            time,
            resets: resets.is_some(),
            visible: hides.then(|| rows.iter().flat_map(|row| row.visible.iter().copied()).collect()),
        }
    }

    /// Whether anything is hidden from any token.
    pub fn hides(&self) -> bool {
        self.visible.is_some()
    }

    /// What of the cache later tokens see, `[b, s + t]`, if anything is hidden from them.
    pub fn visible(&self, device: &Device) -> Option<Tensor<2, Bool>> {
        let visible = self.visible.clone()?;
        let length = visible.len() / self.batch;
        Some(Tensor::from_data(TensorData::new(visible, [self.batch, length]), device))
    }

    /// `entries`, `[b, s, hk, d]`, by blocks: `[b, hk, g·l, d]`. Where no token is stands another.
    pub fn ordinary(&self, entries: Tensor<4>) -> Tensor<4> {
        gather(entries, &self.tokens, self.blocks * self.width)
    }

    /// Those of the landmarks: `[b, hk, g, d]`.
    pub fn landmarks(&self, entries: Tensor<4>) -> Tensor<4> {
        gather(entries, &self.landmarks, self.blocks)
    }

    /// What the new tokens `from .. from + length` see.
    pub fn masks(&self, from: usize, length: usize, cached: usize, device: &Device) -> Masks {
        let blocks = self.of_queries(&self.block, from, length).max().map_or(1, |block| *block as usize + 1);
        let ints = |numbers: Vec<i32>, shape: [usize; 4]| {
            Tensor::<4, Int>::from_data(TensorData::new(numbers, shape), device)
        };
        let queries = |numbers: &[i32]| {
            let numbers = self.of_queries(numbers, from, length).copied().collect();
            ints(numbers, [self.batch, length, 1, 1])
        };
        let narrow = |places: &[i32], width: usize| {
            let rows = places.chunks_exact(self.blocks * width);
            rows.flat_map(|row| row[..blocks * width].iter().copied()).collect::<Vec<i32>>()
        };
        let tokens = ints(narrow(&self.tokens, self.width), [self.batch, 1, blocks, self.width]);
        let landmarks = ints(narrow(&self.landmarks, 1), [self.batch, 1, blocks, 1]);
        let places = (cached + from) as i32..(cached + from + length) as i32;
        let place = ints(places.collect(), [1, length, 1, 1]);
        let number = ints((0..blocks as i32).collect(), [1, 1, blocks, 1]);
        let block = queries(&self.block);

        let narrow = [self.batch, length, blocks, 1];
        let wide = [self.batch, length, blocks, self.width];
        let mut earlier = number.clone().expand(narrow).lower(block.clone().expand(narrow));
        let mut readable = tokens.clone().not_equal_scalar(NOWHERE);
        let own = number.expand(narrow).equal(block.expand(narrow)).expand(wide);
        let mut local = own.bool_and(tokens.clone().expand(wide).lower_equal(place.expand(wide)));
        if self.resets {
            let start = queries(&self.start);
            let since = tokens.expand(wide).greater_equal(start.clone().expand(wide));
            earlier = earlier.bool_and(landmarks.expand(narrow).greater_equal(start.expand(narrow)));
            readable = readable.expand(wide).bool_and(since.clone());
            local = local.bool_and(since);
        }
        Masks { blocks, earlier, local, readable }
    }

    /// The `numbers`, `[b, t]`, of the new tokens `from .. from + length`.
    fn of_queries<'a>(
        &self,
        numbers: &'a [i32],
        from: usize,
        length: usize,
    ) -> impl Iterator<Item = &'a i32> {
        numbers.chunks_exact(self.time).flat_map(move |row| &row[from..from + length])
    }
}

/// What a run of `c` new tokens sees, of the first `blocks` blocks.
#[derive(Clone)]
pub(super) struct Masks {
    pub blocks: usize,
    /// The landmarks of earlier blocks, `[b, c, g, 1]`.
    pub earlier: Tensor<4, Bool>,
    /// The ordinary tokens of each one's own block up to itself, `[b, c, g, l]`.
    pub local: Tensor<4, Bool>,
    /// Those that are there and not hidden by a reset, `[b, 1 or c, g, l]`.
    pub readable: Tensor<4, Bool>,
}

/// `entries`, `[b, s, hk, d]`, at `places`, `[b, n]`: `[b, hk, n, d]`. Nowhere stands the first one.
fn gather(entries: Tensor<4>, places: &[i32], count: usize) -> Tensor<4> {
    let [batch, length, heads, channels] = entries.dims();
    let rows = places.chunks_exact(count).enumerate();
    let indices: Vec<i64> = rows
        .flat_map(|(row, places)| {
            let place = |place: &i32| if *place == NOWHERE { 0 } else { *place as usize };
            places.iter().map(move |at| (row * length + place(at)) as i64)
        })
        .collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [batch * count]), &entries.device());
    entries
        .reshape([batch * length, heads * channels])
        .select(0, indices)
        .reshape([batch, count, heads, channels])
        .swap_dims(1, 2)
}
