//! Judging a state: whether one can stand where another is expected.

use super::{MAX_NUMBER, Mask, MixerState, StateMapper, StatePart};
use burn::tensor::{DType, Tensor};

/// See [`MixerState::misfit`].
pub(super) fn misfit<S: MixerState>(state: &S, expected: &S) -> Option<String> {
    let (found, wanted) = (state.layer(), expected.layer());
    if found != wanted {
        return Some(format!("is one of `{found}`, but one of `{wanted}` is wanted"));
    }
    let (found, wanted) = (Parts::of(state), Parts::of(expected));
    found.problem.or_else(|| missing(&found.parts, &wanted.parts)).or_else(|| {
        let mut pairs = found.parts.iter().zip(&wanted.parts);
        pairs.find_map(|(found, wanted)| found.differs(wanted))
    })
}

/// See [`other_batch`](super::other_batch).
pub(super) fn other_batch<S: MixerState>(state: &S, batch: usize) -> Option<String> {
    let mut walk = OtherBatch { batch, found: None };
    state.clone().map_state(&mut walk);
    let (name, found) = walk.found?;
    Some(format!("is of {found} sequences in `{name}`, but the input is of {batch}"))
}

struct OtherBatch {
    batch: usize,
    found: Option<(String, usize)>,
}

impl OtherBatch {
    fn see(&mut self, name: &str, batch: usize) {
        if batch != self.batch && self.found.is_none() {
            self.found = Some((name.to_string(), batch));
        }
    }
}

impl StateMapper for OtherBatch {
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        self.see(name, tensor.dims()[0]);
        tensor
    }

    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask> {
        if let Some(mask) = &mask {
            self.see(name, mask.dims()[0]);
        }
        mask
    }
}

/// A part that every state of a layer has.
struct Part {
    name: String,
    kind: Kind,
}

enum Kind {
    /// Extents of `None` are free.
    Tensor {
        dtype: Option<DType>,
        extents: Vec<Option<usize>>,
    },
    Number,
    Fixed(u64),
}

impl Part {
    /// What is wrong with it where `wanted` is expected, which has the same name.
    fn differs(&self, wanted: &Self) -> Option<String> {
        let name = &self.name;
        match (&self.kind, &wanted.kind) {
            (Kind::Number, Kind::Number) => None,
            (Kind::Fixed(_), Kind::Number) | (Kind::Number, Kind::Fixed(_)) => Some(format!(
                "holds a number that is free and one that is fixed in each other's place under `{name}`"
            )),
            (Kind::Fixed(found), Kind::Fixed(wanted)) => {
                (found != wanted).then(|| format!("holds `{name}` = {found}, but {wanted} is wanted"))
            }
            (
                Kind::Tensor { dtype, extents },
                Kind::Tensor { dtype: wanted_dtype, extents: wanted_extents },
            ) => {
                let wanted_extents = freed(wanted_extents.clone());
                if !fit(extents, &wanted_extents) {
                    let (found, wanted) = (shape(extents), shape(&wanted_extents));
                    return Some(format!("holds `{name}` of the shape {found}, but {wanted} is wanted"));
                }
                let (found, wanted) = dtype.zip(*wanted_dtype)?;
                (found != wanted).then(|| format!("holds `{name}` as {found:?}, but {wanted:?} is wanted"))
            }
            _ => Some(format!("holds a number and a tensor in each other's place under `{name}`")),
        }
    }
}

/// The extents of a tensor that is wanted. Inputs of which the initial state holds none are kept as they come: their
/// number is free.
pub(super) fn freed(mut extents: Vec<Option<usize>>) -> Vec<Option<usize>> {
    if let Some(extent) = extents.get_mut(1).filter(|extent| **extent == Some(0)) {
        *extent = None;
    }
    extents
}

fn fit(found: &[Option<usize>], wanted: &[Option<usize>]) -> bool {
    let mut pairs = found.iter().zip(wanted);
    found.len() == wanted.len() && pairs.all(|(found, wanted)| wanted.is_none() || found == wanted)
}

/// Extents as in messages: the batch, the length of a cache and the number of kept inputs are free.
fn shape(extents: &[Option<usize>]) -> String {
    let extents: Vec<String> =
        extents.iter().map(|extent| extent.map_or("any".into(), |extent| extent.to_string())).collect();
    format!("[{}]", extents.join(", "))
}

/// The first part that only one of two states has.
fn missing(found: &[Part], wanted: &[Part]) -> Option<String> {
    let lacks = |parts: &[Part], name: &str| parts.iter().all(|part| part.name != name);
    if let Some(part) = wanted.iter().find(|part| lacks(found, &part.name)) {
        return Some(format!("lacks `{}`", part.name));
    }
    let stranger = found.iter().find(|part| lacks(wanted, &part.name))?;
    Some(format!("holds `{}`, which is not wanted", stranger.name))
}

/// The parts of a state, and the first thing in which they do not fit each other.
#[derive(Default)]
struct Parts {
    parts: Vec<Part>,
    batch: Option<(String, usize)>,
    problem: Option<String>,
}

impl Parts {
    fn of<S: MixerState>(state: &S) -> Self {
        let mut parts = Self::default();
        state.clone().map_state(&mut parts);
        parts
    }

    fn fail(&mut self, problem: impl FnOnce() -> String) {
        if self.problem.is_none() {
            self.problem = Some(problem());
        }
    }

    fn see_batch(&mut self, name: &str, batch: usize) {
        match self.batch.take() {
            None => self.batch = Some((name.to_string(), batch)),
            Some((first, found)) => {
                if found != batch {
                    self.fail(|| format!("is of {found} sequences in `{first}`, but of {batch} in `{name}`"));
                }
                self.batch = Some((first, found));
            }
        }
    }

    fn put(&mut self, name: &str, kind: Kind) {
        self.parts.push(Part { name: name.to_string(), kind });
    }
}

impl StateMapper for Parts {
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        let mut extents: Vec<_> = tensor.dims().into_iter().map(Some).collect();
        self.see_batch(name, tensor.dims()[0]);
        extents[0] = None;
        self.put(name, Kind::Tensor { dtype: Some(tensor.dtype()), extents });
        tensor
    }

    fn cache<const D: usize>(&mut self, name: &str, cache: Tensor<D>) -> Tensor<D> {
        let mut extents: Vec<_> = cache.dims().into_iter().map(Some).collect();
        self.see_batch(name, cache.dims()[0]);
        (extents[0], extents[1]) = (None, None);
        // An empty cache holds nothing of any dtype.
        let dtype = (cache.dims()[1] > 0).then(|| cache.dtype());
        self.put(name, Kind::Tensor { dtype, extents });
        cache
    }

    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask> {
        if let Some(mask) = &mask {
            self.see_batch(name, mask.dims()[0]);
        }
        mask
    }

    fn number(&mut self, name: &str, number: u64) -> u64 {
        if number > MAX_NUMBER {
            self.fail(|| format!("has `{name}` = {number}, but at most {MAX_NUMBER} is wanted"));
        }
        self.put(name, Kind::Number);
        number
    }

    fn fixed(&mut self, name: &str, number: u64) {
        self.put(name, Kind::Fixed(number));
    }

    fn fits(&mut self, holds: bool, problem: &str) {
        if !holds {
            self.fail(|| format!("does not fit itself: {problem}"));
        }
    }
}
