//! Chat completions as OpenAI writes them, whole and in pieces.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::{Usage, Writer, chat_log};
use super::models::Model;
use super::row::{Event, Reason, Token};
use super::tools;

/// A text of an answer that is sent whole, or of a stream that may hold calls.
#[derive(Default)]
pub struct ChoiceText {
    /// What is written so far.
    pub text: String,
    logs: Vec<Value>,
    reason: Option<Reason>,
    begun: bool,
}

/// Writes chat completions.
pub struct ChatWriter {
    /// The model.
    pub model: Arc<Model>,
    /// The request.
    pub id: String,
    /// What it calls the model.
    pub name: String,
    /// When it came.
    pub created: u64,
    /// Its seed.
    pub seed: u64,
    /// Whether log-probabilities are written.
    pub logs: bool,
    /// Whether a stream ends with the tokens used.
    pub usage: bool,
    /// Names of tools that may be called: then a text is looked through before it is sent.
    pub tools: Vec<String>,
    /// A text each.
    pub choices: Vec<ChoiceText>,
}

impl ChatWriter {
    fn frame(&self, object: &str, choices: Value) -> Value {
        json!({
            "id": format!("chatcmpl-{}", self.id), "object": object, "created": self.created,
            "model": self.name, "system_fingerprint": super::FINGERPRINT, "choices": choices,
        })
    }

    fn piece(
        &self,
        index: usize,
        delta: Value,
        logs: Option<Value>,
        finish: Option<&str>,
    ) -> Value {
        let logs = logs.map(|log| json!({"content": [log]}));
        let choice =
            json!({"index": index, "delta": delta, "logprobs": logs, "finish_reason": finish});
        self.frame("chat.completion.chunk", json!([choice]))
    }

    fn log(&self, token: &Token) -> Option<Value> {
        self.logs.then(|| chat_log(self.model.tokenizer(), token))
    }

    /// The message of a text that ended, and why it did.
    fn message(&self, index: usize) -> (Value, &'static str) {
        let choice = &self.choices[index];
        let finish = finish(choice.reason);
        match tools::calls(&choice.text, &self.tools) {
            Some((lead, calls)) if !self.tools.is_empty() => {
                let calls: Vec<Value> = (0..)
                    .zip(&calls)
                    .map(|(at, call)| tools::written(&self.id, at, call))
                    .collect();
                let content = if lead.is_empty() {
                    Value::Null
                } else {
                    json!(lead)
                };
                (
                    json!({"role": "assistant", "content": content, "tool_calls": calls}),
                    "tool_calls",
                )
            }
            _ => (
                json!({"role": "assistant", "content": choice.text, "refusal": null}),
                finish,
            ),
        }
    }
}

fn finish(reason: Option<Reason>) -> &'static str {
    match reason {
        Some(Reason::Length) => "length",
        _ => "stop",
    }
}

impl Writer for ChatWriter {
    fn pieces(&mut self, index: usize, event: &Event) -> Vec<Value> {
        let mut pieces = Vec::new();
        if !self.choices[index].begun {
            self.choices[index].begun = true;
            pieces.push(self.piece(
                index,
                json!({"role": "assistant", "content": ""}),
                None,
                None,
            ));
        }
        let holds = !self.tools.is_empty();
        match event {
            Event::Token(token) if holds => self.choices[index].text.push_str(&token.text),
            Event::Token(token) if !token.text.is_empty() || self.logs => {
                let log = self.log(token);
                pieces.push(self.piece(index, json!({"content": token.text}), log, None));
            }
            Event::End(end) => {
                self.choices[index].reason = Some(end.reason);
                self.choices[index].text.push_str(&end.text);
                let mut why = finish(Some(end.reason));
                if holds {
                    let (mut message, reason) = self.message(index);
                    why = reason;
                    if let Some(fields) = message.as_object_mut() {
                        fields.retain(|key, value| {
                            key != "role" && key != "refusal" && !value.is_null()
                        });
                    }
                    pieces.push(self.piece(index, message, None, None));
                } else if !end.text.is_empty() {
                    pieces.push(self.piece(index, json!({"content": end.text}), None, None));
                }
                pieces.push(self.piece(index, json!({}), None, Some(why)));
            }
            _ => {}
        }
        pieces
    }

    fn usage(&self, usage: &Usage) -> Option<Value> {
        self.usage.then(|| {
            let mut last = self.frame("chat.completion.chunk", json!([]));
            last["usage"] = usage.json();
            last
        })
    }

    fn take(&mut self, index: usize, event: Event) {
        match event {
            Event::Token(token) => {
                let log = self.log(&token);
                let choice = &mut self.choices[index];
                choice.logs.extend(log);
                choice.text.push_str(&token.text);
            }
            Event::End(end) => {
                let choice = &mut self.choices[index];
                choice.text.push_str(&end.text);
                choice.reason = Some(end.reason);
            }
            Event::Prompt(_) | Event::Failed(_) => {}
        }
    }

    fn whole(&mut self, usage: &Usage) -> Value {
        let choices = (0..self.choices.len()).map(|index| {
            let (mut message, reason) = self.message(index);
            if let Some(calls) = message.get_mut("tool_calls").and_then(Value::as_array_mut) {
                // Places are for streams only.
                calls
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|call| {
                        call.remove("index");
                    });
            }
            let logs = self
                .logs
                .then(|| json!({"content": self.choices[index].logs}));
            json!({"index": index, "message": message, "logprobs": logs, "finish_reason": reason})
        });
        let mut answer = self.frame("chat.completion", choices.collect());
        answer["usage"] = usage.json();
        answer["seed"] = json!(self.seed);
        answer
    }
}
