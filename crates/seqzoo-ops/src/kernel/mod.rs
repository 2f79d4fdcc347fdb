//! A toolkit for native kernels, which knows no operator.
//!
//! An operator's own `kernel/` folder holds its tensors, its extension trait and its programs. They are made of what
//! is here: which kind of kernel a device runs, structs of tensors, the tape, vectors and small matrix products on
//! the CPU, work that goes from core to core, launches on a GPU.

#[cfg(feature = "flex")]
pub(crate) mod cpu;
#[cfg(feature = "cube")]
pub(crate) mod gpu;
pub(crate) mod tape;
pub(crate) mod tensors;

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
    /// The kind of kernel that runs on `device`, if any: an operator says whether it has one of that kind.
    pub(crate) fn on(device: &Device) -> Option<Self> {
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

/// Whether the numbers of a tensor on `device` can be read without waiting for the device.
pub(crate) fn reads_without_waiting(device: &Device) -> bool {
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "flex")]
        DispatchDevice::Flex(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
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
