//! Directories of transformers and flash-linear-attention, read and written.

mod architectures;
mod directories;
mod fields;
mod golden;
mod qwen3_next;
mod recurrent_gemma;
mod refused;
mod tensors;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use seqzoo::models::LanguageModel;

/// The bytes of all parameters of `model`, with their paths.
pub fn parameters(model: &LanguageModel) -> Vec<(String, Vec<u8>)> {
    #[derive(Default)]
    struct Collect {
        path: Vec<String>,
        found: Vec<(String, Vec<u8>)>,
    }
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
            self.found.push((self.path.join("."), parameter.val().to_data().as_bytes().to_vec()));
        }
    }
    let mut collect = Collect::default();
    model.visit(&mut collect);
    collect.found
}

/// Asserts that both models compute the same and have the same weights, to the bit.
#[track_caller]
pub fn assert_same(found: &LanguageModel, wanted: &LanguageModel) {
    assert_eq!(found.config().to_string(), wanted.config().to_string());
    assert!(parameters(found) == parameters(wanted), "the weights differ");
}
