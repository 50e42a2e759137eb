//! Where models are, and from where they come: the environment variables that other tools read too.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// How models are fetched and where they are kept.
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// The cache: `HF_HUB_CACHE`, else `HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub cache: PathBuf,
    /// The hub: `HF_ENDPOINT`, else `https://huggingface.co`.
    pub endpoint: String,
    /// The package index: `PIP_INDEX_URL`, else `https://pypi.org/simple`.
    pub index: String,
    /// The key to the hub: `HF_TOKEN`, else the file `HF_TOKEN_PATH` or `HF_HOME/token`.
    pub token: Option<String>,
    /// Nothing is fetched: `HF_HUB_OFFLINE`.
    pub offline: bool,
    /// Certificates to trust in the place of the built-in ones: `SSL_CERT_FILE`.
    pub certificates: Option<PathBuf>,
    /// How often a file is asked for.
    pub tries: u32,
    /// The pause before the second try; each further one doubles it.
    pub pause: Duration,
    /// Becomes true when the user wants to stop.
    pub stop: Option<&'static AtomicBool>,
}

impl HubSettings {
    /// The settings of this process.
    pub fn from_environment() -> Self {
        Self::from(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    /// The settings that `variable` gives.
    pub fn from(variable: impl Fn(&str) -> Option<String>) -> Self {
        let path = |name: &str| variable(name).map(|text| expand(&text, &variable));
        let user = path("HOME")
            .or_else(|| path("USERPROFILE"))
            .unwrap_or_default();
        let caches = path("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache"));
        let home = path("HF_HOME").unwrap_or_else(|| caches.join("huggingface"));
        let cache = path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE"));
        let url = |name: &str, usual: &str| {
            let url = variable(name).unwrap_or_else(|| usual.to_owned());
            url.trim_end_matches('/').to_owned()
        };
        let file = path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = variable("HF_TOKEN").or_else(|| std::fs::read_to_string(file).ok());
        let on = |name: &str| {
            let value = variable(name).unwrap_or_default().to_lowercase();
            matches!(value.as_str(), "1" | "true" | "yes" | "on")
        };
        Self {
            cache: cache.unwrap_or_else(|| home.join("hub")),
            endpoint: url("HF_ENDPOINT", "https://huggingface.co"),
            index: url("PIP_INDEX_URL", "https://pypi.org/simple"),
            token: token
                .map(|it| it.trim().to_owned())
                .filter(|it| !it.is_empty()),
            offline: on("HF_HUB_OFFLINE") || on("TRANSFORMERS_OFFLINE"),
            certificates: path("SSL_CERT_FILE"),
            tries: 6,
            pause: Duration::from_millis(500),
            stop: None,
        }
    }
}

/// `~/x` in the user's home.
fn expand(text: &str, variable: &impl Fn(&str) -> Option<String>) -> PathBuf {
    match (text.strip_prefix("~/"), variable("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        _ => PathBuf::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> HubSettings {
        let find = |name: &str| {
            pairs
                .iter()
                .find(|it| it.0 == name)
                .map(|it| it.1.to_owned())
        };
        HubSettings::from(find)
    }

    #[test]
    fn the_cache_is_where_other_tools_look() {
        let cache = |pairs: &[(&str, &str)]| settings(pairs).cache;
        let home = ("HOME", "/u");
        assert_eq!(cache(&[home]), Path::new("/u/.cache/huggingface/hub"));
        assert_eq!(
            cache(&[home, ("XDG_CACHE_HOME", "/c")]),
            Path::new("/c/huggingface/hub")
        );
        assert_eq!(cache(&[home, ("HF_HOME", "~/hf")]), Path::new("/u/hf/hub"));
        assert_eq!(
            cache(&[home, ("HF_HOME", "/h"), ("HF_HUB_CACHE", "/x")]),
            Path::new("/x")
        );
        let given = settings(&[
            home,
            ("HF_ENDPOINT", "http://a/"),
            ("HF_HUB_OFFLINE", "YES"),
            ("HF_TOKEN", " t\n"),
        ]);
        assert_eq!(
            (
                given.endpoint.as_str(),
                given.offline,
                given.token.as_deref()
            ),
            ("http://a", true, Some("t"))
        );
    }
}
