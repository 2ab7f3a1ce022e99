//! Shaders as text: natively as they are in `shaders/`, in the browser without comments and indentation, a third less to download, and
//! in its files for the CPU not at all.

/// The text of a file in `shaders/`.
macro_rules! wgsl {
    ($file:literal) => {{
        #[cfg(not(target_arch = "wasm32"))]
        const SHADER: &str = include_str!(concat!("../../shaders/", $file));
        #[cfg(all(target_arch = "wasm32", not(feature = "wasm-gpu")))]
        const SHADER: &str = "";
        #[cfg(all(target_arch = "wasm32", feature = "wasm-gpu"))]
        const SHADER: &str = {
            const TEXT: &str = include_str!(concat!("../../shaders/", $file));
            const BYTES: [u8; $crate::gpu::strip(TEXT, &mut [0; TEXT.len()])] = {
                let mut bytes = [0; TEXT.len()];
                let len = $crate::gpu::strip(TEXT, &mut bytes);
                let mut out = [0; $crate::gpu::strip(TEXT, &mut [0; TEXT.len()])];
                out.copy_from_slice(bytes.split_at(len).0);
                out
            };
            match std::str::from_utf8(&BYTES) {
                Ok(text) => text,
                Err(_) => panic!("lines are cut between characters"),
            }
        };
        SHADER
    }};
}

pub(crate) use wgsl;

/// The text without `//` comments, indentation and empty lines, put into as many bytes; how many are left. WGSL has no strings in
/// which a comment could start; its other comments are not for our files.
pub const fn strip(text: &str, out: &mut [u8]) -> usize {
    let text = text.as_bytes();
    let (mut at, mut len) = (0, 0);
    while at < text.len() {
        let comment = text[at] == b'/' && at + 1 < text.len() && text[at + 1] == b'/';
        if comment {
            while at < text.len() && text[at] != b'\n' {
                at += 1;
            }
            // What stood before it ends with spaces.
            while len > 0 && out[len - 1] == b' ' {
                len -= 1;
            }
            continue;
        }
        let starts = len == 0 || out[len - 1] == b'\n';
        if !(starts && (text[at] == b' ' || text[at] == b'\n')) {
            out[len] = text[at];
            len += 1;
        }
        at += 1;
    }
    len
}
