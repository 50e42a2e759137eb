use burn::tensor::Device;
#[cfg(feature = "gpu")]
use burn::tensor::DeviceType;

use base::command::Failure;

/// Devices beside `cpu`. Each is also the name of the cargo feature that it needs.
const GPUS: [&str; 4] = ["cuda", "metal", "rocm", "wgpu"];

/// Where the work runs: `cpu`, or `cuda`, `metal`, `rocm` or `wgpu`.
///
/// # Errors
/// For devices that this program was built without or that this machine lacks, and for unknown names.
pub fn device(name: &str) -> Result<Device, Failure> {
    match name {
        "cpu" => Ok(Device::flex()),
        #[cfg(feature = "cuda")]
        "cuda" => present(name, DeviceType::Cuda, Device::cuda(0)),
        #[cfg(feature = "metal")]
        "metal" => present(name, DeviceType::Metal, Device::metal(Default::default())),
        #[cfg(feature = "rocm")]
        "rocm" => present(name, DeviceType::Rocm, Device::rocm(0)),
        #[cfg(feature = "wgpu")]
        "wgpu" => present(name, DeviceType::Wgpu, Device::wgpu(Default::default())),
        _ if GPUS.contains(&name) => Err(Failure::input(format!(
            "this program was built without `{name}`: build it with `cargo build --release --features {name}`, \
             or use `--device cpu`"
        ))),
        _ => Err(Failure::input(format!(
            "there is no device `{name}`: use `cpu`, or `{}` in a program built with it",
            GPUS.join("`, `")
        ))),
    }
}

/// `device`, where this machine has one of its kind.
#[cfg(feature = "gpu")]
fn present(name: &str, kind: DeviceType, device: Device) -> Result<Device, Failure> {
    match Device::enumerate(kind).is_empty() {
        false => Ok(device),
        true => Err(Failure::input(format!(
            "this machine has no device for `{name}`, or no driver for it: use `--device cpu`"
        ))),
    }
}
