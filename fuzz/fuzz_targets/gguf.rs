//! GGUF files as anybody may have made them: the header, every tensor's values, the tokenizer and the chat template's text.
#![no_main]

use kernels::QuantMatrix;
use libfuzzer_sys::fuzz_target;
use text_readers::text::{GgufVocabulary, Tokenizer};
use text_readers::weights::{Gguf, TensorKind, TensorSource};

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = Gguf::from_bytes(bytes.to_vec()) else {
        return;
    };
    for name in file.names() {
        let tensor = file.stored(&name).expect("a name of its own");
        let TensorKind::Quant(kind) = tensor.kind else {
            continue;
        };
        let columns = tensor.shape.last().copied().unwrap_or(1);
        let rows = tensor.shape.iter().rev().skip(1).product();
        if let Ok(matrix) = QuantMatrix::from_gguf(kind, &tensor.bytes, [rows, columns]) {
            assert_eq!(matrix.dequantize().len(), rows * columns);
        }
    }
    if let Ok(tokenizer) = Tokenizer::from_gguf(&GgufVocabulary::read(&file, "fuzz")) {
        if let Ok(ids) = tokenizer.encode("The 12 quick foxes jump, 한국어 🙂") {
            tokenizer.decode(&ids).expect("own tokens");
        }
    }
});
