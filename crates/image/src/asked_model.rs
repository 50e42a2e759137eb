//! A model behind a server, as verbs name it.

use std::time::Duration;

use base::command::{Context, Failure};
use base::endpoint::{Dialect, Endpoint, EndpointConfig, Retry};

/// The model `name` on the OpenAI-compatible server at `url`; the key is in the variable `key_env`, where the server wants one.
///
/// # Errors
/// When the address is none.
pub fn endpoint(
    url: &str,
    name: &str,
    key_env: &str,
    context: Context,
) -> Result<Endpoint, Failure> {
    let key = std::env::var(key_env).ok();
    let config = EndpointConfig {
        url: url.to_owned(),
        model: name.to_owned(),
        key: key
            .map(|key| key.trim().to_owned())
            .filter(|key| !key.is_empty()),
        timeout: Duration::from_secs(600),
        retry: Retry::default(),
        dialect: Dialect::default(),
    };
    Endpoint::new(config, Some(context.stop)).map_err(Failure::input)
}
