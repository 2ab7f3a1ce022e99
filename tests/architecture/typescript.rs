//! Which TypeScript file knows which, by relative imports. Imports of types alone count: who reads a file has to read them too.

use crate::graph::Graph;

/// What stands between quotes after `from`, `import` and `import(`, and is relative.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    ["from \"", "import \"", "import(\""].into_iter().flat_map(move |word| {
        text.match_indices(word).filter_map(move |(at, word)| {
            let address = text[at + word.len()..].split('"').next()?;
            address.starts_with('.').then_some(address)
        })
    })
}

/// The path that a relative address means in a file.
fn joined(file: &str, address: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in address.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// Which of these files knows which; what is not among them (style sheets, wasm-bindgen's glue) is left aside.
pub fn graph<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> Graph {
    let found = |file: &str, address: &str| {
        let path = joined(file, address);
        let stem = path.strip_suffix(".js").or_else(|| path.strip_suffix(".ts")).unwrap_or(&path);
        let names = [format!("{stem}.ts"), format!("{path}/index.ts")];
        files
            .clone()
            .into_iter()
            .find(|(file, _)| names.iter().any(|name| name == file))
            .map(|(file, _)| file.to_string())
    };
    let known = |file: &str, text| imports(text).filter_map(|address| found(file, address)).collect();
    files.clone().into_iter().map(|(file, text)| (file.to_string(), known(file, text))).collect()
}

#[test]
fn circles_are_seen_however_they_are_written() {
    let find = |files: &[(&str, &str)]| crate::graph::circle(&graph(files.iter().copied()));
    let b = ("x/b.ts", "import { a } from \"../a.js\";");
    assert_eq!(find(&[("a.ts", "import \"lit\"; import \"./x.css\";"), b]), None);
    for text in [
        "import { b } from \"./x/b.js\";",
        "import {\n  b,\n} from \"./x/b\";",
        "import type { B } from \"./x/b.ts\";",
        "export * from \"./x/b.js\";",
        "import \"./x/b.js\";",
        "const b = await import(\"./x/b.js\");",
        "type B = import(\"./x/b.js\").B;",
    ] {
        assert_eq!(find(&[("a.ts", text), b]).as_deref(), Some("a.ts → x/b.ts → a.ts"), "{text}");
    }
    let index = ("x/index.ts", "export * from \"./b.js\";");
    assert_eq!(find(&[("a.ts", "import \"./x\";"), index, b]).as_deref(), Some("a.ts → x/index.ts → x/b.ts → a.ts"));
}
