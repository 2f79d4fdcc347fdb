//! The tensors of a model as they are published.

use super::layout::Layout;
use super::names::Names;
use crate::CheckpointError;
use crate::models::LanguageModel;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData};
use safetensors::tensor::View;
use safetensors::{Dtype, SafeTensorError, serialize_to_file};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::io::{Error, ErrorKind};
use std::path::Path;

/// The tensors of a model by their published names.
pub(super) struct Published<'a> {
    tensors: BTreeMap<String, Stored<'a>>,
}

/// One published tensor, and the parameters that it holds.
struct Stored<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    parts: Vec<Part<'a>>,
}

struct Part<'a> {
    shape: Vec<usize>,
    layout: &'a Layout,
    data: Box<dyn Fn() -> TensorData>,
}

impl<'a> Published<'a> {
    /// The tensors of `model`.
    pub fn of(model: &LanguageModel, names: &'a Names, directory: &Path) -> Result<Self, CheckpointError> {
        let mut collect = Collect { names, path: Vec::new(), tensors: BTreeMap::new(), problem: None };
        model.visit(&mut collect);
        match collect.problem {
            Some(problem) => Err(CheckpointError::contents(directory, problem)),
            None => Ok(Self { tensors: collect.tensors }),
        }
    }

    /// What transformers calls the type that all tensors have, or that of the first.
    pub fn dtype(&self) -> &'static str {
        match self.tensors.values().next().map(|stored| stored.dtype) {
            Some(Dtype::F64) => "float64",
            Some(Dtype::F16) => "float16",
            Some(Dtype::BF16) => "bfloat16",
            _ => "float32",
        }
    }

    /// Writes them into the file `path`, one after another.
    pub fn write(self, metadata: HashMap<String, String>, path: &Path) -> Result<(), Error> {
        serialize_to_file(self.tensors, Some(metadata), path).map_err(|error| match error {
            SafeTensorError::IoError(error) => error,
            other => Error::new(ErrorKind::InvalidData, other),
        })
    }
}

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut published = vec![0; self.data_len()];
        for part in &self.parts {
            let data = (part.data)();
            let order = part.layout.order(&part.shape);
            match self.dtype {
                Dtype::F64 => order.scatter::<8>(data.as_bytes(), &mut published),
                Dtype::F16 | Dtype::BF16 => order.scatter::<2>(data.as_bytes(), &mut published),
                _ => order.scatter::<4>(data.as_bytes(), &mut published),
            }
        }
        published.into()
    }

    fn data_len(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Collects the parameters of a model under their published names.
struct Collect<'a> {
    names: &'a Names,
    path: Vec<String>,
    tensors: BTreeMap<String, Stored<'a>>,
    problem: Option<String>,
}

impl Collect<'_> {
    fn collect<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) -> Result<(), String> {
        let path = self.path.join(".");
        let tensor = parameter.val();
        let dtype = match tensor.dtype() {
            DType::F32 | DType::Flex32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            other => return Err(format!("`{path}` is {other:?}, but a file holds F32, F16, BF16 and F64")),
        };
        let place = self.names.place(&path);
        let place =
            place.ok_or_else(|| format!("the architecture has no tensor for the parameter `{path}`"))?;
        let shape = tensor.dims().to_vec();
        let published = place.layout.published_shape(&shape);
        let name = place.published.clone();
        let stored = Stored { dtype, shape: published, parts: Vec::new() };
        let stored = self.tensors.entry(place.published).or_insert(stored);
        if stored.dtype != dtype {
            return Err(format!(
                "`{path}` is {dtype:?}, but what shares the tensor `{name}` with it is {:?}",
                stored.dtype
            ));
        }
        if let Some(first) = stored.parts.first()
            && !place.layout.is_part()
        {
            // Several layers have the whole of it.
            let same = (first.data)() == tensor.to_data();
            let problem =
                || format!("`{path}` differs from that of a layer below, but `{name}` is one for all");
            return if same { Ok(()) } else { Err(problem()) };
        }
        let data = Box::new(move || tensor.to_data());
        stored.parts.push(Part { shape, layout: place.layout, data });
        Ok(())
    }
}

impl ModuleVisitor for Collect<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if self.problem.is_none()
            && let Err(problem) = self.collect(parameter)
        {
            self.problem = Some(problem);
        }
    }
}
