//! What the native kernels of all operators share.
//!
//! An operator's own `kernel/` folder holds its extension trait, its autodiff node and its programs;
//! here is what they are made of: which device has kernels, one node with several outputs, vectors and
//! small matrix products on the CPU, the programs that several operators run on a GPU.

#[cfg(feature = "flex")]
pub(crate) mod cpu;
#[cfg(feature = "cube")]
pub(crate) mod gpu;
mod settings;
pub(crate) mod several_outputs;

pub use settings::Settings;
pub(crate) use settings::arguments;

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use std::fmt;

/// A native implementation of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kernel {
    /// Vectorised native code, on Burn's Flex backend.
    Cpu,
    /// CubeCL programs: CUDA, ROCm, Vulkan, Metal and WebGPU, not CubeCL's own CPU runtime.
    Gpu,
}

impl Kernel {
    /// The kernel that operators have on `device`, if any.
    pub fn of(device: &Device) -> Option<Self> {
        match device.clone().without_autodiff().as_dispatch() {
            #[cfg(feature = "flex")]
            DispatchDevice::Flex(_) => Some(Self::Cpu),
            // There, a cube has no more units than the machine has cores, and the kernels want 256.
            #[cfg(feature = "cube")]
            DispatchDevice::Cube(cubecl::Device::Cpu(_)) => None,
            #[cfg(feature = "cube")]
            DispatchDevice::Cube(_) => Some(Self::Gpu),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "native CPU kernel",
            Self::Gpu => "CubeCL kernel",
        })
    }
}
