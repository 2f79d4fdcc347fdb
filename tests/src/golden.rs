//! Golden vectors: what the original implementations computed, in `tests/golden/`.

use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors};
use std::collections::HashMap;
use std::path::PathBuf;

/// One golden file: named tensors and the hyper-parameters they were computed with.
pub struct Golden {
    tensors: HashMap<String, (Vec<usize>, Vec<f64>)>,
    metadata: HashMap<String, String>,
}

impl Golden {
    /// Loads `tests/golden/{name}.safetensors`.
    pub fn load(name: &str) -> Self {
        let bytes =
            std::fs::read(Self::path(&format!("{name}.safetensors"))).expect("the golden file exists");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("the golden file is well formed");
        let file = SafeTensors::deserialize(&bytes).expect("the golden file is well formed");
        let tensors = file
            .iter()
            .map(|(name, view)| {
                (name.to_string(), (view.shape().to_vec(), numbers(view.dtype(), view.data())))
            })
            .collect();
        Self { tensors, metadata: header.metadata().clone().unwrap_or_default() }
    }

    /// A path inside `tests/golden/`.
    pub fn path(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
    }

    /// Whether the file holds `name`.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The names of all tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The hyper-parameter `hp.{name}`.
    pub fn parameter(&self, name: &str) -> &str {
        &self.metadata[&format!("hp.{name}")]
    }

    /// The hyper-parameter `hp.{name}` as a number.
    pub fn number(&self, name: &str) -> f64 {
        self.parameter(name).parse().expect("the hyper-parameter is a number")
    }

    /// The number of axes of the tensor `name`.
    pub fn rank(&self, name: &str) -> usize {
        self.tensors[name].0.len()
    }

    /// The sequence `name`, `[B, T, H]` or `[B, T, H, D]`, in `f64` and with four axes;
    /// `head_first` if the file has heads before tokens.
    pub fn sequence(&self, name: &str, head_first: bool, device: &Device) -> Tensor<4> {
        let stored = if self.rank(name) == 3 {
            self.tensor::<3>(name, device).unsqueeze_dim(3)
        } else {
            self.tensor(name, device)
        };
        if head_first { stored.swap_dims(1, 2) } else { stored }
    }

    /// The tensor `name`, or zeros of this shape if the file has none.
    pub fn tensor_or_zeros<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
        device: &Device,
    ) -> Tensor<D> {
        if self.has(name) { self.tensor(name, device) } else { Tensor::zeros(shape, (device, DType::F64)) }
    }

    /// The tensor `name` as flat numbers.
    pub fn values(&self, name: &str) -> &[f64] {
        &self.tensors[name].1
    }

    /// The tensor `name` in `f64`.
    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.tensors[name];
        assert_eq!(shape.len(), D, "{name} has the shape {shape:?}");
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), (device, DType::F64))
    }
}

fn numbers(dtype: Dtype, data: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F32 => data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")) as f64)
            .collect(),
        Dtype::I64 => data
            .chunks_exact(8)
            .map(|bytes| i64::from_le_bytes(bytes.try_into().expect("eight bytes")) as f64)
            .collect(),
        other => panic!("golden files hold F32 and I64, not {other:?}"),
    }
}
