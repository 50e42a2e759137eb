//! Samplers against recorded numbers, constraints, and the loop over a model whose answers are known.
#![allow(clippy::unwrap_used)]

use std::ops::ControlFlow;

use base::rng::Rng;
use engine::decode::{
    DecodeError, GenerateOptions, Grammar, GrammarKind, LanguageModel, Sampler, SamplerConfig,
    StopReason, generate,
};
use engine::text::{GgufVocabulary, Tokenizer};
use serde_json::json;

/// A vocabulary of all bytes and a few words, with ends.
fn tokenizer() -> Tokenizer {
    let alphabet = |byte: u8| match byte {
        33..=126 | 161..=172 | 174..=255 => char::from(byte),
        _ => {
            let hidden = (0u8..byte).filter(|b| !matches!(b, 33..=126 | 161..=172 | 174..=255));
            char::from_u32(256 + hidden.count() as u32).unwrap()
        }
    };
    let mut tokens = vec!["<|end|>".to_owned(), "<|im_start|>".to_owned()];
    tokens.extend((0..=255).map(|byte| alphabet(byte).to_string()));
    tokens.extend(["tr", "ue", "true"].map(str::to_owned));
    let types = (0..tokens.len())
        .map(|id| if id < 2 { 3 } else { 1 })
        .collect();
    Tokenizer::from_gguf(&GgufVocabulary {
        origin: "bytes".into(),
        model: "gpt2".into(),
        pre: Some("gpt-2".into()),
        tokens,
        types,
        merges: ["t r", "u e", "tr ue"].map(str::to_owned).to_vec(),
        eos: Some(0),
        ..GgufVocabulary::default()
    })
    .unwrap()
}

/// Wants to write one text, whatever it is given, and then to end.
struct Says {
    wanted: Vec<u32>,
    at: usize,
    prompt: usize,
    size: usize,
    room: usize,
}

impl Says {
    fn new(tokenizer: &Tokenizer, text: &str, prompt: usize) -> Self {
        let mut wanted = tokenizer.encode(text).unwrap();
        wanted.push(0);
        Self {
            wanted,
            at: 0,
            prompt,
            size: tokenizer.len(),
            room: 1000,
        }
    }
}

impl LanguageModel for Says {
    fn feed(&mut self, ids: &[u32]) -> Result<Vec<f32>, DecodeError> {
        // The prompt comes whole, then one token at a time.
        assert_eq!(ids.len(), if self.at == 0 { self.prompt } else { 1 });
        let mut logits = vec![0.0; self.size];
        logits[self.wanted[self.at.min(self.wanted.len() - 1)] as usize] = 5.0;
        self.at += 1;
        Ok(logits)
    }

    fn room(&self) -> usize {
        self.room
    }
}

fn options(tokenizer: &Tokenizer) -> GenerateOptions {
    GenerateOptions {
        max_tokens: 100,
        end: tokenizer.special().end.clone(),
        ..GenerateOptions::default()
    }
}

fn greedy() -> Sampler {
    Sampler::new(SamplerConfig::default(), Rng::new(1)).unwrap()
}

#[test]
fn text_comes_in_whole_characters_and_ends_where_it_should() {
    let tokenizer = tokenizer();
    let prompt = tokenizer.encode("hi").unwrap();
    let run = |text: &str, change: &dyn Fn(&mut GenerateOptions)| {
        let mut model = Says::new(&tokenizer, text, prompt.len());
        let mut options = options(&tokenizer);
        change(&mut options);
        let mut heard = String::new();
        let mut listen = |step: &engine::decode::TokenTrace| {
            heard += &step.text;
            ControlFlow::Continue(())
        };
        let done = generate(
            &mut model,
            &tokenizer,
            &prompt,
            &mut greedy(),
            options,
            &mut listen,
        )
        .unwrap();
        assert_eq!(heard + &done.tail, done.text);
        done
    };
    let done = run("한🙂 true", &|_| {});
    assert_eq!(
        (done.text.as_str(), done.reason),
        ("한🙂 true", StopReason::End(0))
    );
    assert_eq!(done.trace.last().unwrap().text, "true");
    assert_eq!(done.ids, tokenizer.encode("한🙂 true").unwrap());
    let done = run("one two three", &|it| it.stop = vec!["two".into()]);
    assert_eq!(
        (done.text.as_str(), done.reason),
        ("one ", StopReason::StopString("two".into()))
    );
    let done = run("a🙂", &|it| it.max_tokens = 3);
    assert_eq!(
        (done.text.as_str(), done.reason),
        ("a\u{fffd}", StopReason::Length)
    );
    let done = run("true", &|it| it.top = 2);
    let first = &done.trace[0];
    assert_eq!(first.top[0].0, first.id);
    assert!(
        (first.top[0].1 - first.log_probability.unwrap()).abs() < 1e-5
            && first.entropy.unwrap() > 0.0
    );
}

