//! Which file of the crate knows which: by `use`, by paths in bodies and in macros, and through re-exports.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    UseTree, Visibility,
    visit::{self, Visit},
};

use crate::graph::Graph;

/// What the program's files call the library.
const LIBRARY: &str = "ocelli";

/// A name that a file brings into its scope.
struct Import {
    /// None for `*`.
    name: Option<String>,
    path: Vec<String>,
    /// Whether it is passed on: a re-export alone is no knowledge.
    public: bool,
}

/// What a file says.
#[derive(Default)]
struct File {
    path: String,
    imports: Vec<Import>,
    /// In bodies, signatures and macros.
    paths: Vec<Vec<String>>,
    /// How many modules are open inside the file.
    depth: usize,
}

impl File {
    fn read(path: &str, text: &str) -> Result<Self, syn::Error> {
        let mut file = Self { path: path.into(), ..Self::default() };
        file.visit_file(&syn::parse_file(text)?);
        Ok(file)
    }

    /// A path as the file's own module would write it.
    fn outside(&self, path: Vec<String>) -> Vec<String> {
        let up = path.iter().take(self.depth).take_while(|name| *name == "super").count();
        match path.get(up) {
            Some(next) if up > 0 && next != "super" => [&["self".to_string()], &path[up..]].concat(),
            _ => path[up..].to_vec(),
        }
    }

    fn push(&mut self, name: Option<String>, path: Vec<String>, public: bool) {
        // What a module inside imports is in its own scope.
        let name = name.filter(|_| self.depth == 0);
        self.imports.push(Import { name, path: self.outside(path), public });
    }

    /// What looks like a path among a macro's tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut joined) = (Vec::new(), false);
        for token in tokens {
            match token {
                TokenTree::Ident(name) => {
                    if !joined {
                        self.end(&mut path);
                    }
                    path.push(name.to_string());
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => {
                    joined = true;
                    continue;
                }
                TokenTree::Group(group) => {
                    self.end(&mut path);
                    self.tokens(group.stream());
                }
                _ => self.end(&mut path),
            }
            joined = false;
        }
        self.end(&mut path);
    }

    fn end(&mut self, path: &mut Vec<String>) {
        let path = self.outside(std::mem::take(path));
        self.paths.push(path);
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>, public: bool) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path, public);
            }
            UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path.clone(), public));
            }
            UseTree::Glob(_) => self.push(None, path, public),
            UseTree::Name(leaf) if leaf.ident == "self" => self.push(path.last().cloned(), path, public),
            UseTree::Name(leaf) => {
                path.push(leaf.ident.to_string());
                self.push(path.last().cloned(), path, public);
            }
            UseTree::Rename(leaf) => {
                path.push(leaf.ident.to_string());
                self.push(Some(leaf.rename.to_string()), path, public);
            }
        }
    }
}

impl Visit<'_> for File {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.import(&item.tree, Vec::new(), !matches!(item.vis, Visibility::Inherited));
    }
    fn visit_item_mod(&mut self, item: &syn::ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }
    fn visit_path(&mut self, path: &syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.paths.push(self.outside(names));
        visit::visit_path(self, path);
    }
    fn visit_visibility(&mut self, _: &Visibility) {}
    fn visit_macro(&mut self, called: &syn::Macro) {
        self.visit_path(&called.path);
        self.tokens(called.tokens.clone());
    }
}

/// All files, by what they are called in paths: the crate, then its modules.
struct Tree(BTreeMap<Vec<String>, File>);

/// `config/mod.rs` is `ocelli::config`; the program is a crate of its own, named by its folder.
fn module(path: &str) -> Vec<String> {
    let (root, inner) = match path.strip_prefix("bin/ocelli/") {
        Some(inner) => ("bin", inner),
        None => (LIBRARY, path),
    };
    let names = inner.trim_end_matches(".rs").split('/').filter(|name| !["mod", "lib", "main"].contains(name));
    [root].into_iter().chain(names).map(String::from).collect()
}

impl Tree {
    /// What a path in a module means, from a crate on; none for what is neither a module of ours nor was imported from one.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some([&module[..1], rest].concat()),
            LIBRARY => Some(path.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let parent = &module[..module.len().checked_sub(1)?];
                match rest.first().is_some_and(|next| next == "super") {
                    true => self.absolute(parent, rest),
                    false => Some([parent, rest].concat()),
                }
            }
            _ => {
                let child = [module, std::slice::from_ref(first)].concat();
                let own = || self.0.contains_key(&child).then(|| [module, path].concat());
                let import = self.0[module].imports.iter().find(|import| import.name.as_ref() == Some(first));
                match import.filter(|import| import.path.first() != Some(first)) {
                    Some(import) => self.absolute(module, &[&import.path, rest].concat()),
                    None => own(),
                }
            }
        }
    }

    /// The file in which something is defined, through whatever passes it on.
    fn definition(&self, absolute: &[String]) -> Option<&File> {
        let known = (1..=absolute.len()).rev().find(|&len| self.0.contains_key(&absolute[..len]))?;
        let (module, rest) = absolute.split_at(known);
        let file = &self.0[module];
        let Some(name) = rest.first() else { return Some(file) };
        let import = file.imports.iter().find(|import| import.name.as_ref() == Some(name));
        let passed_on = import.and_then(|import| self.absolute(module, &import.path));
        match passed_on {
            Some(target) if target != absolute => self.definition(&[&target, &rest[1..]].concat()),
            // From elsewhere, such as `std`, or defined here.
            _ => Some(file),
        }
    }
}

