//! Directories with random weights under published names, and their numbers.

use super::super::by_hand::Matrix;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize_to_file};
use seqzoo_tests::{Inputs, plain, values};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Tensors by their published names, in numbers that `f32` holds.
pub struct Tensors {
    tensors: BTreeMap<String, (Vec<usize>, Vec<f64>)>,
    random: Inputs,
}

impl Tensors {
    pub fn new(seed: u64) -> Self {
        Self { tensors: BTreeMap::new(), random: Inputs::single(seed, &plain()) }
    }

    /// Draws a tensor.
    pub fn draw(&mut self, name: &str, shape: &[usize]) {
        let count = shape.iter().product();
        self.tensors.insert(name.into(), (shape.to_vec(), values(self.random.uniform::<1>([count]))));
    }

    pub fn numbers(&self, name: &str) -> &[f64] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("there is no `{name}`")).1
    }

    /// A tensor of two axes.
    pub fn matrix(&self, name: &str) -> Matrix {
        let (shape, numbers) = &self.tensors[name];
        Matrix { numbers: numbers.clone(), columns: shape[1] }
    }

    /// What a linear map makes of `x`, with its bias if it has one.
    pub fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
        let product = self.matrix(&format!("{name}.weight")).times(x);
        match self.tensors.get(&format!("{name}.bias")) {
            Some((_, bias)) => super::super::by_hand::plus(&product, bias),
            None => product,
        }
    }

    /// Takes tensors away and puts them, one after another, into one of `shape`.
    pub fn join(&mut self, names: &[String], joint: &str, shape: &[usize]) {
        let numbers = names.iter().flat_map(|name| self.tensors.remove(name).unwrap().1).collect();
        self.tensors.insert(joint.into(), (shape.to_vec(), numbers));
    }

    /// Writes the directory of a model.
    pub fn write(&self, fields: &Value, directory: &Path) {
        let bytes: BTreeMap<_, Vec<u8>> = self
            .tensors
            .iter()
            .map(|(name, (_, numbers))| {
                (name, numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect())
            })
            .collect();
        let views = self.tensors.iter().map(|(name, (shape, _))| {
            (name, TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap())
        });
        serialize_to_file(views, None, &directory.join("model.safetensors")).unwrap();
        std::fs::write(directory.join("config.json"), fields.to_string()).unwrap();
    }
}
