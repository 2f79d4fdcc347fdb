//! The common ground of the kernels. The CPU kernels share what is in `crate::kernel::cpu::channels`.

pub(crate) mod gpu;
