//! Languages that can be run, and how.

use super::proof::{self, Proof, Start};
use super::tool::Tool;
use super::{Job, Limits, python};

/// How a language's programs are run.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// Its name.
    pub name: &'static str,
    /// Tags of its code blocks.
    pub tags: &'static [&'static str],
    /// The file that holds the program.
    file: &'static str,
    /// The tool that must be there.
    tool: &'static str,
    /// Arguments of the tool before the file; for compilers the shell script that compiles and runs, `TOOL` being the tool.
    run: How,
    /// How a run shows that its assertions held.
    start: Start,
    /// Arguments with which the tool must succeed: what it cannot do here is *unavailable*.
    needs: &'static [&'static str],
    /// Whether answer and test are a program only together.
    pub(super) whole: bool,
    /// What the tool says of a program that it cannot read.
    pub unreadable: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Python, started as [`python`] says.
    Python,
    /// An interpreter and its options.
    Script(&'static [&'static str]),
    /// Shell scripts that compile a program alone and with the source of its proof; where they fail the run exits with
    /// [`COMPILE_ERROR`].
    Compile([&'static str; 2]),
    /// A runtime that reserves addresses, takes many threads or much memory.
    Runtime(&'static [&'static str]),
}

/// Exit code of a compilation that failed.
pub const COMPILE_ERROR: i32 = 99;

const SQL: &str = "import sqlite3,sys
c=sqlite3.connect(':memory:')
for s in open('main.sql').read().split(';'):
    for r in c.execute(s): print(*r,sep='|')";

/// All languages. Where a tool is missing its language is *unavailable*, which is never a failure of the answer.
pub const LANGUAGES: &[Language] = &[
    Language {
        name: "python",
        tags: &["python", "python3", "py"],
        file: "main.py",
        tool: "python3",
        run: How::Python,
        start: Start::Python,
        needs: &[],
        whole: false,
        unreadable: &["SyntaxError", "IndentationError", "TabError"],
    },
    Language {
        name: "javascript",
        tags: &["javascript", "js", "node"],
        file: "main.js",
        tool: "node",
        run: How::Runtime(&["--max-old-space-size=384"]),
        start: proof::NODE,
        needs: &[],
        whole: false,
        unreadable: &["SyntaxError"],
    },
    Language {
        name: "typescript",
        tags: &["typescript", "ts"],
        file: "main.ts",
        tool: "node",
        run: How::Runtime(&[
            "--max-old-space-size=384",
            "--experimental-strip-types",
            "--no-warnings",
        ]),
        start: proof::NODE,
        needs: &[
            "-e",
            "require('module').stripTypeScriptTypes || process.exit(1)",
        ],
        whole: false,
        unreadable: &["SyntaxError"],
    },
    Language {
        name: "bash",
        tags: &["bash", "sh", "shell"],
        file: "main.sh",
        tool: "bash",
        run: How::Script(&[]),
        start: Start::Bash,
        needs: &[],
        whole: false,
        unreadable: &["syntax error"],
    },
    Language {
        name: "lua",
        tags: &["lua"],
        file: "main.lua",
        tool: "lua",
        run: How::Script(&[]),
        start: proof::LUA,
        needs: &[],
        whole: false,
        unreadable: &["expected near", "unexpected symbol near"],
    },
    Language {
        name: "ruby",
        tags: &["ruby", "rb"],
        file: "main.rb",
        tool: "ruby",
        run: How::Script(&[]),
        start: proof::RUBY,
        needs: &[],
        whole: false,
        unreadable: &["syntax error"],
    },
    Language {
        name: "perl",
        tags: &["perl", "pl"],
        file: "main.pl",
        tool: "perl",
        run: How::Script(&[]),
        start: proof::PERL,
        needs: &[],
        whole: false,
        unreadable: &["syntax error"],
    },
    Language {
        name: "php",
        tags: &["php"],
        file: "main.php",
        tool: "php",
        run: How::Script(&["-n"]),
        start: proof::PHP,
        needs: &[],
        whole: false,
        unreadable: &["Parse error"],
    },
    Language {
        name: "sql",
        tags: &["sql", "sqlite"],
        file: "main.sql",
        tool: "python3",
        run: How::Script(&["-I", "-S", "-c", SQL]),
        start: proof::SQL,
        needs: &[],
        whole: false,
        unreadable: &["syntax error", "incomplete input"],
    },
    Language {
        name: "go",
        tags: &["go", "golang"],
        file: "main.go",
        tool: "go",
        run: How::Compile([
            "GOCACHE=/work/.go GOTOOLCHAIN=local GO111MODULE=off TOOL build -o main main.go",
            "GOCACHE=/work/.go GOTOOLCHAIN=local GO111MODULE=off TOOL build -o main proof.go main.go",
        ]),
        start: Start::Go,
        needs: &[],
        whole: true,
        unreadable: &[],
    },
    Language {
        name: "rust",
        tags: &["rust", "rs"],
        file: "main.rs",
        tool: "rustc",
        run: How::Compile(["TOOL -O --edition 2021 -C codegen-units=1 -o main main.rs"; 2]),
        start: Start::Rust,
        needs: &[],
        whole: true,
        unreadable: &[],
    },
    Language {
        name: "c",
        tags: &["c"],
        file: "main.c",
        tool: "gcc",
        run: How::Compile([
            "TOOL -O1 -o main main.c -lm",
            "TOOL -O1 -c main.c && objcopy --redefine-sym main=checked_main main.o && TOOL -O1 -o main proof.c main.o -lm",
        ]),
        start: Start::Linked,
        needs: &[],
        whole: true,
        unreadable: &[],
    },
    Language {
        name: "cpp",
        tags: &["cpp", "c++", "cc"],
        file: "main.cpp",
        tool: "g++",
        run: How::Compile([
            "TOOL -O1 -o main main.cpp",
            "TOOL -O1 -c main.cpp && objcopy --redefine-sym main=checked_main main.o && TOOL -O1 -o main -x c proof.c -x none main.o",
        ]),
        start: Start::Linked,
        needs: &[],
        whole: true,
        unreadable: &[],
    },
    Language {
        name: "java",
        tags: &["java"],
        file: "Main.java",
        tool: "java",
        run: How::Runtime(&[
            "-Xmx256m",
            "-Xss4m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
        ]),
        start: proof::JAVA,
        needs: &["--describe-module", "jdk.compiler"],
        whole: true,
        unreadable: &["error: compilation failed"],
    },
];

