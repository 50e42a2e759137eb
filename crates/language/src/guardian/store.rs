//! Features of many records, written down as they are read, so that a stopped run goes on.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use base::command::{Context, Failure, Steps};
use base::files::{make_folder, write_bytes};
use base::hash::{FNV_START, fnv1a};

use super::features;
use super::head::fingerprint;
use super::pipeline::Guardian;
use super::record::Record;
use super::train::Sample;

/// What was read of records.
#[derive(Clone, Debug, Default)]
pub struct ReadSamples {
    /// A sample a record, in order.
    pub samples: Vec<Sample>,
    /// P(risk) of each by the model's own answer, without any training.
    pub zero_shot: Vec<f64>,
}

/// Reads the features of labelled records, which `folder/NAME.f32` keeps: rows that an earlier run of the same records and
/// model wrote are taken from there.
///
/// # Errors
/// When a record cannot be read or a file not written; [`Failure::Interrupted`] at Ctrl-C, what is done stays done.
pub fn read_samples(
    guardian: &Guardian,
    records: &[Record],
    [folder, name]: [&str; 2],
    progress: bool,
    context: Context,
) -> Result<ReadSamples, Failure> {
    let folder = Path::new(folder);
    let decoder = guardian.language().decoder();
    // Features and the zero-shot probability.
    let width = features::count(decoder.config().width) + 1;
    let mut hash = fnv1a(FNV_START, fingerprint(decoder)?.bytes());
    for record in records {
        let text = serde_json::to_string(record).map_err(Failure::failed)?;
        hash = fnv1a(hash, text.bytes().chain([0]));
    }
    let key = format!("{hash:016x} {} {width}", records.len());
    make_folder(folder)?;
    let (rows, mark) = (
        folder.join(format!("{name}.f32")),
        folder.join(format!("{name}.key")),
    );
    if std::fs::read_to_string(&mark).ok().as_deref() != Some(&key) {
        write_bytes(&rows, &[])?;
        write_bytes(&mark, key.as_bytes())?;
    }
    let cannot = |error: std::io::Error| {
        Failure::failed(format!("cannot use `{}`: {error}", rows.display()))
    };
    let mut values: Vec<f32> = std::fs::read(&rows)
        .map_err(cannot)?
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    let done = (values.len() / width).min(records.len());
    values.truncate(done * width);
    let mut file = OpenOptions::new().write(true).open(&rows).map_err(cannot)?;
    resize(&mut file, done * width * 4).map_err(cannot)?;
    let mut steps = Steps::new("reading", !progress);
    for (index, record) in records.iter().enumerate().skip(done) {
        context.proceed_or_resume()?;
        let reading = guardian
            .features(&record.messages, &record.config()?)
            .map_err(|error| Failure::input(format!("record {}: {error}", record.id)))?;
        let mut row = reading.features;
        row.push(reading.probability as f32);
        let bytes: Vec<u8> = row.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.write_all(&bytes).map_err(cannot)?;
        values.extend(row);
        steps.at(index + 1, records.len());
    }
    steps.finish();
    let mut read = ReadSamples::default();
    for (record, row) in records.iter().zip(values.chunks_exact(width)) {
        let (features, probability) = row.split_at(width - 1);
        read.samples.push(Sample {
            features: features.to_vec(),
            risk: record.risk.clone().unwrap_or_default(),
            risky: record.risky().unwrap_or_default(),
        });
        read.zero_shot
            .push(probability.first().map_or(0.5, |p| f64::from(*p)));
    }
    Ok(read)
}

/// Cuts a file to `len` bytes and goes to its end.
fn resize(file: &mut File, len: usize) -> std::io::Result<()> {
    use std::io::Seek;
    file.set_len(len as u64)?;
    file.seek(std::io::SeekFrom::End(0)).map(drop)
}

/// At most `most` records of each risk and label, those whose ids hash lowest, in their order: an even choice that no seed
/// changes.
pub fn balanced(records: Vec<Record>, most: usize) -> Vec<Record> {
    use std::collections::BTreeMap;
    let rank = |record: &Record| {
        let hash = fnv1a(FNV_START, record.id.to_string().bytes());
        (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    };
    type Class = (Option<String>, Option<u8>);
    let mut classes: BTreeMap<Class, Vec<(u64, usize)>> = BTreeMap::new();
    for (index, record) in records.iter().enumerate() {
        let class = (record.risk.clone(), record.label);
        classes
            .entry(class)
            .or_default()
            .push((rank(record), index));
    }
    let mut keep = vec![false; records.len()];
    for class in classes.values_mut() {
        class.sort_unstable();
        for (_, index) in class.iter().take(most) {
            keep[*index] = true;
        }
    }
    records
        .into_iter()
        .zip(keep)
        .filter_map(|(record, keep)| keep.then_some(record))
        .collect()
}
