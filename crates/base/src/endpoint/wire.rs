//! The OpenAI-compatible JSON, both ways.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Prompt, Reply, Request};

/// The path below the base address, and the body.
pub(super) fn body(model: &str, request: &Request) -> (&'static str, Value) {
    let mut body = json!({
        "model": model,
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
    });
    let path = match &request.prompt {
        Prompt::Chat(messages) => {
            body["messages"] = json!(messages);
            "/chat/completions"
        }
        Prompt::Raw(text) => {
            body["prompt"] = json!(text);
            "/completions"
        }
    };
    if let Some(seed) = request.seed {
        body["seed"] = json!(seed);
    }
    (path, body)
}

#[derive(Deserialize)]
struct Answer {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    message: Option<Said>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Option<String>,
}

#[derive(Deserialize, Default)]
struct Usage {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

/// The reply in a body, or what is wrong with it.
pub(super) fn reply(bytes: &[u8]) -> Result<Reply, String> {
    let answer: Answer = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let choice = answer.choices.into_iter().next();
    let choice = choice.ok_or("it holds no choice")?;
    let text = choice.text.or(choice.message.and_then(|said| said.content));
    let usage = answer.usage.unwrap_or_default();
    Ok(Reply {
        text: text.ok_or("its choice holds no text")?,
        stop_reason: choice.finish_reason,
        prompt_tokens: usage.prompt_tokens,
        output_tokens: usage.completion_tokens,
    })
}

#[derive(Deserialize)]
struct Embedded {
    data: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// The `count` vectors in a body, in the order of their texts, or what is wrong with them.
pub(super) fn vectors(bytes: &[u8], count: usize) -> Result<Vec<Vec<f32>>, String> {
    let answer: Embedded = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut placed = vec![None; count];
    for (at, vector) in answer.data.into_iter().enumerate() {
        let place = placed.get_mut(vector.index.unwrap_or(at));
        *place.ok_or("it holds more vectors than texts")? = Some(vector.embedding);
    }
    let vectors: Option<Vec<Vec<f32>>> = placed.into_iter().collect();
    let vectors = vectors.ok_or("a text has no vector")?;
    let width = vectors.first().map_or(0, Vec::len);
    if count > 0 && (width == 0 || vectors.iter().any(|vector| vector.len() != width)) {
        return Err("its vectors are empty or of different lengths".into());
    }
    Ok(vectors)
}

/// What an error body says, at most 200 characters on one line.
pub(super) fn complaint(bytes: &[u8]) -> String {
    let json: Option<Value> = serde_json::from_slice(bytes).ok();
    let told = json.as_ref().and_then(|json| {
        let error = json.get("error")?;
        error.get("message").unwrap_or(error).as_str()
    });
    let text = told.map_or_else(|| String::from_utf8_lossy(bytes), Into::into);
    let line: String = text.chars().take(200).collect();
    match line.trim() {
        "" => "it does not say why".to_owned(),
        line => crate::command::one_line(line),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::endpoint::Message;

    #[test]
    fn both_kinds_of_prompt_and_of_reply() {
        let mut request = Request {
            prompt: Prompt::Chat(vec![Message::user("hi")]),
            temperature: 0.2,
            max_tokens: 9,
            seed: None,
        };
        let (path, chat) = body("m", &request);
        assert_eq!(path, "/chat/completions");
        assert_eq!(
            chat["messages"][0],
            json!({"role": "user", "content": "hi"})
        );
        assert!(chat.get("seed").is_none());
        request.prompt = Prompt::Raw("[INST]".into());
        assert_eq!(body("m", &request).1["prompt"], "[INST]");

        let chat = br#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#;
        let said = reply(chat).unwrap();
        assert_eq!((said.text.as_str(), said.prompt_tokens), ("a", Some(3)));
        assert_eq!(reply(br#"{"choices":[{"text":"b"}]}"#).unwrap().text, "b");
    }

    #[test]
    fn vectors_come_in_the_order_of_their_texts() {
        let body = br#"{"data":[{"index":1,"embedding":[3,4]},{"index":0,"embedding":[1,2]}]}"#;
        assert_eq!(vectors(body, 2).unwrap(), [[1.0, 2.0], [3.0, 4.0]]);
        assert!(vectors(body, 1).unwrap_err().contains("more vectors"));
        assert!(vectors(body, 3).unwrap_err().contains("no vector"));
        for (wrong, why) in [
            (r#"{"data":[{"embedding":[]}]}"#, "empty"),
            (r#"{"data":[{"embedding":[1e300]}]}"#, "out of range"),
            (r#"{"data":[{"embedding":["x"]}]}"#, "invalid type"),
            ("{}", "data"),
        ] {
            let told = vectors(wrong.as_bytes(), 1).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn what_is_no_reply_says_why() {
        for wrong in [
            "",
            "<html>",
            "{}",
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":null}}]}"#,
        ] {
            assert!(reply(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert_eq!(complaint(br#"{"error":{"message":"no\nkey"}}"#), "no key");
        assert_eq!(complaint(b""), "it does not say why");
    }
}