/// Which file knows which. Files are named by their paths below `src`.
///
/// A file and those in the folder of its name are one module in Rust: a type's `impl` is spread over them, and each sees what is private to
/// the one above. So what is below may know what is above it, and that is no edge here; what is beside it is one.
pub fn graph<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Graph, String> {
    let read = |(path, text)| File::read(path, text).map(|f| (module(path), f)).map_err(|e| format!("{path}: {e}"));
    let tree = Tree(files.into_iter().map(read).collect::<Result<_, _>>()?);
    let mut graph = Graph::new();
    for (module, file) in &tree.0 {
        let imported = file.imports.iter().filter(|import| !import.public).map(|import| &import.path);
        let known: BTreeSet<String> = imported
            .chain(&file.paths)
            .filter_map(|path| tree.definition(&tree.absolute(module, path)?))
            .filter(|other| other.path != "lib.rs" && !module.starts_with(&self::module(&other.path)))
            .map(|other| other.path.clone())
            .collect();
        graph.insert(file.path.clone(), known);
    }
    Ok(graph)
}

fn edges(files: &[(&str, &str)]) -> Vec<String> {
    let graph = graph(files.iter().copied()).expect("Rust");
    graph.iter().flat_map(|(from, to)| to.iter().map(move |to| format!("{from} > {to}"))).collect()
}

#[test]
fn every_way_to_name_another_file_is_seen() {
    let house =
        |text| edges(&[("lib.rs", "pub use a::b::Thing;"), ("a/mod.rs", "pub mod b;"), ("a/b.rs", ""), ("c.rs", text)]);
    for text in [
        "use crate::a::b::Thing;",
        "use crate::{a::{b::{Thing as Other}}, c};",
        "use super::a::b;",
        "fn f() -> u32 { crate::a::b::count() }",
        "fn f(x: &crate::a::b::Thing) {}",
        "fn f() { println!(\"{}\", crate::a::b::count()); }",
        "fn f() { crate::a::b::say!(1); }",
        "use crate::a::b::*;",
        "use crate::Thing;",
        "use crate::a; fn f() { a::b::count(); }",
    ] {
        assert!(house(text).contains(&"c.rs > a/b.rs".into()), "{text}: {:?}", house(text));
    }
    // Passed on, and not used.
    assert!(house("pub use crate::a::b::Thing;").is_empty());
    assert_eq!(house("pub use crate::a::b::Thing; fn f(x: Thing) {}"), ["c.rs > a/b.rs"]);
    assert!(house("use std::fmt; fn f() { core::mem::swap(a, b); }").is_empty());
}

#[test]
fn what_is_passed_on_leads_to_where_it_is_defined() {
    let files = [
        ("a/mod.rs", "mod b; mod c; pub use b::Thing; pub struct Own;"),
        ("a/b.rs", "use super::Own; use std::fmt; pub struct Thing;"),
        ("a/c.rs", "use super::{Own, Thing};"),
        ("bin/ocelli/main.rs", "mod d; use ocelli::a::Thing;"),
        ("bin/ocelli/d.rs", "fn f() { ocelli::a::Own; }"),
    ];
    assert_eq!(edges(&files), ["a/c.rs > a/b.rs", "bin/ocelli/d.rs > a/mod.rs", "bin/ocelli/main.rs > a/b.rs"]);
}

#[test]
fn circles_inside_a_folder_are_seen() {
    let find = |files: &[(&str, &str)]| crate::graph::circle(&graph(files.iter().copied()).expect("Rust"));
    let parent = ("a/mod.rs", "mod b; mod c; pub use b::Thing; pub use c::Other;");
    assert_eq!(find(&[parent, ("a/b.rs", "pub struct Thing;"), ("a/c.rs", "use super::b::Thing;")]), None);
    for (b, c) in [
        ("use super::c::Other;", "use super::b::Thing;"),
        ("use super::Other;", "use super::Thing;"),
        ("fn f(x: super::Other) {}", "fn f() { crate::a::b::count(); }"),
    ] {
        assert_eq!(
            find(&[parent, ("a/b.rs", b), ("a/c.rs", c)]).as_deref(),
            Some("a/b.rs → a/c.rs → a/b.rs"),
            "{b} {c}"
        );
    }
    // What is above may know what is below, and the other way round.
    assert_eq!(find(&[("a.rs", "mod b; fn f() { b::g(); }"), ("a/b.rs", "use super::f;")]), None);
}

#[test]
fn a_module_inside_a_file_is_the_file() {
    let b = "pub const X: u32 = 1; mod inner { use super::X; use super::super::c; fn f() { super::super::d::g(); } }";
    let files = [("a.rs", "mod b; pub use b::X;"), ("a/b.rs", b), ("a/c.rs", ""), ("a/d.rs", "")];
    assert_eq!(edges(&files), ["a/b.rs > a/c.rs", "a/b.rs > a/d.rs"]);
}
