//! Step 6: which candidate is right? Tests decide where they can, else a language model gives scores.

use base::endpoint::{ChatModel, Message, Prompt, Request};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ask::object;
use super::stage::{Fate, WorkError, text};
use crate::codearena::sandbox::{
    Check, Grade, Graded, Language, Limits, Sandbox, code_block, grade,
};
use base::job::jsonl::Record;

/// Most tests a question.
const MOST_TESTS: usize = 8;

/// A candidate with what verification found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Candidate {
    /// The answer.
    pub text: String,
    /// Tests that it passes.
    #[serde(default)]
    pub tests_passed: usize,
    /// Tests there are.
    #[serde(default)]
    pub tests_total: usize,
    /// The scorer's score.
    #[serde(default)]
    pub score: Option<f64>,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// Who writes tests, who scores, and where answers run.
pub struct Verifier<'a> {
    /// Writes tests where a record brings none in its field `tests`.
    pub tester: &'a dyn ChatModel,
    /// Scores candidates.
    pub scorer: &'a dyn ChatModel,
    /// Runs them.
    pub sandbox: Sandbox,
    /// Within these limits.
    pub limits: Limits,
}

impl Verifier<'_> {
    /// Keeps a record with its best candidate as `answer`, or drops it where none is good.
    ///
    /// # Errors
    /// [`WorkError`].
    pub fn verify(&self, record: &Record) -> Result<Fate, WorkError> {
        let listed = record.get("candidates").cloned().unwrap_or_default();
        let mut candidates: Vec<Candidate> = serde_json::from_value(listed).unwrap_or_default();
        if candidates.is_empty() {
            return Ok(Fate::Drop("no candidates".into()));
        }
        let algorithmic = record
            .get("algorithmic")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let best = match algorithmic {
            true => self.by_tests(record, &mut candidates)?,
            false => Ok(self.by_score(record, &mut candidates)?),
        };
        let best = match best {
            Ok(best) => best,
            Err(reason) => return Ok(Fate::Drop(reason)),
        };
        let mut record = record.clone();
        let answer = candidates.get(best).map(|candidate| candidate.text.clone());
        record.insert("answer".into(), json!(answer));
        record.insert("candidates".into(), json!(candidates));
        Ok(Fate::Keep(record))
    }

    /// The candidate that passes most tests; the scorer decides between equals.
    fn by_tests(
        &self,
        record: &Record,
        candidates: &mut [Candidate],
    ) -> Result<Result<usize, String>, WorkError> {
        let Some(language) = Language::named(text(record, "lang")) else {
            return Ok(Err(format!("`{}` cannot be run", text(record, "lang"))));
        };
        if language.tool().is_none() {
            return Ok(Err(format!(
                "unavailable: {} is not installed",
                language.name
            )));
        }
        let mut tests = self.tests(record, language)?;
        if tests.is_empty() {
            return Ok(Err("no tests".into()));
        }
        let mut grades = self.grades(language, candidates, &tests)?;
        // A test that no candidate can even read says nothing about any.
        let unread = |graded: &Graded| {
            matches!(
                graded.grade,
                Grade::CompileError { .. } | Grade::Crash { .. } | Grade::NoCode
            )
        };
        if grades.iter().all(unread) && tests.len() > 1 {
            let mut sound = Vec::new();
            for test in &tests {
                let alone = self.grades(language, candidates, std::slice::from_ref(test))?;
                if !alone.iter().all(unread) {
                    sound.push(test.clone());
                }
            }
            if sound.is_empty() {
                return Ok(Err("no test can be run".into()));
            }
            tests = sound;
            grades = self.grades(language, candidates, &tests)?;
        }
        for (candidate, graded) in candidates.iter_mut().zip(&grades) {
            (candidate.tests_passed, candidate.tests_total) = (graded.passed, tests.len());
            let value = serde_json::to_value(&graded.grade).ok();
            candidate.reason = value.map(|grade| grade.to_string());
        }
        let most = candidates
            .iter()
            .map(|candidate| candidate.tests_passed)
            .max()
            .unwrap_or(0);
        if most == 0 {
            return Ok(Err("no candidate passes a test".into()));
        }
        let first: Vec<usize> = (0..candidates.len())
            .filter(|at| {
                candidates
                    .get(*at)
                    .is_some_and(|candidate| candidate.tests_passed == most)
            })
            .collect();
        if let [only] = first.as_slice() {
            return Ok(Ok(*only));
        }
        let mut equals: Vec<Candidate> = first
            .iter()
            .filter_map(|at| candidates.get(*at).cloned())
            .collect();
        let best = self.by_score(record, &mut equals)?;
        for (at, scored) in first.iter().zip(equals) {
            if let Some(candidate) = candidates.get_mut(*at) {
                candidate.score = scored.score;
            }
        }
        Ok(Ok(first.get(best).copied().unwrap_or(0)))
    }

    fn grades(
        &self,
        language: &Language,
        candidates: &[Candidate],
        tests: &[String],
    ) -> Result<Vec<Graded>, WorkError> {
        let check = Check::Assertions(tests.to_vec());
        let all = candidates.iter().map(|candidate| {
            Ok(grade(
                &self.sandbox,
                language,
                &candidate.text,
                &check,
                &self.limits,
            )?)
        });
        all.collect()
    }

    /// Tests of a record: its own, else those that the model writes.
    fn tests(&self, record: &Record, language: &Language) -> Result<Vec<String>, WorkError> {
        if let Some(own) = record.get("tests").and_then(Value::as_array) {
            let own = own
                .iter()
                .filter_map(|test| test.as_str().map(str::to_owned));
            return Ok(own.take(MOST_TESTS).collect());
        }
        let prompt = format!(
            "Write at most {MOST_TESTS} tests for answers to the question below, in {}: one assertion a line, that calls what \
             the question asks for, all in one fenced block. Leave a blank line between tests that take several lines.\n\n\
             Question:\n{}",
            language.name,
            text(record, "question")
        );
        let reply = self.tester.reply(&request(prompt))?;
        Ok(code_block(&reply.text, language.tags)
            .map(|code| split_tests(&code))
            .unwrap_or_default())
    }

    /// The scorer's best candidate; of equals the shortest that has both code and text.
    fn by_score(&self, record: &Record, candidates: &mut [Candidate]) -> Result<usize, WorkError> {
        let shown = candidates
            .iter()
            .enumerate()
            .map(|(at, candidate)| format!("Candidate {}:\n{}\n\n", at + 1, candidate.text));
        let prompt = format!(
            "Which candidate answers the question best? Right comes before clear, clear before short. Reply with JSON alone: \
             {{\"best\": number, \"reason\": \"…\", \"scores\": [a number from 0 to 10 for each]}}.\n\nQuestion:\n{}\n\n{}",
            text(record, "question"),
            shown.collect::<String>()
        );
        let reply = self.scorer.reply(&request(prompt))?;
        let json = object(&reply.text).unwrap_or_default();
        let scores = json
            .get("scores")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let number = json.get("best").and_then(Value::as_u64);
        for (at, candidate) in candidates.iter_mut().enumerate() {
            let best = number == Some(at as u64 + 1);
            candidate.score = scores
                .get(at)
                .and_then(Value::as_f64)
                .or(best.then_some(10.0));
            if best {
                candidate.reason = json
                    .get("reason")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
            }
        }
        let rank = |candidate: &Candidate| {
            let whole =
                candidate.text.contains("```") && !candidate.text.trim_start().starts_with("```");
            (
                candidate.score.unwrap_or(0.0),
                whole,
                std::cmp::Reverse(candidate.text.len()),
            )
        };
        let better = |a: &Candidate, b: &Candidate| {
            let (a, b) = (rank(a), rank(b));
            a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2))
        };
        let best = candidates
            .iter()
            .enumerate()
            .rev()
            .max_by(|a, b| better(a.1, b.1));
        Ok(best.map_or(0, |(at, _)| at))
    }
}

fn request(prompt: String) -> Request {
    Request {
        prompt: Prompt::Chat(vec![Message::user(prompt)]),
        temperature: 0.0,
        max_tokens: 2048,
        seed: Some(0),
    }
}

/// Tests in a block: one a line, or paragraphs where lines are indented or a block opens.
fn split_tests(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim().is_empty());
    let simple = lines
        .clone()
        .all(|line| !line.starts_with([' ', '\t', '}', ')']));
    let tests: Vec<String> = match simple {
        true => lines.map(str::to_owned).collect(),
        false => code
            .split("\n\n")
            .map(|part| part.trim_end().to_owned())
            .filter(|part| !part.trim().is_empty())
            .collect(),
    };
    tests.into_iter().take(MOST_TESTS).collect()
}
