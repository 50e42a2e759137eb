//! Parity of CodeArena with the official code, and the whole chain against scripted judges.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Mutex;

use base::endpoint::ChatError;
use base::fixtures::{Case, cases, report};
use judge::codearena::backend::{Call, Judge};
use judge::codearena::config::JudgeConfig;
use judge::codearena::games::{GAMES, Matchup, play};
use judge::codearena::item::Item;
use judge::codearena::scores::{Ending, JudgedItem, Scores};
use judge::codearena::taxonomy::Taxonomy;
use judge::codearena::verdict::{PATTERN, Verdict};
use serde_json::{Value, json};

fn committed() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

fn each<'a>(case: &'a Case, run: &mut dyn FnMut(&'a Value)) -> usize {
    let all = case.json["cases"].as_array().unwrap();
    all.iter().for_each(run);
    all.len()
}

#[test]
fn verdict_parse() {
    let pattern = regex::Regex::new(PATTERN).unwrap();
    let mut ran = 0;
    for case in &cases("codearena", "verdict_parse", committed()) {
        ran += each(case, &mut |one| {
            let verdict = Verdict::read(&pattern, one["in"].as_str().unwrap());
            assert_eq!(verdict.label(), one["label"].as_str(), "{one}");
            assert_eq!(
                verdict == Verdict::Missing,
                one["try_again"].as_bool().unwrap(),
                "{one}"
            );
        });
    }
    report("codearena", "verdict_parse", ran);
}

/// Gives scripted replies in turn and remembers what it was asked.
struct Script {
    replies: Vec<String>,
    calls: Mutex<Vec<Value>>,
}

impl Judge for Script {
    fn name(&self) -> String {
        "script".into()
    }

    fn judge(&self, call: &Call<'_>) -> Result<String, ChatError> {
        let mut calls = self.calls.lock().unwrap();
        let reply = self.replies.get(calls.len()).cloned();
        calls.push(json!({
            "messages": call.messages, "temperature": call.temperature, "max_tokens": call.max_tokens,
        }));
        match reply.as_deref() {
            Some("__RAISE__") => Err(ChatError::Unable("the call fails".into())),
            Some(reply) => Ok(reply.to_owned()),
            None => panic!("asked once more than the official code asks"),
        }
    }
}

/// The field that ends in `_response`, which is the baseline's.
fn baseline(item: &Value) -> String {
    let fields = item.as_object().unwrap();
    let (_, text) = fields
        .iter()
        .find(|(name, _)| name.ends_with("_response"))
        .unwrap();
    text.as_str().unwrap().to_owned()
}

#[test]
fn two_games() {
    let mut ran = 0;
    for case in &cases("codearena", "two_games", committed()) {
        ran += each(case, &mut |one| {
            let mut config = JudgeConfig::builtin().unwrap();
            // The official wording comes from the case, where it has it.
            let first = &one["first_call"];
            if let Some(system) = first["messages"][0]["content"].as_str() {
                config.system_prompt = system.to_owned();
            }
            let item = Item::from_record(one["item"].as_object().unwrap().clone(), 1).unwrap();
            let (baseline, model) = (
                baseline(&one["item"]),
                item.text("response").unwrap().to_owned(),
            );
            let the_match = Matchup {
                id: &item.id,
                question: &item.question,
                baseline: &baseline,
                model: &model,
            };
            let replies = one["replies"].as_array().unwrap().iter();
            let script = Script {
                replies: replies
                    .map(|reply| reply.as_str().unwrap().to_owned())
                    .collect(),
                calls: Mutex::default(),
            };
            let games: Vec<_> = (0..GAMES)
                .map(|game| play(&the_match, game, &config, &script).unwrap())
                .collect();
            for (game, expected) in games.iter().zip(one["games"].as_array().unwrap()) {
                assert_eq!(game.user_prompt, expected["user_prompt"].as_str().unwrap());
                assert_eq!(game.judgment, expected["judgment"].as_str().unwrap());
                assert_eq!(game.score.as_deref(), expected["score"].as_str());
            }
            let calls = script.calls.into_inner().unwrap();
            let wanted = one["calls"].as_array().unwrap();
            assert_eq!(calls.len(), wanted.len(), "{}", item.id);
            for (call, wanted) in calls.iter().zip(wanted) {
                let messages = call["messages"].as_array().unwrap();
                assert_eq!(
                    messages.len() as u64,
                    wanted["n_messages"].as_u64().unwrap()
                );
                let roles: Vec<&Value> = messages.iter().map(|message| &message["role"]).collect();
                assert_eq!(json!(roles), wanted["roles"]);
                let last = messages.last().unwrap()["content"].as_str().unwrap();
                assert!(last.ends_with(wanted["last"].as_str().unwrap()), "{last}");
            }
            if !first.is_null() {
                for field in ["messages", "temperature", "max_tokens"] {
                    assert_eq!(calls[0][field], first[field]);
                }
            }
        });
    }
    report("codearena", "two_games", ran);
}

