//! From what happens to texts to the JSON that clients read, whole or in pieces.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Sleep;

use super::error::ApiError;
use super::gate::Purse;
use super::row::{End, Event, Token};

/// A remark is sent where nothing was for so long, so that readers that left are noticed.
const SILENCE: Duration = Duration::from_secs(10);

/// How one kind of request writes its answer.
pub trait Writer: Send + Unpin + 'static {
    /// Pieces of a stream for an event; `usage` of all choices comes with the last.
    fn pieces(&mut self, index: usize, event: &Event) -> Vec<Value>;

    /// The last piece, where it is asked for.
    fn usage(&self, usage: &Usage) -> Option<Value>;

    /// Takes an event of an answer that is sent whole.
    fn take(&mut self, index: usize, event: Event);

    /// The whole answer.
    fn whole(&mut self, usage: &Usage) -> Value;
}

/// Tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    prompt: usize,
    cached: usize,
    tokens: usize,
}

impl Usage {
    fn add(&mut self, end: &End, count_prompt: bool) {
        if count_prompt {
            self.prompt += end.prompt;
            self.cached += end.cached;
        }
        self.tokens += end.tokens;
    }

    /// All tokens.
    pub fn total(&self) -> usize {
        self.prompt + self.tokens
    }

    /// As OpenAI writes it.
    pub fn json(&self) -> Value {
        json!({
            "prompt_tokens": self.prompt, "completion_tokens": self.tokens, "total_tokens": self.total(),
            "prompt_tokens_details": {"cached_tokens": self.cached},
        })
    }
}

/// Texts of a request that are being written.
pub struct Texts {
    /// What happens to them.
    pub events: UnboundedReceiver<(usize, Event)>,
    /// How many there are.
    pub count: usize,
    /// Texts of each prompt: its tokens count once.
    pub each: usize,
    /// Who pays.
    pub purse: Purse,
}

/// The whole answer, when all texts have ended.
///
/// # Errors
/// The first text that broke off.
pub async fn whole(mut texts: Texts, mut writer: impl Writer) -> Result<Response, ApiError> {
    let (mut usage, mut left) = (Usage::default(), texts.count);
    while left > 0 {
        let Some((index, event)) = texts.events.recv().await else {
            return Err(ApiError::failed("the text broke off"));
        };
        match &event {
            Event::Failed(error) => return Err(error.clone()),
            Event::End(end) => {
                usage.add(end, index.is_multiple_of(texts.each.max(1)));
                left -= 1;
            }
            _ => {}
        }
        writer.take(index, event);
    }
    texts.purse.spend(usage.total());
    Ok(Json(writer.whole(&usage)).into_response())
}

/// The answer as server-sent events.
pub fn stream(texts: Texts, writer: impl Writer) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    let left = texts.count;
    let body = Events {
        texts,
        writer,
        usage: Usage::default(),
        left,
        seen: 0,
        ended: false,
        silence: Box::pin(tokio::time::sleep(SILENCE)),
    };
    (headers, Body::new(body)).into_response()
}

/// A body of events; dropped with its connection, which ends the texts.
struct Events<W> {
    texts: Texts,
    writer: W,
    usage: Usage,
    left: usize,
    /// Tokens that came, for whoever leaves before the end.
    seen: usize,
    ended: bool,
    silence: Pin<Box<Sleep>>,
}

impl<W: Writer> Events<W> {
    /// What an event writes.
    fn write(&mut self, index: usize, event: &Event) -> Vec<u8> {
        let mut out = Vec::new();
        self.seen += usize::from(matches!(event, Event::Token(_)));
        if let Event::Failed(error) = event {
            put(&mut out, &error.object());
            self.left = 0;
        } else {
            for piece in self.writer.pieces(index, event) {
                put(&mut out, &piece);
            }
        }
        if let Event::End(end) = event {
            self.usage
                .add(end, index.is_multiple_of(self.texts.each.max(1)));
            self.left -= 1;
        }
        if self.left == 0 {
            if let Some(piece) = self.writer.usage(&self.usage) {
                put(&mut out, &piece);
            }
            out.extend_from_slice(b"data: [DONE]\n\n");
            self.texts.purse.spend(self.usage.total());
            self.ended = true;
        }
        out
    }
}

impl<W> Drop for Events<W> {
    fn drop(&mut self) {
        if !self.ended {
            self.texts.purse.spend(self.seen);
        }
    }
}

fn put(out: &mut Vec<u8>, piece: &Value) {
    out.extend_from_slice(b"data: ");
    if serde_json::to_writer(&mut *out, piece).is_ok() {
        out.extend_from_slice(b"\n\n");
    }
}

impl<W: Writer> HttpBody for Events<W> {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let frame = |bytes: Vec<u8>| Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))));
        if this.ended {
            return Poll::Ready(None);
        }
        let next = tokio::time::Instant::now() + SILENCE;
        loop {
            match this.texts.events.poll_recv(context) {
                Poll::Ready(Some((index, event))) => {
                    let bytes = this.write(index, &event);
                    if !bytes.is_empty() {
                        this.silence.as_mut().reset(next);
                        return frame(bytes);
                    }
                }
                Poll::Ready(None) => {
                    let broke = Event::Failed(ApiError::failed("the text broke off"));
                    let bytes = this.write(0, &broke);
                    return frame(bytes);
                }
                Poll::Pending => break,
            }
        }
        if this.silence.as_mut().poll(context).is_ready() {
            this.silence.as_mut().reset(next);
            return frame(b": still here\n\n".to_vec());
        }
        Poll::Pending
    }
}

/// How a token is written, whole or in bytes.
pub fn spelled(tokenizer: &engine::text::Tokenizer, id: u32) -> (String, Vec<u8>) {
    let bytes = tokenizer.bytes_of(id).unwrap_or_default().to_vec();
    (String::from_utf8_lossy(&bytes).into_owned(), bytes)
}

/// A token's probabilities as chat completions write them.
pub fn chat_log(tokenizer: &engine::text::Tokenizer, token: &Token) -> Value {
    let one = |id: u32, log: f32| {
        let (text, bytes) = spelled(tokenizer, id);
        json!({"token": text, "logprob": finite(log), "bytes": bytes})
    };
    let mut entry = one(token.id, token.log_probability.unwrap_or(f32::NAN));
    let top: Vec<Value> = token.top.iter().map(|&(id, log)| one(id, log)).collect();
    entry["top_logprobs"] = json!(top);
    if let Some(entropy) = token.entropy {
        entry["entropy"] = json!(entropy);
    }
    if token.hesitated {
        entry["hesitated"] = json!(true);
    }
    entry
}

/// JSON has no infinities; OpenAI's own lowest is −9999.
pub fn finite(log: f32) -> f32 {
    if log.is_finite() { log } else { -9999.0 }
}
