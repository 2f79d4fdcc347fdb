//! Configurations of layers and of models, as files.

use crate::documents::{Document, File, spoilt};
use crate::hostile::{Syntax, changed, damaged, random};
use crate::models::small;
use crate::trial::any_document_is_read_or_refused;
use burn::config::Config;
use burn::module::Module;
use burn::tensor::Tensor;
use proptest::prelude::*;
use seqzoo::models::LanguageModelConfig;
use seqzoo::{MixerConfig, SequenceMixer};
use seqzoo_tests::plain;
use serde_json::{Number, Value};

const FILE: &str = "config.json";

fn hostile(file: File, others: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let tree = serde_json::from_slice(&file.bytes).unwrap();
    prop_oneof![
        1 => random(),
        2 => damaged(file.bytes, others),
        10 => changed(tree, Syntax::Json)
    ]
}

/// The largest number in a tree: what the work that it asks for grows with. A float may be a multiple of an extent.
fn largest(tree: &Value) -> u64 {
    of_numbers(tree, &|number| number.as_f64().map_or(0, |number| number as u64))
}

/// The largest whole number in a tree.
fn largest_extent(tree: &Value) -> u64 {
    of_numbers(tree, &|number| number.as_u64().unwrap_or(0))
}

fn of_numbers(tree: &Value, size: &impl Fn(&Number) -> u64) -> u64 {
    let each = |tree| of_numbers(tree, size);
    match tree {
        Value::Array(items) => items.iter().map(each).max().unwrap_or(0),
        Value::Object(fields) => fields.values().map(each).max().unwrap_or(0),
        Value::Number(number) => size(number),
        _ => 0,
    }
}

#[test]
fn any_file_is_a_layers_configuration_or_an_error() {
    let device = plain();
    let layers: Vec<_> = small().iter().flat_map(|model| model.config().pattern.clone()).collect();
    let write = |config: &MixerConfig| (FILE.to_string(), serde_json::to_vec(config).unwrap());
    let valid = layers.iter().map(|config| Document::new(0, [write(config)])).collect();
    any_document_is_read_or_refused(
        spoilt(valid, hostile),
        |directory, _| {
            let config = MixerConfig::load(directory.join(FILE)).map_err(|error| error.to_string())?;
            let layer = config.try_init(&device).map_err(|error| error.to_string())?;
            Ok((config, layer))
        },
        |(config, layer)| {
            let tree = serde_json::to_value(&config).unwrap();
            // What describes a layer can be written and read again.
            let again: MixerConfig = serde_json::from_value(tree.clone()).unwrap();
            assert_eq!(serde_json::to_value(&again).unwrap(), tree);
            if largest(&tree) <= 300 {
                let input = Tensor::<3>::ones([2, 3, config.d_model()], &device);
                assert_eq!(layer.forward(input.clone(), None).0.dims(), input.dims());
            }
        },
    );
}

#[test]
fn any_file_is_a_models_configuration_or_an_error() {
    let device = plain();
    let write = |config: &LanguageModelConfig| (FILE.to_string(), serde_json::to_vec(config).unwrap());
    let valid = small().iter().map(|model| Document::new(0, [write(model.config())])).collect();
    any_document_is_read_or_refused(
        spoilt(valid, hostile),
        |directory, _| LanguageModelConfig::load(directory.join(FILE)).map_err(|error| error.to_string()),
        |config| {
            let tree = serde_json::to_value(&config).unwrap();
            let (small, asked) = (largest(&tree) <= 300, largest_extent(&tree));
            // Between the two, a machine may hold the model or not, and drawing it takes long.
            if small || asked >= 1 << 40 {
                // A window is no extent: it allocates nothing, however large it is.
                if let Ok(model) = config.try_init(&device) {
                    assert!(
                        small || model.num_params() < 1 << 24,
                        "a model with an extent of {asked} is made"
                    );
                }
            }
        },
    );
}
