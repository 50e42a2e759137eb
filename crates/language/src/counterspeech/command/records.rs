//! `orrery counterspeech records`.

use std::path::{Path, PathBuf};

use base::command::{Context, Failure, Output, eprint_line, warn};
use base::files::write_new;
use base::job::jsonl;
use clap::Args;
use serde_json::{Value, json};

use super::options::records;
use crate::counterspeech::AuthorKey;
use crate::counterspeech::generate::{Summary, summaries_of};
use crate::counterspeech::record::read_records;
use crate::counterspeech::store::read_text;
use crate::counterspeech::study::{filter_rows, forget_records};

base::verbs! {
    /// What `orrery counterspeech records` can do.
    pub enum Records {
        /// Take in records and hide the names of their authors
        Import(Import),
        /// Delete what is kept of a record or of a person, for good
        Delete(Delete),
    }
}

/// Options of `import`.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  orrery counterspeech records import --from threads.jsonl --out records.jsonl

Each line is {\"id\", \"community\": {\"name\", \"rules\", \"examples\"}, \"thread\": [{\"author\", \"text\"}],
\"message\": {\"author\", \"text\"}, \"user\": {\"history\"}}; all but the message's text and the id may be absent.
Names become pseudonyms under a secret key, which is made where it is absent. Keep the key apart: who has it can find
a person again, to delete what is kept of them.")]
pub struct Import {
    /// Records with names
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Records without
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The secret key
    #[arg(long, value_name = "FILE", default_value = "authors.key")]
    key: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// Options of `delete`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  orrery counterspeech records delete --id t3 --data records.jsonl --replies replies.jsonl
  orrery counterspeech records delete --author Maria --key authors.key --data records.jsonl --replies replies.jsonl --study pilot")]
pub struct Delete {
    /// A record
    #[arg(
        long,
        value_name = "ID",
        required_unless_present = "author",
        conflicts_with = "author"
    )]
    id: Option<String>,
    /// An author, by name with `--key`, or by pseudonym
    #[arg(long, value_name = "NAME")]
    author: Option<String>,
    /// The key of the names
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Records
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// Replies to them, with the summaries that stand beside
    #[arg(long, value_name = "FILE")]
    replies: Option<PathBuf>,
    /// A study of those replies
    #[arg(long, value_name = "DIR")]
    study: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

fn key_at(path: &Path) -> Result<AuthorKey, Failure> {
    Ok(AuthorKey::parse(&read_text(path)?)?)
}

impl Import {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let (found, wrong) = read_records(&self.from)?;
        warn(&wrong);
        let key = match self.key.exists() {
            true => key_at(&self.key)?,
            false => {
                let key = AuthorKey::new();
                write_new(&self.key, format!("{}\n", key.text()).as_bytes())?;
                own_only(&self.key)?;
                eprint_line(&format!(
                    "note: the key of the names is in `{}`: keep it apart from the records",
                    self.key.display()
                ));
                key
            }
        };
        let hidden: Vec<_> = found.into_iter().map(|it| key.hide(it)).collect();
        jsonl::write(&self.out, &hidden)?;
        self.output.print(
            &json!({"records": hidden.len(), "left_out": wrong.len()}),
            &format!(
                "{} records in `{}`, {} left out",
                hidden.len(),
                self.out.display(),
                wrong.len()
            ),
        )
    }
}

#[cfg(unix)]
fn own_only(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt;
    let rights = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, rights).map_err(Failure::failed)
}

#[cfg(not(unix))]
fn own_only(_: &Path) -> Result<(), Failure> {
    Ok(())
}

impl Delete {
    fn run(&self, _: Context) -> Result<(), Failure> {
        let all = records(&self.data)?;
        let author = match (&self.author, &self.key) {
            (Some(name), Some(key)) => Some([name.clone(), key_at(key)?.pseudonym(name)]),
            (Some(name), None) => Some([name.clone(), name.clone()]),
            _ => None,
        };
        let is_author = |name: &str| {
            author
                .as_ref()
                .is_some_and(|names| names.iter().any(|it| it == name))
        };
        // A person's messages go, and the conversations in which they spoke.
        let forgotten: Vec<&str> = all
            .iter()
            .filter(|it| {
                let mut turns = it.thread.iter().chain([&it.message]);
                self.id.as_ref() == Some(&it.id) || turns.any(|turn| is_author(&turn.author))
            })
            .map(|it| it.id.as_str())
            .collect();
        if forgotten.is_empty() && self.author.is_none() {
            return Err(Failure::input(format!(
                "`{}` has no record `{}`: nothing was deleted",
                self.data.display(),
                self.id.as_deref().unwrap_or_default()
            )));
        }
        let goes = |id: &str| forgotten.contains(&id);
        let of_record = |row: &Value, field: &str| row[field].as_str().is_some_and(goes);
        let mut rows = 0;
        rows += filter_rows::<Value>(&self.data, |row| !of_record(row, "id"))?;
        if let Some(path) = &self.replies {
            rows += filter_rows::<Value>(path, |row| !of_record(row, "record"))?;
            let people: Vec<&str> = all
                .iter()
                .filter(|it| goes(&it.id))
                .map(|it| it.message.author.as_str())
                .collect();
            let about =
                |it: &Summary| is_author(&it.author) || people.contains(&it.author.as_str());
            rows += filter_rows::<Summary>(&summaries_of(path), |it| !about(it))?;
        }
        if let Some(folder) = &self.study {
            rows += forget_records(folder, &goes)?;
        }
        self.output.print(
            &json!({"records": forgotten, "rows": rows}),
            &format!(
                "{} records and all that was made of them are deleted, {rows} rows; tables of indicators and reports have to be made again",
                forgotten.len()
            ),
        )
    }
}
