//! Work shared by the cores.

/// The threads that steps of a plan share. In browsers there is one: the page's or the worker's own.
#[derive(Debug, Default)]
pub struct Threads {
    #[cfg(not(target_arch = "wasm32"))]
    pool: Option<Pool>,
}

#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
struct Pool {
    pool: rayon::ThreadPool,
    /// Multiplications and additions that are worth a start of threads.
    worth: u64,
}

/// As many threads as `OMP_NUM_THREADS` says, or as there are cores.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn usual() -> usize {
    let from_env = || std::env::var("OMP_NUM_THREADS").ok()?.parse().ok().filter(|&count| count > 0);
    from_env().unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

impl Threads {
    /// This thread alone.
    pub const ONE: Self = Self {
        #[cfg(not(target_arch = "wasm32"))]
        pool: None,
    };

    /// So many threads; without a number, [`usual`] ones.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for 0 threads, and if the system starts none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(count: Option<usize>) -> crate::Result<Self> {
        match count.unwrap_or_else(usual) {
            0 => Err(crate::Error::BadInput("threads: expected 1 or more, found 0".into())),
            1 => Ok(Self::ONE),
            count => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
                let pool = pool.map_err(|e| crate::Error::BadInput(format!("{count} threads: {e}: ask for fewer")))?;
                Ok(Self { pool: Some(Pool { pool, worth: 2_000_000 }) })
            }
        }
    }

    /// The same threads, which share whatever is at least so many multiplications and additions.
    #[cfg(not(target_arch = "wasm32"))]
    #[must_use]
    pub fn sharing_from(self, worth: u64) -> Self {
        Self { pool: self.pool.map(|pool| Pool { worth, ..pool }) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(Pool { pool, .. }) = &self.pool {
            return pool.current_num_threads();
        }
        1
    }

    /// Works on all parts, which are `flops` of work together.
    pub fn each<T: Send>(&self, parts: Vec<T>, flops: u64, work: impl Fn(T) + Sync + Send) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(Pool { pool, .. }) = self.pool.as_ref().filter(|pool| parts.len() > 1 && flops >= pool.worth) {
            use rayon::prelude::*;
            // A part is long enough to be handed over by itself.
            return pool.install(|| parts.into_par_iter().with_max_len(1).for_each(work));
        }
        let _ = flops;
        parts.into_iter().for_each(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn every_part_once_on_any_number_of_threads() {
        for threads in [Threads::ONE, Threads::new(Some(1)).expect("one"), Threads::new(Some(3)).expect("three")] {
            let mut seen = vec![0; 40];
            threads.each(seen.iter_mut().collect(), u64::MAX, |seen| *seen += 1);
            assert_eq!(seen, [1; 40]);
        }
        assert!(Threads::new(Some(0)).is_err());
    }

    /// Parts that wait for each other come to an end only if all of them are under way at once.
    #[test]
    #[cfg(not(target_arch = "wasm32"))]
    fn little_work_is_shared_where_it_is_asked_for() {
        let all = std::sync::Barrier::new(3);
        let threads = Threads::new(Some(3)).expect("three").sharing_from(0);
        threads.each(vec![(); 3], 0, |()| {
            all.wait();
        });
        let caller = std::thread::current().id();
        Threads::new(Some(3)).expect("three").each(vec![(); 3], 0, |()| {
            assert_eq!(std::thread::current().id(), caller, "too little to be shared");
        });
    }
}
