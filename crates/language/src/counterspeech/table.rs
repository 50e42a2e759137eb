//! Indicators in CSV files: a row a reply, and a row a configuration.

use std::path::Path;

use base::files::write_bytes;

use super::indicators::{COLUMNS, Measured, PANELS};
use super::rank::Scale;
use super::store::read_text;
use super::{ConfigurationSummary, SystemError};

/// Columns of the summary before the indicators.
const HEAD: [&str; 4] = ["config", "replies", "refused", "toxic_share"];
/// Columns of the diversity measures.
const DIVERSITY: [&str; 4] = ["distinct_1", "distinct_2", "distinct_3", "repetition_rate"];

/// Writes a row a reply.
///
/// # Errors
/// When the file cannot be written.
pub fn write_table(path: &Path, measured: &[Measured]) -> Result<(), SystemError> {
    let head = ["record", "config", "refused"].into_iter().chain(COLUMNS);
    let rows = measured.iter().map(|it| {
        let named = [it.record.clone(), it.config.clone(), it.refused.to_string()];
        named.into_iter().chain(it.values.map(cell)).collect()
    });
    write(path, head.map(str::to_owned).collect(), rows)
}

/// Writes a row a configuration: for each panel and column the mean and the ends of its interval.
///
/// # Errors
/// When the file cannot be written.
pub fn write_summary(path: &Path, summaries: &[ConfigurationSummary]) -> Result<(), SystemError> {
    let panels = PANELS.map(|panel| panel.0);
    let columns = COLUMNS.into_iter().filter(|it| !panels.contains(it));
    let names: Vec<&str> = panels.into_iter().chain(columns).collect();
    let ends = |name: &&str| {
        [
            (*name).to_owned(),
            format!("{name}_low"),
            format!("{name}_high"),
        ]
    };
    let head = HEAD.map(str::to_owned).into_iter();
    let head = head.chain(names.iter().flat_map(ends));
    let head = head.chain(DIVERSITY.map(str::to_owned));
    let rows = summaries.iter().map(|it| {
        let mut row = vec![
            it.config.clone(),
            it.replies.to_string(),
            it.refused.to_string(),
            cell(it.toxic_share),
        ];
        for name in &names {
            let mean = it.means.get(*name);
            let interval = mean.and_then(|mean| mean.interval);
            row.push(cell(mean.map(|mean| mean.mean)));
            row.push(cell(interval.map(|ends| ends.low)));
            row.push(cell(interval.map(|ends| ends.high)));
        }
        let diversity = &it.diversity;
        let values = [
            diversity.distinct_1,
            diversity.distinct_2,
            diversity.distinct_3,
            diversity.repetition_rate,
        ];
        row.extend(values.map(|value| cell(Some(value))));
        row
    });
    write(path, head.collect(), rows)
}

/// Reads the rows of replies.
///
/// # Errors
/// [`SystemError::Input`].
pub fn read_table(path: &Path) -> Result<Vec<Measured>, SystemError> {
    let (head, rows) = read(path)?;
    let at = |name: &str| place(path, &head, name);
    let (record, config, refused) = (at("record")?, at("config")?, at("refused")?);
    let columns = COLUMNS.map(|name| head.iter().position(|it| it == name));
    let mut measured = Vec::new();
    for row in &rows {
        let mut values = [None; COLUMNS.len()];
        for (value, column) in values.iter_mut().zip(columns) {
            *value = number(path, row, column)?;
        }
        let text = |at: usize| row.get(at).cloned().unwrap_or_default();
        measured.push(Measured {
            record: text(record),
            config: text(config),
            refused: text(refused) == "true",
            values,
        });
    }
    Ok(measured)
}

/// Reads the panels of a summary: names of configurations, and a scale for each panel that any of them has.
///
/// # Errors
/// [`SystemError::Input`].
pub fn read_summary(path: &Path) -> Result<(Vec<String>, Vec<Scale>), SystemError> {
    let (head, rows) = read(path)?;
    let config = place(path, &head, "config")?;
    let names = rows
        .iter()
        .map(|row| row.get(config).cloned().unwrap_or_default());
    let mut scales = Vec::new();
    for (name, more_is_better, _) in PANELS {
        let column = head.iter().position(|it| it == name);
        let values = rows
            .iter()
            .map(|row| number(path, row, column))
            .collect::<Result<Vec<_>, _>>()?;
        if values.iter().any(Option::is_some) {
            scales.push(Scale {
                name: name.to_owned(),
                more_is_better,
                values,
            });
        }
    }
    match scales.is_empty() {
        true => Err(SystemError::Input(format!(
            "`{}` has no column of an indicator: give the summary that `indicators` wrote",
            path.display()
        ))),
        false => Ok((names.collect(), scales)),
    }
}

fn place(path: &Path, head: &[String], name: &str) -> Result<usize, SystemError> {
    head.iter().position(|it| it == name).ok_or_else(|| {
        SystemError::Input(format!(
            "`{}` has no column `{name}`: give a table that `indicators` wrote",
            path.display()
        ))
    })
}

fn number(path: &Path, row: &[String], column: Option<usize>) -> Result<Option<f64>, SystemError> {
    match column.and_then(|at| row.get(at)).map_or("", String::as_str) {
        "" => Ok(None),
        text => match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Some(value)),
            _ => Err(SystemError::Input(format!(
                "`{}` has `{text}` where a number belongs",
                path.display()
            ))),
        },
    }
}

fn cell(value: Option<f64>) -> String {
    value
        .filter(|value| value.is_finite())
        .map_or_else(String::new, |value| value.to_string())
}

type Table = (Vec<String>, Vec<Vec<String>>);

fn read(path: &Path) -> Result<Table, SystemError> {
    let text = read_text(path)?;
    let wrong = |error: csv::Error| {
        SystemError::Input(format!("`{}` is not a table: {error}", path.display()))
    };
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head = reader
        .headers()
        .map_err(wrong)?
        .iter()
        .map(str::to_owned)
        .collect();
    let rows = reader
        .records()
        .map(|row| Ok(row?.iter().map(str::to_owned).collect()));
    let rows = rows
        .collect::<Result<Vec<Vec<String>>, csv::Error>>()
        .map_err(wrong)?;
    match rows.is_empty() {
        true => Err(SystemError::Input(format!(
            "`{}` holds no row",
            path.display()
        ))),
        false => Ok((head, rows)),
    }
}

fn write(
    path: &Path,
    head: Vec<String>,
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<(), SystemError> {
    let failed = |error: &dyn std::fmt::Display| {
        SystemError::Failed(format!("cannot write `{}`: {error}", path.display()))
    };
    let mut table = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(head).chain(rows) {
        table.write_record(row).map_err(|error| failed(&error))?;
    }
    let bytes = table.into_inner().map_err(|error| failed(&error))?;
    Ok(write_bytes(path, &bytes)?)
}
