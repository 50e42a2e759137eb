//! Wrong programs that end early, silence assertions or look for the token do not pass; right ones do, in every language that
//! is installed here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use judge::codearena::sandbox::{Check, Grade, Graded, Language, Limits, Sandbox, grade};

/// Grades `answer`, given as it is, against `tests`; none where the language or the sandbox is missing here.
fn whole(language: &str, answer: &str, tests: &[&str]) -> Option<Graded> {
    let sandbox = match Sandbox::new() {
        Ok(sandbox) => sandbox,
        Err(error) => {
            println!("skipped: {error}");
            return None;
        }
    };
    let language = Language::named(language).unwrap();
    if language.tool().is_none() {
        println!("skipped: no {} here", language.name);
        return None;
    }
    let limits = Limits {
        cpu_seconds: 20,
        wall: Duration::from_secs(60),
        ..Limits::default()
    };
    let tests = tests.iter().map(|test| (*test).to_owned()).collect();
    Some(
        grade(
            &sandbox,
            language,
            answer,
            &Check::Assertions(tests),
            &limits,
        )
        .unwrap(),
    )
}

fn graded(language: &str, code: &str, tests: &[&str]) -> Option<Graded> {
    let tag = Language::named(language).unwrap().tags[0];
    whole(language, &format!("```{tag}\n{code}\n```"), tests)
}

/// `right` passes, each of `wrong` does not.
fn judge(language: &str, tests: &[&str], right: &[&str], wrong: &[&str]) {
    for code in right {
        let Some(graded) = graded(language, code, tests) else {
            return;
        };
        assert_eq!(graded.grade, Grade::Pass, "{language}: {code}");
        assert_eq!(graded.passed, tests.len());
    }
    for code in wrong {
        let graded = graded(language, code, tests).unwrap();
        assert_ne!(graded.grade, Grade::Pass, "{language}: {code}");
    }
}

#[test]
fn python() {
    judge(
        "python",
        &[
            "assert f(1) == 2",
            "for x in range(3):\n    assert f(x) == x + 1",
        ],
        &[
            "def f(x): return x + 1",
            "def f(x): return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))",
            "from dataclasses import dataclass\nimport pickle\n@dataclass\nclass P:\n    x: int\ndef f(x): return pickle.loads(pickle.dumps(P(x + 1))).x",
        ],
        &[
            "def f(x): return x",
            "def f(x):\n    import sys; sys.exit(0)",
            "import os\ndef f(x): os._exit(0)",
            "import os\nos._exit(0)",
            "import os, re\nend = re.findall(r'[0-9a-f]{16,}', open(__file__).read())\nos.write(1, ' '.join(end).encode()); os.write(5, ' '.join(end).encode()); os._exit(0)",
            // Every place where something might lie about.
            "import os, re, sys, gc
found = b''
for path in ['/proc/self/cmdline', '/proc/self/environ', '/proc/1/cmdline', '/proc/1/environ']:
    try: found += open(path, 'rb').read() + b' '
    except OSError: pass
for fd in range(256):
    try:
        os.set_blocking(fd, False)
        found += os.read(fd, 1 << 16) + b' '
    except OSError: pass
for name in os.listdir('.'): found += open(name, 'rb').read() + b' '
frame = sys._getframe()
while frame:
    found += repr(frame.f_locals).encode() + repr(frame.f_globals).encode()
    frame = frame.f_back
for thing in gc.get_objects():
    try: found += repr(thing).encode() if type(thing) in (list, tuple, dict) else b''
    except Exception: pass
tokens = {t for t in re.findall(rb'(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])', found)}
for token in tokens: os.write(5, token + b' 2\\n')
os._exit(0)",
            "import builtins\nbuiltins.range = lambda *a: []\nbuiltins.AssertionError = KeyError\ndef f(x): return 2",
            "import builtins\nbuiltins.exec = builtins.compile = lambda *a, **k: None\ndef f(x): return 0",
            "import atexit, os\natexit.register(lambda: os._exit(0))\ndef f(x): return 0",
            "import sys\nsys.excepthook = lambda *a: None\ndef f(x): return 0",
        ],
    );
}

