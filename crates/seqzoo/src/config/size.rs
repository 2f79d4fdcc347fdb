//! Sizes that no machine holds.

use crate::ConfigError;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Bool, Device, Int, Shape, Tensor};

/// More channels than this are taken for a mistake in an option.
pub(crate) const MAX_CHANNELS: usize = 1 << 24;

/// More numbers than this in one parameter, or in one sequence's state, are taken for a mistake: 16 GiB in `f32`.
const MAX_NUMBERS: usize = 1 << 32;

/// More parameters of a whole model than this are taken for a mistake: 256 GiB in `f32`.
const MAX_PARAMETERS: usize = 1 << 36;

/// Says if `name`, a number of channels of `subject`, cannot be.
pub(crate) fn check_channels(subject: &str, name: &str, channels: usize) -> Result<(), ConfigError> {
    ConfigError::unless(channels > 0, subject, || format!("{name} is 0; give it at least 1 channel"))?;
    ConfigError::unless(channels <= MAX_CHANNELS, subject, || {
        format!("{name} = {channels}, but at most {MAX_CHANNELS} channels are wanted")
    })
}

/// The product of `extents`, those of `what` of `subject`.
///
/// # Errors
///
/// If that are more numbers than any machine holds.
pub(crate) fn check_numbers(subject: &str, what: &str, extents: &[usize]) -> Result<usize, ConfigError> {
    let numbers = extents.iter().try_fold(1usize, |product, extent| product.checked_mul(*extent));
    numbers.filter(|numbers| *numbers <= MAX_NUMBERS).ok_or_else(|| {
        let shape: Vec<String> = extents.iter().map(usize::to_string).collect();
        let problem = format!(
            "{what} would be of shape [{}], but at most {MAX_NUMBERS} numbers are wanted",
            shape.join(", ")
        );
        ConfigError::new(subject, problem)
    })
}

/// How many numbers the parameters of `module` are, none of which is drawn for it.
///
/// # Errors
///
/// If one of them is larger than any machine holds, by its name.
pub(crate) fn check_parameters<M: Module>(subject: &str, module: &M) -> Result<usize, ConfigError> {
    let mut sizes = Sizes { subject, path: Vec::new(), sum: Ok(0) };
    module.visit(&mut sizes);
    sizes.sum
}

struct Sizes<'a> {
    subject: &'a str,
    path: Vec<String>,
    sum: Result<usize, ConfigError>,
}

impl Sizes<'_> {
    fn add(&mut self, shape: &Shape) {
        let Ok(sum) = self.sum else { return };
        let what = format!("the parameter `{}`", self.path.join("."));
        self.sum =
            check_numbers(self.subject, &what, shape.as_slice()).map(|numbers| sum.saturating_add(numbers));
    }
}

impl ModuleVisitor for Sizes<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, parameter: &Param<Tensor<D>>) {
        self.add(&parameter.lazy_shape());
    }

    fn visit_int<const D: usize>(&mut self, parameter: &Param<Tensor<D, Int>>) {
        self.add(&parameter.lazy_shape());
    }

    fn visit_bool<const D: usize>(&mut self, parameter: &Param<Tensor<D, Bool>>) {
        self.add(&parameter.lazy_shape());
    }
}

/// Says if `numbers` parameters of a model are more than any machine holds, or than this host has room for if they go
/// there. Of devices with a memory of their own nothing is known.
pub(crate) fn check_memory(subject: &str, numbers: usize, device: &Device) -> Result<(), ConfigError> {
    ConfigError::unless(numbers <= MAX_PARAMETERS, subject, || {
        format!("it would have {numbers} parameters, but at most {MAX_PARAMETERS} are wanted")
    })?;
    let bytes = numbers.saturating_mul(size_of::<f32>());
    let room = !in_host_memory(device) || Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    ConfigError::unless(room, subject, || {
        format!("its {numbers} parameters take {bytes} bytes, for which there is no memory")
    })
}

fn in_host_memory(device: &Device) -> bool {
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "flex")]
        burn::backend::DispatchDevice::Flex(_) => true,
        #[cfg(feature = "ndarray")]
        burn::backend::DispatchDevice::NdArray(_) => true,
        #[allow(unreachable_patterns, reason = "another backend may be compiled in")]
        _ => false,
    }
}
