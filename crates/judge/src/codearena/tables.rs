//! Tables of models: rows are models, columns classes, cells percent won and percent tied.

use clap::ValueEnum;
use serde_json::{Value, json};

use super::scores::{Groups, JudgedItem, count};
use super::tally::Tally;

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns
    Table,
    /// Comma-separated values
    Csv,
    /// Markdown
    Markdown,
    /// The body of a LaTeX table
    Latex,
    /// One JSON object
    Json,
}

/// What the columns are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The seven main classes
    Main,
    /// The subclasses
    Sub,
    /// Programming languages; an item may have several
    Language,
    /// Easy, medium, hard
    Difficulty,
}

impl By {
    /// Tallies of a model's items by this.
    pub fn groups(self, items: &[JudgedItem]) -> Groups {
        let mut groups = Groups::new();
        items.iter().for_each(|item| self.add(&mut groups, item));
        groups
    }

    /// Counts one item more.
    pub fn add(self, groups: &mut Groups, item: &JudgedItem) {
        let mut one = |name: &str| count(groups, name, item.result());
        match self {
            Self::Main => one(item.class.main),
            Self::Sub => one(item.class.sub),
            Self::Difficulty => one(item.item.difficulty().unwrap_or("unknown")),
            Self::Language => match item.item.languages() {
                none if none.is_empty() => one("unknown"),
                some => some.iter().for_each(|name| one(name)),
            },
        }
    }
}

/// A row of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The model.
    pub name: String,
    /// By class.
    pub groups: Groups,
    /// All items.
    pub all: Tally,
}

/// A table with a column for each class of any row, in the order of first appearance, and one for all items.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Row>,
}

impl Table {
    /// A table of `rows`.
    pub fn new(rows: Vec<Row>) -> Self {
        let mut columns: Vec<String> = Vec::new();
        for (name, _) in rows.iter().flat_map(|row| &row.groups) {
            if !columns.contains(name) {
                columns.push(name.clone());
            }
        }
        Self { columns, rows }
    }

    /// The table as text.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Table => self.aligned(),
            Format::Csv => self.joined(",", &csv_field, ""),
            Format::Latex => self.joined(" & ", &latex_field, " \\\\"),
            Format::Markdown => {
                let text = self.joined(" | ", &|cell| cell.replace('|', "\\|"), " |");
                let rule = format!("| --- |{}\n", " --- |".repeat(self.columns.len() + 1));
                let lines: String = text.lines().map(|line| format!("| {line}\n")).collect();
                match lines.split_once('\n') {
                    Some((head, rest)) => format!("{head}\n{rule}{rest}").trim_end().to_owned(),
                    None => lines,
                }
            }
            Format::Json => self.json().to_string(),
        }
    }

    /// The table as JSON: counts and shares, not rounded.
    pub fn json(&self) -> Value {
        let tally = |tally: &Tally| {
            json!({
                "items": tally.items, "wins": tally.wins, "ties": tally.ties,
                "win_rate": tally.win_rate(), "tie_rate": tally.tie_rate(), "score": tally.score(),
            })
        };
        let rows = self.rows.iter().map(|row| {
            let classes: serde_json::Map<String, Value> = row
                .groups
                .iter()
                .map(|(name, t)| (name.clone(), tally(t)))
                .collect();
            json!({"model": row.name, "all": tally(&row.all), "classes": classes})
        });
        json!({"columns": self.columns, "rows": rows.collect::<Vec<_>>()})
    }

    /// Heads and cells, line by line.
    fn cells(&self) -> Vec<Vec<String>> {
        let head = ["model".to_owned()].into_iter().chain(self.columns.clone());
        let mut lines = vec![head.chain(["all".to_owned()]).collect::<Vec<_>>()];
        for row in &self.rows {
            let mut line = vec![row.name.clone()];
            for column in &self.columns {
                let tally = row.groups.iter().find(|(name, _)| name == column);
                line.push(tally.map_or_else(|| "-".to_owned(), |(_, tally)| tally.cell()));
            }
            line.push(row.all.cell());
            lines.push(line);
        }
        lines
    }

    fn joined(&self, between: &str, field: &dyn Fn(&str) -> String, end: &str) -> String {
        let line = |cells: Vec<String>| {
            let cells: Vec<String> = cells.iter().map(|cell| field(cell)).collect();
            format!("{}{end}", cells.join(between))
        };
        self.cells()
            .into_iter()
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// Columns under numbers, and what the numbers mean: class names are too long for a terminal.
    fn aligned(&self) -> String {
        let mut cells = self.cells();
        let mut legend = Vec::new();
        if let Some(head) = cells.first_mut() {
            let last = head.len().saturating_sub(1);
            for (at, name) in head
                .iter_mut()
                .enumerate()
                .skip(1)
                .filter(|(at, _)| *at != last)
            {
                legend.push(format!("({at}) {name}"));
                *name = format!("({at})");
            }
        }
        let widths: Vec<usize> = (0..self.columns.len() + 2)
            .map(|at| {
                cells
                    .iter()
                    .filter_map(|line| line.get(at))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let line = |cells: Vec<String>| {
            let padded =
                cells
                    .iter()
                    .zip(&widths)
                    .enumerate()
                    .map(|(at, (cell, &width))| match at {
                        0 => format!("{cell:<width$}"),
                        _ => format!("{cell:>width$}"),
                    });
            padded.collect::<Vec<_>>().join("  ")
        };
        let lines: Vec<String> = cells.into_iter().map(line).collect();
        format!("{}\n\n{}", lines.join("\n"), legend.join("\n"))
    }
}

fn csv_field(text: &str) -> String {
    match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

fn latex_field(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '\\' => out.push_str("\\textbackslash{}"),
            '~' => out.push_str("\\textasciitilde{}"),
            '^' => out.push_str("\\textasciicircum{}"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let tally = |items, wins, ties| Tally { items, wins, ties };
        Table::new(vec![Row {
            name: "a_b".into(),
            groups: vec![
                ("Web, Mobile".into(), tally(4, 1, 1)),
                ("R&D".into(), tally(2, 2, 0)),
            ],
            all: tally(6, 3, 1),
        }])
    }

    #[test]
    fn every_format_says_the_same() {
        let csv = table().render(Format::Csv);
        assert_eq!(
            csv,
            "model,\"Web, Mobile\",R&D,all\na_b,25.0/25.0,100.0/0.0,50.0/16.7"
        );
        let latex = table().render(Format::Latex);
        assert!(
            latex.contains("a\\_b & 25.0/25.0 & 100.0/0.0 & 50.0/16.7 \\\\")
                && latex.contains("R\\&D")
        );
        let markdown = table().render(Format::Markdown);
        assert!(
            markdown.starts_with(
                "| model | Web, Mobile | R&D | all |\n| --- | --- | --- | --- |\n| a_b |"
            ),
            "{markdown}"
        );
        assert!(table().render(Format::Table).contains("(1) Web, Mobile"));
        assert_eq!(table().json()["rows"][0]["classes"]["R&D"]["win_rate"], 1.0);
    }
}
