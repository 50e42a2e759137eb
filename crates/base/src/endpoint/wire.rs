//! The OpenAI-compatible JSON, both ways.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dialect, Message, Prompt, Reply, Request, TokenLimit, stream};

/// The path below the base address, and the body in a server's dialect.
pub(super) fn body(model: &str, request: &Request, dialect: &Dialect) -> (&'static str, Value) {
    let mut body = json!({"model": model});
    if dialect.temperature {
        body["temperature"] = json!(request.temperature);
    }
    let most = dialect
        .most_tokens
        .unwrap_or(u32::MAX)
        .min(request.max_tokens);
    match dialect.token_limit {
        TokenLimit::MaxTokens => body["max_tokens"] = json!(most),
        TokenLimit::MaxCompletionTokens => body["max_completion_tokens"] = json!(most),
        TokenLimit::None => {}
    }
    let path = match &request.prompt {
        Prompt::Chat(messages) => {
            let messages = dialect.messages(messages);
            body["messages"] = messages.iter().map(message).collect();
            "/chat/completions"
        }
        Prompt::Raw(text) => {
            body["prompt"] = json!(text);
            "/completions"
        }
    };
    if let Some(seed) = request.seed.filter(|_| dialect.seed) {
        body["seed"] = json!(seed);
    }
    if dialect.stream {
        body["stream"] = json!(true);
    }
    (path, body)
}

/// A message; one with pictures as a list of parts.
fn message(message: &Message) -> Value {
    let Message {
        role,
        content,
        pictures,
    } = message;
    if pictures.is_empty() {
        return json!({"role": role, "content": content});
    }
    let picture = |url: &String| json!({"type": "image_url", "image_url": {"url": url}});
    let text = json!({"type": "text", "text": content});
    let parts: Vec<Value> = pictures.iter().map(picture).chain([text]).collect();
    json!({"role": role, "content": parts})
}

/// What a body is.
#[derive(Debug, PartialEq)]
pub(super) enum Body<T> {
    /// What was asked for.
    Answer(T),
    /// An error object, whatever the HTTP status was, with the status that it names or means.
    Error(Option<u16>, String),
    /// A reply without a text, and what it has instead.
    NoText(String),
    /// It breaks off: another time may be better.
    Cut(String),
    /// Something else, such as a web page.
    Foreign(String),
}

/// The JSON of a body, or why it is none.
fn json_of<T>(bytes: &[u8]) -> Result<Value, Body<T>> {
    if stream::is_events(bytes) {
        return stream::joined(bytes).map_err(Body::Cut);
    }
    let json = stream::lenient(bytes).map_err(|error| {
        match error.is_eof() && bytes.trim_ascii().starts_with(b"{") {
            true => Body::Cut(error.to_string()),
            false if bytes.trim_ascii().is_empty() => Body::Foreign("it is empty".into()),
            false if bytes.trim_ascii().starts_with(b"<") => Body::Foreign("a web page".into()),
            false => Body::Foreign(error.to_string()),
        }
    })?;
    match json.get("error").filter(|error| !error.is_null()) {
        Some(error) if json.get("choices").is_none() => {
            Err(Body::Error(meant(error), complaint(bytes)))
        }
        _ => Ok(json),
    }
}

/// The status that an error object names, or that its words mean.
fn meant(error: &Value) -> Option<u16> {
    let code = error.get("code").or_else(|| error.get("status"));
    let number = code.and_then(|code| code.as_u64().or_else(|| code.as_str()?.parse().ok()));
    let number = number.and_then(|number| u16::try_from(number).ok());
    let words = error.to_string().to_lowercase();
    let says = |some: &[&str]| some.iter().any(|one| words.contains(one));
    number
        .filter(|number| (300..600).contains(number))
        .or_else(|| {
            if says(&["quota", "billing", "credit"]) {
                Some(402)
            } else if says(&[
                "api key",
                "api_key",
                "authenticat",
                "unauthorized",
                "permission",
            ]) {
                Some(401)
            } else if says(&["not found", "not_found", "does not exist"]) {
                Some(404)
            } else if says(&[
                "overloaded",
                "rate limit",
                "rate_limit",
                "timeout",
                "timed out",
                "unavailable",
                "server_error",
                "try again",
            ]) {
                Some(503)
            } else {
                None
            }
        })
}

/// The text of a content: plain, or the text parts of a list.
pub(super) fn text(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()))
                .collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        _ => None,
    }
}

