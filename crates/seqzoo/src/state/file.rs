//! State files: safetensors with the layer's name and a format version in the metadata.

use super::misfit::freed;
use super::{Mask, MixerState, StateMapper, StatePart};
use crate::{StateError, files};
use burn::tensor::{DType, Device, Tensor, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, serialize};
use std::collections::HashMap;
use std::path::Path;

const FORMAT: &str = "seqzoo-state";
const VERSION: &str = "1";

/// What the owner of a state wrote beside it, in the metadata.
const NOTE: &str = "note";

pub(super) fn save<S: MixerState>(state: &S, note: Option<&str>, path: &Path) -> Result<(), StateError> {
    let mut collect = Collect::default();
    state.clone().map_state(&mut collect);
    let mut metadata = HashMap::from([
        ("format".to_string(), FORMAT.to_string()),
        ("version".to_string(), VERSION.to_string()),
        ("layer".to_string(), state.layer()),
        ("numbers".to_string(), serde_json::to_string(&collect.numbers).expect("numbers are JSON")),
    ]);
    metadata.extend(note.map(|note| (NOTE.to_string(), note.to_string())));
    if let Some(problem) = collect.problem {
        return Err(StateError::mismatch(path, problem));
    }
    let views = collect.tensors.iter().map(|(name, stored)| {
        let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes);
        (name.clone(), view.expect("the bytes fit the shape"))
    });
    let bytes = serialize(views, Some(metadata)).map_err(|error| StateError::malformed(path, error))?;
    files::write(path, bytes).map_err(|error| StateError::io(path, error))
}

/// The state in the file, and the note beside it.
pub(super) fn load<S: MixerState>(
    template: S,
    path: &Path,
    device: &Device,
) -> Result<(S, Option<String>), StateError> {
    let bytes = files::read(path).map_err(|error| StateError::io(path, error))?;
    let malformed = |error: &dyn ToString| StateError::malformed(path, error.to_string());
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| malformed(&error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| malformed(&error))?;
    let empty = HashMap::new();
    let metadata = header.metadata().as_ref().unwrap_or(&empty);
    let entry = |key: &str| metadata.get(key).map_or("", String::as_str);

    if entry("format") != FORMAT {
        return Err(StateError::malformed(path, "its metadata does not say `format: seqzoo-state`"));
    }
    if entry("version") != VERSION {
        let problem =
            format!("it is of format version `{}`, this library reads version {VERSION}", entry("version"));
        return Err(StateError::mismatch(path, problem));
    }
    let layer = template.layer();
    if entry("layer") != layer {
        let problem = format!("it is the state of `{}`, but one of `{layer}` is wanted", entry("layer"));
        return Err(StateError::mismatch(path, problem));
    }
    let numbers = serde_json::from_str(entry("numbers")).map_err(|error| malformed(&error))?;

    let mut restore =
        Restore { file: &file, numbers, device, batch: None, used: 0, numbers_used: 0, problem: None };
    let state = template.map_state(&mut restore);
    restore.check_that_all_is_used();
    match restore.problem {
        Some(problem) => Err(StateError::mismatch(path, problem)),
        None => Ok((state, metadata.get(NOTE).cloned())),
    }
}

struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Collect {
    tensors: Vec<(String, Stored)>,
    numbers: HashMap<String, u64>,
    problem: Option<String>,
}

impl StateMapper for Collect {
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        let data = tensor.to_data();
        match stored(data.dtype()) {
            Some(dtype) => {
                let stored = Stored { dtype, shape: tensor.dims().to_vec(), bytes: data.as_bytes().to_vec() };
                self.tensors.push((name.to_string(), stored));
            }
            None => {
                let problem =
                    format!("`{name}` is {:?}, but a state file holds f64, f32, f16 and bf16", data.dtype());
                self.problem.get_or_insert(problem);
            }
        }
        tensor
    }

    fn mask(&mut self, name: &str, mask: Option<Mask>) -> Option<Mask> {
        if let Some(mask) = &mask {
            let flags = mask.clone().int().into_data().convert::<u8>();
            let stored =
                Stored { dtype: Dtype::U8, shape: mask.dims().to_vec(), bytes: flags.as_bytes().to_vec() };
            self.tensors.push((name.to_string(), stored));
        }
        mask
    }

    fn number(&mut self, name: &str, number: u64) -> u64 {
        self.numbers.insert(name.to_string(), number);
        number
    }

    fn fixed(&mut self, name: &str, number: u64) {
        self.number(name, number);
    }
}

/// Replaces what a template holds by what the file holds, and remembers the first thing that does
/// not fit.
struct Restore<'a> {
    file: &'a SafeTensors<'a>,
    numbers: HashMap<String, u64>,
    device: &'a Device,
    batch: Option<usize>,
    used: usize,
    numbers_used: usize,
    problem: Option<String>,
}

impl<'a> Restore<'a> {
    fn check_that_all_is_used(&mut self) {
        let (tensors, numbers) = (self.file.len(), self.numbers.len());
        if self.used != tensors {
            self.fail(format!("it holds {tensors} tensors, {} are wanted", self.used));
        } else if self.numbers_used != numbers {
            self.fail(format!("it holds {numbers} numbers, {} are wanted", self.numbers_used));
        }
    }

