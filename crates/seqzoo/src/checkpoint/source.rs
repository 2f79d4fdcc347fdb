//! The tensors of a directory: in one file, or in several with an index.

use super::fields::{Fields, Problem};
use crate::{CheckpointError, files};
use memmap2::Mmap;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What PyTorch writes on its own: a program rather than data.
const PICKLED: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];

/// The files of a directory that hold its tensors, in memory as far as they are read.
pub(super) struct Source {
    directory: PathBuf,
    files: Vec<(PathBuf, Mmap)>,
    /// Which file the index says a tensor is in, if there is an index.
    index: BTreeMap<String, usize>,
}

impl Source {
    /// The files of `directory`; nothing is read of them yet.
    pub fn open(directory: &Path) -> Result<Self, CheckpointError> {
        let single = directory.join(WEIGHTS);
        let index = directory.join(INDEX);
        let (names, index) = if single.exists() {
            (vec![WEIGHTS.to_string()], BTreeMap::new())
        } else if index.exists() {
            shards(&index)?
        } else {
            return Err(no_weights(directory));
        };
        let file = |name: String| {
            let path = directory.join(name);
            let bytes = files::map_path(&path).map_err(|error| CheckpointError::io(&path, error))?;
            Ok((path, bytes))
        };
        let files = names.into_iter().map(file).collect::<Result<_, CheckpointError>>()?;
        Ok(Self { directory: directory.into(), files, index })
    }

    /// An entry of the metadata, where there is one file only.
    pub fn metadata(&self, key: &str) -> Result<Option<String>, CheckpointError> {
        let [(path, bytes)] = self.files.as_slice() else { return Ok(None) };
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| CheckpointError::contents(path, error))?;
        Ok(header.metadata().as_ref().and_then(|entries: &HashMap<_, _>| entries.get(key).cloned()))
    }

    /// All tensors, after a look at every header.
    pub fn tensors(&self) -> Result<Tensors<'_>, CheckpointError> {
        let mut found: BTreeMap<String, (usize, TensorView<'_>)> = BTreeMap::new();
        for (number, (path, bytes)) in self.files.iter().enumerate() {
            let refuse = |problem: &dyn ToString| CheckpointError::contents(path, problem.to_string());
            let file = SafeTensors::deserialize(bytes).map_err(|error| refuse(&error))?;
            for (name, view) in file.tensors() {
                if let Some((other, _)) = found.get(&name) {
                    let other = self.files[*other].0.display();
                    return Err(refuse(&format!(
                        "it holds the tensor `{name}`, which is in {other} as well"
                    )));
                }
                found.insert(name, (number, view));
            }
        }
        for (name, number) in &self.index {
            if found.get(name).is_none_or(|(file, _)| file != number) {
                let problem = format!("it lacks the tensor `{name}`, which {INDEX} says that it holds");
                return Err(CheckpointError::contents(&self.files[*number].0, problem));
            }
        }
        Ok(Tensors { source: self, found })
    }
}

/// The tensors of a directory by their names.
pub(super) struct Tensors<'a> {
    source: &'a Source,
    found: BTreeMap<String, (usize, TensorView<'a>)>,
}

impl<'a> Tensors<'a> {
    /// The tensor `name`.
    pub fn get(&self, name: &str) -> Option<&TensorView<'a>> {
        self.found.get(name).map(|(_, view)| view)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(String::as_str)
    }

    /// An error about the tensor `name`, which names the file that it is in, or the directory.
    pub fn refuse(&self, name: &str, problem: Problem) -> CheckpointError {
        let path = match (self.found.get(name), self.source.files.as_slice()) {
            (Some((file, _)), files) => &files[*file].0,
            (None, [(path, _)]) => path,
            (None, _) => &self.source.directory,
        };
        CheckpointError::contents(path, problem)
    }
}

/// The files that an index names, and which tensor is in which of them.
fn shards(index: &Path) -> Result<(Vec<String>, BTreeMap<String, usize>), CheckpointError> {
    let refuse = |problem: Problem| CheckpointError::contents(index, problem);
    let bytes = files::read(index).map_err(|error| CheckpointError::io(index, error))?;
    let fields = Fields::parse(&bytes).map_err(refuse)?;
    let Some(Value::Object(map)) = fields.given("weight_map") else {
        return Err(refuse("`weight_map` is no object of tensors and the files that they are in".into()));
    };
    let file = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(file) if is_plain(file) => Ok((tensor.clone(), file.to_string())),
        Some(file) => Err(refuse(format!("it names the file `{file}`, which is not in this directory"))),
        None => {
            Err(refuse(format!("`weight_map` says that `{tensor}` is in {file}, but a file name is wanted")))
        }
    };
    let map: Vec<_> = map.iter().map(file).collect::<Result<_, _>>()?;
    let names: BTreeSet<&String> = map.iter().map(|(_, file)| file).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    let number = |file: &String| names.binary_search(file).expect("the list is made of these");
    let index = map.iter().map(|(tensor, file)| (tensor.clone(), number(file))).collect();
    Ok((names, index))
}

/// Whether `file` is the name of a file and nothing that leads elsewhere, on any system.
fn is_plain(file: &str) -> bool {
    let mut parts = Path::new(file).components();
    let single =
        matches!((parts.next(), parts.next()), (Some(Component::Normal(part)), None) if part == file);
    single && !file.contains(['/', '\\', ':'])
}

/// Why there is nothing to read in `directory`.
fn no_weights(directory: &Path) -> CheckpointError {
    let here = directory.display();
    let pickled = PICKLED.iter().find(|name| directory.join(name).exists());
    let Some(name) = pickled else {
        let problem = format!("it holds neither {WEIGHTS} nor {INDEX}");
        return CheckpointError::contents(directory, problem);
    };
    let fields = files::read(directory.join(CONFIG)).ok().and_then(|bytes| Fields::parse(&bytes).ok());
    let command = match fields {
        Some(fields) if !fields.has("model_type") => own_command(&fields, &here.to_string()),
        _ => format!(
            "python -c \"import transformers as t; t.AutoModelForCausalLM.from_pretrained('{here}')\
             .save_pretrained('converted')\""
        ),
    };
    let problem =
        format!("it can run any code when it is read, and is not read here; convert it with `{command}`");
    CheckpointError::contents(&directory.join(name), problem)
}

/// The command that converts what mamba_ssm wrote.
fn own_command(fields: &Fields, here: &str) -> String {
    let settings = fields.objects("ssm_cfg").unwrap_or_default();
    let second =
        settings.iter().any(|settings| settings.text("layer", "").is_ok_and(|kind| kind == "Mamba2"));
    match second {
        true => format!(
            "python -m transformers.models.mamba2.convert_mamba2_ssm_checkpoint_to_pytorch -i {here} -p fp32 -o converted"
        ),
        false => format!(
            "python -m transformers.models.mamba.convert_mamba_ssm_checkpoint_to_pytorch -i {here}/pytorch_model.bin \
             -c {here}/config.json -o converted"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_files_are_followed() {
        for name in ["model-00001-of-00002.safetensors", "x", ".hidden"] {
            assert!(is_plain(name), "{name}");
        }
        for name in ["", ".", "..", "../x", "/x", "a/b", "a/", "./x", "c:\\x", "..\\x"] {
            assert!(!is_plain(name), "{name}");
        }
    }
}
