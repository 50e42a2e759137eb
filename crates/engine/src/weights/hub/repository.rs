//! Files of a repository on the hub.

use std::fs;

use serde_json::Value;

use super::cache::{ModelId, Pulled, link, make, relative};
use super::client::Client;
use super::download::{Hash, Wanted};
use super::{HubError, HubSettings, Listener};
use base::files::write_bytes;

/// Files that a repository may have.
const MOST_FILES: usize = 100_000;

/// A file of a repository.
#[derive(Debug)]
struct Listed {
    name: String,
    size: Option<u64>,
    hash: Option<Hash>,
}

/// Fetches the files of `id` that match one of `globs` (`*` and `?` as in a shell, over the whole path) into the cache;
/// without any, what a model needs: its weights (safetensors, else the only GGUF file, else PyTorch's), configuration and
/// tokenizer. What is there already is not fetched again.
///
/// # Errors
/// [`HubError`]; what came before is kept.
pub fn pull(
    id: &ModelId,
    globs: &[String],
    settings: &HubSettings,
    listen: &mut Listener<'_>,
) -> Result<Pulled, HubError> {
    if settings.offline {
        return Err(HubError::Offline {
            name: id.to_string(),
            cache: settings.cache.clone(),
        });
    }
    let client = Client::new(settings)?;
    let url = format!(
        "{}/api/models/{}/revision/{}?blobs=true",
        settings.endpoint,
        id.repository,
        id.revision.replace('/', "%2F")
    );
    let (_, page) = client.page(&url, &[("accept", "application/json")])?;
    let page: Value =
        serde_json::from_slice(&page).map_err(|cause| HubError::answer(&url, cause))?;
    let commit = page["sha"]
        .as_str()
        .filter(|it| it.len() == 40 && it.bytes().all(|c| c.is_ascii_hexdigit()));
    let commit = commit
        .ok_or_else(|| HubError::answer(&url, "it names no commit"))?
        .to_owned();
    let listed = list(&page, &url)?;
    let chosen = choose(listed, globs, id)?;
    let folder = id.folder(&settings.cache);
    let snapshot = folder.join("snapshots").join(&commit);
    make(&folder.join("blobs"))?;
    make(&snapshot)?;
    let mut fetched = 0;
    let mut files = Vec::new();
    for file in chosen {
        client.check_stop()?;
        let url = format!(
            "{}/{}/resolve/{commit}/{}",
            settings.endpoint,
            id.repository,
            escape(&file.name)
        );
        let hash = match file.hash {
            Some(hash) => hash,
            None => announced(&client, &url)?,
        };
        let target = folder.join("blobs").join(hash.digits());
        let wanted = Wanted {
            name: &file.name,
            url: &url,
            size: file.size,
            hash: hash.clone(),
            target: &target,
        };
        fetched += client.fetch(&wanted, listen)?;
        link(&folder, &snapshot, &file.name, hash.digits())?;
        files.push(file.name);
    }
    // The branch leads to the commit only once all files are there.
    if id.revision != commit {
        let reference = folder.join("refs").join(&id.revision);
        make(reference.parent().unwrap_or(&folder))?;
        if fs::read_to_string(&reference).ok().as_deref() != Some(commit.as_str()) {
            write_bytes(&reference, commit.as_bytes())?;
        }
    }
    Ok(Pulled {
        model: id.to_string(),
        commit,
        folder: snapshot,
        files,
        fetched,
    })
}

/// The files that the hub's page lists.
fn list(page: &Value, url: &str) -> Result<Vec<Listed>, HubError> {
    let siblings = page["siblings"].as_array();
    let siblings = siblings.ok_or_else(|| HubError::answer(url, "it lists no files"))?;
    if siblings.len() > MOST_FILES {
        return Err(HubError::answer(url, "it lists too many files"));
    }
    let file = |it: &Value| {
        let name = it["rfilename"].as_str().unwrap_or_default();
        if !relative(name) {
            let name: String = name.chars().take(80).collect();
            return Err(HubError::answer(
                url,
                format!("it lists a file `{name}`, which leads out of its folder"),
            ));
        }
        let lfs = it["lfs"]["sha256"].as_str().and_then(Hash::parse);
        let git = it["blobId"].as_str().and_then(Hash::parse);
        Ok(Listed {
            name: name.to_owned(),
            size: it["lfs"]["size"].as_u64().or(it["size"].as_u64()),
            hash: lfs.or(git),
        })
    };
    siblings.iter().map(file).collect()
}

