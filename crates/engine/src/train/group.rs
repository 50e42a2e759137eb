//! Workers at work: they meet, agree on where they stand, and add up their gradients, over TCP.
//!
//! Worker 0 gathers: the others send it what they have, it adds everything up in the order of their ranks, and all take the
//! same sums. Nothing depends on who was first. What comes in is not trusted: lengths are known beforehand.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use burn::tensor::{Tensor, TensorData};
use sha2::{Digest, Sha256};

use super::workers::WorkersError;

/// Values that are read from a worker before they are added up.
const AT_ONCE: usize = 1 << 16;

/// This worker's side of the group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) rank: usize,
    pub(super) count: usize,
    /// Worker 0's: one to each other, in order. The others': one to worker 0.
    pub(super) links: Vec<TcpStream>,
    /// Exchanges done.
    pub(super) turn: u64,
}

/// Means over all workers.
pub(super) struct Means {
    pub gradients: BTreeMap<String, Tensor<1>>,
    pub loss: f64,
    /// Whether anybody was asked to stop.
    pub stop: bool,
}

impl Group {
    /// Means of gradients and losses; every worker gets the same bits.
    pub fn means(
        &mut self,
        gradients: BTreeMap<String, Tensor<1>>,
        loss: f64,
        stop: bool,
    ) -> Result<Means, WorkersError> {
        let mut values = vec![loss as f32, f32::from(u8::from(stop))];
        for (name, gradient) in &gradients {
            let data = gradient.clone().try_into_data().map_err(|error| {
                WorkersError::Apart(format!("`{name}` cannot be read ({error:?})"))
            })?;
            values.extend(data.iter::<f32>());
        }
        self.sum(&mut values)?;
        let share = 1.0 / self.count as f32;
        values.iter_mut().for_each(|value| *value *= share);
        let mut at = 2;
        let gradients = gradients.into_iter().map(|(name, old)| {
            let [count] = old.dims();
            let new = values[at..at + count].to_vec();
            at += count;
            let new = Tensor::from_data(TensorData::new(new, [count]), &old.device());
            (name, new)
        });
        Ok(Means {
            gradients: gradients.collect(),
            loss: f64::from(values[0]),
            stop: values[1] > 0.0,
        })
    }

    /// Adds up `values` over all workers, in place.
    fn sum(&mut self, values: &mut [f32]) -> Result<(), WorkersError> {
        self.turn += 1;
        let (turn, len) = (self.turn, values.len());
        if self.rank == 0 {
            let mut part = vec![0f32; AT_ONCE.min(len)];
            for (at, link) in self.links.iter_mut().enumerate() {
                let who = at + 1;
                expect(link, who, [turn, len as u64])?;
                for values in values.chunks_mut(AT_ONCE) {
                    let part = &mut part[..values.len()];
                    let bytes = bytemuck::cast_slice_mut(part);
                    link.read_exact(bytes).map_err(lost(who))?;
                    values
                        .iter_mut()
                        .zip(part)
                        .for_each(|(sum, own)| *sum += *own);
                }
            }
        }
        for (at, link) in self.links.iter_mut().enumerate() {
            let who = if self.rank == 0 { at + 1 } else { 0 };
            let head = [turn, len as u64];
            link.write_all(bytemuck::cast_slice(&head))
                .map_err(lost(who))?;
            link.write_all(bytemuck::cast_slice(values))
                .map_err(lost(who))?;
        }
        if self.rank > 0 {
            for link in &mut self.links {
                expect(link, 0, [turn, len as u64])?;
                let bytes = bytemuck::cast_slice_mut(values);
                link.read_exact(bytes).map_err(lost(0))?;
            }
        }
        Ok(())
    }

    /// Finds out whether all stand at the same weights, given as bytes.
    pub fn agree(&mut self, weights: &[u8]) -> Result<(), WorkersError> {
        let own: [u8; 32] = Sha256::digest(weights).into();
        // Bytes as numbers: sums of a few of them are exact, and all are the same where each is a multiple of its own.
        let own = own.map(f32::from);
        let mut sums = own;
        self.sum(&mut sums)?;
        let same = own
            .iter()
            .zip(&sums)
            .all(|(own, sum)| own * self.count as f32 == *sum);
        match same {
            true => Ok(()),
            false => Err(WorkersError::Apart(
                "they begin with other weights: give all the same configuration, seed and model"
                    .into(),
            )),
        }
    }
}

/// Reads a head, which is known beforehand.
fn expect(link: &mut TcpStream, who: usize, head: [u64; 2]) -> Result<(), WorkersError> {
    let mut found = [0u64; 2];
    link.read_exact(bytemuck::cast_slice_mut(&mut found))
        .map_err(lost(who))?;
    match found == head {
        true => Ok(()),
        false => Err(WorkersError::Apart(format!(
            "worker {who} sent {} values in turn {} where {} were due in turn {}",
            found[1], found[0], head[1], head[0]
        ))),
    }
}

/// What a failed exchange with worker `who` means.
pub(super) fn lost(who: usize) -> impl Fn(std::io::Error) -> WorkersError {
    move |error| WorkersError::Lost {
        who,
        reason: match error.kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
                "it said nothing for too long".into()
            }
            std::io::ErrorKind::UnexpectedEof => "it hung up".into(),
            _ => error.to_string(),
        },
    }
}