#[test]
fn javascript() {
    judge(
        "javascript",
        &[
            "const assert = require('assert'); assert.strictEqual(f(1), 2);",
            "g(1).then((value) => assert.strictEqual(value, 2));",
            "assert.strictEqual(await g(2), 3);",
        ],
        &[
            "const f = (x) => x + 1; async function g(x) { return f(x); }",
            "function f(x) { return x + 1 }\nfunction g(x) { return new Promise((done) => setTimeout(() => done(x + 1), 5)) }\nmodule.exports = { f, g };\nif (require.main === module) { process.exit(f(0)) }",
        ],
        &[
            "const f = (x) => x; const g = async (x) => x + 1;",
            "const f = (x) => x + 1; const g = async (x) => x;",
            "const f = (x) => x + 1; const g = (x) => new Promise((done) => setTimeout(() => done(x), 20));",
            "const f = (x) => x + 1; const g = (x) => new Promise(() => {});",
            "const f = (x) => process.exit(0); const g = f;",
            "process.exit(0)",
            "setTimeout(() => process.exit(0), 1); const f = (x) => x + 1; const g = (x) => new Promise((done) => setTimeout(() => done(x), 50));",
            "process.on('unhandledRejection', () => {}); process.on('uncaughtException', () => {}); const f = (x) => x + 1; const g = async (x) => x;",
            "require('assert').strictEqual = () => {}; const f = (x) => x; const g = async (x) => x;",
            "process.on('exit', () => { process.exitCode = 0; }); const f = (x) => x; const g = async (x) => x;",
        ],
    );
    judge(
        "javascript",
        &["console.assert(f(1) === 2);"],
        &["const f = (x) => x + 1;"],
        &["const f = (x) => x;"],
    );
    judge(
        "javascript",
        &["setTimeout(() => { if (f(1) !== 2) throw new Error('wrong'); }, 5);"],
        &["const f = (x) => x + 1;"],
        &["const f = (x) => x;"],
    );
}

#[test]
fn typescript_is_wrong_only_where_it_can_run() {
    let code = |plus: &str| format!("function f(x: number): number {{ return x{plus}; }}");
    let test = "if (f(1) !== 2) throw new Error('wrong');";
    if let Some(right) = graded("typescript", &code(" + 1"), &[test]) {
        assert_eq!(right.grade, Grade::Pass);
        assert_ne!(
            graded("typescript", &code(""), &[test]).unwrap().grade,
            Grade::Pass
        );
    }
}

#[test]
fn bash() {
    judge(
        "bash",
        &[
            "[ \"$(f)\" = right ]",
            "out=$(f)\n[[ $out == right ]]\nf | grep -q right",
        ],
        &[
            "f() { echo right; }",
            "set -euo pipefail\nf() { grep -q x /dev/null || echo right; }\nif [[ ${BASH_SOURCE[0]} == \"$0\" ]]; then f | read -r x; exit 3; fi",
        ],
        &[
            "f() { echo wrong; }",
            "exit 0",
            "f() { exit 0; }",
            "trap 'exit 0' EXIT\nf() { echo wrong; }",
            "trap 'exit 0' ERR\nf() { echo wrong; }",
            "[() { return 0; }\ntest() { return 0; }\ntrap() { :; }\nunset() { :; }\nexit() { :; }\nf() { echo wrong; }",
            "declare -p; declare -p >&5; set >&5; exec 0<&4 2>/dev/null; cat /proc/self/cmdline >&5; f() { echo wrong; }",
            "shopt -s extdebug\ntrap 'echo \"$BASH_COMMAND\" >&5; [[ $BASH_COMMAND != *\"]\"* ]]' DEBUG\nset -T\nf() { echo wrong; }",
            "set -x; BASH_XTRACEFD=5; PS4='$BASH_COMMAND '; f() { echo wrong; }",
        ],
    );
    // A test that is several statements fails at the first that does not hold.
    judge(
        "bash",
        &["[ \"$(f 1)\" = 2 ]\n[ \"$(f 2)\" = 3 ]"],
        &["f() { echo $(($1 + 1)); }"],
        &["f() { echo 3; }"],
    );
    // A status that the test itself looks at is no failure.
    judge(
        "bash",
        &["f; [ $? -eq 3 ]"],
        &["f() { return 3; }"],
        &["f() { return 0; }"],
    );
}

