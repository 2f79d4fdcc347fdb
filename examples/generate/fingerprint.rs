//! Which model it is.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use seqzoo::models::LanguageModel;

/// A text that two models have in common only if they have the same parameters, as far as the first and last numbers of
/// each say. The whole of a large model would take longer to read than many a text.
pub fn fingerprint(model: &LanguageModel) -> String {
    let mut print = Fingerprint(0xcbf2_9ce4_8422_2325);
    model.visit(&mut print);
    format!("{:016x}", print.0)
}

/// The numbers at either end of a parameter that are looked at.
const ENDS: usize = 64;

/// FNV-1a, which is the same everywhere.
struct Fingerprint(u64);

impl Fingerprint {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl ModuleVisitor for Fingerprint {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.add(name.as_bytes());
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        let tensor = parameter.val();
        for extent in tensor.dims() {
            self.add(&(extent as u64).to_le_bytes());
        }
        let count = tensor.dims().iter().product();
        let flat = tensor.reshape([count]);
        let ends = ENDS.min(count);
        for start in [0, count - ends] {
            let numbers = flat.clone().narrow(0, start, ends).into_data().convert::<f32>();
            self.add(numbers.as_bytes());
        }
    }
}
