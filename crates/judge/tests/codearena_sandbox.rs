//! Programs that mean harm, each inside its limits, and the host as it was.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use judge::codearena::sandbox::{
    Check, Ended, Grade, LANGUAGES, Language, Limits, Ran, Sandbox, Stream, grade,
};

/// The sandbox, where this system allows one; a test without one says so.
fn sandbox() -> Option<Sandbox> {
    match Sandbox::new() {
        Ok(sandbox) => Some(sandbox),
        Err(error) => {
            println!("skipped: {error}");
            None
        }
    }
}

fn limits() -> Limits {
    Limits {
        cpu_seconds: 2,
        wall: Duration::from_secs(4),
        memory: 128 << 20,
        ..Limits::default()
    }
}

fn python(source: &str) -> Option<Ran> {
    let (job, limits) = Language::named("python")?.job(source, b"", &limits())?;
    let begun = Instant::now();
    let ran = sandbox()?.run(&job, &limits).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "it was not ended in time"
    );
    Some(ran)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_harmless_program_runs() {
    let Some(ran) = python(
        "import sys, os\nprint(sum(range(10)), os.getcwd(), sorted(os.environ))\nprint('x', file=sys.stderr)",
    ) else {
        return;
    };
    assert_eq!(ran.ended, Ended::Exit(0), "{}", text(&ran.stderr));
    let out = text(&ran.stdout);
    assert!(out.starts_with("45 /work ['HOME', 'LANG',"), "{out}");
    assert_eq!(text(&ran.stderr), "x\n");
}

/// The quick start of Python must not be seen: what a program finds is what `python3 -I FILE` gives it.
#[test]
fn python_starts_as_it_always_does() {
    let tell = "from __future__ import annotations
import builtins, pickle, sys, traceback
class Point:
    def __init__(self): self.x = 3
def names(): return sorted(set(globals()) - {'__annotations__', '__cached__'})
print(names())
print(sorted(dir(builtins)))
print(sys.path)
print(sys.argv == [__file__] or sys.argv == ['main.py'], __name__, __file__.split('/')[-1], __spec__)
print(pickle.loads(pickle.dumps(Point())).x, sys.modules['__main__'].Point is Point)
try: 1 / 0
except ZeroDivisionError: print(traceback.format_exc().split('main.py')[-1])
exit(7)";
    let Some(ran) = python(tell) else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.py");
    std::fs::write(&file, tell).unwrap();
    let tool = Language::named("python").unwrap().tool().unwrap();
    let usual = std::process::Command::new(tool.path)
        .arg("-I")
        .arg(file)
        .output()
        .unwrap();
    assert_eq!(
        text(&ran.stdout),
        text(&usual.stdout),
        "{}",
        text(&ran.stderr)
    );
    assert_eq!((ran.ended, usual.status.code()), (Ended::Exit(7), Some(7)));
}

#[test]
fn a_fork_bomb_stays_small() {
    let source = "import os\nforks = 0\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass\n";
    let Some(ran) = python(source) else { return };
    assert!(
        matches!(ran.ended, Ended::Timeout | Ended::Memory | Ended::Signal(_)),
        "{:?}",
        ran.ended
    );
}

#[test]
fn a_memory_bomb_ends_alone() {
    let Some(ran) = python("x = []\nwhile True:\n    x.append(bytearray(10 ** 7))") else {
        return;
    };
    assert!(
        matches!(ran.ended, Ended::Memory | Ended::Exit(1)),
        "{:?}",
        ran.ended
    );
    // Shared out among children, none of which takes too much alone.
    let source = "import os, time\nfor _ in range(8):\n    if os.fork() == 0:\n        x = b'x' * (60 << 20)\n        time.sleep(60)\ntime.sleep(60)";
    assert_eq!(python(source).unwrap().ended, Ended::Memory);
}

#[test]
fn endless_output_is_cut() {
    let Some(ran) = python("while True: print('x' * 1000)") else {
        return;
    };
    assert_eq!(ran.ended, Ended::Output);
    assert_eq!(ran.stdout.len(), Limits::default().output);
}

