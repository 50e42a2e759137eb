//! Does an answer pass its tests?

use serde::{Deserialize, Serialize};

use super::extract::tested_block;
use super::language::COMPILE_ERROR;
use super::proof::Proof;
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
    /// There is no test, so nothing can show that the answer is right.
    NoTests,
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
    if tests.iter().all(|test| language.says_nothing(test)) {
        return graded(Grade::NoTests, 0);
    }
    let fenced = answer.contains("```");
    let code = match fenced {
        true => tested_block(answer, language.tags, &tests),
        false => Some(answer.to_owned()),
    };
    let Some(code) = code else {
        return graded(Grade::NoCode, 0);
    };
    let all = attempt(sandbox, language, &code, &tests, limits)?;
    let failure = match all {
        Attempt::Passed => return graded(Grade::Pass, total),
        Attempt::Unavailable => return graded(Grade::Unavailable, 0),
        Attempt::Failed(failure) => failure,
    };
    if !fenced && matches!(failure, Grade::CompileError { .. }) {
        return graded(Grade::NoCode, 0);
    }
    if language.whole {
        // Answer and test are a program only together; tests that each bring their own `main` run one by one.
        if total < 2 || failure == Grade::Timeout {
            return graded(failure, 0);
        }
    } else if let Attempt::Failed(alone) = attempt(sandbox, language, &code, &[], limits)? {
        // Which test is it? First whether the answer runs without any.
        return graded(alone, 0);
    }
    let (mut passed, mut first, mut slow) = (0, None, false);
    for (at, test) in tests.iter().enumerate() {
        match attempt(sandbox, language, &code, std::slice::from_ref(test), limits)? {
            Attempt::Passed => passed += 1,
            Attempt::Failed(grade) => {
                slow |= first.is_none() && grade == Grade::Timeout;
                first.get_or_insert(at);
                // The answer does not compile with any test.
                if language.whole && at == 0 && matches!(grade, Grade::CompileError { .. }) {
                    return graded(grade, 0);
                }
            }
            Attempt::Unavailable => return graded(Grade::Unavailable, 0),
        }
    }
    match first {
        _ if slow => graded(Grade::Timeout, passed),
        Some(test) => graded(Grade::Fail { test }, passed),
        // Each passes alone and not all together: there was not time enough for all, or the last one is to blame.
        None if failure == Grade::Timeout => graded(failure, passed),
        None if language.whole => graded(Grade::Pass, passed),
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
    let fenced = answer.contains("```");
    let code = match fenced {
        true => code_block(answer, language.tags),
        false => Some(answer.to_owned()),
    };
    if streams.is_empty() {
        return Ok(Graded {
            grade: Grade::NoTests,
            passed,
            total,
        });
    }
    let Some(code) = code else {
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
                    grade: if fenced { grade } else { Grade::NoCode },
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

/// Runs code with tests behind it. It passed where the run proves that each of them held.
fn attempt(
    sandbox: &Sandbox,
    language: &Language,
    code: &str,
    tests: &[String],
    limits: &Limits,
) -> Result<Attempt, SandboxError> {
    let proof = Proof::new(tests.len());
    let Some((job, limits)) = language.checked(code, tests, &proof, limits) else {
        return Ok(Attempt::Unavailable);
    };
    let ran = sandbox.run(&job, &limits)?;
    Ok(match trouble(language, &ran) {
        Some(grade) => Attempt::Failed(grade),
        None if proof.is_in(&ran.proof) => Attempt::Passed,
        None => Attempt::Failed(Grade::Crash {
            cause: "it ends before its tests".into(),
        }),
    })
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
        Ended::Exit(COMPILE_ERROR) if language.whole => Some(Grade::CompileError { cause }),
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
