//! Writes a wasm file for the web, and its JavaScript bindings: `bindings FILE FOLDER NAME` makes `FOLDER/NAME.js`, `NAME.d.ts` and
//! `NAME_bg.wasm`.

use anyhow::{Context, Result, bail};
use wasm_bindgen_cli_support::Bindgen;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, folder, name] = &arguments[..] else {
        bail!("expected FILE FOLDER NAME, found {}", arguments.join(" "));
    };
    Bindgen::new()
        .input_path(file)
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        // After a trap the package starts the file anew.
        .reset_state_function(true)
        .omit_default_module_path(true)
        .out_name(name)
        .generate(folder)
        .with_context(|| format!("{file}: expected a wasm file with the descriptions of wasm-bindgen"))
}