#[test]
fn what_cannot_be_generated_is_an_error() {
    let tokenizer = tokenizer();
    let run = |prompt: &[u32], room: usize| {
        let mut model = Says::new(&tokenizer, "x", prompt.len());
        model.room = room;
        let mut listen = |_: &engine::decode::TokenTrace| ControlFlow::Continue(());
        generate(
            &mut model,
            &tokenizer,
            prompt,
            &mut greedy(),
            options(&tokenizer),
            &mut listen,
        )
    };
    assert!(matches!(run(&[], 10), Err(DecodeError::EmptyPrompt)));
    assert!(matches!(
        run(&[5; 10], 10),
        Err(DecodeError::TooLong {
            tokens: 10,
            room: 10
        })
    ));
    assert_eq!(run(&[5; 9], 10).unwrap().ids.len(), 1);
}

/// Whatever the model wants to say: what comes out is valid.
#[test]
fn a_constraint_holds_against_the_models_will() {
    let tokenizer = tokenizer();
    let grammar = Grammar::new(&tokenizer).unwrap();
    let prompt = [5];
    let run = |kind: &GrammarKind, text: &str, seed: Option<u64>| {
        let mut model = Says::new(&tokenizer, text, 1);
        let mut options = options(&tokenizer);
        options.constraint = Some(grammar.constraint(kind).unwrap());
        let config = SamplerConfig {
            temperature: if seed.is_some() { 1.0 } else { 0.0 },
            ..SamplerConfig::default()
        };
        let mut sampler = Sampler::new(config, Rng::new(seed.unwrap_or(0))).unwrap();
        let mut listen = |_: &engine::decode::TokenTrace| ControlFlow::Continue(());
        generate(
            &mut model,
            &tokenizer,
            &prompt,
            &mut sampler,
            options,
            &mut listen,
        )
        .unwrap()
    };
    let schema = GrammarKind::JsonSchema(json!({
        "type": "object",
        "properties": {"safe": {"type": "boolean"}, "n": {"type": "integer", "minimum": 3, "maximum": 17}},
        "required": ["safe", "n"],
        "additionalProperties": false,
    }));
    for seed in 0..20 {
        let done = run(&schema, "no JSON at all <|im_start|>", Some(seed));
        if done.reason == StopReason::Length {
            continue; // white space may go on for ever
        }
        let value: serde_json::Value = serde_json::from_str(&done.text).unwrap();
        assert!(
            value["safe"].is_boolean() && (3..=17).contains(&value["n"].as_i64().unwrap()),
            "{value}"
        );
    }
    let wanted = r#"{"safe": true, "n": 12}"#;
    assert_eq!(run(&schema, wanted, None).text, wanted);
    let digits = GrammarKind::Regex("[0-9]{3}-[0-9]{2}".into());
    assert_eq!(run(&digits, "123-45", None).text, "123-45");
    for seed in 0..5 {
        let text = run(&digits, "call me", Some(seed)).text;
        assert!(text.len() == 6 && text.as_bytes()[3] == b'-', "{text}");
    }
    let lark = GrammarKind::Lark("start: \"yes\" | \"no\" (\" \" \"never\")*".into());
    assert_eq!(run(&lark, "no never never", None).text, "no never never");
    assert_eq!(run(&lark, "yes, of course", None).text, "yes");
}

#[test]
fn schemas_that_would_not_be_enforced_are_refused_by_name() {
    let tokenizer = tokenizer();
    let grammar = Grammar::new(&tokenizer).unwrap();
    let refuse = |schema: serde_json::Value| {
        let line = grammar
            .constraint(&GrammarKind::JsonSchema(schema))
            .unwrap_err()
            .to_string();
        assert!(
            !line.contains('\n') && line.len() < 400 && !line.contains("panic"),
            "{line}"
        );
        line
    };
    for keyword in [
        "patternProperties",
        "uniqueItems",
        "not",
        "if",
        "contains",
        "dependentRequired",
        "propertyNames",
        "x-foo",
        "contentEncoding",
    ] {
        let line = refuse(json!({"type": "object", "properties": {"a": {keyword: {}}}}));
        assert!(
            line.contains(keyword) && line.contains("properties/a"),
            "{line}"
        );
    }
    assert!(
        refuse(json!({"type": "string", "format": "no-such-format"})).contains("no-such-format")
    );
    assert!(refuse(json!({"$ref": "https://example.com/x.json"})).contains("$ref"));
    refuse(json!({"$ref": "#/$defs/absent"}));
    refuse(json!("a string"));
    refuse(json!({"type": "strange"}));
    refuse(json!({"properties": 3}));
    refuse(json!({"minimum": "한국어".repeat(60)}));
    let mut deep = json!({});
    (0..200).for_each(|_| deep = json!({"items": deep}));
    assert!(refuse(deep).contains("nested"));
    let wrong = |kind: GrammarKind| grammar.constraint(&kind).unwrap_err().to_string();
    assert!(wrong(GrammarKind::Regex("(".into())).contains("pattern"));
    assert!(wrong(GrammarKind::Lark("start: missing".into())).contains("grammar"));
    assert!(wrong(GrammarKind::Lark("x".repeat(2 << 20))).contains("bytes"));
}
