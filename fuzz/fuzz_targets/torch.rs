//! Torch checkpoints as anybody may have made them: zip, tar and the old stream, with the pickle in them.
#![no_main]

use std::io::Write;
use std::sync::OnceLock;

use base::tensor_file::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    static PATH: OnceLock<std::path::PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        std::env::temp_dir().join(format!("orrery-fuzz-{}.pt", std::process::id()))
    });
    let mut file = std::fs::File::create(path).expect("a temporary file");
    file.write_all(bytes).expect("a temporary file");
    drop(file);
    let Ok(weights) = Weights::open(path) else {
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
