//! Several workers train one model: here threads, over the same sockets as processes.
#![allow(clippy::unwrap_used)]

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base::fixtures::furthest;
use base::rng::Rng;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use engine::burn;
use engine::train::{
    LOG, Progress, Run, Task, TaskError, TrainConfig, TrainError, Trained, Workers, WorkersError,
    steps_done, train_among,
};

/// Rows of a batch of all workers.
const ROWS: usize = 8;

#[derive(Module, Debug)]
struct Net {
    first: Param<Tensor<2>>,
    second: Param<Tensor<2>>,
}

impl Net {
    fn new(seed: u64) -> Self {
        let (mut rng, device) = (Rng::new(seed), Device::flex().autodiff());
        let mut matrix = |rows: usize, columns: usize| {
            let values = TensorData::new(rng.normals(rows * columns), [rows, columns]);
            Param::from_tensor(Tensor::from_data(values, &device))
        };
        Self {
            first: matrix(4, 16),
            second: matrix(16, 1),
        }
    }
}

/// A worker's part of learning the sum of four numbers.
struct Sum {
    part: [usize; 2],
    fail_at: Option<u64>,
    stop_at: Option<u64>,
    stop: AtomicBool,
}

impl Task for Sum {
    type Model = Net;
    type Batch = Vec<f32>;

    fn batch(&self, step: u64, rng: &mut Rng) -> Result<Self::Batch, TaskError> {
        if self.fail_at == Some(step) {
            return Err("the power is gone".into());
        }
        if self.stop_at == Some(step) {
            self.stop.store(true, Ordering::Relaxed);
        }
        let [rank, count] = self.part;
        let each = 4 * ROWS / count;
        Ok(rng.normals(4 * ROWS)[rank * each..(rank + 1) * each].to_vec())
    }