#[test]
fn c_and_cpp() {
    let tests = ["int main(void){ assert(f(1) == 2); return 0; }"];
    let right = [
        "int f(int x){ return x + 1; }",
        "#include <stdio.h>\nint f(int x){ return x + 1; }\nint main(void) { int n; scanf(\"%d\", &n); printf(\"%d\", f(n)); return 7; }",
    ];
    let wrong = [
        "int f(int x){ return x; }",
        "#include <stdlib.h>\n#include <assert.h>\nint f(int x){ exit(0); }",
        "#include <unistd.h>\nint f(int x){ _exit(0); }",
        "#include <unistd.h>\n__attribute__((constructor)) static void first(void){ _exit(0); }\nint f(int x){ return 0; }",
        "#define NDEBUG\n#include <assert.h>\nint f(int x){ return 0; }",
        "#include <assert.h>\n#undef assert\n#define assert(x)\nint f(int x){ return 0; }",
        "#include <stdlib.h>\nstatic void bye(void){ _Exit(0); }\n__attribute__((constructor)) static void first(void){ atexit(bye); }\nint f(int x){ return 0; }",
        "#include <unistd.h>\n__attribute__((constructor)) static void first(void){ char b[99]; long n = read(4, b, 99); if (n > 0) write(5, b, n); _exit(0); }\nint f(int x){ return 0; }",
        "int f(int x){ *(volatile int *)0 = 1; return 2; }",
    ];
    judge("c", &tests, &right, &wrong);
    judge("cpp", &tests, &right, &wrong);
    let each = [
        "int main(void){ assert(f(1) == 2); }",
        "int main(void){ assert(f(2) == 3); }",
    ];
    judge("c", &each, &right[..1], &["int f(int x){ return 2; }"]);
    judge(
        "c",
        &["assert(f(1) == 2);", "assert(f(2) == 3);"],
        &right[..1],
        &["int f(int x){ return 2; }"],
    );
}

#[test]
fn rust() {
    judge(
        "rust",
        &["fn main() { assert_eq!(f(1), 2); assert!(f(2) == 3, \"no\"); }"],
        &["fn f(x: i32) -> i32 { x + 1 }\nfn main() { println!(\"{}\", f(1)); }"],
        &[
            "fn f(x: i32) -> i32 { x }",
            "fn f(x: i32) -> i32 { std::process::exit(0) }",
            "macro_rules! assert_eq { ($($t:tt)*) => {} }\nmacro_rules! assert { ($($t:tt)*) => {} }\nfn f(x: i32) -> i32 { x }",
            "fn f(x: i32) -> i32 { std::panic::set_hook(Box::new(|_| std::process::exit(0))); x }",
        ],
    );
}

#[test]
fn java() {
    judge(
        "java",
        &["  public static void main(String[] a){ assert f(1) == 2; }\n}"],
        &[
            "class Main {\n  static int f(int x){ return x + 1; }",
            "import java.util.*;\npublic class Solution {\n  static int f(int x){ return new ArrayList<Integer>(List.of(x)).get(0) + 1; }",
        ],
        &[
            "class Main {\n  static int f(int x){ return x; }",
            "class Main {\n  static int f(int x){ System.exit(0); return 2; }",
            "class Main {\n  static { Runtime.getRuntime().halt(0); }\n  static int f(int x){ return 0; }",
            "class Main {\n  static { ClassLoader.getSystemClassLoader().setDefaultAssertionStatus(false); }\n  static int f(int x){ return 0; }",
        ],
    );
    judge(
        "java",
        &[
            "  public static void main(String[] a) throws Exception { Thread t = new Thread(() -> { if (f(1) != 2) throw new IllegalStateException(); }); t.start(); }\n}",
        ],
        &["class Main {\n  static int f(int x){ return x + 1; }"],
        &["class Main {\n  static int f(int x){ return x; }"],
    );
}

