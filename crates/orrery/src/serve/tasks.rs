//! Work besides texts: on threads of its own, few at a time, a bounded number waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::error::ApiError;

/// Pieces of work that may wait.
const MOST_WAITING: usize = 64;

/// Who works, and who waits.
pub struct Tasks {
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// True once the client has disconnected.
#[derive(Clone, Debug, Default)]
pub struct Left(Arc<AtomicBool>);

impl Left {
    /// Whether that is so.
    pub fn is_true(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sets it when the request is dropped.
struct SetOnDrop(Left);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// Leaves the line.
struct InLine<'a>(&'a AtomicUsize);

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Tasks {
    /// `at_once` pieces of work at the same time.
    pub fn new(at_once: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Does `work` on a thread that may be busy.
    ///
    /// # Errors
    /// 429 where too many wait; what `work` reports.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Left) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let line = InLine(&self.waiting);
        if before >= MOST_WAITING {
            return Err(ApiError::full(
                format!("{before} requests wait: try again"),
                5,
            ));
        }
        let permit = self
            .free
            .clone()
            .acquire_owned()
            .await
            .map_err(ApiError::failed)?;
        drop(line);
        let left = Left::default();
        let _tell = SetOnDrop(left.clone());
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&left)
        });
        done.await
            .map_err(|_| ApiError::failed("the work broke off: this is a fault of the program"))?
    }
}
