//! Names of devices: a device, or a line that says what to do.

use engine::burn::tensor::Device;
use engine::device;

#[test]
fn names_are_devices_or_say_what_to_do() {
    assert_eq!(device("cpu"), Ok(Device::flex()));
    for (name, built) in [
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
        ("rocm", cfg!(feature = "rocm")),
        ("wgpu", cfg!(feature = "wgpu")),
    ] {
        // A program with the feature may find a device; one without it never does.
        match device(name) {
            Ok(device) => assert!(built && device != Device::flex(), "{name}"),
            Err(failure) => {
                let line = failure.to_string();
                assert!(
                    line.contains(name) && line.contains("--device cpu"),
                    "{line}"
                );
                assert_eq!(
                    line.contains(&format!("--features {name}")),
                    !built,
                    "{line}"
                );
            }
        }
    }
}

#[test]
fn other_names_are_refused_with_the_ones_there_are() {
    let failure = device("toaster").expect_err("there is no such device");
    for name in ["toaster", "cpu", "cuda", "metal", "rocm", "wgpu"] {
        assert!(
            failure.to_string().contains(&format!("`{name}`")),
            "{failure}"
        );
    }
}
