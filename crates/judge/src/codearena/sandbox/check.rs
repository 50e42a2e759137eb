//! Does an answer pass its tests?

use serde::{Deserialize, Serialize};

use super::language::COMPILE_ERROR;
use super::{Ended, Language, Limits, Ran, Sandbox, SandboxError, code_block};

/// Input and expected output of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// What it reads.
    pub stdin: String,
    /// What it must print; blanks do not matter.
    pub expected: String,
}

/// How an answer is tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Statements in the answer's language that fail where the answer is wrong, each appended to the answer.
    Assertions(Vec<String>),
    /// Whole programs.
    Streams(Vec<Stream>),
    /// Calls and the values they must give, as source text; they become assertions. Python and JavaScript.
    Calls(Vec<(String, String)>),
}

impl Check {
    /// How many tests there are.
    pub fn tests(&self) -> usize {
        match self {
            Self::Assertions(tests) => tests.len(),
            Self::Streams(streams) => streams.len(),
            Self::Calls(calls) => calls.len(),
        }
    }
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "grade")]
pub enum Grade {
    /// It passes all tests.
    Pass,
    /// It runs and fails a test, counted from 0.
    Fail {
        /// The first that fails.
        test: usize,
    },
    /// It takes too long.
    Timeout,
    /// It ends before any test could tell.
    Crash {
        /// The last line it wrote, or why it was ended.
        cause: String,
    },
    /// It is no program.
    CompileError {
        /// What the tool says.
        cause: String,
    },
    /// The answer holds no code of the language.
    NoCode,
    /// This machine cannot run the language.
    Unavailable,
}

/// A grade with the tests behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Graded {
    /// The grade.
    #[serde(flatten)]
    pub grade: Grade,
    /// Tests that passed.
    pub passed: usize,
    /// All tests.
    pub total: usize,
}

/// Grades an answer: the last code block of the language in `answer` against `check`.
///
/// # Errors
/// [`SandboxError`] where programs cannot be run here at all.
pub fn grade(
    sandbox: &Sandbox,
    language: &Language,
    answer: &str,
    check: &Check,
    limits: &Limits,
) -> Result<Graded, SandboxError> {
    let tests = match check {
        Check::Streams(streams) => {
            return grade_streams(sandbox, language, answer, streams, limits);
        }
        Check::Assertions(tests) => tests.clone(),
        Check::Calls(calls) => calls
            .iter()
            .map(|(call, expected)| language.assertion(call, expected))
            .collect(),
    };
    let total = tests.len();
    let graded = |grade, passed| {
        Ok(Graded {
            grade,
            passed,
            total,
        })
    };
    let Some(code) = code_block(answer, language.tags) else {
        return graded(Grade::NoCode, 0);
    };
    let all = attempt(sandbox, language, &code, &tests.join("\n"), limits)?;
    let failure = match all {
        Attempt::Passed => return graded(Grade::Pass, total),
        Attempt::Unavailable => return graded(Grade::Unavailable, 0),
        Attempt::Failed(failure) => failure,
    };
    if matches!(failure, Grade::CompileError { .. }) && total == 0 {
        return graded(failure, 0);
    }
    // Which test is it? First whether the answer runs without any.
    if let Attempt::Failed(alone) = attempt(sandbox, language, &code, "", limits)? {
        // What needs its tests to be a whole program cannot run alone.
        let incomplete = language.print.is_none();
        return graded(if incomplete { failure } else { alone }, 0);
    }
    let (mut passed, mut first, mut slow) = (0, None, false);
    for (at, test) in tests.iter().enumerate() {
        match attempt(sandbox, language, &code, test, limits)? {
            Attempt::Passed => passed += 1,
            Attempt::Failed(grade) => {
                slow |= first.is_none() && grade == Grade::Timeout;
                first.get_or_insert(at);
            }
            Attempt::Unavailable => return graded(Grade::Unavailable, 0),
        }
    }
    match first {
        _ if slow => graded(Grade::Timeout, passed),
        Some(test) => graded(Grade::Fail { test }, passed),
        // Each passes alone and not all together: there was not time enough for all, or the last one is to blame.
        None if failure == Grade::Timeout => graded(failure, passed),
        None => graded(
            Grade::Fail {
                test: total.saturating_sub(1),
            },
            total.saturating_sub(1),
        ),
    }
}

