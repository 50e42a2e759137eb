//! Public labelled sets as records, split once by a rule that depends on the text alone.
//!
//! The sets contain offensive language; none of their texts is part of this program. They are read from a folder that the
//! user gives (`xstest`, `hatecheck`, `hate-offensive-tweets`, `halueval-general`, each with the files of its authors).

use std::collections::BTreeMap;
use std::path::Path;

use base::hash::{FNV_START, fnv1a};
use serde_json::Value;

use super::error::GuardianError;
use super::prompt::Message;
use super::record::Record;
use super::risk::RiskConfig;

/// Which part of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Split {
    /// Six tenths, to learn from.
    Train,
    /// One tenth, to choose by.
    Dev,
    /// Three tenths, read by the proof alone.
    Test,
}

/// The rule: what belongs together (a contrast pair's key word, a template without its target, a text) has one key, and the
/// key's hash decides.
pub fn split_of(set: &str, key: &str) -> Split {
    let hash = fnv1a(
        FNV_START,
        set.bytes().chain([0]).chain(key.to_lowercase().bytes()),
    );
    // The low bits of FNV alone are weak.
    match (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32 & 0xffff {
        0..39_322 => Split::Train,
        39_322..45_876 => Split::Dev,
        _ => Split::Test,
    }
}

/// Definition of the risk that HaluEval labels: answers from memory, without a context. Ours.
pub const MADE_UP: &str =
    "The assistant's message states facts that are made up, wrong or impossible to check.";

/// Names of the sets.
pub const SETS: [&str; 4] = [
    "xstest",
    "hatecheck",
    "hate-offensive-tweets",
    "halueval-general",
];

/// The records of `split` of one set in `folder`, each with the set's name under `set`, in the order of its file.
///
/// # Errors
/// [`GuardianError::Data`] when a file is absent or not as its authors made it.
pub fn read_set(folder: &Path, set: &str, split: Split) -> Result<Vec<Record>, GuardianError> {
    let all = match set {
        "xstest" => xstest(folder),
        "hatecheck" => hatecheck(folder),
        "hate-offensive-tweets" => tweets(folder),
        "halueval-general" => halueval(folder),
        other => Err(GuardianError::Data(format!(
            "there is no set `{other}`: {}",
            SETS.join(", ")
        ))),
    }?;
    let mut records = Vec::new();
    for (key, mut record) in all {
        if split_of(set, &key) == split {
            record.rest.insert("set".into(), Value::from(set));
            records.push(record);
        }
    }
    Ok(records)
}

type Keyed = Vec<(String, Record)>;

fn builtin(name: &str) -> Result<RiskConfig, GuardianError> {
    RiskConfig::new(Some(name), None)
}

/// Prompts: harm. Answers: a full answer to an unsafe prompt is harm; a full refusal of a safe one is evasive.
fn xstest(folder: &Path) -> Result<Keyed, GuardianError> {
    let (harm, profanity, evasive) = (
        builtin("harm")?,
        builtin("profanity")?,
        builtin("evasiveness")?,
    );
    let mut all = Vec::new();
    let mut keys = BTreeMap::new();
    for row in table(&folder.join("xstest/xstest_prompts.csv"))? {
        let [id, prompt, label] =
            ["id", "prompt", "label"].map(|name| row.get(name).cloned().unwrap_or_default());
        // Safe prompts and their unsafe contrasts share the key word.
        let key = row
            .get("focus")
            .filter(|focus| !focus.is_empty())
            .cloned()
            .unwrap_or_else(|| prompt.clone());
        let messages = vec![Message::new("user", prompt)];
        let mut record = Record::new(
            format!("prompt-{id}"),
            messages.clone(),
            &harm,
            Some(label == "unsafe"),
        );
        record.rest.insert("kind".into(), Value::from("prompt"));
        all.push((key.clone(), record));
        let mut polite = Record::new(format!("polite-{id}"), messages, &profanity, Some(false));
        polite.rest.insert("kind".into(), Value::from("contrast"));
        all.push((key.clone(), polite));
        keys.insert(id, (key, label == "unsafe"));
    }
    for row in table(&folder.join("xstest/completions.csv"))? {
        let get = |name: &str| row.get(name).cloned().unwrap_or_default();
        let Some((key, unsafe_prompt)) = keys.get(&get("id")) else {
            continue;
        };
        let (complied, refused) = (
            get("final_label").starts_with('1'),
            get("final_label").starts_with('2'),
        );
        if !complied && !refused {
            continue;
        }
        let messages = vec![
            Message::new("user", get("prompt")),
            Message::new("assistant", get("completion")),
        ];
        let id = format!("{}-{}", get("model"), get("id"));
        for (risk, risky) in [
            (&harm, complied && *unsafe_prompt),
            (&evasive, refused && !unsafe_prompt),
        ] {
            let mut record = Record::new(
                format!("{id}-{}", risk.name()),
                messages.clone(),
                risk,
                Some(risky),
            );
            record.rest.insert("kind".into(), Value::from("answer"));
            all.push((key.clone(), record));
        }
    }
    Ok(all)
}

/// Hateful cases: social bias. Cases of one template, which differ in the group that is named, belong together.
fn hatecheck(folder: &Path) -> Result<Keyed, GuardianError> {
    let bias = builtin("social_bias")?;
    let mut all = Vec::new();
    for row in table(&folder.join("hatecheck/hatecheck.csv"))? {
        let get = |name: &str| row.get(name).cloned().unwrap_or_default();
        let record = Record::new(
            get("case_id"),
            vec![Message::new("user", get("text"))],
            &bias,
            Some(get("label") == "hateful"),
        );
        // Functions are held out whole where that is possible: their first four words stand for the template.
        let words: Vec<String> = get("text")
            .split_whitespace()
            .take(3)
            .map(str::to_owned)
            .collect();
        all.push((
            format!("{} {}", get("functionality"), words.join(" ")),
            record,
        ));
    }
    Ok(all)
}

/// Votes of the crowd: hate is social bias, offensive language profanity; tweets that are neither have neither.
fn tweets(folder: &Path) -> Result<Keyed, GuardianError> {
    let (bias, profanity) = (builtin("social_bias")?, builtin("profanity")?);
    let mut all = Vec::new();
    for row in table(&folder.join("hate-offensive-tweets/tweets.csv"))? {
        let get = |name: &str| row.get(name).cloned().unwrap_or_default();
        let (text, label) = (get("text"), get("label"));
        let messages = vec![Message::new("user", text.clone())];
        let record = |risk: &RiskConfig, risky| {
            Record::new(
                format!("{}-{}", get("id"), risk.name()),
                messages.clone(),
                risk,
                Some(risky),
            )
        };
        all.push((text.clone(), record(&bias, label == "hate")));
        if label != "hate" {
            all.push((text, record(&profanity, label == "offensive")));
        }
    }
    Ok(all)
}

/// Answers from memory with a human label.
fn halueval(folder: &Path) -> Result<Keyed, GuardianError> {
    let path = folder.join("halueval-general/general.jsonl");
    let risk = RiskConfig::new(Some("hallucination"), Some(MADE_UP))?;
    let mut all = Vec::new();
    for line in read_text(&path)?
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let row: Value = serde_json::from_str(line).map_err(|error| {
            GuardianError::Data(format!(
                "`{}` holds a line that is no JSON ({error})",
                path.display()
            ))
        })?;
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let messages = vec![
            Message::new("user", text("user_query")),
            Message::new("assistant", text("chatgpt_response")),
        ];
        let record = Record::new(
            row["ID"].clone(),
            messages,
            &risk,
            Some(text("hallucination") == "yes"),
        );
        all.push((text("user_query"), record));
    }
    Ok(all)
}

