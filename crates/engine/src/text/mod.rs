//! Text and tokens: tokenizers as models bring them, chat templates, and text that comes token by token.
//!
//! [`Tokenizer`] reads `tokenizer.json`, SentencePiece's `tokenizer.model` and the vocabulary of a GGUF file. What a user
//! wrote is text: [`Tokenizer::encode`] never makes a control token of it, and [`ChatTemplate::encode`] makes them only of
//! what the template itself says.

mod added;
mod bytes;
mod charsmap;
mod clip;
mod clock;
mod error;
mod folder;
mod gguf;
mod gguf_tokenizer;
mod hub;
mod marks;
mod patterns;
mod protobuf;
mod sentencepiece;
mod spm;
mod stream;
mod template;
mod tojson;
mod tokenizer;
mod wordpiece;

pub use clock::Moment;
pub use error::TextError;
pub use gguf::GgufVocabulary;
pub use stream::Utf8Stream;
pub use template::{ChatInput, ChatTemplate};
pub use tokenizer::{SpecialTokens, TextState, TextStream, Tokenizer};
