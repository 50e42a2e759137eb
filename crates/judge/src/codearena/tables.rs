//! Tables of models: rows are models, columns classes, cells percent won and percent tied.

use base::table::Table as Cells;
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

impl Format {
    /// Heads and cells as text; aligned columns where the format is no text's.
    pub fn write(self, cells: &Cells) -> String {
        match self {
            Self::Csv => cells.csv(),
            Self::Markdown => cells.markdown(false),
            Self::Latex => cells.latex(),
            Self::Table | Self::Json => cells.aligned(),
        }
    }
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
            Format::Json => self.json().to_string(),
            Format::Table => self.aligned(),
            format => format.write(&self.cells()),
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

    /// Heads and cells.
    fn cells(&self) -> Cells {
        let heads = ["model".to_owned()].into_iter().chain(self.columns.clone());
        let row = |row: &Row| {
            let cell = |column: &String| {
                let tally = row.groups.iter().find(|(name, _)| name == column);
                tally.map_or_else(|| "-".to_owned(), |(_, tally)| tally.cell())
            };
            let cells = self.columns.iter().map(cell);
            let name = [row.name.clone()].into_iter();
            name.chain(cells).chain([row.all.cell()]).collect()
        };
        Cells {
            heads: heads.chain(["all".to_owned()]).collect(),
            rows: self.rows.iter().map(row).collect(),
        }
    }

    /// Columns under numbers, and what the numbers mean: class names are too long for a terminal.
    fn aligned(&self) -> String {
        let mut cells = self.cells();
        let mut legend = Vec::new();
        let classes = cells.heads.iter_mut().skip(1).take(self.columns.len());
        for (at, head) in classes.enumerate() {
            let number = format!("({})", at + 1);
            legend.push(format!("{number} {head}"));
            *head = number;
        }
        format!("{}\n\n{}", cells.aligned(), legend.join("\n"))
    }
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