    /// The contents under `name`, if they have the extents wanted. Extents of `None` are free; the batch is free but
    /// the same for all tensors.
    fn find(&mut self, name: &str, extents: &[Option<usize>]) -> Option<TensorView<'a>> {
        let Ok(view) = self.file.tensor(name) else {
            self.fail(format!("the tensor `{name}` is missing"));
            return None;
        };
        self.used += 1;
        let shape = view.shape();
        let batch = *self.batch.get_or_insert(shape.first().copied().unwrap_or(0));
        let wanted: Vec<Option<usize>> = extents
            .iter()
            .enumerate()
            .map(|(axis, extent)| if axis == 0 { Some(batch) } else { *extent })
            .collect();
        let fits = shape.len() == wanted.len()
            && shape.iter().zip(&wanted).all(|(found, wanted)| wanted.is_none_or(|wanted| wanted == *found));
        if !fits {
            let wanted: Vec<String> = wanted
                .iter()
                .map(|extent| extent.map_or("any".to_string(), |extent| extent.to_string()))
                .collect();
            self.fail(format!("`{name}` has the shape {shape:?}, but [{}] is wanted", wanted.join(", ")));
            return None;
        }
        Some(view)
    }

    /// The floats under `name` as `dtype`, if that can hold them; as the file has them where `dtype` is `None`.
    fn floats<const D: usize>(
        &mut self,
        name: &str,
        dtype: Option<DType>,
        extents: &[Option<usize>],
    ) -> Option<Tensor<D>> {
        let view = self.find(name, extents)?;
        let found = loaded(view.dtype()).filter(|found| dtype.is_none_or(|wanted| widens(*found, wanted)));
        let Some(found) = found else {
            let wanted = dtype.map_or("a float".into(), |wanted| format!("{wanted:?}"));
            let problem = format!("`{name}` is {:?}, but {wanted} is wanted", view.dtype());
            self.fail(problem);
            return None;
        };
        let wanted = dtype.unwrap_or(found);
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), found);
        Some(Tensor::from_data(data.convert_dtype(wanted), (self.device, wanted)))
    }

    fn fail(&mut self, problem: String) {
        self.problem.get_or_insert(problem);
    }
}

/// The dtype of a file for the floats `dtype`.
fn stored(dtype: DType) -> Option<Dtype> {
    match dtype {
        DType::F64 => Some(Dtype::F64),
        DType::F32 => Some(Dtype::F32),
        DType::F16 => Some(Dtype::F16),
        DType::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}

/// The floats that a file holds as `dtype`.
fn loaded(dtype: Dtype) -> Option<DType> {
    [DType::F64, DType::F32, DType::F16, DType::BF16].into_iter().find(|float| stored(*float) == Some(dtype))
}

/// Whether a layer of the floats `into` takes `from`: its own, or half precision, into which the owner of a state may
/// have cast it to save room.
fn widens(from: DType, into: DType) -> bool {
    from == into || matches!(from, DType::F16 | DType::BF16)
}

impl StateMapper for Restore<'_> {
    fn tensor<const D: usize>(&mut self, name: &str, _: StatePart, tensor: Tensor<D>) -> Tensor<D> {
        let extents = freed(tensor.dims().into_iter().map(Some).collect());
        self.floats(name, Some(tensor.dtype()), &extents).unwrap_or(tensor)
    }

    fn cache<const D: usize>(&mut self, name: &str, cache: Tensor<D>) -> Tensor<D> {
        // Earlier files hold nothing of an empty cache.
        if self.file.tensor(name).is_err() {
            let mut shape = cache.dims();
            shape[1] = 0;
            return Tensor::zeros(shape, (self.device, cache.dtype()));
        }
        let mut extents: Vec<_> = cache.dims().into_iter().map(Some).collect();
        extents[1] = None;
        self.floats(name, Some(cache.dtype()), &extents).unwrap_or(cache)
    }

    fn places(&mut self, name: &str, places: Tensor<1>, end: usize) -> Tensor<1> {
        self.fixed(&format!("{name}.end"), end as u64);
        let places = self.tensor(name, StatePart::Recurrent, places);
        let data = places.to_data().convert::<f64>();
        let is_place = |place: &f64| (0.0..end as f64).contains(place) && place.fract() == 0.0;
        if let Some(place) = data.iter::<f64>().find(|place| !is_place(place)) {
            self.fail(format!("`{name}` holds {place}, but whole numbers below {end} are wanted"));
        }
        places
    }

    fn fixed(&mut self, name: &str, number: u64) {
        let found = self.number(name, number);
        if found != number {
            self.fail(format!("`{name}` is {found}, but {number} is wanted"));
        }
    }

    fn mask(&mut self, name: &str, _: Option<Mask>) -> Option<Mask> {
        self.file.tensor(name).ok()?;
        let view = self.find(name, &[None, None])?;
        if view.dtype() != Dtype::U8 {
            let problem = format!("`{name}` is {:?}, but U8 is wanted", view.dtype());
            self.fail(problem);
            return None;
        }
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), DType::U8);
        Some(Tensor::from_data(data.convert::<bool>(), self.device))
    }

    fn fits(&mut self, holds: bool, problem: &str) {
        if !holds {
            self.fail(problem.to_string());
        }
    }

    fn number(&mut self, name: &str, number: u64) -> u64 {
        match self.numbers.get(name) {
            Some(stored) => {
                self.numbers_used += 1;
                *stored
            }
            None => {
                self.fail(format!("the number `{name}` is missing"));
                number
            }
        }
    }
}
