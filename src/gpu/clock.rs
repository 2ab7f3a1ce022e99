//! Milliseconds since some moment, natively and in browsers.

/// The time, for differences.
#[cfg(not(target_arch = "wasm32"))]
#[must_use]
pub fn milliseconds() -> f64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed().as_secs_f64() * 1e3
}

/// `performance.now()`, which pages and workers have.
#[cfg(target_arch = "wasm32")]
#[must_use]
pub fn milliseconds() -> f64 {
    PERFORMANCE.with(web_sys::Performance::now)
}

#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
extern "C" {
    #[wasm_bindgen(thread_local_v2, js_name = performance)]
    static PERFORMANCE: web_sys::Performance;
}
