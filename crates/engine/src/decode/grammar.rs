//! Answers that fit a JSON schema, a pattern or a grammar, through `llguidance`.

use std::sync::Arc;

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{TokEnv, TokRxInfo, TokTrie, TokenId, TokenizerEnv};
use llguidance::{Matcher, ParserFactory};
use serde_json::Value;

use super::{DecodeError, schema};
use crate::text::Tokenizer;

/// Largest grammar that is read, in bytes.
const LARGEST: usize = 1 << 20;

/// What an answer has to fit.
#[derive(Clone, Debug, PartialEq)]
pub enum GrammarKind {
    /// Any JSON value that is valid under this schema.
    JsonSchema(Value),
    /// Text that matches this pattern as a whole, in the syntax of the `regex` crate.
    Regex(String),
    /// A context-free grammar in Lark's syntax, as `llguidance` reads it.
    Lark(String),
}

/// The vocabulary of a tokenizer as a tree of bytes: made once, then constraints for any number of sequences.
pub struct Grammar {
    factory: ParserFactory,
}

impl std::fmt::Debug for Grammar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grammar").finish_non_exhaustive()
    }
}

/// The tree, and the plainest way to cut text into its tokens.
struct Tree(TokTrie);

impl TokenizerEnv for Tree {
    fn tok_trie(&self) -> &TokTrie {
        &self.0
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<TokenId> {
        self.0.greedy_tokenize(bytes)
    }

    fn tokenize_is_canonical(&self) -> bool {
        false
    }
}

impl Grammar {
    /// Constraints for answers in the tokens of `tokenizer`.
    ///
    /// # Errors
    /// [`DecodeError::Grammar`] when no token of it ends an answer.
    pub fn new(tokenizer: &Tokenizer) -> Result<Self, DecodeError> {
        let wrong = |reason: String| DecodeError::grammar("tokenizer", reason);
        let special = tokenizer.special();
        let ends: Vec<u32> = special
            .eos
            .into_iter()
            .chain(special.end.iter().copied())
            .collect();
        let Some(&end) = ends.first() else {
            return Err(wrong("no token of it ends an answer".into()));
        };
        let count = u32::try_from(tokenizer.len()).map_err(|cause| wrong(cause.to_string()))?;
        // Special tokens are not text: a marker byte that no UTF-8 has keeps them out.
        let word = |id: u32| {
            let bytes = tokenizer.bytes_of(id).unwrap_or_default();
            match tokenizer.is_special(id) {
                true => [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat(),
                false => bytes.to_vec(),
            }
        };
        let words: Vec<Vec<u8>> = (0..count).map(word).collect();
        let tree = TokTrie::from(&TokRxInfo::new(count, end), &words).with_eos_tokens(&ends);
        let tree: TokEnv = Arc::new(Tree(tree));
        let mut factory =
            ParserFactory::new_simple(&tree).map_err(|cause| wrong(cause.to_string()))?;
        factory.quiet();
        factory.limits_mut().verbose_errors = false;
        Ok(Self { factory })
    }

    /// A constraint for one sequence.
    ///
    /// # Errors
    /// [`DecodeError::Grammar`] when `kind` is malformed, too large, or a schema with a keyword that cannot be enforced,
    /// which is then named.
    pub fn constraint(&self, kind: &GrammarKind) -> Result<Constraint, DecodeError> {
        let (name, size) = match kind {
            GrammarKind::JsonSchema(json) => ("JSON schema", json.to_string().len()),
            GrammarKind::Regex(text) => ("pattern", text.len()),
            GrammarKind::Lark(text) => ("grammar", text.len()),
        };
        if size > LARGEST {
            let reason = format!("it has {size} bytes, more than {LARGEST}");
            return Err(DecodeError::grammar(name, reason));
        }
        let grammar = match kind {
            GrammarKind::JsonSchema(json) => {
                schema::check(json)?;
                TopLevelGrammar::from_json_schema(json.clone())
            }
            GrammarKind::Regex(text) => TopLevelGrammar::from_regex(text),
            GrammarKind::Lark(text) => TopLevelGrammar::from_lark(text.clone()),
        };
        let parser = self.factory.create_parser(grammar);
        let mut matcher = Matcher::new(parser);
        match matcher.get_error().or_else(|| warnings(&mut matcher)) {
            Some(reason) => Err(DecodeError::grammar(name, first_line(&reason))),
            None => Ok(Constraint { name, matcher }),
        }
    }
}

/// What would silently be left out is an error.
fn warnings(matcher: &mut Matcher) -> Option<String> {
    let warnings = matcher.grammar_warnings();
    (!warnings.is_empty()).then(|| warnings.join("; "))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// What may come next in one sequence.
pub struct Constraint {
    name: &'static str,
    matcher: Matcher,
}

impl Clone for Constraint {
    /// An independent copy in the same state, as for a branch.
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            matcher: self.matcher.deep_clone(),
        }
    }
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Constraint")
            .field("kind", &self.name)
            .finish_non_exhaustive()
    }
}

impl Constraint {
    /// Sets the logit of every token that must not come to `-inf`. When the answer is complete only the tokens that end it
    /// are left.
    ///
    /// # Errors
    /// [`DecodeError::Grammar`] when the grammar needs more work than is allowed for one token.
    pub fn apply(&mut self, logits: &mut [f32]) -> Result<(), DecodeError> {
        let mask = self
            .matcher
            .compute_mask_or_eos()
            .map_err(|cause| self.wrong(&cause.to_string()))?;
        for (logit, id) in logits.iter_mut().zip(0usize..) {
            if id >= mask.len() || !mask.get(id) {
                *logit = f32::NEG_INFINITY;
            }
        }
        Ok(())
    }

    /// Goes on with token `id`, which [`Constraint::apply`] allowed.
    ///
    /// # Errors
    /// [`DecodeError::Grammar`] when it did not.
    pub fn accept(&mut self, id: u32) -> Result<(), DecodeError> {
        if self.matcher.is_stopped() && !self.matcher.is_error() {
            return Ok(());
        }
        self.matcher
            .consume_token(id)
            .map_err(|cause| self.wrong(&cause.to_string()))
    }

    /// Whether the answer may end here.
    ///
    /// # Errors
    /// As [`Constraint::apply`].
    pub fn may_end(&mut self) -> Result<bool, DecodeError> {
        self.matcher
            .is_accepting()
            .map_err(|cause| self.wrong(&cause.to_string()))
    }

    /// Whether nothing but the end may follow.
    pub fn is_complete(&self) -> bool {
        self.matcher.is_stopped() && !self.matcher.is_error()
    }

    fn wrong(&self, reason: &str) -> DecodeError {
        DecodeError::grammar(self.name, first_line(reason))
    }
}
