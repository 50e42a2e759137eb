//! Which threads share parallel work.

/// Makes this thread one of those that share parallel work. Else it hands everything over and sleeps: each operation begins
/// with a wait, and who is woken where it ran may share that processor with another for milliseconds, most of a short run.
///
/// For verbs whose parallel work all begins in this thread: with one thread, work begun in another would wait for it. Nothing
/// changes once there was parallel work.
pub fn take_part() {
    // The one error says that the threads are there already.
    let _ = rayon::ThreadPoolBuilder::new()
        .use_current_thread()
        .build_global();
}

/// As [`take_part`], with `threads` threads in all, this one among them.
pub fn limit_threads(threads: usize) {
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .use_current_thread()
        .build_global();
}
