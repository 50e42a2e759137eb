//! Public labelled sets as records, split once by a rule that depends on the text alone.
//!
//! The sets contain offensive language; none of their texts is part of this program. They are read from a folder that the
//! user gives (`xstest`, `hatecheck`, `hate-offensive-tweets`, `halueval-general`, each with the files of its authors).

use std::collections::BTreeMap;
use std::path::Path;

use base::hash::{FNV_START, fnv1a};
use serde_json::Value;

use super::prompt::Message;
use super::record::Record;
use super::risk::RiskConfig;
use engine::SystemError;

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

/// Names of the sets; the answers of `xstest` are one of their own.
pub const SETS: [&str; 5] = [
    "xstest",
    "xstest-answers",
    "hatecheck",
    "hate-offensive-tweets",
    "halueval-general",
];

/// The records of `split` of one set in `folder`, each with the set's name under `set`, in the order of its file.
///
/// # Errors
/// [`SystemError::Input`] when a file is absent or not as its authors made it.
pub fn read_set(folder: &Path, set: &str, split: Split) -> Result<Vec<Record>, SystemError> {
    let all = match set {
        "xstest" => xstest(folder),
        "xstest-answers" => xstest_answers(folder),
        "hatecheck" => hatecheck(folder),
        "hate-offensive-tweets" => tweets(folder),
        "halueval-general" => halueval(folder),
        other => Err(SystemError::Input(format!(
            "there is no set `{other}`: {}",
            SETS.join(", ")
        ))),
    }?;
    let mut records = Vec::new();
    for (key, mut record) in all {
        // Answers are where their prompts are.
        if split_of(set.trim_end_matches("-answers"), &key) == split {
            record.rest.insert("set".into(), Value::from(set));
            records.push(record);
        }
    }
    Ok(records)
}

type Keyed = Vec<(String, Record)>;

fn builtin(name: &str) -> Result<RiskConfig, SystemError> {
    RiskConfig::new(Some(name), None)
}

/// Safe prompts and their unsafe contrasts share the key word.
fn xstest_key(row: &BTreeMap<String, String>) -> String {
    let focus = row.get("focus").filter(|focus| !focus.is_empty());
    focus.or(row.get("prompt")).cloned().unwrap_or_default()
}

/// Unsafe prompts: harm. None is profane, though many sound alarming.
fn xstest(folder: &Path) -> Result<Keyed, SystemError> {
    let (harm, profanity) = (builtin("harm")?, builtin("profanity")?);
    let mut all = Vec::new();
    for row in table(&folder.join("xstest/xstest_prompts.csv"))? {
        let get = |name: &str| row.get(name).cloned().unwrap_or_default();
        let messages = || vec![Message::new("user", get("prompt"))];
        let id = get("id");
        let harmful = Some(get("label") == "unsafe");
        let record = Record::new(format!("prompt-{id}"), messages(), &harm, harmful);
        all.push((xstest_key(&row), record));
        let polite = Record::new(format!("polite-{id}"), messages(), &profanity, Some(false));
        all.push((xstest_key(&row), polite));
    }
    Ok(all)
}

/// Answers of five models: a full answer to an unsafe prompt is harm, a full refusal of a safe one is evasive.
fn xstest_answers(folder: &Path) -> Result<Keyed, SystemError> {
    let (harm, evasive) = (builtin("harm")?, builtin("evasiveness")?);
    let prompts = table(&folder.join("xstest/xstest_prompts.csv"))?;
    // The two files number the prompts differently.
    let of = |row: &BTreeMap<String, String>| {
        let unsafe_prompt = row.get("label").is_some_and(|label| label == "unsafe");
        Some((row.get("prompt")?.clone(), (xstest_key(row), unsafe_prompt)))
    };
    let keys: BTreeMap<_, _> = prompts.iter().filter_map(of).collect();
    let mut all = Vec::new();
    for row in table(&folder.join("xstest/completions.csv"))? {
        let get = |name: &str| row.get(name).cloned().unwrap_or_default();
        let Some((key, unsafe_prompt)) = keys.get(&get("prompt")) else {
            continue;
        };
        let label = get("final_label");
        let (complied, refused) = (label.starts_with('1'), label.starts_with('2'));
        if !complied && !refused {
            continue;
        }
        let messages = [("user", "prompt"), ("assistant", "completion")]
            .map(|(role, name)| Message::new(role, get(name)));
        let id = format!("{}-{}", get("model"), get("id"));
        for (risk, risky) in [
            (&harm, complied && *unsafe_prompt),
            (&evasive, refused && !unsafe_prompt),
        ] {
            let record = Record::new(
                format!("{id}-{}", risk.name()),
                messages.to_vec(),
                risk,
                Some(risky),
            );
            all.push((key.clone(), record));
        }
    }
    Ok(all)
}

/// Hateful cases: social bias. Cases of one template, which differ in the group that is named, belong together.
fn hatecheck(folder: &Path) -> Result<Keyed, SystemError> {
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
fn tweets(folder: &Path) -> Result<Keyed, SystemError> {
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
fn halueval(folder: &Path) -> Result<Keyed, SystemError> {
    let path = folder.join("halueval-general/general.jsonl");
    let risk = RiskConfig::new(Some("hallucination"), Some(MADE_UP))?;
    let mut all = Vec::new();
    for line in read_text(&path)?
        .lines()
        .filter(|line| !line.trim().is_empty())
    {
        let row: Value = serde_json::from_str(line).map_err(|error| {
            SystemError::Input(format!(
                "`{}` holds a line that is not JSON ({error})",
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

fn read_text(path: &Path) -> Result<String, SystemError> {
    base::files::read_to_string(path).map_err(|error| {
        SystemError::Input(format!(
            "cannot read `{}`: {error}: give the folder that holds the sets",
            path.display()
        ))
    })
}

/// The rows of a CSV file by its header (RFC 4180: quotes, doubled quotes, line breaks within quotes).
fn table(path: &Path) -> Result<Vec<BTreeMap<String, String>>, SystemError> {
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
