//! Sequences of one state in the place of others.

use super::{Mask, MixerState, StateMapper, StatePart};
use burn::tensor::{Int, Tensor, TensorData};
use std::any::Any;

/// See [`MixerState::put`].
#[track_caller]
pub(super) fn put<S: MixerState>(state: S, indices: &[usize], others: S) -> S {
    let (batch, count) = (state.batch(), others.batch());
    assert!(
        count == indices.len(),
        "The argument `others` is of {count} sequences, but there are {} indices.",
        indices.len()
    );
    let mut places: Vec<i64> = (0..batch as i64).collect();
    for (place, index) in indices.iter().enumerate() {
        assert!(
            *index < batch,
            "The argument `indices` holds {index}, but the state is of {batch} sequences."
        );
        places[*index] = (batch + place) as i64;
    }
    let mut taken = Take::default();
    others.map_state(&mut taken);
    let mut put = Put { others: taken.0.into_iter(), places };
    let state = state.map_state(&mut put);
    assert!(put.others.next().is_none(), "{UNLIKE}");
    state
}

const UNLIKE: &str = "The argument `others` is not of the same layer.";

/// The fields of a state, in order.
#[derive(Default)]
struct Take(Vec<Box<dyn Any>>);

impl StateMapper for Take {
    fn tensor<const D: usize>(&mut self, _: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        self.0.push(Box::new(tensor.clone()));
        tensor
    }

    fn mask(&mut self, _: &str, mask: Option<Mask>) -> Option<Mask> {
        self.0.push(Box::new(mask.clone()));
        mask
    }

    fn number(&mut self, _: &str, number: u64) -> u64 {
        self.0.push(Box::new(number));
        number
    }
}

struct Put {
    others: std::vec::IntoIter<Box<dyn Any>>,
    /// Of every sequence, counted over the state and behind it the others.
    places: Vec<i64>,
}

impl Put {
    #[track_caller]
    fn next<T: 'static>(&mut self) -> T {
        let other = self.others.next().and_then(|other| other.downcast::<T>().ok());
        *other.unwrap_or_else(|| panic!("{UNLIKE}"))
    }
}

impl StateMapper for Put {
    #[track_caller]
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        let other: Tensor<D> = self.next();
        let (found, wanted) = (other.dims(), tensor.dims());
        assert!(
            found[1..] == wanted[1..],
            "The argument `others` has `{name}` of the shape {found:?}, which does not stand beside {wanted:?}."
        );
        let places = Tensor::<1, Int>::from_data(TensorData::from(self.places.as_slice()), &tensor.device());
        Tensor::cat(vec![tensor, other], 0).select(0, places)
    }

    #[track_caller]
    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask> {
        let other: Option<Mask> = self.next();
        match (mask, other) {
            (None, None) => None,
            (Some(mask), Some(other)) => {
                let places =
                    Tensor::<1, Int>::from_data(TensorData::from(self.places.as_slice()), &mask.device());
                Some(Tensor::cat(vec![mask.int(), other.int()], 0).select(0, places).bool())
            }
            _ => panic!("Only one of the states has `{name}`, so that they do not stand beside each other."),
        }
    }

    #[track_caller]
    fn number(&mut self, name: &str, number: u64) -> u64 {
        let other: u64 = self.next();
        assert!(
            other == number,
            "The argument `others` has `{name}` = {other}, which all sequences share, and it is {number} here."
        );
        number
    }
}

/// The name of something in a state that sequences of different lengths cannot have together: a number, a cache, or inputs
/// of a convolution that are as many as there were tokens.
pub(crate) fn shared_by_all<S: MixerState>(fresh: &S) -> Option<String> {
    let mut find = Find(None);
    fresh.clone().map_state(&mut find);
    find.0
}

struct Find(Option<String>);

impl Find {
    fn found(&mut self, name: &str) {
        self.0.get_or_insert_with(|| name.to_string());
    }
}

impl StateMapper for Find {
    fn tensor<const D: usize>(&mut self, name: &str, part: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        let grows = part == StatePart::Cache || (part == StatePart::Convolution && tensor.dims()[1] == 0);
        if grows {
            self.found(name);
        }
        tensor
    }

    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask> {
        self.found(name);
        mask
    }

    fn number(&mut self, name: &str, number: u64) -> u64 {
        self.found(name);
        number
    }
}