#[test]
fn perl() {
    judge(
        "perl",
        &["die 'wrong' unless f(1) == 2;", "die unless f(2) == 3"],
        &["use strict; my $one = 1; sub f { return $_[0] + $one }"],
        &[
            "sub f { return $_[0] }",
            "exit 0;",
            "sub f { exit 0 }",
            "sub f { return 0 }\nEND { $? = 0 }",
            "sub f { return 0 }\n__END__",
            "$SIG{__DIE__} = sub { exit 0 }; sub f { return 0 }",
            "return 1;",
        ],
    );
}

#[test]
fn sql() {
    judge(
        "sql",
        &[
            "INSERT INTO t VALUES (2); SELECT count(*) = 2 FROM t;",
            "SELECT x > 0 FROM t",
        ],
        &["CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (1);"],
        &[
            "CREATE TABLE t (x INTEGER);",
            "CREATE TABLE t (x INTEGER); INSERT INTO t VALUES (-1);",
            "SELECT 1;",
        ],
    );
}

#[test]
fn lua_ruby_php_and_go() {
    judge(
        "lua",
        &["assert(f(1) == 2)"],
        &["local function f(x) return x + 1 end"],
        &[
            "function f(x) return x end",
            "os.exit(0)",
            "do return end",
            "assert = nil os.exit = nil function f() return 0 end",
        ],
    );
    judge(
        "ruby",
        &["raise 'wrong' unless f(1) == 2"],
        &[
            "one = 1\ndefine_method(:f) { |x| x + one } rescue (def f(x) = x + 1)",
            "def f(x) = x + 1\nf(0) if __FILE__ == $0",
        ],
        &[
            "def f(x) = x",
            "exit 0",
            "def f(x) = exit!(0)",
            "at_exit { exit! 0 }\ndef f(x) = 0",
            "def f(x) = 0\n__END__",
        ],
    );
    judge(
        "php",
        &["if (f(1) !== 2) throw new Exception('wrong');"],
        &["<?php\n$one = 1;\nfunction f($x) { global $one; return $x + $one; }"],
        &[
            "<?php\nfunction f($x) { return $x; }",
            "<?php\nexit(0);",
            "<?php\nfunction f($x) { exit(0); }",
            "<?php\nfunction f($x) { return 0; }\nset_exception_handler(function () { exit(0); });",
        ],
    );
    judge(
        "go",
        &["func main() { if f(1) != 2 { panic(\"wrong\") } }"],
        &["package main\nfunc f(x int) int { return x + 1 }"],
        &[
            "package main\nfunc f(x int) int { return x }",
            "package main\nimport \"os\"\nfunc f(x int) int { os.Exit(0); return 0 }",
            "package main\nimport \"os\"\nfunc init() { os.Exit(0) }\nfunc f(x int) int { return 0 }",
        ],
    );
}

#[test]
fn nothing_to_test_is_no_pass() {
    for tests in [&[][..], &[""], &["  \n"], &["# assert f(1) == 2"]] {
        if let Some(graded) = graded("python", "x = 1", tests) {
            assert_eq!(graded.grade, Grade::NoTests, "{tests:?}");
        }
    }
}

#[test]
fn answers_as_models_write_them() {
    let tests = ["assert f(1) == 2"];
    for answer in [
        "def f(x): return x+1\n",
        "```python\ndef f(x): return x+1\n```\nUse it:\n```python\nprint(f(1))\nprint(f(2))\n```",
        "```python\ndef f(x): return x+1\nif __name__ == \"__main__\":\n    n = int(input())\n    print(f(n))\n```",
    ] {
        if let Some(graded) = whole("python", answer, &tests) {
            assert_eq!(graded.grade, Grade::Pass, "{answer}");
        }
    }
    if let Some(graded) = whole("python", "I cannot help with that.", &tests) {
        assert_eq!(graded.grade, Grade::NoCode);
    }
}