impl Language {
    /// A statement that fails where `call` does not give `expected`.
    pub(super) fn assertion(&self, call: &str, expected: &str) -> String {
        match self.name {
            "javascript" | "typescript" => {
                format!("require('assert').deepStrictEqual({call}, {expected});")
            }
            "lua" => format!("assert({call} == {expected})"),
            "ruby" => format!("raise 'wrong' unless ({call}) == ({expected})"),
            _ => format!("assert ({call}) == ({expected})"),
        }
    }

    /// Whether a test is blank or nothing but comments.
    pub(super) fn says_nothing(&self, test: &str) -> bool {
        let comment = match self.name {
            "python" | "bash" | "ruby" | "perl" => "#",
            "lua" | "sql" => "--",
            _ => "//",
        };
        let mut lines = test.lines().map(str::trim);
        lines.all(|line| line.is_empty() || line.starts_with(comment))
    }

    /// The language with a name or tag.
    pub fn named(name: &str) -> Option<&'static Self> {
        let same = |text: &str| text.eq_ignore_ascii_case(name.trim());
        LANGUAGES
            .iter()
            .find(|one| same(one.name) || one.tags.iter().any(|tag| same(tag)))
    }

    /// Its tool, where this machine has it.
    pub fn tool(&self) -> Option<Tool> {
        Tool::named(self.tool).filter(|tool| tool.can(self.needs))
    }

    /// A job that runs `source`, and the limits it takes. None where the tool is missing.
    pub fn job(&self, source: &str, stdin: &[u8], limits: &Limits) -> Option<(Job, Limits)> {
        let (mut job, limits, tool) = self.frame(limits, None)?;
        match self.run {
            How::Python => job.argv.extend(python::arguments(self.file, &tool.modules)),
            How::Script(options) | How::Runtime(options) => {
                job.argv
                    .extend(options.iter().map(|text| (*text).to_owned()));
                if !options.contains(&"-c") {
                    job.argv.push(self.file.to_owned());
                }
            }
            How::Compile(_) => {}
        }
        job.files
            .push((self.file.to_owned(), source.as_bytes().to_vec()));
        job.stdin = stdin.to_vec();
        Some((job, limits))
    }

    /// A job that runs `code` and then `tests`, and writes `proof` where all of them held.
    pub(super) fn checked(
        &self,
        code: &str,
        tests: &[String],
        proof: &Proof,
        limits: &Limits,
    ) -> Option<(Job, Limits)> {
        let (mut job, limits, tool) = self.frame(limits, Some(()))?;
        match self.run {
            How::Python => job.argv.extend(python::checked(self.file, &tool.modules)),
            How::Script(options) | How::Runtime(options) => {
                let own = options.iter().take_while(|text| **text != "-c");
                job.argv.extend(own.map(|text| (*text).to_owned()));
            }
            How::Compile(_) => {}
        }
        proof::arm(&mut job, self.start, self.file, code, tests, proof);
        Some((job, limits))
    }

    /// A job without program and files.
    fn frame(&self, limits: &Limits, checked: Option<()>) -> Option<(Job, Limits, Tool)> {
        let tool = self.tool()?;
        let (mut argv, mut limits) = (vec![tool.path.clone()], *limits);
        match self.run {
            How::Python | How::Script(_) => {}
            How::Runtime(_) => {
                limits.processes = limits.processes.max(128);
                limits.memory = limits.memory.max(768 << 20);
            }
            How::Compile([plain, with_proof]) => {
                let script = checked.map_or(plain, |()| with_proof);
                let compile = script.replace("TOOL", &tool.path);
                // Binaries are larger than what a program may write: the limit on files comes after the compiler.
                let blocks = limits.file_size / 512;
                let memory = limits.memory >> 10;
                argv = ["/bin/sh", "-c"].map(str::to_owned).to_vec();
                argv.push(format!(
                    "{{ {compile}; }} 2>.errors 1>&2 4<&- 5>&- || {{ cat .errors >&2; exit {COMPILE_ERROR}; }}; ulimit -f {blocks}; ulimit -v {memory}; exec ./main"
                ));
                limits.file_size = 64 << 20;
                limits.memory = limits.memory.max(1 << 30);
                limits.processes = limits.processes.max(64);
            }
        }
        let job = Job {
            argv,
            folders: tool.folder.iter().cloned().collect(),
            reserves_addresses: matches!(self.run, How::Compile(_) | How::Runtime(_)),
            ..Job::default()
        };
        Some((job, limits, tool))
    }
}