#[test]
fn nothing_outside_can_be_written_or_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("host.txt");
    std::fs::write(&file, "secret of the host").unwrap();
    let source = format!(
        "import os
for path in ['/x', '/usr/x', '/bin/x', '/etc/x', '/root/x', '/home/x', '/var/x', '/proc/sys/kernel/core_pattern', '{0}', '/proc/1/mem']:
    for mode in ['w', 'a']:
        try:
            open(path, mode).write('harm')
            print('wrote', path)
        except OSError:
            pass
for path in ['{0}', '/etc/shadow', '/etc/passwd', '/root/.ssh', '/home']:
    if os.path.exists(path): print('sees', path)
print(sorted(p for p in os.listdir('/proc') if p.isdigit())[:4], os.listdir('/'))",
        file.display()
    );
    let Some(ran) = python(&source) else { return };
    let out = text(&ran.stdout);
    assert!(!out.contains("wrote") && !out.contains("sees"), "{out}");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        "secret of the host"
    );
    // Its own disk is small, and so is each file.
    let source = "import os, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    open('big', 'wb').write(b'x' * (9 << 20))
except OSError as error: print(error.errno)
total = 0
try:
    for i in range(100):
        total += open(str(i), 'wb').write(b'x' * (4 << 20))
except OSError as error: print(error.errno, total <= 64 << 20)";
    assert_eq!(text(&python(source).unwrap().stdout), "27\n28 True\n");
}

#[test]
fn there_is_no_network() {
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    host.set_nonblocking(true).unwrap();
    let port = host.local_addr().unwrap().port();
    let source = format!(
        "import socket
for family in [socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK]:
    try:
        s = socket.socket(family, socket.SOCK_RAW if family == socket.AF_NETLINK else socket.SOCK_STREAM)
        print('made', family)
        s.connect(('127.0.0.1', {port}))
        print('connected')
    except OSError: print('refused')"
    );
    let Some(ran) = python(&source) else { return };
    assert_eq!(text(&ran.stdout), "refused\nrefused\nrefused\n");
    assert!(host.accept().is_err());
}

#[test]
fn signals_reach_nobody_outside() {
    let source = format!(
        "import os, signal
for pid in [os.getppid(), 1, {}, -1]:
    for number in [signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP]:
        try: os.kill(pid, number)
        except OSError: pass
print('alive')",
        std::process::id()
    );
    let Some(ran) = python(&source) else { return };
    assert!(
        matches!(ran.ended, Ended::Exit(0) | Ended::Signal(_)),
        "{:?}",
        ran.ended
    );
}

#[test]
fn what_a_program_leaves_behind_dies_with_it() {
    let mark = format!("left-behind-{}", std::process::id());
    let source = format!(
        "import os, subprocess, sys
for _ in range(6):
    if os.fork() == 0: os._exit(0)
for _ in range(4):
    subprocess.Popen([sys.executable, '-c', 'import os, time; os.setsid(); time.sleep(1000)', '{mark}'])
print('done')"
    );
    let begun = Instant::now();
    let Some(ran) = python(&source) else { return };
    assert_eq!(
        (ran.ended, text(&ran.stdout)),
        (Ended::Exit(0), "done\n".into())
    );
    assert!(begun.elapsed() < Duration::from_secs(15));
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        assert!(
            !text(&line).contains(&mark),
            "{} is still there",
            text(&line)
        );
    }
}

#[test]
fn the_ways_out_are_shut() {
    let source = "import ctypes, os
c = ctypes.CDLL(None, use_errno=True)
def tell(name, result): print(name, 'done' if result == 0 else 'refused')
tell('unshare', c.unshare(0x10000000))
tell('mount', c.mount(b'none', b'/work', b'tmpfs', 0, None))
tell('ptrace', c.ptrace(16, 1, 0, 0))
tell('chroot', c.chroot(b'/work'))
tell('setuid', c.setuid(0))
tell('setns', c.setns(0, 0))
print('new privileges', open('/proc/self/status').read().split('NoNewPrivs:')[1].split()[0] == '0')
print('capabilities', open('/proc/self/status').read().split('CapEff:')[1].split()[0].strip('0') != '')";
    let Some(ran) = python(source) else { return };
    let out = text(&ran.stdout);
    assert_eq!(out.lines().count(), 8, "{out} {}", text(&ran.stderr));
    assert!(!out.contains("done") && !out.contains("True"), "{out}");
}

