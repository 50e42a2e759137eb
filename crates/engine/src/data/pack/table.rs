//! Tab-separated tables with a header line, read strictly.

use super::PackError;

/// A table's rows, each with the line it stands on.
pub(super) struct Table<'a> {
    file: String,
    rows: Vec<(usize, Vec<&'a str>)>,
}

/// One row and where it stands.
pub(super) struct Row<'t, 'a> {
    file: &'t str,
    line: usize,
    fields: &'t [&'a str],
}

impl<'a> Table<'a> {
    /// Splits `text`, whose first line must be `header`; every row must have as many fields.
    pub fn parse(text: &'a str, file: String, header: &[&str]) -> Result<Self, PackError> {
        let mut table = Self {
            file,
            rows: Vec::new(),
        };
        let mut lines = text.lines().enumerate();
        let first = lines.next().map_or("", |(_, line)| line);
        if first.split('\t').ne(header.iter().copied()) {
            let cause = format!("the header must be {}", header.join(", "));
            return Err(table.wrong(1, cause));
        }
        for (at, line) in lines {
            let fields: Vec<&str> = line.split('\t').collect();
            if fields.len() != header.len() {
                let cause = format!("{} fields, not {}", fields.len(), header.len());
                return Err(table.wrong(at + 1, cause));
            }
            table.rows.push((at + 1, fields));
        }
        if table.rows.is_empty() {
            return Err(table.wrong(2, "there is no row".into()));
        }
        Ok(table)
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_, 'a>> {
        self.rows.iter().map(|(line, fields)| Row {
            file: &self.file,
            line: *line,
            fields,
        })
    }

    fn wrong(&self, line: usize, cause: String) -> PackError {
        PackError::Index {
            file: self.file.clone(),
            line,
            cause,
        }
    }
}

impl<'a> Row<'_, 'a> {
    /// The field in column `at`; empty beyond the end.
    pub fn text(&self, at: usize) -> &'a str {
        self.fields.get(at).copied().unwrap_or_default()
    }

    /// The field in column `at`, which must not be empty.
    pub fn filled(&self, at: usize, name: &str) -> Result<String, PackError> {
        match self.text(at).trim() {
            "" => Err(self.wrong(format!("the {name} is empty"))),
            text => Ok(text.to_owned()),
        }
    }

    /// The field in column `at` as a number.
    pub fn number<N: std::str::FromStr>(&self, at: usize, name: &str) -> Result<N, PackError> {
        let text = self.text(at);
        let number = text.parse();
        number.map_err(|_| self.wrong(format!("the {name} `{text}` is not a number in range")))
    }

    /// The field in column `at` as an emoji's code points in hex, joined by `-`, lower case.
    pub fn code(&self, at: usize, name: &str) -> Result<String, PackError> {
        let code = self.text(at);
        let sound = code.split('-').all(|hex| {
            let digits = |c: char| matches!(c, '0'..='9' | 'a'..='f');
            hex.chars().all(digits)
                && u32::from_str_radix(hex, 16).is_ok_and(|v| char::from_u32(v).is_some())
        });
        match sound {
            true => Ok(code.to_owned()),
            false => Err(self.wrong(format!("the {name} `{code}` is not hex code points"))),
        }
    }

    pub fn wrong(&self, cause: String) -> PackError {
        PackError::Index {
            file: self.file.to_owned(),
            line: self.line,
            cause,
        }
    }
}

/// The characters that a code stands for.
pub(super) fn characters(code: &str) -> String {
    code.split('-')
        .filter_map(|hex| u32::from_str_radix(hex, 16).ok())
        .filter_map(char::from_u32)
        .collect()
}
