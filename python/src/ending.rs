//! The end of a program while other threads wait for a model. A thread that came back to an interpreter that has ended would take the
//! whole process along, so it stays where it is.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use pyo3::{Python, pyfunction};

static ENDING: AtomicBool = AtomicBool::new(false);
/// Threads that have let go of the interpreter, and those among them that stay.
static AWAY: AtomicUsize = AtomicUsize::new(0);
static STAYING: AtomicUsize = AtomicUsize::new(0);

/// Longest time for threads to notice; in a forked process those of its parent never do.
const PATIENCE: Duration = Duration::from_secs(1);

/// Works without the interpreter's lock, for a short time, and does not come back if the program ends.
pub fn detached<T: Send>(py: Python, work: impl Send + FnOnce() -> T) -> T {
    AWAY.fetch_add(1, SeqCst);
    let done = py.detach(|| {
        let done = work();
        if ENDING.load(SeqCst) {
            STAYING.fetch_add(1, SeqCst);
            loop {
                thread::park();
            }
        }
        done
    });
    AWAY.fetch_sub(1, SeqCst);
    done
}

/// Called as the program ends, by the main thread: waits until nobody comes back any more.
#[pyfunction]
pub fn end(py: Python) {
    ENDING.store(true, SeqCst);
    let start = Instant::now();
    py.detach(|| {
        while AWAY.load(SeqCst) > STAYING.load(SeqCst) && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
    });
}
