//! A model in a directory, of the field's formats or of this library's own.

use crate::vocabulary::Vocabulary;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use clap::ValueEnum;
use indicatif::ProgressBar;
use seqzoo::models::LanguageModel;
use seqzoo::training::in_precision;
use seqzoo::{checkpoint, files};
use serde_json::{Map, Value};
use std::path::Path;
use std::time::{Duration, Instant};

/// A model, and what its directory says of its tokens.
pub struct Checkpoint {
    /// The model.
    pub model: LanguageModel,
    /// Its tokens as text, if there is one.
    pub vocabulary: Option<Vocabulary>,
    /// The tokens that end a text.
    pub end_tokens: Vec<usize>,
}

/// The precision of weights in memory.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub enum Precision {
    /// Whatever they are stored in.
    F32,
    /// Half the bytes, the range of `f32`.
    Bf16,
    /// Half the bytes, more digits.
    F16,
    /// As they are stored.
    Stored,
}

impl Checkpoint {
    /// Reads the directory, with a line that moves while it does if stderr is a terminal, and one that stays.
    ///
    /// # Errors
    ///
    /// If there is no such directory, or it holds no model, or a tokenizer that cannot be read.
    pub fn load(directory: &Path, precision: Precision, device: &Device) -> Result<Self, String> {
        if !directory.is_dir() {
            return Err(format!("--checkpoint {}: there is no such directory", directory.display()));
        }
        let begin = Instant::now();
        let progress = ProgressBar::new_spinner().with_message(format!("loading {}", directory.display()));
        progress.enable_steady_tick(Duration::from_millis(100));
        let read = Self::read(directory, precision, device);
        progress.finish_and_clear();
        let (read, format) = read?;
        eprintln!(
            "loaded {}: {format}, {} parameters in {:.1} MB, {:.1} s",
            directory.display(),
            read.model.num_params(),
            1e-6 * bytes(&read.model) as f64,
            begin.elapsed().as_secs_f64()
        );
        Ok(read)
    }

    /// The checkpoint, and what its format is called.
    fn read(directory: &Path, precision: Precision, device: &Device) -> Result<(Self, String), String> {
        let (model, end_tokens, format) = match is_own(directory) {
            true => {
                let model = LanguageModel::load(directory, device).map_err(|error| error.to_string())?;
                let model = match precision {
                    Precision::F32 => in_precision(&model, FloatDType::F32),
                    Precision::Bf16 => in_precision(&model, FloatDType::BF16),
                    Precision::F16 => in_precision(&model, FloatDType::F16),
                    Precision::Stored => model,
                };
                (model, Vec::new(), "the format of this library".to_string())
            }
            false => {
                let description = checkpoint::read_config(directory).map_err(|error| error.to_string())?;
                let precision = match precision {
                    Precision::F32 => checkpoint::Precision::Single,
                    Precision::Bf16 => checkpoint::Precision::Bf16,
                    Precision::F16 => checkpoint::Precision::F16,
                    Precision::Stored => checkpoint::Precision::Stored,
                };
                let model = checkpoint::read_as(directory, precision, device);
                let model = model.map_err(|error| error.to_string())?;
                (model, description.end_tokens, description.architecture.to_string())
            }
        };
        let vocabulary = Vocabulary::of(directory, model.config().vocab_size)?;
        Ok((Self { model, vocabulary, end_tokens }, format))
    }
}

/// The bytes of the weights.
fn bytes(model: &LanguageModel) -> usize {
    struct Sum(usize);
    impl ModuleVisitor for Sum {
        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            let tensor = parameter.val();
            self.0 += tensor.shape().num_elements() * tensor.dtype().size();
        }
    }
    let mut sum = Sum(0);
    model.visit(&mut sum);
    sum.0
}

/// Whether the directory is of the format of this library: its `config.json` has a pattern of layers, or, where an
/// interrupted save has left none, it is no published one.
fn is_own(directory: &Path) -> bool {
    match files::read(directory.join("config.json")) {
        Ok(bytes) => serde_json::from_slice::<Map<String, Value>>(&bytes)
            .is_ok_and(|fields| fields.contains_key("pattern")),
        Err(_) => checkpoint::read_config(directory).is_err() && directory.join("model.safetensors").exists(),
    }
}
