//! The proof that every assertion ran and held.
//!
//! Whether an answer passes is not read off its exit code or its output, which a program that ends early or prints the right
//! word can have as well. Each run gets a token of 128 random bits through a pipe (descriptor 4). A small trusted start of the
//! language reads the pipe to its end and closes it *before* any line of the answer runs, then runs the answer, then each
//! assertion, and only behind the last one that held writes the token to a second pipe (descriptor 5), which the parent reads.
//! The token is in no file, argument, environment variable or open descriptor, so neither the program's own source nor `/proc`
//! shows it; `exit(0)`, constructors, `_exit` and an early return never reach the line that writes it.
//!
//! | language | where the token is while the answer runs | how assertions run |
//! | --- | --- | --- |
//! | Python | inside a list that is being sorted, which is empty to everybody | one by one, with the built-in names as they were at the start |
//! | JavaScript, TypeScript | a variable of a closure | as scripts of one realm; promises they give are waited for, errors in callbacks end the run |
//! | Bash | the parsed command behind the last assertion | in the answer's shell; a failing `[`, `[[`, `((`, `test`, `grep`, `diff` or `cmp`, and a failing last command, end the run |
//! | Lua, Perl | a local variable | behind the answer in one chunk, whose value shows that its end was reached |
//! | Ruby | small numbers in local variables | one by one at the top level |
//! | PHP | a local variable of a function around | one by one in the answer's scope |
//! | SQL | in Python, out of SQL's reach | statement by statement; a query holds where it gives rows and each begins with a true value |
//! | C, C++ | static memory of another object file | the answer's or the test's `main`, called by ours; `assert` is switched on again before the tests |
//! | Rust, Go | a local variable, a variable of another file | the test's `main`, called by ours |
//! | Java | a local variable | `main` of the compiled classes with assertions on; other threads are waited for |
//!
//! What remains: answer and assertions share one process, so an answer that is written against *this* sandbox can still look
//! through its own memory (`/proc/self/mem`, `ctypes`, an inspector), or change what the assertion itself uses (an `__eq__` that
//! is always true, a function that replaces one the test calls).

use std::sync::LazyLock;

use regex::Regex;

use super::Job;

/// What a run must write to show that `tests` assertions held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof(String);

impl Proof {
    /// A proof that nobody can guess: two hashes with keys from the system's random numbers.
    pub(super) fn new(tests: usize) -> Self {
        use std::hash::{BuildHasher, Hasher};
        let half = || {
            std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish()
        };
        Self(format!("{:016x}{:016x} {tests}\n", half(), half()))
    }

    /// Whether it stands in what a run wrote.
    pub(super) fn is_in(&self, written: &[u8]) -> bool {
        written
            .split_inclusive(|byte| *byte == b'\n')
            .any(|line| line == self.0.as_bytes())
    }

    /// The proof and the tests, each behind its length.
    fn payload(&self, tests: &[String]) -> Vec<u8> {
        let mut out = self.0.clone().into_bytes();
        for test in tests {
            out.extend(format!("{}\n", test.len()).bytes());
            out.extend(test.bytes());
        }
        out
    }
}

/// How a language shows that its assertions held.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// A program that the interpreter is given with the option before it.
    Inline(&'static str, &'static str),
    /// Python, whose start also says where modules are.
    Python,
    /// Bash.
    Bash,
    /// A file that is run instead of the answer.
    File(&'static str, &'static str),
    /// `main.c`, which is linked in front.
    Linked,
    /// Rust.
    Rust,
    /// Go.
    Go,
}

/// Sources of the starts.
pub(super) const PYTHON: &str = include_str!("proof/python.py");
const C: &str = include_str!("proof/main.c");
const RUST: &str = include_str!("proof/main.rs.txt");
const GO: &str = include_str!("proof/main.go.txt");
/// See [`Start`].
pub(super) const NODE: Start = Start::Inline("-e", include_str!("proof/node.js"));
/// See [`Start`].
pub(super) const PERL: Start = Start::Inline("-e", include_str!("proof/perl.pl"));
/// See [`Start`].
pub(super) const RUBY: Start = Start::Inline("-e", include_str!("proof/ruby.rb"));
/// See [`Start`].
pub(super) const LUA: Start = Start::Inline("-e", include_str!("proof/lua.lua"));
/// See [`Start`].
pub(super) const PHP: Start = Start::Inline("-r", include_str!("proof/php.php"));
/// See [`Start`].
pub(super) const SQL: Start = Start::Inline("-c", include_str!("proof/sql.py"));
/// See [`Start`].
pub(super) const JAVA: Start = Start::File("Check.java", include_str!("proof/Check.java"));

