//! Languages that can be run, and how.

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
    /// A statement that prints `NONCE`: shows that a program ran to its end.
    pub print: Option<&'static str>,
    /// What the tool says of a program that it cannot read.
    pub unreadable: &'static [&'static str],
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Python, started as [`python`] says.
    Python,
    /// An interpreter and its options.
    Script(&'static [&'static str]),
    /// A shell script; compilers exit with [`COMPILE_ERROR`] through it.
    Compile(&'static str),
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
        print: Some("print(\"NONCE\")"),
        unreadable: &["SyntaxError", "IndentationError", "TabError"],
    },
    Language {
        name: "javascript",
        tags: &["javascript", "js", "node"],
        file: "main.js",
        tool: "node",
        run: How::Runtime(&["--max-old-space-size=384"]),
        print: Some("console.log(\"NONCE\");"),
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
        print: Some("console.log(\"NONCE\");"),
        unreadable: &["SyntaxError"],
    },
    Language {
        name: "bash",
        tags: &["bash", "sh", "shell"],
        file: "main.sh",
        tool: "bash",
        run: How::Script(&[]),
        print: Some("echo \"NONCE\""),
        unreadable: &["syntax error"],
    },
    Language {
        name: "lua",
        tags: &["lua"],
        file: "main.lua",
        tool: "lua",
        run: How::Script(&[]),
        print: Some("print(\"NONCE\")"),
        unreadable: &["expected near", "unexpected symbol near"],
    },
    Language {
        name: "ruby",
        tags: &["ruby", "rb"],
        file: "main.rb",
        tool: "ruby",
        run: How::Script(&[]),
        print: Some("puts \"NONCE\""),
        unreadable: &["syntax error"],
    },
    Language {
        name: "perl",
        tags: &["perl", "pl"],
        file: "main.pl",
        tool: "perl",
        run: How::Script(&[]),
        print: Some("print \"NONCE\\n\";"),
        unreadable: &["syntax error"],
    },
    Language {
        name: "php",
        tags: &["php"],
        file: "main.php",
        tool: "php",
        run: How::Script(&["-n"]),
        print: Some("echo \"NONCE\\n\";"),
        unreadable: &["Parse error"],
    },
    Language {
        name: "sql",
        tags: &["sql", "sqlite"],
        file: "main.sql",
        tool: "python3",
        run: How::Script(&["-I", "-S", "-c", SQL]),
        print: Some(";SELECT 'NONCE';"),
        unreadable: &["syntax error", "incomplete input"],
    },
    Language {
        name: "go",
        tags: &["go", "golang"],
        file: "main.go",
        tool: "go",
        run: How::Compile(
            "GOCACHE=/work/.go GOTOOLCHAIN=local GO111MODULE=off TOOL build -o main main.go",
        ),
        print: None,
        unreadable: &[],
    },
    Language {
        name: "rust",
        tags: &["rust", "rs"],
        file: "main.rs",
        tool: "rustc",
        run: How::Compile("TOOL -O --edition 2021 -C codegen-units=1 -o main main.rs"),
        print: None,
        unreadable: &[],
    },
    Language {
        name: "c",
        tags: &["c"],
        file: "main.c",
        tool: "gcc",
        run: How::Compile("TOOL -O1 -o main main.c -lm"),
        print: None,
        unreadable: &[],
    },
    Language {
        name: "cpp",
        tags: &["cpp", "c++", "cc"],
        file: "main.cpp",
        tool: "g++",
        run: How::Compile("TOOL -O1 -o main main.cpp"),
        print: None,
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
        print: None,
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

    /// The language with a name or tag.
    pub fn named(name: &str) -> Option<&'static Self> {
        let same = |text: &str| text.eq_ignore_ascii_case(name.trim());
        LANGUAGES
            .iter()
            .find(|one| same(one.name) || one.tags.iter().any(|tag| same(tag)))
    }

    /// Its tool, where this machine has it.
    pub fn tool(&self) -> Option<Tool> {
        Tool::named(self.tool)
    }

    /// A job that runs `source`, and the limits it takes. None where the tool is missing.
    pub fn job(&self, source: &str, stdin: &[u8], limits: &Limits) -> Option<(Job, Limits)> {
        let tool = self.tool()?;
        let (mut argv, mut limits) = (vec![tool.path.clone()], *limits);
        let reserves_addresses = matches!(self.run, How::Compile(_) | How::Runtime(_));
        match self.run {
            How::Python => argv.extend(python::arguments(self.file, &tool.modules)),
            How::Script(options) => argv.extend(options.iter().map(|text| (*text).to_owned())),
            How::Runtime(options) => {
                argv.extend(options.iter().map(|text| (*text).to_owned()));
                limits.processes = limits.processes.max(128);
                limits.memory = limits.memory.max(768 << 20);
            }
            How::Compile(script) => {
                let compile = script.replace("TOOL", &tool.path);
                // Binaries are larger than what a program may write: the limit on files comes after the compiler.
                let blocks = limits.file_size / 512;
                let memory = limits.memory >> 10;
                argv = ["/bin/sh", "-c"].map(str::to_owned).to_vec();
                argv.push(format!(
                    "{compile} 2>.errors 1>&2 || {{ cat .errors >&2; exit {COMPILE_ERROR}; }}; ulimit -f {blocks}; ulimit -v {memory}; exec ./main"
                ));
                limits.file_size = 64 << 20;
                limits.memory = limits.memory.max(1 << 30);
                limits.processes = limits.processes.max(64);
            }
        }
        let script = matches!(self.run, How::Script(_) | How::Runtime(_));
        if script && !argv.iter().any(|text| text == "-c") {
            argv.push(self.file.to_owned());
        }
        let job = Job {
            argv,
            files: vec![(self.file.to_owned(), source.as_bytes().to_vec())],
            stdin: stdin.to_vec(),
            folders: tool.folder.into_iter().collect(),
            reserves_addresses,
        };
        Some((job, limits))
    }
}
