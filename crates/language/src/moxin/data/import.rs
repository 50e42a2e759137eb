//! Folders of text files as JSON lines.

use std::path::{Path, PathBuf};

use base::command::{Context, Steps, Stopped};
use base::files::write_atomic;
use serde_json::{Value, json};

use super::html;
use super::job::{Hashed, Job};
use super::pieces::files;
use super::tally::Tally;
use crate::moxin::SystemError;

/// Largest file that is one document, in bytes.
const LARGEST: u64 = 64 << 20;
/// Endings of files that hold text.
const ENDINGS: [&str; 8] = [
    "txt", "md", "markdown", "rst", "text", "html", "htm", "xhtml",
];

/// Files that hold no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strange {
    /// Are left out.
    Skip,
    /// Are read as Latin-1, of which every byte is a character.
    Latin1,
}

/// Writes all text files in `inputs` to `out/00000-import.jsonl`, one document a file, in the order of their paths.
///
/// # Errors
/// [`SystemError`].
pub fn import(
    inputs: &[PathBuf],
    out: &Path,
    strange: Strange,
    context: Context,
) -> Result<Tally, SystemError> {
    let wanted = |name: &str| {
        let ending = name
            .rsplit_once('.')
            .map(|(_, ending)| ending.to_lowercase());
        ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
    };
    let mut all = Vec::new();
    for input in inputs {
        all.extend(files(input, &wanted)?.into_iter().map(|file| (input, file)));
    }
    let job = Job {
        step: "import",
        params: json!({"latin1": strange == Strange::Latin1}),
        pieces: Vec::new(),
        out,
        shard: None,
        stop: context.stop,
    };
    job.begin()?;
    let mut tally = Tally {
        file: "00000-import.jsonl".into(),
        ..Tally::default()
    };
    let mut steps = Steps::new("files", false);
    let mut stopped = false;
    let path = out.join(&tally.file);
    let written = write_atomic(&path, |to| {
        let mut to = Hashed::new(to);
        for (at, (input, file)) in all.iter().enumerate() {
            steps.at(at, all.len());
            if context.stopped() {
                stopped = true;
                return Err(std::io::Error::other("stopped"));
            }
            let name = file
                .strip_prefix(input)
                .ok()
                .filter(|name| *name != Path::new(""))
                .unwrap_or(file);
            tally.documents += 1;
            match text_of(file, strange) {
                Ok(text) => {
                    tally.text_bytes += text.len() as u64;
                    tally.keep(&text);
                    let name = name.to_string_lossy();
                    let line = json!({"text": text, "meta": {"path": name}});
                    std::io::Write::write_all(&mut to, format!("{line}\n").as_bytes())?;
                }
                Err(reason) => {
                    tally.remove(reason);
                    if tally.troubles.len() < 10 {
                        tally.troubles.push(format!(
                            "`{}`: {}: left out",
                            file.display(),
                            reason.replace('_', " ")
                        ));
                    }
                }
            }
        }
        (tally.file_bytes, tally.sha256) = to.finish();
        Ok(())
    });
    steps.finish();
    match stopped {
        true => return Err(Stopped::resumable().into()),
        false => written?,
    }
    let total = job.manifest(std::slice::from_ref(&tally), &Value::Null)?;
    Ok(total)
}

/// The text of a file, or the reason why it has none.
fn text_of(path: &Path, strange: Strange) -> Result<String, &'static str> {
    let size = std::fs::metadata(path).map_err(|_| "unreadable")?.len();
    if size > LARGEST {
        return Err("too_large");
    }
    let bytes = std::fs::read(path).map_err(|_| "unreadable")?;
    let text = decode(&bytes, strange)?;
    let ending = path
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    let page = ending.is_some_and(|ending| ending.contains("htm"));
    let text = if page { html::extract(&text) } else { text };
    match text.trim().is_empty() {
        true => Err("empty"),
        false => Ok(text),
    }
}

/// UTF-8, UTF-16 with its mark, or what `strange` allows.
fn decode(bytes: &[u8], strange: Strange) -> Result<String, &'static str> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        String::from_utf16(&units.collect::<Vec<u16>>()).map_err(|_| "not_utf16")
    };
    if let Some(rest) = bytes.strip_prefix(b"\xff\xfe") {
        return wide(rest, u16::from_le_bytes);
    }
    if let Some(rest) = bytes.strip_prefix(b"\xfe\xff") {
        return wide(rest, u16::from_be_bytes);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err("binary");
    }
    match (std::str::from_utf8(bytes), strange) {
        (Ok(text), _) => Ok(text.to_owned()),
        (Err(_), Strange::Latin1) => Ok(bytes.iter().map(|&byte| char::from(byte)).collect()),
        (Err(_), Strange::Skip) => Err("not_utf8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        assert_eq!(decode(b"\xef\xbb\xbfa", Strange::Skip).as_deref(), Ok("a"));
        assert_eq!(decode(b"\xff\xfea\0", Strange::Skip).as_deref(), Ok("a"));
        assert_eq!(decode(b"\xfe\xff\0a", Strange::Skip).as_deref(), Ok("a"));
        assert_eq!(decode(b"caf\xe9", Strange::Skip), Err("not_utf8"));
        assert_eq!(decode(b"caf\xe9", Strange::Latin1).as_deref(), Ok("café"));
        assert_eq!(decode(b"\x7fELF\0\0", Strange::Latin1), Err("binary"));
    }
}
