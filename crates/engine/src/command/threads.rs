//! Which threads share parallel work.

/// Makes this thread one of those that share parallel work. Else it sleeps while others work, who are woken where it ran:
/// for some milliseconds, most of a short run, two of them may share that processor and leave another idle.
///
/// For verbs whose parallel work all begins in this thread: with one thread, work begun in another would wait for it. Nothing
/// changes once there was parallel work.
pub fn take_part() {
    // The one error says that the threads are there already.
    let _ = rayon::ThreadPoolBuilder::new()
        .use_current_thread()
        .build_global();
}
