//! How Python starts: quickly.
//!
//! Most of the time of a small check is the interpreter's own start, and most of that is the module `site`, which reads every
//! path file (`.pth`) of the installed packages and runs the code in them. So `site` is asked once, when the interpreter is
//! looked for, which folders it finds; runs start without it (`-S`), get the same folders, and the names that it adds to the
//! built-in ones (`exit`, `quit`, `help`…). What a program sees is the same: the standard library and installed packages can
//! be imported. What is left out are `sitecustomize`, `usercustomize` and code in path files. `-I` keeps the environment, the
//! user's own packages and the working folder out.

/// Arguments that make Python print its own path and then, a line each, where it looks for modules.
pub(super) const ABOUT: [&str; 3] = [
    "-I",
    "-c",
    "import sys; print(sys.executable, *sys.path, sep='\\n')",
];

/// What runs before the program, as `__main__`, whose names the program takes over.
const START: &str = "import sys, site
sys.path[:] = MODULES
site.setquit(); site.setcopyright(); site.sethelper()
sys.argv[:] = ['FILE']
__file__ = '/work/FILE'
def program():
    with open(__file__, 'rb') as file:
        return compile(file.read(), __file__, 'exec', dont_inherit=True)
del sys, site
exec(globals().pop('program')())";

/// Arguments of the interpreter for the program `file` of the working folder. Where `modules` is empty, because the
/// interpreter did not tell, it starts as usual.
pub(super) fn arguments(file: &str, modules: &[String]) -> Vec<String> {
    if modules.is_empty() {
        return ["-I", file].map(str::to_owned).to_vec();
    }
    let quoted: Vec<String> = modules.iter().map(|path| quote(path)).collect();
    let start = START
        .replace("MODULES", &format!("[{}]", quoted.join(", ")))
        .replace("FILE", file);
    let mut arguments = ["-I", "-S", "-c"].map(str::to_owned).to_vec();
    arguments.push(start);
    arguments
}

/// Arguments of the interpreter for the program `file` and its assertions: see [`super::proof`].
pub(super) fn checked(file: &str, modules: &[String]) -> Vec<String> {
    let quoted: Vec<String> = modules.iter().map(|path| quote(path)).collect();
    let mut start = String::from("import sys, site\n");
    if !modules.is_empty() {
        start.push_str(&format!("sys.path[:] = [{}]\n", quoted.join(", ")));
    }
    start.push_str(
        "site.setquit(); site.setcopyright(); site.sethelper()\nsys.argv[:] = ['FILE']\n",
    );
    start.push_str(super::proof::PYTHON);
    let quick: &[&str] = if modules.is_empty() {
        &["-I"]
    } else {
        &["-I", "-S"]
    };
    let mut arguments: Vec<String> = quick.iter().map(|text| (*text).to_owned()).collect();
    arguments.push("-c".into());
    arguments.push(start.replace("FILE", file));
    arguments
}

/// A text as Python source.
fn quote(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\\' | '\'' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_odd_letters_stay_paths() {
        assert_eq!(quote("/a'b\\c"), "'/a\\'b\\\\c'");
        let arguments = arguments("main.py", &["/x".into(), "/y z".into()]);
        assert!(
            arguments
                .last()
                .is_some_and(|start| start.contains("sys.path[:] = ['/x', '/y z']\n"))
        );
    }
}
