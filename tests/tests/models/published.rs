//! Tiny models of the original implementations, loaded from their own files.

use burn::store::burn_pack::Tensor as Stored;
use burn::store::{
    ModuleAdapter, ModuleContext, ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore, bridge,
};
use burn::tensor::{Device, TensorData};
use seqzoo::models::{LanguageModel, LanguageModelConfig};
use seqzoo_tests::Golden;

/// The model in `folder`. `names` says, in order, what becomes of the names of its parameters.
pub fn load(
    folder: &str,
    config: LanguageModelConfig,
    names: &[(&str, &str)],
    device: &Device,
) -> LanguageModel {
    let mut model = config.init(device);
    let adapter = PyTorchToBurnAdapter.chain(DepthwiseTaps);
    let mut store = SafetensorsStore::from_file(Golden::path(&format!("{folder}/model.safetensors")))
        .with_from_adapter(adapter);
    for (from, to) in names {
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