fn read_text(path: &Path) -> Result<String, GuardianError> {
    std::fs::read_to_string(path).map_err(|error| {
        GuardianError::Data(format!(
            "cannot read `{}`: {error}: give the folder that holds the sets",
            path.display()
        ))
    })
}

/// The rows of a CSV file by its header (RFC 4180: quotes, doubled quotes, line breaks within quotes).
fn table(path: &Path) -> Result<Vec<BTreeMap<String, String>>, GuardianError> {
    let text = read_text(path)?;
    let mut rows = cells(&text).into_iter();
    let header = rows.next().unwrap_or_default();
    let fitting = rows.filter(|row| row.len() == header.len());
    Ok(fitting
        .map(|row| header.iter().cloned().zip(row).collect())
        .collect())
}

fn cells(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut cell));
                rows.push(std::mem::take(&mut row));
            }
            c => cell.push(c),
        }
    }
    if !cell.is_empty() || !row.is_empty() {
        row.push(cell);
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_may_hold_commas_quotes_and_lines() {
        let rows = cells("a,b\r\n\"x, \"\"y\"\"\nz\",2\n,");
        assert_eq!(
            rows,
            [vec!["a", "b"], vec!["x, \"y\"\nz", "2"], vec!["", ""]]
        );
    }

    #[test]
    fn the_split_is_a_rule_and_not_a_draw() {
        let count = |split| {
            (0..10_000)
                .filter(|i| split_of("set", &format!("key {i}")) == split)
                .count()
        };
        let [train, dev, test] = [Split::Train, Split::Dev, Split::Test].map(count);
        assert!(
            (5_700..6_300).contains(&train)
                && (800..1_200).contains(&dev)
                && train + dev + test == 10_000
        );
        assert_eq!(split_of("xstest", "Kill"), split_of("xstest", "kill"));
        assert_ne!(
            (0..20)
                .map(|i| split_of("a", &i.to_string()))
                .collect::<Vec<_>>(),
            (0..20)
                .map(|i| split_of("b", &i.to_string()))
                .collect::<Vec<_>>()
        );
    }
}
