//! The blocks that are on the device: as many as the budget allows, the least recently used leave first.

use super::host::{Host, Shape};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use std::collections::HashMap;

/// Room for `budget` units, each a block of one sequence and head.
pub(super) struct Arena {
    /// `[budget, block, 2d]`: of each token its key, then its value.
    buffer: Tensor<3>,
    /// Where each unit is.
    places: HashMap<usize, usize>,
    /// What is at each place, and when it was used last.
    held: Vec<(Option<usize>, u64)>,
    now: u64,
    /// How many units were brought from the host.
    pub loaded: u64,
}

impl Arena {
    pub fn new(budget: usize, shape: Shape, dtype: DType, device: &Device) -> Self {
        Self {
            buffer: Tensor::zeros([budget, shape.block, 2 * shape.channels], (device, dtype)),
            places: HashMap::new(),
            held: vec![(None, 0); budget],
            now: 0,
            loaded: 0,
        }
    }

    /// The units of these numbers, `[n, block, 2d]`, of which at most as many are different as there is room for.
    pub fn units(&mut self, numbers: &[usize], host: &Host) -> Tensor<3> {
        self.now += 1;
        let mut missing = Vec::new();
        for number in numbers {
            match self.places.get(number) {
                Some(place) => self.held[*place].1 = self.now,
                None if missing.contains(number) => {}
                None => missing.push(*number),
            }
        }
        self.load(&missing, host);
        let places: Vec<i64> = numbers.iter().map(|number| self.places[number] as i64).collect();
        let places = Tensor::<1, Int>::from_data(places.as_slice(), &self.buffer.device());
        self.buffer.clone().select(0, places)
    }

    /// Brings units from the host, in place of those that were not used for the longest time.
    fn load(&mut self, missing: &[usize], host: &Host) {
        if missing.is_empty() {
            return;
        }
        let mut free: Vec<usize> =
            (0..self.held.len()).filter(|place| self.held[*place].1 < self.now).collect();
        free.sort_by_key(|place| self.held[*place].1);
        assert!(missing.len() <= free.len(), "there is room for the units of one read");
        let [_, block, channels] = self.buffer.dims();
        let bytes: Vec<u8> = missing.iter().flat_map(|number| host.unit(*number).iter().copied()).collect();
        let data =
            TensorData::from_bytes_vec(bytes, vec![missing.len(), block, channels], self.buffer.dtype());
        let units = Tensor::<3>::from_data(data, (&self.buffer.device(), self.buffer.dtype()));
        for (index, (number, place)) in missing.iter().zip(free).enumerate() {
            if let Some(old) = self.held[place].0.replace(*number) {
                self.places.remove(&old);
            }
            self.held[place].1 = self.now;
            self.places.insert(*number, place);
            let unit = units.clone().narrow(0, index, 1);
            let room = [place..place + 1, 0..block, 0..channels];
            // Given away and not copied: the buffer changes in place.
            let buffer = std::mem::replace(&mut self.buffer, units.clone());
            self.buffer = buffer.slice_assign(room, unit);
        }
        self.loaded += missing.len() as u64;
    }

    /// How many units there is room for.
    pub fn room(&self) -> usize {
        self.held.len()
    }

    /// How many units are on the device.
    pub fn resident(&self) -> usize {
        self.places.len()
    }

    /// The bytes that the room takes.
    pub fn bytes(&self) -> usize {
        self.buffer.dims().iter().product::<usize>() * self.buffer.dtype().size()
    }
}