#[test]
fn sleeping_does_not_help() {
    let Some(ran) = python("import time\ntime.sleep(1000)") else {
        return;
    };
    assert_eq!(ran.ended, Ended::Timeout);
    assert_eq!(python("while True: pass").unwrap().ended, Ended::Timeout);
}

fn graded(language: &str, code: &str, check: &Check) -> Option<(Grade, usize)> {
    let language = Language::named(language)?;
    let answer = format!("Here it is.\n\n```{}\n{code}\n```", language.tags[0]);
    let graded = grade(&sandbox()?, language, &answer, check, &limits()).unwrap();
    Some((graded.grade, graded.passed))
}

#[test]
fn grades_tell_what_is_wrong() {
    let tests: Vec<String> = ["assert f(1) == 2", "assert f(2) == 4", "assert f(0) == 0"]
        .map(str::to_owned)
        .to_vec();
    let check = Check::Assertions(tests);
    let python = |code: &str| graded("python", code, &check);
    let Some(right) = python("def f(x): return 2 * x") else {
        return;
    };
    assert_eq!(right, (Grade::Pass, 3));
    assert_eq!(
        python("def f(x): return x + 1").unwrap(),
        (Grade::Fail { test: 1 }, 1)
    );
    assert_eq!(
        python("def f(x):\n    while True: pass").unwrap().0,
        Grade::Timeout
    );
    assert!(matches!(
        python("def f(x) return x").unwrap().0,
        Grade::CompileError { .. }
    ));
    assert!(matches!(
        python("import nothing_of_that_name").unwrap().0,
        Grade::Crash { .. }
    ));
    // Ending early is no way to pass.
    assert!(matches!(
        python("import sys\nsys.exit(0)").unwrap().0,
        Grade::Crash { .. }
    ));
    assert!(matches!(
        python("import os\ndef f(x): os._exit(0)").unwrap().0,
        Grade::Fail { test: 0 }
    ));
    let sandbox = sandbox().unwrap();
    let language = Language::named("python").unwrap();
    let none = grade(&sandbox, language, "no code at all", &check, &limits()).unwrap();
    assert_eq!(none.grade, Grade::NoCode);
    let streams = Check::Streams(vec![
        Stream {
            stdin: "2 3".into(),
            expected: "5".into(),
        },
        Stream {
            stdin: "1\n1\n".into(),
            expected: " 2 \n".into(),
        },
    ]);
    let code = "import sys\nprint(sum(map(int, sys.stdin.read().split())))";
    assert_eq!(graded("python", code, &streams).unwrap(), (Grade::Pass, 2));
    assert_eq!(
        graded("python", "print(5)", &streams).unwrap(),
        (Grade::Fail { test: 1 }, 1)
    );
    let calls = Check::Calls(vec![("f([2, 1])".into(), "[1, 2]".into())]);
    assert_eq!(
        graded("python", "f = sorted", &calls).unwrap(),
        (Grade::Pass, 1)
    );
}