#[test]
fn scores() {
    let mut ran = 0;
    for case in &cases("codearena", "scores", committed()) {
        let tolerance = case.tolerance("score", 1e-12);
        ran += each(case, &mut |one| {
            let objects = one["objs"].as_array().unwrap();
            let items: Vec<JudgedItem> = objects
                .iter()
                .map(|object| {
                    let mut record = object.as_object().unwrap().clone();
                    record.insert("question".into(), "q".into());
                    JudgedItem::new(Item::from_record(record, 0).unwrap()).unwrap()
                })
                .collect();
            let scores = Scores::of(&items, None);
            let official = scores.official();
            for key in ["score", "win_rate", "tie_rate"] {
                let (got, want) = (official[key].as_f64().unwrap(), one[key].as_f64().unwrap());
                assert!((got - want).abs() <= tolerance, "{key}: {got} {want}");
            }
            assert_eq!(official["main_classified_win_rate"], one["main"]);
            assert_eq!(official["sub_classified_win_rate"], one["sub"]);
            let flags = |ending: Ending| -> Vec<f64> {
                items
                    .iter()
                    .map(|item| f64::from(u8::from(item.result() == ending)))
                    .collect()
            };
            assert_eq!(json!(flags(Ending::Win)), one["if_win"]);
            assert_eq!(json!(flags(Ending::Tie)), one["if_tie"]);
            // Classes come in the order in which their first items come.
            let mut order: Vec<&str> = Vec::new();
            for item in &items {
                if !order.contains(&item.class.main) {
                    order.push(item.class.main);
                }
            }
            assert!(scores.main.iter().map(|(name, _)| name.as_str()).eq(order));
        });
    }
    report("codearena", "scores", ran);
}

#[test]
fn task_taxonomy() {
    let mut ran = 0;
    for case in &cases("codearena", "task_taxonomy", committed()) {
        for (task, pairs) in case.json["taxonomy"].as_object().unwrap() {
            let candidates = Taxonomy::official()
                .candidates(task)
                .unwrap_or_else(|| panic!("no `{task}`"));
            let ours: Vec<[&str; 2]> = candidates
                .iter()
                .map(|class| [class.main, class.sub])
                .collect();
            assert_eq!(json!(ours), *pairs, "{task}");
            let dashed = task.replace(' ', "-").to_uppercase();
            assert_eq!(
                Taxonomy::official().class(&dashed).map(|class| class.sub),
                pairs[0][1].as_str()
            );
            ran += 1;
        }
    }
    report("codearena", "task_taxonomy", ran);
}

#[test]
fn the_official_yaml_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("judge.yaml");
    let text = "name: x\njudge_model: gpt-4-1106-preview\nreference: False # Optional\nref_model: null\ntemperature: 0\nmax_tokens: 4096\n\
        regex_pattern: \\[\\[([AB<>=]+)\\]\\]\nnumber_of_judgment_attempts: 3\nsystem_prompt: \"Be fair.\\n\\nEnd with a \\\"label\\\".\"\n\
        prompt_template: [\"Q {question_1}\\nA {answer_1}\\nB {answer_2}\"]\nmodel_list:\n  - m\n";
    std::fs::write(&path, text).unwrap();
    let config = JudgeConfig::read(&path).unwrap();
    assert_eq!(
        (config.system_prompt.as_str(), config.attempts),
        ("Be fair.\n\nEnd with a \"label\".", 3)
    );
    // The official code ignores the file's temperature and length.
    assert_eq!((config.temperature, config.max_tokens), (0.2, 16_384));
    assert_eq!(config.templates[0].fill("q", "1", "2"), "Q q\nA 1\nB 2");
    for (wrong, says) in [
        ("system_prompt: x", "prompt_template"),
        ("system_prompt: x\nprompt_template: ['{nope}']", "`{nope}`"),
        (
            "system_prompt: x\nprompt_template: ['x']\nregex_pattern: '('",
            "regex_pattern",
        ),
        ("[", "judge configuration"),
    ] {
        std::fs::write(&path, wrong).unwrap();
        let line = JudgeConfig::read(&path).unwrap_err().to_string();
        assert!(line.contains(says) && !line.contains('\n'), "{line}");
    }
}
