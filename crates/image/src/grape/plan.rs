//! From a planner's reply to a plan: what is to be edited, one instruction after the other.

use serde::{Deserialize, Serialize};

/// Says in a reply that the picture is right; any case.
const ALL_RIGHT: &str = "no further feedback is necessary";
/// Asks for another picture.
pub const REGENERATE: &str = "<REGENERATE>";
/// Comes before the instructions.
const FEEDBACK: &str = "**Feedback**:";

/// What a reply comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// The picture is right.
    Empty,
    /// The picture is too far off: draw another one.
    Regenerate,
    /// Instructions in order, each for one edit.
    Edit(Vec<String>),
}

/// How replies are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parser {
    /// Headings in any case and style, bullets and numbers of all kinds; full stops inside an instruction stay.
    #[default]
    Lenient,
    /// As the published code does it (dair-iitd/GraPE, `generate_plans.py`): every full stop and every `- ` goes.
    Official,
}

impl Parser {
    /// Reads a reply. None where it has neither instructions nor a verdict, which only [`Parser::Lenient`] notices.
    pub fn parse(self, reply: &str) -> Option<Plan> {
        if reply.to_lowercase().contains(ALL_RIGHT) {
            return Some(Plan::Empty);
        }
        match self {
            _ if reply.contains(REGENERATE) => Some(Plan::Regenerate),
            Self::Official => Some(Plan::of(official(reply))),
            Self::Lenient if reply.to_uppercase().contains(REGENERATE) => Some(Plan::Regenerate),
            Self::Lenient => lenient(reply).map(Plan::of),
        }
    }
}

impl Plan {
    fn of(steps: Vec<String>) -> Self {
        match steps.is_empty() {
            true => Self::Empty,
            false => Self::Edit(steps),
        }
    }
}

fn official(reply: &str) -> Vec<String> {
    let after = reply.split(FEEDBACK).nth(1).unwrap_or_default();
    let lines = after.split('\n').filter(|line| !line.is_empty());
    lines
        .map(|line| line.replace("- ", "").trim().replace('.', ""))
        .collect()
}

/// The instructions under the first heading that says "Feedback"; none without such a heading.
fn lenient(reply: &str) -> Option<Vec<String>> {
    let mut lines = reply.lines();
    let first = lines.find_map(|line| {
        let text = line.trim_start_matches(decoration).to_lowercase();
        text.starts_with("feedback")
            .then(|| line.split_once(':').map_or("", |(_, rest)| rest))
    })?;
    let rest = lines.take_while(|line| !is_heading(line));
    let steps = std::iter::once(first).chain(rest).filter_map(instruction);
    Some(steps.collect())
}

fn decoration(c: char) -> bool {
    c.is_whitespace() || "*#_".contains(c)
}

/// Another part of the reply begins.
fn is_heading(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('#') || (line.starts_with("**") && line.trim_end_matches([':', '*']) != line)
}

/// What a line asks for, without its bullet or number and without the full stop behind it.
fn instruction(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches(['-', '*', '•']).trim();
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let line = match digits.strip_prefix(['.', ')']) {
        Some(rest) if digits.len() < line.len() && rest.starts_with(' ') => rest,
        _ => line,
    };
    let line = line.trim_matches(decoration).trim_end_matches('.').trim();
    let nothing = ["none", "n/a", "nothing", "no feedback", ""];
    (!nothing.contains(&line.to_lowercase().as_str())).then(|| line.to_owned())
}

/// What an instruction does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Something comes in.
    Add,
    /// Something goes.
    Remove,
    /// Something takes the place of something else.
    Replace,
    /// Something gets another colour.
    Recolor,
    /// Something goes elsewhere.
    Move,
    /// How many there are changes.
    Count,
}

impl Kind {
    /// The kind that the words of an instruction tell; none where they do not.
    pub fn of(instruction: &str) -> Option<Self> {
        let text = instruction.to_lowercase();
        let first = text.split_whitespace().next()?;
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        Some(match first {
            _ if has(&["colour", "color", "paint", "recolo"]) => Self::Recolor,
            "increase" | "decrease" | "reduce" => Self::Count,
            "add" | "insert" | "include" | "put" | "draw" => Self::Add,
            "remove" | "delete" | "erase" => Self::Remove,
            "replace" | "swap" | "turn" | "transform" => Self::Replace,
            "move" | "place" | "shift" => Self::Move,
            _ => return None,
        })
    }
}

/// One edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What to do, in words.
    pub instruction: String,
    /// What that does, where the words tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Kind>,
}

/// The steps of a plan in the planner's order. Of two that give one thing a colour the later stays.
pub fn steps(instructions: &[String]) -> Vec<Step> {
    let target = |text: &str| {
        let text = text.to_lowercase();
        let recolours = Kind::of(&text) == Some(Kind::Recolor);
        text.rsplit_once(" to ")
            .filter(|_| recolours)
            .map(|(what, _)| what.to_owned())
    };
    let targets: Vec<Option<String>> = instructions.iter().map(|it| target(it)).collect();
    let undone = |at: usize| targets[at].is_some() && targets[at + 1..].contains(&targets[at]);
    (0..instructions.len())
        .filter(|&at| !undone(at))
        .map(|at| Step {
            instruction: instructions[at].clone(),
            kind: Kind::of(&instructions[at]),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &str) -> Option<Plan> {
        Parser::Lenient.parse(reply)
    }

    fn edit(steps: &[&str]) -> Option<Plan> {
        Some(Plan::Edit(steps.iter().map(|&it| it.to_owned()).collect()))
    }

    #[test]
    fn headings_bullets_and_numbers_of_all_kinds() {
        let wanted = edit(&["Add 2.5 litres of water", "Remove the dog - the brown one"]);
        for reply in [
            "**Feedback**:\n- Add 2.5 litres of water.\n- Remove the dog - the brown one.",
            "**feedback:**\r\n* Add 2.5 litres of water.\r\n\r\n* Remove the dog - the brown one\r\n",
            "text\n## Feedback\n1. Add 2.5 litres of water.\n2) Remove the dog - the brown one.\n\n**Notes**:\n- x",
            "Feedback: Add 2.5 litres of water\n• Remove the dog - the brown one.",
        ] {
            assert_eq!(read(reply), wanted, "{reply}");
        }
        assert_eq!(read("**Feedback**: none"), Some(Plan::Empty));
        assert_eq!(
            read("**Feedback**:\n- <regenerate>"),
            Some(Plan::Regenerate)
        );
        assert_eq!(read("I see a dog."), None);
    }

    #[test]
    fn the_later_of_two_colours_stays() {
        let all = [
            "Change the colour of the cube to red",
            "Add a cat",
            "Change the colour of the cube to blue",
        ];
        let found = steps(&all.map(str::to_owned));
        let texts: Vec<&str> = found.iter().map(|it| it.instruction.as_str()).collect();
        assert_eq!(texts, all[1..]);
        assert_eq!(
            [found[0].kind, found[1].kind],
            [Some(Kind::Add), Some(Kind::Recolor)]
        );
    }
}