#[test]
fn every_language_that_is_installed_runs() {
    let Some(sandbox) = sandbox() else { return };
    let programs = [
        ("python", "print(int(input()) + 1)"),
        (
            "javascript",
            "const n = Number(require('fs').readFileSync(0, 'utf8'));\nconsole.log(n + 1);",
        ),
        ("bash", "read n\necho $((n + 1))"),
        ("lua", "print(math.floor(io.read('n') + 1))"),
        ("ruby", "puts gets.to_i + 1"),
        ("perl", "my $n = <STDIN>; print $n + 1, \"\\n\";"),
        ("php", "<?php echo intval(fgets(STDIN)) + 1;"),
        ("sql", "SELECT 41 + 1;"),
        (
            "go",
            "package main\nimport \"fmt\"\nfunc main() { var n int; fmt.Scan(&n); fmt.Println(n + 1) }",
        ),
        (
            "rust",
            "fn main() { let mut s = String::new(); std::io::stdin().read_line(&mut s).unwrap(); println!(\"{}\", s.trim().parse::<i32>().unwrap() + 1); }",
        ),
        (
            "c",
            "#include <stdio.h>\nint main(void) { int n; scanf(\"%d\", &n); printf(\"%d\\n\", n + 1); return 0; }",
        ),
        (
            "cpp",
            "#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n + 1; }",
        ),
        (
            "java",
            "import java.util.Scanner;\npublic class Main { public static void main(String[] a) { System.out.println(new Scanner(System.in).nextInt() + 1); } }",
        ),
    ];
    let check = Check::Streams(vec![Stream {
        stdin: "41\n".into(),
        expected: "42".into(),
    }]);
    let limits = Limits {
        wall: Duration::from_secs(120),
        cpu_seconds: 60,
        ..Limits::default()
    };
    for (name, code) in programs {
        let language = Language::named(name).unwrap();
        let answer = format!("```{}\n{code}\n```", language.tags[0]);
        let graded = grade(&sandbox, language, &answer, &check, &limits).unwrap();
        match language.tool() {
            Some(_) => assert_eq!(graded.grade, Grade::Pass, "{name}"),
            None => assert_eq!(graded.grade, Grade::Unavailable, "{name}"),
        }
        println!("{name}: {:?}", graded.grade);
    }
    assert!(programs.len() + 1 == LANGUAGES.len());
    if let Some((grade, _)) = graded("c", "int main(void) { return x; }", &check) {
        assert!(
            matches!(grade, Grade::CompileError { .. } | Grade::Unavailable),
            "{grade:?}"
        );
    }
}

#[test]
fn checks_side_by_side_do_not_disturb_one_another() {
    let Some(sandbox) = sandbox() else { return };
    let language = Language::named("python").unwrap();
    let check = Check::Assertions(vec!["assert f(1) == 2".into()]);
    let answer = "```python\ndef f(x): return x + 1\n```";
    let one = || grade(&sandbox, language, answer, &check, &Limits::default()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..12 {
                    assert_eq!(one().grade, Grade::Pass);
                }
            });
        }
    });
}

/// A second of work beside much other work takes longer than its wall time allows by the clock; that is no fault of the program.
/// One that sleeps has no such excuse.
#[test]
fn a_busy_machine_is_no_timeout() {
    let Some(sandbox) = sandbox() else { return };
    if std::fs::read_to_string("/proc/self/schedstat").is_err() {
        println!("skipped: this system does not count waiting");
        return;
    }
    let limits = Limits {
        cpu_seconds: 10,
        wall: Duration::from_secs(3),
        ..Limits::default()
    };
    let run = |source: &str| {
        let (job, limits) = Language::named("python")?.job(source, b"", &limits)?;
        Some(sandbox.run(&job, &limits).unwrap())
    };
    let end = Instant::now() + Duration::from_secs(30);
    let done = std::sync::atomic::AtomicBool::new(false);
    let working = || !done.load(std::sync::atomic::Ordering::Relaxed) && Instant::now() < end;
    let others = 4 * std::thread::available_parallelism().map_or(2, usize::from);
    let ran = std::thread::scope(|scope| {
        for _ in 0..others {
            scope.spawn(|| {
                while working() {
                    std::hint::spin_loop();
                }
            });
        }
        // Processor time in one process, and in many of short life that nobody sees for long.
        let long = run("import time\nwhile time.process_time() < 1: pass\nprint('done')");
        let short = run(
            "import subprocess\nfor _ in range(120): subprocess.run(['/bin/sh', '-c', '/bin/true'])\nprint('done')",
        );
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        [long, short]
    });
    for ran in ran.into_iter().flatten() {
        assert_eq!(
            (ran.ended, text(&ran.stdout)),
            (Ended::Exit(0), "done\n".into())
        );
        println!("it took {:?}", ran.wall);
    }
    if let Some(slept) = run("import time\ntime.sleep(20)") {
        assert_eq!(slept.ended, Ended::Timeout);
    }
}

