//! What a client of a real federation keeps and sends, as files.

use std::path::Path;

use base::command::one_line;
use base::tensor_file::{Precision, TensorFile, Weights};

use super::checks::Upload;
use super::simulate::write_secret;
use super::work::{Done, SETUP, Work};
use crate::error::Result;

/// File of the private parts in a client's folder.
const PRIVATE: &str = "private.safetensors";
/// Keys of an update's metadata.
const CLIENT: &str = "hyperfl.client";
const ROUND: &str = "hyperfl.round";
const SAMPLES: &str = "hyperfl.samples";

/// Private parts before and after the last round that was done.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientState {
    round: usize,
    before: Vec<f32>,
    after: Vec<f32>,
}

impl ClientState {
    /// Reads the folder of `client`; a new client starts as all do.
    ///
    /// # Errors
    /// Where the folder belongs to other settings or to another client, or is broken.
    pub fn open(work: &Work, folder: &Path, client: usize) -> Result<Self> {
        let path = folder.join(PRIVATE);
        if !path.exists() {
            let (_, private) = work.start();
            return Ok(Self {
                round: 0,
                before: private.clone(),
                after: private,
            });
        }
        let file = Weights::open(&path)?;
        if file.metadata().get(SETUP) != Some(&work.setup()) {
            return Err(file
                .unfit("it belongs to other settings: give those, or another `--state`")
                .into());
        }
        let owner = file.metadata().get(CLIENT);
        if let Some(owner) = owner.filter(|owner| **owner != client.to_string()) {
            let reason =
                format!("it belongs to client {owner}: give the `--state` of client {client}");
            return Err(file.unfit(reason).into());
        }
        let round = file
            .metadata()
            .get(ROUND)
            .and_then(|round| round.parse().ok());
        Ok(Self {
            round: round.ok_or_else(|| file.unfit("its metadata has no round"))?,
            before: work.private_layout().read(&file, "before.")?,
            after: work.private_layout().read(&file, "after.")?,
        })
    }

    /// What `round` begins with: that round done again begins as it did.
    pub fn before(&self, round: usize) -> &[f32] {
        if round == self.round {
            &self.before
        } else {
            &self.after
        }
    }

    /// The last round that it has done; 0 for none.
    pub fn round(&self) -> usize {
        self.round
    }

    /// What the client has now.
    pub fn latest(&self) -> &[f32] {
        &self.after
    }

    /// Keeps the private parts of `client` before and after `round`, readable by their owner alone.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn keep(
        work: &Work,
        folder: &Path,
        [client, round]: [usize; 2],
        before: &[f32],
        after: &[f32],
    ) -> Result<()> {
        base::files::make_folder(folder)?;
        let mut file = TensorFile::new();
        file.note(SETUP, work.setup());
        file.note(CLIENT, client.to_string());
        file.note(ROUND, round.to_string());
        let layout = work.private_layout();
        layout.write(&mut file, "before.", before, Precision::F32)?;
        layout.write(&mut file, "after.", after, Precision::F32)?;
        write_secret(&folder.join(PRIVATE), &file)
    }
}

/// Writes what is shared, as the server sends it.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_shared(work: &Work, path: &Path, shared: &[f32]) -> Result<()> {
    let mut file = TensorFile::new();
    file.note(SETUP, work.setup());
    work.shared_layout()
        .write(&mut file, "", shared, Precision::F32)?;
    Ok(file.write(path)?)
}

/// Reads what the server sent.
///
/// # Errors
/// Where tensors are missing, misshapen or not finite.
pub fn read_shared(work: &Work, path: &Path) -> Result<Vec<f32>> {
    let file = Weights::open(path)?;
    let values = work.shared_layout().read(&file, "")?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(file.unfit("it holds values that are not finite").into()),
    }
}

/// Writes an upload: the tensors of [`Work::shared_layout`], which holds nothing private, and no others.
///
/// # Errors
/// Where the file cannot be written.
pub fn write_update(
    work: &Work,
    path: &Path,
    (client, round): (usize, usize),
    done: &Done,
    stored: Precision,
) -> Result<()> {
    let mut file = TensorFile::new();
    file.note(CLIENT, client.to_string());
    file.note(ROUND, round.to_string());
    file.note(SAMPLES, done.samples.to_string());
    work.shared_layout()
        .write(&mut file, "", &done.update, stored)?;
    Ok(file.write(path)?)
}

/// Reads an upload; one of another shape, or without its metadata, is an error in words for the log, with the client's name
/// where the file says it.
///
/// # Errors
/// Why it cannot be read.
pub fn read_update(work: &Work, path: &Path) -> Result<Upload, String> {
    let nameless = |why: String| format!("`{}`: {why}", path.display());
    let file = Weights::open(path).map_err(|error| nameless(error.to_string()))?;
    let note = |key: &str| file.metadata().get(key).map(String::as_str);
    let client = note(CLIENT).ok_or_else(|| nameless("its metadata names no client".into()))?;
    let client: String = one_line(client).chars().take(64).collect();
    let failed = |why: String| format!("client `{client}`: {why}");
    let missing = |what: &str| failed(format!("its metadata has no {what}"));
    let layout = work.shared_layout();
    if let Some(extra) = file.names().find(|name| layout.find(name).is_none()) {
        return Err(failed(format!(
            "`{}` is not among what is shared",
            one_line(extra)
        )));
    }
    let values = layout.read(&file, "");
    Ok(Upload {
        round: note(ROUND)
            .and_then(|round| round.parse().ok())
            .ok_or_else(|| missing("round"))?,
        samples: note(SAMPLES)
            .and_then(|n| n.parse().ok())
            .ok_or_else(|| missing("samples"))?,
        values: values.map_err(|error| failed(error.to_string()))?,
        client,
    })
}
