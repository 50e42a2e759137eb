//! Requests to hubs and indices: redirects are followed by hand, so that the key goes to no other host.

use std::time::Duration;

use ureq::http::{Response, StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body};

use super::{HubError, HubSettings};

/// Largest page (a list of files) that is read, in bytes.
const LARGEST_PAGE: u64 = 64 << 20;
/// Redirects at most.
const REDIRECTS: usize = 10;

/// A connection to hubs.
pub(super) struct Client<'a> {
    agent: Agent,
    pub settings: &'a HubSettings,
}

/// An answer, and the address that gave it in the end.
pub(super) struct Answer {
    pub url: String,
    pub response: Response<Body>,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }
}

/// Why one try failed.
pub(super) enum Trouble {
    /// It may work another time.
    Passing(String),
    /// It never will.
    Final(HubError),
}

impl From<HubError> for Trouble {
    fn from(error: HubError) -> Self {
        Self::Final(error)
    }
}

impl<'a> Client<'a> {
    pub fn new(settings: &'a HubSettings) -> Result<Self, HubError> {
        let mut tls = TlsConfig::builder();
        if let Some(path) = &settings.certificates {
            let pem = std::fs::read(path).map_err(HubError::cache(path))?;
            let certificates = parse_pem(&pem).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            let certificates: Vec<Certificate<'static>> = certificates.collect();
            tls = tls.root_certs(RootCerts::Specific(certificates.into()));
        }
        // A proxy is read from HTTPS_PROXY, HTTP_PROXY and ALL_PROXY, with NO_PROXY.
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .max_redirects(0)
            // Compressed answers have lengths that say nothing.
            .accept_encoding("identity")
            .user_agent(concat!("orrery/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(Self { agent, settings })
    }

    /// One GET with redirects followed. The key goes only to the host of the hub.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Trouble> {
        let home = host(&self.settings.endpoint);
        let mut url = url.to_owned();
        // The hub names a file's hash and length in its own answer, not in that of the store it leads to.
        let mut linked = None;
        for _ in 0..REDIRECTS {
            let mut request = self.agent.get(&url);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(token) = &self.settings.token
                && home.is_some()
                && host(&url) == home
            {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let mut response = request.call().map_err(|error| match error {
                ureq::Error::BadUri(_) | ureq::Error::Http(_) => Trouble::Final(HubError::answer(
                    &url,
                    "it is not an address, or HF_TOKEN is not a key",
                )),
                error => Trouble::Passing(error.to_string()),
            })?;
            if linked.is_none() {
                linked = response.headers().get("x-linked-etag").cloned();
            }
            if !response.status().is_redirection() || response.status() == StatusCode::NOT_MODIFIED
            {
                if let Some(linked) = linked {
                    response.headers_mut().insert("x-linked-etag", linked);
                }
                return Ok(Answer { url, response });
            }
            let target = response
                .headers()
                .get("location")
                .and_then(|it| it.to_str().ok());
            let target = target.ok_or_else(|| HubError::answer(&url, "it redirects to nowhere"))?;
            let next = join(&url, target);
            if url.starts_with("https://") && !next.starts_with("https://") {
                return Err(
                    HubError::answer(&url, "it redirects to an address without TLS").into(),
                );
            }
            url = next;
        }
        Err(HubError::answer(&url, "it redirects in a circle").into())
    }

    /// A page, tried as often as the settings say.
    pub fn page(&self, url: &str, headers: &[(&str, &str)]) -> Result<(Answer, Vec<u8>), HubError> {
        self.retry(url, |_| {
            let mut answer = check(self.get(url, headers)?)?;
            let body = answer.response.body_mut().with_config().limit(LARGEST_PAGE);
            let bytes = body.read_to_vec().map_err(|error| match error {
                ureq::Error::BodyExceedsLimit(_) => {
                    Trouble::Final(HubError::answer(url, "it is too long"))
                }
                error => Trouble::Passing(error.to_string()),
            })?;
            Ok((answer, bytes))
        })
    }

    /// Tries until it works, fails for good, or has failed as often as the settings say. `attempt` hears how often it failed
    /// and says whether progress was made, which starts the count anew.
    pub fn retry<T>(
        &self,
        url: &str,
        mut attempt: impl FnMut(u32) -> Result<T, Trouble>,
    ) -> Result<T, HubError> {
        let tries = self.settings.tries.max(1);
        let mut cause = String::new();
        for failed in 0..tries {
            self.check_stop()?;
            match attempt(failed) {
                Ok(found) => return Ok(found),
                Err(Trouble::Final(error)) => return Err(error),
                Err(Trouble::Passing(what)) => cause = what,
            }
            if failed + 1 < tries {
                self.wait(self.settings.pause.saturating_mul(1 << failed.min(6)))?;
            }
        }
        let cause = base::command::one_line(&cause);
        let url = url.to_owned();
        Err(HubError::Unreachable { url, tries, cause })
    }

    pub fn check_stop(&self) -> Result<(), HubError> {
        let stop = self.settings.stop;
        match stop.is_some_and(|stop| stop.load(std::sync::atomic::Ordering::Relaxed)) {
            true => Err(HubError::Stopped),
            false => Ok(()),
        }
    }

    fn wait(&self, pause: Duration) -> Result<(), HubError> {
        let end = std::time::Instant::now() + pause.min(Duration::from_secs(30));
        loop {
            self.check_stop()?;
            let left = end.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

/// An answer with a status of success.
pub(super) fn check(answer: Answer) -> Result<Answer, Trouble> {
    let fix = match answer.status() {
        200..=299 => return Ok(answer),
        408 | 425 | 429 | 500..=599 => {
            return Err(Trouble::Passing(format!("status {}", answer.status())));
        }
        401 | 403 => "it needs a key (set HF_TOKEN), or the model's terms accepted on its page",
        404 => "check the name, the revision and the file; a private model also needs HF_TOKEN",
        _ => "check the address",
    };
    Err(Trouble::Final(HubError::Refused {
        status: answer.status(),
        url: answer.url,
        fix,
    }))
}

fn host(url: &str) -> Option<(String, Option<u16>)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.host()?.to_ascii_lowercase(), uri.port_u16()))
}

/// `target`, which may be relative, as seen from `base`.
pub(super) fn join(base: &str, target: &str) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    if target.contains("://") {
        return target.to_owned();
    }
    if let Some(other) = target.strip_prefix("//") {
        return format!("{scheme}://{other}");
    }
    if target.starts_with('/') {
        return format!("{scheme}://{authority}{target}");
    }
    let path = rest.get(authority.len()..).unwrap_or("/");
    let path = path.split(['?', '#']).next().unwrap_or("/");
    let mut parts: Vec<&str> = path.split('/').skip(1).collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." => {}
            part => parts.push(part),
        }
    }
    format!("{scheme}://{authority}/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn addresses_relative_to_a_page() {
        let base = "https://a.b:8/simple/pkg/?x=1";
        for (target, whole) in [
            ("https://c/d", "https://c/d"),
            ("//c/d", "https://c/d"),
            ("/d", "https://a.b:8/d"),
            ("d.whl#sha256=1", "https://a.b:8/simple/pkg/d.whl#sha256=1"),
            ("../../files/d", "https://a.b:8/files/d"),
            ("../../../../d", "https://a.b:8/d"),
        ] {
            assert_eq!(join(base, target), whole);
        }
    }
}