/// Where the kernel bounds memory, pages that processes share are counted once, memory of many processes together ends a run, and
/// no group is left.
#[test]
fn the_kernel_bounds_memory_where_it_may() {
    let Some(sandbox) = sandbox() else { return };
    if !sandbox.kernel_bounds_memory() {
        println!("skipped: no control groups for us here");
        return;
    }
    let fork = |held: &str, each: &str| {
        format!(
            "import os, time\nheld = b'x' * ({held} << 20)\nfor _ in range(8):\n    if os.fork() == 0:\n        own = b'x' * ({each} << 20)\n        time.sleep(1)\n        os._exit(0)\nfor _ in range(8): os.wait()\nprint('done')"
        )
    };
    let shared = python(&fork("60", "1")).unwrap();
    assert_eq!(
        (shared.ended, text(&shared.stdout)),
        (Ended::Exit(0), "done\n".into())
    );
    let own = python(&fork("1", "30")).unwrap();
    assert_eq!(own.ended, Ended::Memory);
}

/// A program that tries to hold 1 GB in a way of its own, and says how many megabytes it holds.
fn hoard(source: &str) -> Option<()> {
    let source = format!(
        "import os, socket, sys, time, mmap, ctypes\nheld = 0\nchunk = b'x' * (1 << 20)\ntry:\n{}\nexcept OSError: pass\ntime.sleep(0.5)\nprint(held)",
        source
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>()
    );
    let ran = python(&source)?;
    let held: u64 = text(&ran.stdout).trim().parse().unwrap_or(9999);
    assert!(
        ran.ended == Ended::Memory || (ran.ended == Ended::Exit(0) && held <= 128),
        "{:?} with {held} MB: {}",
        ran.ended,
        text(&ran.stderr)
    );
    Some(())
}

#[test]
fn memory_that_no_process_has_is_counted_too() {
    // Memory files.
    hoard(
        "for _ in range(150):\n    fd = os.memfd_create('x')\n    for _ in range(8): os.write(fd, chunk); held += 1",
    );
    // System V segments.
    hoard(
        "c = ctypes.CDLL(None)\nc.shmat.restype = ctypes.c_void_p\nfor _ in range(30):\n    k = c.shmget(0, 40 << 20, 0o1600)\n    if k < 0: break\n    a = c.shmat(k, None, 0)\n    ctypes.memset(a, 1, 40 << 20)\n    held += 40",
    );
    // Buffers of sockets, in many processes.
    hoard(
        "for _ in range(24):\n    if os.fork(): continue\n    pairs = []\n    for _ in range(110):\n        a, b = socket.socketpair()\n        pairs += [a, b]\n        for s in (a, b):\n            s.setblocking(False)\n            try:\n                while True: s.send(chunk)\n            except BlockingIOError: pass\n    time.sleep(3)\n    os._exit(0)\nheld = 1000\ntime.sleep(2.5)",
    );
    // Descriptors that are on their way.
    hoard(
        "import array\na, b = socket.socketpair()\nfor _ in range(100):\n    c, d = socket.socketpair()\n    c.setblocking(False)\n    a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [c.fileno()]))])\n    held += 10",
    );
    // Shared pages that are given back and stay.
    hoard(
        "maps = []\nfor _ in range(10):\n    if os.fork(): continue\n    m = mmap.mmap(-1, 100 << 20)\n    for at in range(0, 100 << 20, 4096): m[at] = 1\n    m.madvise(mmap.MADV_DONTNEED)\n    time.sleep(3)\n    os._exit(0)\nheld = 1000\ntime.sleep(3)",
    );
}

#[test]
fn process_1_tells_nothing_of_the_host() {
    let source = "for name in ['cmdline', 'comm', 'environ', 'cwd', 'exe']:
    try: print(name, open('/proc/1/' + name).read().strip('\\0\\n'))
    except OSError: print(name, 'refused')";
    let Some(ran) = python(source) else { return };
    assert_eq!(
        text(&ran.stdout),
        "cmdline \ncomm init\nenviron refused\ncwd refused\nexe refused\n"
    );
}

#[test]
fn nothing_is_left_for_whoever_is_killed() {
    let count = || {
        let names = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        names
            .filter(|entry| {
                entry
                    .file_name()
                    .to_string_lossy()
                    .starts_with("orrery-run-")
            })
            .count()
    };
    let before = count();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| python("import time\ntime.sleep(1)"));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(count(), before, "a run makes a folder");
        running.join().unwrap();
    });
}
