//! Safetensors files as anybody may have made them.
#![no_main]

use base::tensor_file::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(weights) = Weights::from_bytes(bytes.to_vec()) else {
        return;
    };
    let names: Vec<String> = weights.names().map(str::to_owned).collect();
    for name in names {
        let shape = weights.shape(&name).expect("a name of its own").to_vec();
        if let Ok(values) = weights.values(&name) {
            assert_eq!(values.len(), shape.iter().product::<usize>());
        }
    }
});
