//! A model from the tensors of a directory.

use super::Precision;
use super::layout::{Layout, Order};
use super::names::Names;
use super::source::Tensors;
use crate::CheckpointError;
use crate::models::LanguageModel;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{DType, Tensor, TensorData, bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

/// `model`, whose parameters are not drawn yet, with those in `tensors`.
///
/// # Errors
///
/// If a tensor is missing, superfluous, of another shape or no float; then nothing has been read of any.
pub(super) fn read(
    model: LanguageModel,
    names: &Names,
    tensors: &Tensors<'_>,
    precision: Precision,
) -> Result<LanguageModel, CheckpointError> {
    let mut check = Check { names, tensors, path: Vec::new(), places: BTreeMap::new(), problem: None };
    model.visit(&mut check);
    let Check { places, problem, .. } = check;
    match problem {
        Some(problem) => return Err(problem),
        None => all_are_used(names, tensors, &places)?,
    }
    Ok(model.map(&mut Fill { tensors, places, precision, path: Vec::new() }))
}

/// Where a parameter is.
struct Found<'a> {
    /// The name in the table.
    name: String,
    /// The name in this file.
    published: String,
    layout: Cow<'a, Layout>,
}

/// Looks for every parameter.
struct Check<'a> {
    names: &'a Names,
    tensors: &'a Tensors<'a>,
    path: Vec<String>,
    places: BTreeMap<String, Found<'a>>,
    problem: Option<CheckpointError>,
}

impl<'a> Check<'a> {
    fn find(&self, path: &str, shape: &[usize]) -> Result<Found<'a>, CheckpointError> {
        let place = self.names.place(path).ok_or_else(|| {
            self.tensors.refuse("", format!("its architecture has no tensor for the parameter `{path}`"))
        })?;
        let other = place.also.filter(|(also, _)| self.tensors.get(also).is_some());
        let (name, layout) = match (self.tensors.get(&place.published), other) {
            (None, Some((also, layout))) => (also, Cow::Owned(layout)),
            _ => (place.published.clone(), Cow::Borrowed(place.layout)),
        };
        let wanted = layout.published_shape(shape);
        let Some(view) = self.tensors.get(&name) else {
            let problem = format!("it lacks the tensor `{name}` of the shape {wanted:?}");
            return Err(self.tensors.refuse(&name, problem));
        };
        if view.shape() != wanted {
            let problem =
                format!("the tensor `{name}` has the shape {:?}, but {wanted:?} is wanted", view.shape());
            return Err(self.tensors.refuse(&name, problem));
        }
        if dtype(view.dtype()).is_none() {
            let problem =
                format!("the tensor `{name}` is {:?}, but F32, F16, BF16 or F64 is wanted", view.dtype());
            return Err(self.tensors.refuse(&name, problem));
        }
        Ok(Found { name: place.published, published: name, layout })
    }
}

impl ModuleVisitor for Check<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        if self.problem.is_some() {
            return;
        }
        let path = self.path.join(".");
        match self.find(&path, parameter.lazy_shape().as_slice()) {
            Ok(found) => {
                self.places.insert(path, found);
            }
            Err(problem) => self.problem = Some(problem),
        }
    }
}

/// Says if there is a tensor that no parameter has asked for, and that is no copy of one that was.
fn all_are_used(
    names: &Names,
    tensors: &Tensors<'_>,
    places: &BTreeMap<String, Found<'_>>,
) -> Result<(), CheckpointError> {
    let used: HashSet<&str> = places.values().map(|found| found.published.as_str()).collect();
    let by_name: HashMap<&str, &str> =
        places.values().map(|found| (found.name.as_str(), found.published.as_str())).collect();
    let ignored = |name: &str| names.ignored.iter().any(|beginning| name.starts_with(beginning));
    for name in tensors.names().filter(|name| !used.contains(name) && !ignored(name)) {
        let original = names.original(name).and_then(|original| by_name.get(original.as_str()).copied());
        let Some(original) = original else {
            let problem = format!("it holds the tensor `{name}`, for which the model has no parameter");
            return Err(tensors.refuse(name, problem));
        };
        let [copy, of] = [tensors.get(name), tensors.get(original)];
        let same = |copy: &TensorView<'_>, of: &TensorView<'_>| {
            copy.dtype() == of.dtype() && copy.shape() == of.shape() && copy.data() == of.data()
        };
        if !copy.zip(of).is_some_and(|(copy, of)| same(copy, of)) {
            let problem = format!(
                "the tensor `{name}` differs from `{original}`, but config.json says that they are one and the same"
            );
            return Err(tensors.refuse(name, problem));
        }
    }
    Ok(())
}

/// Puts every parameter into its place.
struct Fill<'a> {
    tensors: &'a Tensors<'a>,
    places: BTreeMap<String, Found<'a>>,
    precision: Precision,
    path: Vec<String>,
}

impl ModuleMapper for Fill<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, parameter: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Found { published, layout, .. } = &self.places[&self.path.join(".")];
        let view = self.tensors.get(published).expect("the tensor was looked for");
        let shape = parameter.lazy_shape();
        let data = numbers(view, layout, shape.as_slice(), self.precision);
        let options = (&parameter.lazy_device(), data.dtype());
        let (tensor, id) = (Tensor::from_data(data, options), parameter.id);
        parameter.transform_for_load(tensor, id)
    }
}

/// The numbers of a published tensor as a parameter of the shape `shape` has them.
fn numbers(view: &TensorView<'_>, layout: &Layout, shape: &[usize], precision: Precision) -> TensorData {
    let (order, bytes) = (layout.order(shape), view.data());
    let stored = dtype(view.dtype()).expect("the type was looked at");
    let wanted = match precision {
        Precision::Single => DType::F32,
        Precision::Bf16 => DType::BF16,
        Precision::F16 => DType::F16,
        Precision::Stored => stored,
    };
    let bytes = match stored {
        DType::F64 => converted(&order, bytes, wanted, stored, |number| f64::from_le_bytes(number) as f32),
        DType::F16 => converted(&order, bytes, wanted, stored, |number| f16::from_le_bytes(number).to_f32()),
        DType::BF16 => {
            converted(&order, bytes, wanted, stored, |number| bf16::from_le_bytes(number).to_f32())
        }
        _ => converted(&order, bytes, wanted, stored, f32::from_le_bytes),
    };
    TensorData::from_bytes_vec(bytes, shape.to_vec(), wanted)
}

/// Numbers of `stored` in the order of a parameter, as `wanted`: rounded from `f32`, and untouched where both are the same.
fn converted<const N: usize>(
    order: &Order<'_>,
    bytes: &[u8],
    wanted: DType,
    stored: DType,
    single: impl Fn([u8; N]) -> f32,
) -> Vec<u8> {
    match wanted {
        same if same == stored => order.gather(bytes, |number: [u8; N]| number),
        DType::BF16 => order.gather(bytes, |number| bf16::from_f32(single(number)).to_ne_bytes()),
        DType::F16 => order.gather(bytes, |number| f16::from_f32(single(number)).to_ne_bytes()),
        _ => order.gather(bytes, |number| single(number).to_ne_bytes()),
    }
}

/// The type here of what a file holds, if a parameter can be made of it.
fn dtype(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F64 => Some(DType::F64),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
