//! CubeCL programs: one source for CUDA, ROCm, Metal, Vulkan and
//! WebGPU.
//!
//! All arithmetic is in the tensors' own dtype, and no program asks for anything beyond shared memory and
//! barriers: at most 16 KiB (in `f32`), 256 units per cube and seven tensors, which is what WebGPU promises
//! everywhere.

pub(crate) mod launch;
