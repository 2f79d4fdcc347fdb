//! Devices by name, among the backends compiled in.

use crate::Error;
use burn::tensor::Device;

/// Every backend, and whether it is compiled in.
const BACKENDS: [(&str, bool); 10] = [
    ("cuda", cfg!(feature = "cuda")),
    ("metal", cfg!(feature = "metal")),
    ("rocm", cfg!(feature = "rocm")),
    ("vulkan", cfg!(feature = "vulkan")),
    ("webgpu", cfg!(feature = "webgpu")),
    ("wgpu", cfg!(feature = "wgpu")),
    ("cpu", cfg!(feature = "cpu")),
    ("tch", cfg!(feature = "tch")),
    ("flex", cfg!(feature = "flex")),
    ("ndarray", cfg!(feature = "ndarray")),
];

/// The names that `--device` takes in this build; the first is the default, the last runs on any
/// machine if any does.
pub fn names() -> Vec<&'static str> {
    BACKENDS.into_iter().filter(|(_, enabled)| *enabled).map(|(name, _)| name).collect()
}

/// Whether the tensors of the device `name` are in the memory of the host.
pub fn in_host_memory(name: &str) -> bool {
    ["cpu", "flex", "ndarray"].contains(&name)
}

/// The device `name`, or the first compiled in.
pub fn find(name: Option<&str>) -> Result<(String, Device), Error> {
    let names = names();
    let Some(first) = names.first() else {
        return Err(Error::Argument(
            "no backend is compiled in; build with a feature such as `--features flex`".into(),
        ));
    };
    let name = name.unwrap_or(first);
    if !names.contains(&name) {
        let known = BACKENDS.iter().any(|(backend, _)| *backend == name);
        let remedy =
            if known { format!("; build with `--features {name}` for that one") } else { String::new() };
        return Err(Error::Argument(format!(
            "there is no device `{name}` in this build; it has {}{remedy}",
            names.join(", ")
        )));
    }
    let device = match name {
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(0),
        #[cfg(feature = "metal")]
        "metal" => Device::metal(Default::default()),
        #[cfg(feature = "rocm")]
        "rocm" => Device::rocm(0),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::vulkan(Default::default()),
        #[cfg(feature = "webgpu")]
        "webgpu" => Device::webgpu(Default::default()),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::wgpu(Default::default()),
        #[cfg(feature = "cpu")]
        "cpu" => Device::cpu(),
        #[cfg(feature = "tch")]
        "tch" => Device::libtorch(),
        #[cfg(feature = "ndarray")]
        #[allow(deprecated)]
        "ndarray" => Device::ndarray(),
        #[cfg(feature = "flex")]
        "flex" => Device::flex(),
        other => unreachable!("`{other}` is among the names of this build"),
    };
    Ok((name.to_string(), device))
}