/// The hash that the hub names in the headers of a file, where its list does not.
fn announced(client: &Client<'_>, url: &str) -> Result<Hash, HubError> {
    let answer = client.retry(url, |_| {
        super::client::check(client.get(url, &[("range", "bytes=0-0")])?)
    })?;
    let tag = answer.header("x-linked-etag").or(answer.header("etag"));
    let hash = tag.and_then(Hash::parse);
    hash.ok_or_else(|| HubError::answer(url, "it names no checksum"))
}

/// The files to fetch.
fn choose(listed: Vec<Listed>, globs: &[String], id: &ModelId) -> Result<Vec<Listed>, HubError> {
    let names: Vec<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    let none = |wanted: String, names: &[&str]| {
        let shown: Vec<String> = names
            .iter()
            .take(12)
            .map(|name| format!("`{name}`"))
            .collect();
        let more = match names.len().saturating_sub(12) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        HubError::NoFile {
            name: id.to_string(),
            wanted,
            listed: shown.join(", ") + &more,
        }
    };
    if let Some(glob) = globs
        .iter()
        .find(|glob| !names.iter().any(|name| matches(glob, name)))
    {
        return Err(none(format!("`--file {glob}`"), &names));
    }
    let ends = |end: &str| {
        names
            .iter()
            .copied()
            .filter(|name| name.ends_with(end))
            .collect::<Vec<_>>()
    };
    let gguf = ends(".gguf");
    let weights: &[&str] = if !globs.is_empty() {
        &[]
    } else if !ends(".safetensors").is_empty() {
        &["*.safetensors"]
    } else if gguf.len() == 1 {
        &["*.gguf"]
    } else if !gguf.is_empty() {
        return Err(none("one GGUF file: choose with `--file`".into(), &gguf));
    } else {
        &["*.bin", "*.pt", "*.pth"]
    };
    let model = ["*.json", "*.model", "*.jinja", "*.txt"];
    let usual: Vec<&str> = weights.iter().copied().chain(model).collect();
    let wanted = |name: &str| match globs.is_empty() {
        false => globs.iter().any(|glob| matches(glob, name)),
        true => usual.iter().any(|glob| matches(glob, name)) && !name.contains('/'),
    };
    let all: String = listed
        .iter()
        .map(|it| it.name.as_str())
        .collect::<Vec<_>>()
        .join(", ");
    let chosen: Vec<Listed> = listed.into_iter().filter(|it| wanted(&it.name)).collect();
    match chosen.is_empty() {
        true => Err(none("a model".into(), &[&all])),
        false => Ok(chosen),
    }
}

/// Whether `name` fits `glob`: `*` stands for any characters, `?` for one. Time grows with the product of the lengths.
fn matches(glob: &str, name: &str) -> bool {
    let (glob, name): (Vec<char>, Vec<char>) = (glob.chars().collect(), name.chars().collect());
    // Which beginnings of the name fit the glob so far.
    let mut fits = vec![false; name.len() + 1];
    fits[0] = true;
    for sign in glob {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match sign {
                '*' => fits[at] || (at > 0 && next[at - 1]),
                '?' => at > 0 && fits[at - 1],
                sign => at > 0 && fits[at - 1] && name[at - 1] == sign,
            };
        }
        fits = next;
    }
    fits[name.len()]
}

/// A path in an address.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(byte.into())
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_choose_over_the_whole_path() {
        for (glob, name, fits) in [
            ("*.gguf", "a.Q4_1.gguf", true),
            ("*Q4_?.gguf", "x/a.Q4_1.gguf", true),
            ("*.gguf", "a.ggufx", false),
            ("model*", "model-00001.safetensors", true),
            ("a", "ab", false),
            ("***", "", true),
            ("?", "한", true),
        ] {
            assert_eq!(matches(glob, name), fits, "{glob} {name}");
        }
        assert_eq!(escape("a b/한?.json"), "a%20b/%ED%95%9C%3F.json");
    }
}