fn grade_streams(
    sandbox: &Sandbox,
    language: &Language,
    answer: &str,
    streams: &[Stream],
    limits: &Limits,
) -> Result<Graded, SandboxError> {
    let total = streams.len();
    let (mut passed, mut worst) = (0, None);
    let Some(code) = code_block(answer, language.tags) else {
        return Ok(Graded {
            grade: Grade::NoCode,
            passed,
            total,
        });
    };
    for (test, stream) in streams.iter().enumerate() {
        let Some((job, limits)) = language.job(&code, stream.stdin.as_bytes(), limits) else {
            return Ok(Graded {
                grade: Grade::Unavailable,
                passed,
                total,
            });
        };
        let ran = sandbox.run(&job, &limits)?;
        match trouble(language, &ran) {
            Some(grade @ Grade::CompileError { .. }) => {
                return Ok(Graded {
                    grade,
                    passed,
                    total,
                });
            }
            Some(grade) => {
                worst.get_or_insert(grade);
            }
            None if same(&String::from_utf8_lossy(&ran.stdout), &stream.expected) => passed += 1,
            None => {
                worst.get_or_insert(Grade::Fail { test });
            }
        }
    }
    Ok(Graded {
        grade: worst.unwrap_or(Grade::Pass),
        passed,
        total,
    })
}

/// Equal but for blanks.
fn same(a: &str, b: &str) -> bool {
    a.split_whitespace().eq(b.split_whitespace())
}

enum Attempt {
    Passed,
    Failed(Grade),
    Unavailable,
}

/// Runs code with tests behind it. It passed when it came to its end: an answer that ends the process early does not.
fn attempt(
    sandbox: &Sandbox,
    language: &Language,
    code: &str,
    tests: &str,
    limits: &Limits,
) -> Result<Attempt, SandboxError> {
    let nonce = format!(
        "end-{:016x}",
        super::super::fingerprint(&[code, tests, &nonce_seed()])
    );
    let mut source = format!("{code}\n{tests}\n");
    if let Some(print) = language.print {
        source.push_str(&print.replace("NONCE", &nonce));
        source.push('\n');
    }
    let Some((job, limits)) = language.job(&source, b"", limits) else {
        return Ok(Attempt::Unavailable);
    };
    let ran = sandbox.run(&job, &limits)?;
    if let Some(grade) = trouble(language, &ran) {
        return Ok(Attempt::Failed(grade));
    }
    let reached = || {
        String::from_utf8_lossy(&ran.stdout)
            .trim_end()
            .ends_with(&nonce)
    };
    Ok(match language.print {
        Some(_) if !reached() => Attempt::Failed(Grade::Crash {
            cause: "it ends before its tests".into(),
        }),
        _ => Attempt::Passed,
    })
}

/// Something that an answer cannot guess.
fn nonce_seed() -> String {
    use std::hash::{BuildHasher, Hasher};
    let state = std::collections::hash_map::RandomState::new();
    state.build_hasher().finish().to_string()
}

/// Why a run is no success by itself.
fn trouble(language: &Language, ran: &Ran) -> Option<Grade> {
    let errors = String::from_utf8_lossy(&ran.stderr);
    let last = errors
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    let cause: String = base::command::one_line(last).chars().take(200).collect();
    match ran.ended {
        Ended::Exit(0) => None,
        Ended::Timeout => Some(Grade::Timeout),
        Ended::Memory => Some(Grade::Crash {
            cause: "it takes too much memory".into(),
        }),
        Ended::Output => Some(Grade::Crash {
            cause: "it writes too much".into(),
        }),
        Ended::Exit(COMPILE_ERROR) if language.print.is_none() => {
            Some(Grade::CompileError { cause })
        }
        Ended::Exit(_)
            if language
                .unreadable
                .iter()
                .any(|words| errors.contains(words)) =>
        {
            Some(Grade::CompileError { cause })
        }
        Ended::Signal(signal) if cause.is_empty() => Some(Grade::Crash {
            cause: format!("signal {signal}"),
        }),
        Ended::Exit(_) | Ended::Signal(_) => Some(Grade::Crash { cause }),
    }
}
