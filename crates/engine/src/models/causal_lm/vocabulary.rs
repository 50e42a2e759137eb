//! New byte-level vocabularies.

use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer as Pipeline};

use super::CausalLmError;

/// Learns a byte-level BPE of at most `size` tokens from `texts` and gives it as a `tokenizer.json`, in which any text can be
/// written. `special` become the first tokens, in order; a text begins with the one called `begin`.
///
/// # Errors
/// [`CausalLmError::Vocabulary`] for a size below 256 and the special tokens.
pub fn train_bpe<'a>(
    texts: impl Iterator<Item = &'a str> + Send,
    size: usize,
    special: &[&str],
    begin: Option<&str>,
) -> Result<String, CausalLmError> {
    let least = 256 + special.len();
    if !(least..=1 << 20).contains(&size) {
        return Err(CausalLmError::Vocabulary(format!("a vocabulary of {size} tokens is not learned: give a size from {least} to {}", 1 << 20)));
    }
    let mut pipeline = Pipeline::new(BPE::default());
    pipeline.with_pre_tokenizer(Some(ByteLevel::new(false, true, true)));
    pipeline.with_decoder(Some(ByteLevel::new(false, true, true)));
    let trainer = BpeTrainer::builder()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special.iter().map(|text| AddedToken::from(*text, true)).collect())
        .build();
    let failed = |cause: &dyn std::fmt::Display| CausalLmError::Vocabulary(cause.to_string());
    pipeline
        .train(&mut TrainerWrapper::BpeTrainer(trainer), texts)
        .map_err(|cause| failed(&cause))?;
    if let Some(begin) = begin {
        let id = special.iter().position(|text| *text == begin).unwrap_or(0) as u32;
        let around = TemplateProcessing::builder()
            .try_single(format!("{begin} $A"))
            .map_err(|cause| failed(&cause))?
            .special_tokens(vec![(begin, id)])
            .build()
            .map_err(|cause| failed(&cause))?;
        pipeline.with_post_processor(Some(around));
    }
    pipeline.to_string(true).map_err(|cause| failed(&cause))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::text::Tokenizer;

    #[test]
    fn a_learned_vocabulary_writes_any_text() {
        let texts = ["the cat sat on the mat", "the dog sat on the cat"];
        let special = ["<unk>", "<s>", "</s>"];
        let json = train_bpe(texts.into_iter(), 270, &special, Some("<s>")).unwrap();
        let tokenizer = Tokenizer::from_json(json.as_bytes(), "test").unwrap();
        assert!(tokenizer.len() <= 270 && tokenizer.len() > 259);
        let text = "the cat: \u{1f408} naïve\n";
        let ids = tokenizer.encode_prompt(text).unwrap();
        assert_eq!(ids[0], 1);
        assert_eq!(tokenizer.decode(&ids).unwrap(), text);
        assert!(tokenizer.encode("the cat").unwrap().len() < 7);
        assert!(train_bpe(texts.into_iter(), 200, &special, None).is_err());
    }
}
