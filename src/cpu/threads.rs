//! Work shared by the cores.

/// Threads that are worth their start: one in browsers, where stable Rust has no others.
pub fn threads(flops: u64) -> usize {
    if cfg!(target_arch = "wasm32") || flops < 10_000_000 {
        return 1;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Works on all parts, each on a thread of its own; a single one on this thread.
pub fn in_parallel<T: Send>(parts: impl ExactSizeIterator<Item = T>, work: impl Fn(T) + Sync) {
    if parts.len() < 2 {
        return parts.for_each(work);
    }
    std::thread::scope(|scope| {
        for part in parts {
            let work = &work;
            scope.spawn(move || work(part));
        }
    });
}