/// The answer, the tests and the start of `start`, put into a job whose argument list still lacks the program. `file` is the
/// answer's file.
pub(super) fn arm(
    job: &mut Job,
    start: Start,
    file: &str,
    code: &str,
    tests: &[String],
    proof: &Proof,
) {
    let joined = tests.join("\n");
    let mut payload = proof.payload(tests);
    let mut source = code.to_owned();
    match start {
        Start::Python => {}
        Start::Inline(option, text) => {
            job.argv.push(option.into());
            job.argv.push(text.replace("FILE", file));
        }
        Start::Bash => {
            job.argv.push("-c".into());
            job.argv.push(BASH.into());
            payload = bash(file, tests, proof).into_bytes();
        }
        Start::File(name, text) => {
            job.argv.push(name.into());
            job.files.push((name.into(), text.into()));
            source = format!("{code}\n{joined}\n");
        }
        Start::Linked => {
            job.files.push(("proof.c".into(), C.into()));
            source = c_source(code, tests, &joined);
        }
        Start::Rust => {
            let (code, tests) = mains(
                code,
                &joined,
                &RUST_MAIN,
                "fn answer_main(",
                "fn checked_main(",
            );
            let tests = RUST_MACRO.replace_all(&tests, "$1::std::$2!").into_owned();
            let tests = match tests.trim().is_empty() || RUST_CHECKED.is_match(&tests) {
                true => tests,
                false => format!("fn checked_main() {{\n{tests}\n}}"),
            };
            source = format!("{code}\n{tests}\n{RUST}");
        }
        Start::Go => {
            let (code, tests) = mains(
                code,
                &joined,
                &GO_MAIN,
                "func answerMain(",
                "func checkedMain(",
            );
            let tests = match tests.contains("func checkedMain(") || tests.trim().is_empty() {
                true => tests,
                false => format!("func checkedMain() {{\n{tests}\n}}"),
            };
            let package = match code.contains("package main") {
                true => "",
                false => "package main\n",
            };
            source = format!("{package}{code}\n{tests}\n");
            job.files.push(("proof.go".into(), GO.into()));
        }
    }
    job.files.push((file.to_owned(), source.into_bytes()));
    job.payload = Some(payload);
}

static C_MAIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bmain\s*\("));
static RUST_MAIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bfn\s+main\s*\("));
static RUST_CHECKED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bfn\s+checked_main\s*\("));
static GO_MAIN: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bfunc\s+main\s*\("));
static RUST_MACRO: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(^|[^:\w])(assert|assert_eq|assert_ne|panic)!"));

#[allow(clippy::expect_used)]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of ours")
}

/// Answer and tests with `main` under other names: the test's one is called, the answer's one only where the test has none.
fn mains(code: &str, tests: &str, main: &Regex, aside: &str, checked: &str) -> (String, String) {
    let tests = main.replace_all(tests, checked).into_owned();
    (main.replace_all(code, aside).into_owned(), tests)
}

/// The answer's `main` gets another name where the tests have theirs; `assert` works in the tests whatever the answer did to it.
fn c_source(code: &str, tests: &[String], joined: &str) -> String {
    if tests.is_empty() {
        return format!("{code}\n");
    }
    let joined = match C_MAIN.is_match(joined) {
        true => joined.to_owned(),
        false => format!("int main(void) {{\n{joined}\nreturn 0;\n}}"),
    };
    let (before, after) = match C_MAIN.is_match(code) {
        true => ("#define main answer_main\n", "#undef main\n"),
        false => ("", ""),
    };
    format!("{before}{code}\n{after}#undef NDEBUG\n#undef assert\n#include <assert.h>\n{joined}\n")
}

/// Reads the script from the pipe; it begins with removing the only variable that holds it.
const BASH: &str = r#"IFS= read -r -d '' script <&4; exec 4<&-; eval "unset script; $script""#;

/// One compound command, which the shell has read to its end before the answer runs. Functions that the answer puts in place of
/// the words that decide are removed, and the token is written only where no trap of the answer could have read or skipped
/// commands.
fn bash(file: &str, tests: &[String], proof: &Proof) -> String {
    const POSIX: &str = "POSIXLY_CORRECT=1";
    let mut out = format!(
        "{{\n. ./{file}\n{POSIX}\nunset -f [ test trap unset exit true false eval builtin command printf :\nunset POSIXLY_CORRECT\ntrap - DEBUG RETURN ERR\nset +x +v\n\
         trap 'case $BASH_COMMAND in \"[\"*|\"((\"*|test*|grep*|diff*|cmp*) printf \"a test command failed: %s\\n\" \"$BASH_COMMAND\" >&2; exit 1 ;; esac' ERR\n"
    );
    for (at, test) in tests.iter().enumerate() {
        out.push_str(test);
        out.push_str(&format!(
            "\ncase $? in 0) ;; *) : ${{test {at} failed}} ;; esac\n"
        ));
    }
    let mark = proof.0.trim_end();
    out.push_str(&format!(
        "{POSIX}\ncase $(trap -p DEBUG)=$- in *=*[xv]*) ;; 'trap -- - DEBUG='*|=*) case $(trap -p ERR) in *'a test command failed'*) printf '%s\\n' '{mark}' >&5 ;; esac ;; esac\n}}\n"
    ));
    out
}
