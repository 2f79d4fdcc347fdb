//! The form that every layer's operator takes.

use burn::tensor::Device;
use seqzoo::models::LanguageModel;
use seqzoo::{MixerState, SequenceMixer};

/// A sentence per kind of layer: its name, the form for `time` tokens on `device`, and why.
pub(super) fn forms(model: &LanguageModel, time: usize, device: &Device) -> Vec<String> {
    let mut forms = Vec::new();
    for block in &model.blocks {
        let kind = block.mixer.init_state(1, device).layer();
        let form = format!("{kind}: {}", block.mixer.report(time, device));
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}
