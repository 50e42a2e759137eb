//! Code out of an answer.

/// The content of the last fenced block tagged with one of `tags`; where no block is, of the last block without a tag.
/// A fence that is not closed reaches to the end of the answer.
pub fn code_block(answer: &str, tags: &[&str]) -> Option<String> {
    let (mut tagged, mut untagged) = (None, None);
    let mut open: Option<(&str, usize, Vec<&str>)> = None;
    let mut keep = |tag: &str, lines: Vec<&str>| {
        let name = tag.split([' ', '{', ',']).next().unwrap_or_default();
        let mut code = lines.join("\n");
        code.push('\n');
        if tags.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
            tagged = Some(code);
        } else if name.is_empty() {
            untagged = Some(code);
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
    tagged.or(untagged)
}

#[cfg(test)]
mod tests {
    use super::code_block;

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
}
