//! Tiny models of flash-linear-attention, loaded from their own files.

use burn::store::burn_pack::Tensor as Stored;
use burn::store::{
    ModuleAdapter, ModuleContext, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore, bridge,
};
use burn::tensor::{Device, TensorData};
use seqzoo::MixerConfig;
use seqzoo::models::{ChannelMixerConfig, LanguageModel, LanguageModelConfig};
use seqzoo_tests::Golden;

/// The model in `folder`, two layers of `mixer`. `names` says, in order, what becomes of the names of its parameters,
/// which begin with `blocks.0.attn.`.
pub fn load(folder: &str, mixer: MixerConfig, names: &[(&str, &str)], device: &Device) -> LanguageModel {
    let mut model = LanguageModelConfig::new(48, 24, vec![mixer])
        .with_num_layers(Some(2))
        .with_channel_mixer(ChannelMixerConfig::SwiGluOf { hidden: 32 })
        .init(device);
    let common = [
        (r"^model\.embeddings", "embedding"),
        (r"^model\.norm\.weight", "norm.Rms.gamma"),
        (r"^lm_head", "head"),
        (r"^model\.layers\.(\d+)\.", "blocks.$1."),
        (r"\.attn_norm\.weight", ".mixer_norm.Rms.gamma"),
        (r"\.mlp_norm\.weight", ".channels.norm.Rms.gamma"),
        (r"\.mlp\.(\w+)_proj", ".channels.swiglu.$1"),
    ];
    let adapter = PyTorchToBurnAdapter.chain(DepthwiseTaps);
    let mut store = SafetensorsStore::from_file(Golden::path(&format!("{folder}/model.safetensors")))
        .with_from_adapter(adapter);
    for (from, to) in common.iter().chain(names) {
        store = store.with_key_remapping(from, *to);
    }
    let result = model.load_from(&mut store).unwrap();
    assert!(result.missing.is_empty() && result.unused.is_empty(), "{result}");
    model
}

/// PyTorch keeps the taps of a depthwise convolution as `[D, 1, W]`, this library as `[D, W]`.
#[derive(Clone)]
struct DepthwiseTaps;

impl ModuleAdapter for DepthwiseTaps {
    fn adapt(&self, tensor: Stored, context: ModuleContext<'_>) -> Stored {
        if context.module_type() != Some("Struct:ShortConv") || tensor.shape.num_dims() != 3 {
            return tensor;
        }
        let [channels, _, width] = tensor.shape.dims();
        let (name, dtype) = (tensor.name.clone(), tensor.dtype);
        bridge::map_data(tensor, name, dtype, [channels, width].into(), move |data| {
            TensorData::from_bytes(data.into_bytes(), [channels, width], dtype)
        })
    }

    fn clone_box(&self) -> Box<dyn ModuleAdapter> {
        Box::new(self.clone())
    }
}
