//! Code out of an answer.

use regex::Regex;

/// The content of the last fenced block tagged with one of `tags`; where no block is, of the last block without a tag.
/// A fence that is not closed reaches to the end of the answer.
pub fn code_block(answer: &str, tags: &[&str]) -> Option<String> {
    code_blocks(answer, tags).pop()
}

/// The block to test: the last one that defines a name which the tests use, else the last one. So a block behind the solution
/// that only shows its use is not taken for it, as in EvalPlus, which looks for the tested name too (`sanitize`).
pub(super) fn tested_block(answer: &str, tags: &[&str], tests: &[String]) -> Option<String> {
    let mut blocks = code_blocks(answer, tags);
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    let used: std::collections::BTreeSet<&str> = tests
        .iter()
        .flat_map(|test| test.split(word))
        .filter(|name| name.starts_with(|c: char| c.is_alphabetic() || c == '_'))
        .collect();
    let defined = blocks
        .iter()
        .rposition(|block| names(block).any(|name| used.contains(name)));
    match defined {
        Some(at) => Some(blocks.swap_remove(at)),
        None => blocks.pop(),
    }
}

/// Names that a block defines: a word behind a keyword or a type at the beginning of a statement and before `(`, `=`, `{`, `:`
/// or `<`; a word before `=` or `()` at the beginning of a line.
fn names(block: &str) -> impl Iterator<Item = &str> {
    const DEFINES: &str = r"^\s*(?:[\w:<>,&*\[\]]+\s+)*?[*&]*(\w+)\s*(?:[({:<]|=(?:[^=]|$))";
    const USES: &[&str] = &[
        "return", "print", "await", "new", "else", "if", "while", "for", "throw", "yield",
        "assert", "raise", "echo", "puts", "console", "println", "case", "switch", "del", "delete",
        "typeof", "not", "in", "and", "or", "elif", "match", "with",
    ];
    let pattern = Regex::new(DEFINES).ok();
    block.lines().filter_map(move |line| {
        let found = pattern.as_ref()?.captures(line)?;
        let name = found.get(1)?;
        let before = line.get(..name.start())?;
        let first = line.split_whitespace().next()?;
        if USES.contains(&first) {
            return None;
        }
        // A call at the beginning of a line defines nothing, but for a shell function: `name() {`.
        let after = line.get(name.end()..)?.trim_start();
        let shell = after
            .strip_prefix('(')
            .is_some_and(|rest| rest.trim_start().starts_with(')') && rest.contains('{'));
        let call = before.trim().is_empty() && !after.starts_with('=') && !shell;
        (!call).then(|| line.get(name.range())).flatten()
    })
}

/// All blocks tagged with one of `tags`; where none is, all blocks without a tag.
fn code_blocks(answer: &str, tags: &[&str]) -> Vec<String> {
    let (mut tagged, mut untagged) = (Vec::new(), Vec::new());
    let mut open: Option<(&str, usize, Vec<&str>)> = None;
    let mut keep = |tag: &str, lines: Vec<&str>| {
        let name = tag.split([' ', '{', ',']).next().unwrap_or_default();
        let mut code = lines.join("\n");
        code.push('\n');
        if tags.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
            tagged.push(code);
        } else if name.is_empty() {
            untagged.push(code);
        }
    };
    for line in answer.lines() {
        let trimmed = line.trim_start();
        let ticks = trimmed.bytes().take_while(|byte| *byte == b'`').count();
        let rest = trimmed.get(ticks..).unwrap_or_default().trim();
        open = match open {
            Some((tag, length, lines)) if ticks >= length && rest.is_empty() => {
                keep(tag, lines);
                None
            }
            Some((tag, length, mut lines)) => {
                lines.push(line);
                Some((tag, length, lines))
            }
            None if ticks >= 3 && !rest.contains('`') => Some((rest, ticks, Vec::new())),
            None => None,
        };
    }
    if let Some((tag, _, lines)) = open {
        keep(tag, lines);
    }
    if tagged.is_empty() { untagged } else { tagged }
}

#[cfg(test)]
mod tests {
    use super::{code_block, tested_block};

    #[test]
    fn the_last_block_with_the_right_tag() {
        let answer = "```python\nold\n```\ntext\n```Python title=x\nnew\n  in\n```\n```bash\nrun\n```\n```\nplain\n```";
        assert_eq!(
            code_block(answer, &["python", "py"]).as_deref(),
            Some("new\n  in\n")
        );
        assert_eq!(code_block(answer, &["rust"]).as_deref(), Some("plain\n"));
        assert_eq!(code_block("no code, `x`", &["rust"]), None);
    }

    #[test]
    fn fences_that_are_long_or_not_closed() {
        assert_eq!(
            code_block("````c\n```\na\n````", &["c"]).as_deref(),
            Some("```\na\n")
        );
        assert_eq!(
            code_block("```c\nint x;", &["c"]).as_deref(),
            Some("int x;\n")
        );
    }

    #[test]
    fn a_block_that_shows_the_use_is_not_the_solution() {
        let block =
            |answer: &str, tag: &str, test: &str| tested_block(answer, &[tag], &[test.into()]);
        for (tag, solution, test) in [
            ("py", "def f(x): return x + 1\n", "assert f(1) == 2"),
            ("py", "f = lambda x: x\n", "assert f(1) == 1"),
            ("py", "class Stack:\n    pass\n", "assert Stack()"),
            ("js", "const f = (x) => x;\n", "assert(f(1) === 1)"),
            ("js", "async function f(x) {\n}\n", "f(1)"),
            (
                "c",
                "static int *f(int x) {\n}\n",
                "int main(void) { f(1); }",
            ),
            (
                "rs",
                "pub fn f<T>(x: T) -> T { x }\n",
                "fn main() { f(1); }",
            ),
            ("sh", "f() { echo 1; }\n", "[ $(f) = 1 ]"),
        ] {
            for usage in [
                "print(f(1))\nprint(f(2))",
                "x = f(1)",
                "f(1)",
                "Stack()",
                "f 1",
            ] {
                let answer = format!("```{tag}\n{solution}```\nUse it:\n```{tag}\n{usage}\n```");
                assert_eq!(
                    block(&answer, tag, test).as_deref(),
                    Some(solution),
                    "{usage}"
                );
            }
        }
        let two = "```py\ndef f(x): return 1\n```\n```py\ndef f(x): return 2\n```";
        assert_eq!(
            block(two, "py", "f(1)").as_deref(),
            Some("def f(x): return 2\n")
        );
    }
}
