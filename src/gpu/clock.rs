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
    use wasm_bindgen::JsCast;
    let get = |object: &wasm_bindgen::JsValue, key: &str| js_sys::Reflect::get(object, &key.into()).unwrap_or_default();
    let performance = get(&js_sys::global(), "performance");
    let now = get(&performance, "now").dyn_into::<js_sys::Function>();
    now.ok().and_then(|now| now.call0(&performance).ok()).and_then(|value| value.as_f64()).unwrap_or_default()
}