    fn loss(&self, net: &Net, values: Self::Batch) -> (Tensor<1>, Vec<(&'static str, f32)>) {
        let device = net.devices()[0].clone();
        let rows = values.len() / 4;
        let x = Tensor::<2>::from_data(TensorData::new(values, [rows, 4]), &device);
        let y = x.clone().sum_dim(1);
        let found = x.matmul(net.first.val()).tanh().matmul(net.second.val());
        ((found - y).powi_scalar(2).mean(), Vec::new())
    }

    fn samples(&self) -> usize {
        ROWS
    }
}

fn config() -> TrainConfig {
    TrainConfig {
        steps: 12,
        learning_rate: 1e-2,
        warmup: 3,
        log_every: 4,
        checkpoint_every: 4,
        ..TrainConfig::default()
    }
}

/// A place on this machine where nobody listens.
fn place() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

fn workers(ranks: [usize; 2], place: &str) -> Workers {
    Workers::new(ranks, place, "", Duration::from_secs(20)).unwrap()
}

fn task(part: [usize; 2]) -> Sum {
    Sum {
        part,
        fail_at: None,
        stop_at: None,
        stop: AtomicBool::new(false),
    }
}

fn go(
    task: &Sum,
    seed: u64,
    folder: &Path,
    workers: Option<&Workers>,
) -> Result<Trained<Net>, TrainError> {
    task.stop.store(false, Ordering::Relaxed);
    let run = Run {
        folder,
        resume: true,
        stop: &task.stop,
        progress: &mut Progress::silent(),
    };
    train_among(task, Net::new(seed), &config(), run, workers)
}

/// Runs all workers at once, each in its folder.
fn all(tasks: &[Sum], folders: &[PathBuf]) -> Vec<Result<Trained<Net>, TrainError>> {
    let place = place();
    std::thread::scope(|scope| {
        let handles: Vec<_> = tasks
            .iter()
            .zip(folders)
            .enumerate()
            .map(|(rank, (task, folder))| {
                let workers = workers([rank, tasks.len()], &place);
                scope.spawn(move || go(task, 5, folder, Some(&workers)))
            })
            .collect();
        handles.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

fn values(trained: &Trained<Net>) -> Vec<f32> {
    let both = [&trained.model.first, &trained.model.second];
    both.iter()
        .flat_map(|param| param.val().into_data().iter::<f32>().collect::<Vec<_>>())
        .collect()
}

fn folders(at: &Path, count: usize) -> Vec<PathBuf> {
    (0..count).map(|rank| at.join(rank.to_string())).collect()
}

#[test]
fn workers_take_the_steps_of_one_with_the_same_batch() {
    let at = tempfile::tempdir().unwrap();
    let alone = values(&go(&task([0, 1]), 5, &at.path().join("alone"), None).unwrap());
    for count in [2, 4] {
        let tasks: Vec<Sum> = (0..count).map(|rank| task([rank, count])).collect();
        let folders = folders(&at.path().join(count.to_string()), count);
        let found: Vec<_> = all(&tasks, &folders)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        for worker in &found {
            assert_eq!(values(worker), values(&found[0]), "equal to the last bit");
            assert_eq!((worker.step, worker.loss), (12, found[0].loss));
        }
        let off = furthest(&values(&found[0]), &alone);
        println!("{count} workers: weights off by {off:e}");
        assert!(off <= 1e-5, "{count} workers: {off}");
        let logs = folders
            .iter()
            .map(|it| std::fs::read_to_string(it.join(LOG)).unwrap());
        assert!(logs.into_iter().all(|log| log.lines().count() == 3));
    }
}

#[test]
fn a_lost_worker_ends_the_run_and_all_go_on_from_the_last_checkpoint() {
    let at = tempfile::tempdir().unwrap();
    let both = || vec![task([0, 2]), task([1, 2])];
    let whole = folders(&at.path().join("whole"), 2);
    let whole: Vec<_> = all(&both(), &whole)
        .into_iter()
        .map(Result::unwrap)
        .collect();

    let folders = folders(&at.path().join("lost"), 2);
    let mut tasks = both();
    tasks[1].fail_at = Some(6);
    let mut ends = all(&tasks, &folders).into_iter();
    let line = ends.next().unwrap().unwrap_err().to_string();
    assert!(line.contains("worker 1 is lost (it hung up)"), "{line}");
    assert!(!line.contains('\n') && line.contains("--resume"), "{line}");
    assert!(matches!(
        ends.next(),
        Some(Err(TrainError::Batch { step: 6, .. }))
    ));
    // The one that failed saved where it stood; worker 0's checkpoint takes its place.
    let steps = [0, 1].map(|rank: usize| steps_done(&folders[rank]));
    assert_eq!(steps, [Some(4), Some(6)]);
    let found: Vec<_> = all(&both(), &folders)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    for (found, whole) in found.iter().zip(&whole) {
        assert_eq!(values(found), values(whole));
    }
}

#[test]
fn one_that_is_asked_to_stop_stops_all_at_the_same_step() {
    let at = tempfile::tempdir().unwrap();
    let mut tasks = vec![task([0, 2]), task([1, 2])];
    tasks[1].stop_at = Some(5);
    let folders = folders(at.path(), 2);
    let found: Vec<_> = all(&tasks, &folders)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(found.iter().all(|it| it.interrupted && it.step < 12));
    assert_eq!(found[0].step, found[1].step);
    assert_eq!(values(&found[0]), values(&found[1]));
}

#[test]
fn other_weights_and_other_runs_are_refused_and_strangers_are_not_heard() {
    let at = tempfile::tempdir().unwrap();
    let lines = |seeds: [u64; 2], counts: [usize; 2], tokens: [&str; 2]| {
        let place = place();
        let patience = Duration::from_secs(2);
        std::thread::scope(|scope| {
            let handles = [0, 1].map(|rank| {
                let folder = tempfile::tempdir_in(at.path()).unwrap();
                let workers = Workers::new([rank, counts[rank]], &place, tokens[rank], patience);
                let (workers, seed) = (workers.unwrap(), seeds[rank]);
                scope.spawn(move || go(&task([rank, 2]), seed, folder.path(), Some(&workers)).err())
            });
            // A stranger that says nothing, and one that says something else.
            let _silent = (0..100).find_map(|_| {
                std::thread::sleep(Duration::from_millis(5));
                TcpStream::connect(&place).ok()
            });
            if let Ok(mut loud) = TcpStream::connect(&place) {
                let _ = std::io::Write::write_all(&mut loud, &[7; 500]);
            }
            handles.map(|it| {
                it.join()
                    .unwrap()
                    .map_or(String::new(), |error| error.to_string())
            })
        })
    };
    for line in lines([5, 6], [2, 2], [""; 2]) {
        assert!(line.contains("begin with other weights"), "{line}");
    }
    for line in lines([5, 5], [2, 3], [""; 2]) {
        assert!(line.contains("number of workers"), "{line}");
    }
    let [waits, comes] = lines([5, 5], [2, 2], ["sixteen letters.", "sixteen others.."]);
    assert!(waits.contains("worker 1 did not come"), "{waits}");
    assert!(comes.contains("does not know the token"), "{comes}");
    let alone = go(
        &task([1, 2]),
        5,
        &at.path().join("alone"),
        Some(&Workers::new([1, 2], &place(), "", Duration::from_millis(200)).unwrap()),
    );
    assert!(matches!(
        alone,
        Err(TrainError::Workers(WorkersError::Alone { rank: 1, .. }))
    ));
}
