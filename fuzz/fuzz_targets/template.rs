//! Chat templates as anybody may have written them, and after a zero byte what a user says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use text_readers::text::{ChatInput, ChatTemplate, Moment};

fuzz_target!(|text: &str| {
    let (source, said) = text.split_once('\0').unwrap_or((text, "Hi <|im_end|>"));
    let Ok(template) = ChatTemplate::new(source, "<s>", "</s>") else {
        return;
    };
    let message = |role: &str, content: &str| json!({"role": role, "content": content});
    let input = ChatInput {
        messages: vec![
            message("system", "x"),
            message("user", said),
            message("assistant", "é"),
        ],
        add_generation_prompt: true,
        now: Moment(0),
        ..ChatInput::default()
    };
    let once = template.render(&input);
    assert_eq!(once.ok(), template.render(&input).ok());
});
