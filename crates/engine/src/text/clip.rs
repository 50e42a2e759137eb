//! CLIP's tokenizer (Radford et al. 2021) from `vocab.json` and `merges.txt`, as folders of Stable Diffusion hold it.

use serde_json::{Value, json};

use super::TextError;

/// Begin and end of a prompt.
const ENDS: [&str; 2] = ["<|startoftext|>", "<|endoftext|>"];
/// Words, digits one by one, and runs of other signs.
const PIECES: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The same tokenizer as a `tokenizer.json`.
pub(super) fn as_json(
    vocabulary: &[u8],
    merges: &[u8],
    origin: &str,
) -> Result<Vec<u8>, TextError> {
    let broken = |what: String| TextError::malformed(origin, what);
    let vocabulary: Value = serde_json::from_slice(vocabulary)
        .map_err(|error| broken(format!("`vocab.json` is broken: {error}")))?;
    let merges =
        std::str::from_utf8(merges).map_err(|_| broken("`merges.txt` is not UTF-8 text".into()))?;
    let merges: Vec<[&str; 2]> = merges
        .lines()
        .filter(|line| !line.starts_with("#version"))
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(a, b)| [a, b])
        .collect();
    let ends: Option<Vec<u64>> = ENDS.iter().map(|end| vocabulary[*end].as_u64()).collect();
    let Some(ends) = ends else {
        return Err(broken(format!(
            "`vocab.json` has no `{}` and `{}`; it belongs to another tokenizer than CLIP's",
            ENDS[0], ENDS[1]
        )));
    };
    let added = |at: usize| {
        json!({
            "id": ends[at], "content": ENDS[at], "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true,
        })
    };
    let whole = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [added(0), added(1)],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "NFC" },
            { "type": "Replace", "pattern": { "Regex": r"\s+" }, "content": " " },
            { "type": "Lowercase" },
        ] },
        "pre_tokenizer": { "type": "Sequence", "pretokenizers": [
            { "type": "Split", "pattern": { "Regex": PIECES }, "behavior": "Removed", "invert": true },
            { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        ] },
        "post_processor": {
            "type": "RobertaProcessing", "sep": [ENDS[1], ends[1]], "cls": [ENDS[0], ends[0]],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": ENDS[1], "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "byte_fallback": false,
            "vocab": vocabulary, "merges": merges,
        },
    });
    serde_json::to_vec(&whole).map_err(|error| broken(error.to_string()))
}
