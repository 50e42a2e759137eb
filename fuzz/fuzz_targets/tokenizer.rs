//! Tokenizer files as anybody may have made them: a `tokenizer.json`, or after a zero byte a SentencePiece model.
#![no_main]

use libfuzzer_sys::fuzz_target;
use text_readers::text::Tokenizer;

const TEXT: &str = "The 12 quick foxes\n\n  <|im_start|> jump, 한국어 🙂 <0x0A>\u{2581}x";

fuzz_target!(|bytes: &[u8]| {
    let read = match bytes.strip_prefix(b"\0") {
        Some(model) => Tokenizer::from_sentencepiece(model, "fuzz"),
        None => Tokenizer::from_json(bytes, "fuzz"),
    };
    let Ok(tokenizer) = read else { return };
    for ids in [tokenizer.encode(TEXT), tokenizer.encode_with_special(TEXT)] {
        let Ok(ids) = ids else { continue };
        let whole = tokenizer.decode(&ids).expect("own tokens");
        let mut stream = tokenizer.stream();
        let parts = ids.iter().map(|&id| stream.push(id).expect("own tokens"));
        let parts: String = parts.collect();
        assert_eq!(parts + &stream.finish(), whole);
    }
});