/// The reply in a body.
pub(super) fn reply(bytes: &[u8]) -> Body<Reply> {
    let answer = match json_of(bytes) {
        Ok(answer) => answer,
        Err(body) => return body,
    };
    let Some(choices) = answer.get("choices").and_then(Value::as_array) else {
        return Body::Foreign("it has no `choices`".into());
    };
    let Some(choice) = choices.first() else {
        return Body::NoText("it holds no choice".into());
    };
    let message = choice.get("message");
    let content = choice.get("text").or_else(|| message?.get("content"));
    let finish = choice.get("finish_reason").and_then(Value::as_str);
    let count = |field: &str| {
        answer
            .get("usage")
            .and_then(|usage| usage.get(field)?.as_u64())
    };
    let Some(text) = content.and_then(text) else {
        let refusal = message.and_then(|message| message.get("refusal")?.as_str());
        let cause = match (refusal, finish) {
            (Some(refusal), _) => format!("refusal: {}", short(refusal)),
            (None, Some("length")) => "all its tokens went into reasoning: allow more".to_owned(),
            (None, Some(finish)) => format!("finish reason `{}`", short(finish)),
            (None, None) => "its choice holds no text".to_owned(),
        };
        return Body::NoText(cause);
    };
    Body::Answer(Reply {
        text,
        stop_reason: finish.map(str::to_owned),
        prompt_tokens: count("prompt_tokens"),
        output_tokens: count("completion_tokens"),
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
pub(super) fn embeddings(bytes: &[u8], count: usize) -> Body<Vec<Vec<f32>>> {
    match json_of::<Vec<Vec<f32>>>(bytes) {
        Err(body) => body,
        Ok(_) => vectors(bytes, count).map_or_else(Body::Foreign, Body::Answer),
    }
}

fn vectors(bytes: &[u8], count: usize) -> Result<Vec<Vec<f32>>, String> {
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
    let json: Option<Value> = stream::lenient(bytes).ok();
    let message = json.as_ref().and_then(|json| {
        let error = json
            .get("error")
            .or_else(|| json.get("detail"))
            .or_else(|| json.get("message"))?;
        error.get("message").unwrap_or(error).as_str()
    });
    let text = message.map_or_else(|| String::from_utf8_lossy(bytes), Into::into);
    match short(&text) {
        none if none.is_empty() => "it does not say why".to_owned(),
        line => line,
    }
}

/// At most 200 characters on one line.
fn short(text: &str) -> String {
    let line: String = text.chars().take(200).collect();
    crate::command::one_line(line.trim())
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
        let (path, chat) = body("m", &request, &Dialect::default());
        assert_eq!(path, "/chat/completions");
        assert_eq!(
            chat["messages"][0],
            json!({"role": "user", "content": "hi"})
        );
        assert!(chat.get("seed").is_none());
        let seeing = Message::user("what?").seeing(vec!["data:x".into()]);
        request.prompt = Prompt::Chat(vec![seeing]);
        let (_, chat) = body("m", &request, &Dialect::default());
        assert_eq!(
            chat["messages"][0]["content"],
            json!([{"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "text", "text": "what?"}])
        );
        request.prompt = Prompt::Raw("[INST]".into());
        assert_eq!(
            body("m", &request, &Dialect::default()).1["prompt"],
            "[INST]"
        );

        let chat = br#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3}}"#;
        let said = |bytes: &[u8]| match reply(bytes) {
            Body::Answer(reply) => reply,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (said(chat).text.as_str(), said(chat).prompt_tokens),
            ("a", Some(3))
        );
        assert_eq!(said(br#"{"choices":[{"text":"b"}]}"#).text, "b");
        let parts = br#"{"choices":[{"message":{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"reasoning":"x"}}]}"#;
        assert_eq!(said(parts).text, "ab");
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
            let message = vectors(wrong.as_bytes(), 1).unwrap_err();
            assert!(message.contains(why), "{message}");
        }
    }

    #[test]
    fn what_is_no_reply_says_what_it_is() {
        let read = |text: &str| reply(text.as_bytes());
        for foreign in ["", "<html>", "{}", "[1]", "hello"] {
            assert!(matches!(read(foreign), Body::Foreign(_)), "{foreign}");
        }
        assert!(matches!(read("{\"choices\": ["), Body::Cut(_)));
        for none in [
            r#"{"choices":[]}"#,
            r#"{"choices":[{"message":{"content":null}}]}"#,
            r#"{"choices":[{"message":{"content":null,"reasoning_content":"hm"},"finish_reason":"length"}]}"#,
            r#"{"choices":[{"message":{"refusal":"no"},"finish_reason":"content_filter"}]}"#,
        ] {
            assert!(matches!(read(none), Body::NoText(_)), "{none}");
        }
        for (text, status) in [
            (r#"{"error":{"message":"upstream","code":502}}"#, Some(502)),
            (
                r#"{"error":{"message":"Incorrect API key provided"}}"#,
                Some(401),
            ),
            (r#"{"error":"model `x` does not exist"}"#, Some(404)),
            (r#"{"error":{"message":"odd"}}"#, None),
        ] {
            assert!(
                matches!(read(text), Body::Error(found, _) if found == status),
                "{text}"
            );
        }
        assert_eq!(complaint(br#"{"error":{"message":"no\nkey"}}"#), "no key");
        assert_eq!(complaint(br#"{"detail":"Not Found"}"#), "Not Found");
        assert_eq!(complaint(b""), "it does not say why");
    }
}
