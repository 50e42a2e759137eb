//! Options that several verbs share.

use std::path::Path;
use std::time::Duration;

use base::command::{Context, Failure};
use base::endpoint::{ChatModel, Dialect, Embedder, Endpoint, EndpointConfig, Retry, TokenLimit};
use clap::{Args, ValueEnum};

use crate::codearena::syncode::Scripted;

/// Field of the token limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TokenLimitName {
    #[value(name = "max_tokens")]
    MaxTokens,
    #[value(name = "max_completion_tokens")]
    MaxCompletionTokens,
    /// Not sent
    None,
}

/// Retries of requests, and the API dialect. What a server complains of is changed without an option.
#[derive(Args, Debug)]
pub(super) struct ServerOptions {
    /// Environment variable that holds the server's key
    #[arg(long, value_name = "NAME", default_value = "OPENAI_API_KEY")]
    key_env: String,
    /// Seconds to wait for one answer
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Attempts for a request when the server does not answer, is busy or fails
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=100))]
    tries: u32,
    /// Name of the token limit [default: max_tokens, until the server wants another]
    #[arg(long, value_enum, value_name = "NAME")]
    token_limit: Option<TokenLimitName>,
    /// Do not send the temperature
    #[arg(long)]
    no_temperature: bool,
    /// Put the system message before the first user message
    #[arg(long)]
    no_system_role: bool,
    /// Ask for the reply as a stream of events
    #[arg(long)]
    stream: bool,
    /// Header that carries the key, such as `api-key` [default: authorization, as a bearer]
    #[arg(long, value_name = "NAME", value_parser = header_name)]
    key_header: Option<String>,
}

/// The name of a header.
fn header_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    match !text.is_empty() && text.bytes().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("a header's name has letters, digits and `-`".into()),
    }
}

impl ServerOptions {
    /// The model `name` behind `url`, or the replies of a file behind `file:PATH`.
    pub(super) fn model(
        &self,
        url: &str,
        name: &str,
        context: Context,
    ) -> Result<Box<dyn ChatModel>, Failure> {
        if let Some(path) = url.strip_prefix("file:") {
            return Ok(Box::new(Scripted::read(Path::new(path))?));
        }
        Ok(Box::new(self.endpoint(url, name, context)?))
    }

    /// The encoder `name` behind `url`.
    pub(super) fn embedder(
        &self,
        url: &str,
        name: &str,
        context: Context,
    ) -> Result<Box<dyn Embedder>, Failure> {
        Ok(Box::new(self.endpoint(url, name, context)?))
    }

    fn endpoint(&self, url: &str, name: &str, context: Context) -> Result<Endpoint, Failure> {
        let key = std::env::var(&self.key_env)
            .ok()
            .map(|key| key.trim().to_owned());
        let config = EndpointConfig {
            url: url.to_owned(),
            model: name.to_owned(),
            key: key.filter(|key| !key.is_empty()),
            timeout: Duration::from_secs(self.timeout),
            retry: Retry {
                tries: self.tries,
                ..Retry::default()
            },
            dialect: Dialect {
                token_limit: match self.token_limit {
                    Some(TokenLimitName::MaxCompletionTokens) => TokenLimit::MaxCompletionTokens,
                    Some(TokenLimitName::None) => TokenLimit::None,
                    Some(TokenLimitName::MaxTokens) | None => TokenLimit::MaxTokens,
                },
                temperature: !self.no_temperature,
                system_role: !self.no_system_role,
                stream: self.stream,
                key_header: self.key_header.clone(),
                ..Dialect::default()
            },
        };
        Endpoint::new(config, Some(context.stop)).map_err(Failure::input)
    }
}

/// A number of workers.
pub(super) fn workers() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..=256)
}
