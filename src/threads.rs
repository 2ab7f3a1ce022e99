//! Work shared by the cores.

/// Multiplications and additions that are worth a start of threads.
#[cfg(not(target_arch = "wasm32"))]
const WORTH_IT: u64 = 2_000_000;

/// The threads that steps of a plan share. In browsers there is one: the page's or the worker's own.
#[derive(Debug, Default)]
pub struct Threads {
    #[cfg(not(target_arch = "wasm32"))]
    pool: Option<rayon::ThreadPool>,
}

impl Threads {
    /// This thread alone.
    pub const ONE: Self = Self {
        #[cfg(not(target_arch = "wasm32"))]
        pool: None,
    };

    /// So many threads; without a number, as many as `OMP_NUM_THREADS` says, or as there are cores.
    ///
    /// # Errors
    /// [`crate::Error::BadInput`] for 0 threads, and if the system starts none.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(count: Option<usize>) -> crate::Result<Self> {
        let from_env = || std::env::var("OMP_NUM_THREADS").ok()?.parse().ok().filter(|&count| count > 0);
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = count.or_else(from_env).unwrap_or_else(cores);
        match count {
            0 => Err(crate::Error::BadInput("threads: expected 1 or more, found 0".into())),
            1 => Ok(Self::ONE),
            _ => {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
                let pool = pool.map_err(|e| crate::Error::BadInput(format!("{count} threads: {e}: ask for fewer")))?;
                Ok(Self { pool: Some(pool) })
            }
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(pool) = &self.pool {
            return pool.current_num_threads();
        }
        1
    }

    /// Works on all parts, which are `flops` of work together.
    pub fn each<T: Send>(&self, parts: Vec<T>, flops: u64, work: impl Fn(T) + Sync + Send) {
        #[cfg(not(target_arch = "wasm32"))]
        if let Some(pool) = self.pool.as_ref().filter(|_| parts.len() > 1 && flops >= WORTH_IT) {
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
        for threads in [Threads::ONE, Threads::new(Some(1)).unwrap(), Threads::new(Some(3)).unwrap()] {
            let mut seen = vec![0; 40];
            threads.each(seen.iter_mut().collect(), u64::MAX, |seen| *seen += 1);
            assert_eq!(seen, [1; 40]);
        }
        assert!(Threads::new(Some(0)).is_err());
    }
}
