//! The floors of the house: inside a crate a file imports from its own floor or below, so no two files of a crate need
//! each other.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

type ModulePath = Vec<String>;

/// One source file, as far as imports go.
#[derive(Default)]
struct Source {
    /// Names that `use` brings in, with the path that each stands for (as written).
    imports: BTreeMap<String, Vec<String>>,
    /// Paths of `use …::*`.
    globs: Vec<Vec<String>>,
    /// Every path with at least two parts outside of `use`, as written.
    paths: BTreeSet<Vec<String>>,
}

/// Identifiers, `::` and single characters; without comments, strings and character literals.
fn tokens(text: &str) -> Vec<String> {
    let bytes: Vec<char> = text.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    let rest = |at: usize, what: &str| {
        what.chars()
            .enumerate()
            .all(|(i, c)| bytes.get(at + i) == Some(&c))
    };
    while at < bytes.len() {
        let c = bytes[at];
        if rest(at, "//") {
            while at < bytes.len() && bytes[at] != '\n' {
                at += 1;
            }
        } else if rest(at, "/*") {
            while at < bytes.len() && !rest(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if c == '"' {
            at += 1;
            while at < bytes.len() && bytes[at] != '"' {
                at += 1 + usize::from(bytes[at] == '\\');
            }
            at += 1;
        } else if c == 'r' && (rest(at, "r\"") || rest(at, "r#\"") || rest(at, "r##\"")) {
            let hashes = bytes[at + 1..].iter().take_while(|c| **c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            at += 2 + hashes;
            while at < bytes.len() && !rest(at, &end) {
                at += 1;
            }
            at += end.len();
        } else if c == '\''
            && (bytes.get(at + 1) == Some(&'\\') || bytes.get(at + 2) == Some(&'\''))
        {
            at += if bytes.get(at + 1) == Some(&'\\') {
                3
            } else {
                2
            };
            while at < bytes.len() && bytes[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else if c.is_alphabetic() || c == '_' {
            let start = at;
            while at < bytes.len() && (bytes[at].is_alphanumeric() || bytes[at] == '_') {
                at += 1;
            }
            found.push(bytes[start..at].iter().collect());
        } else if rest(at, "::") {
            found.push("::".into());
            at += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            at += 1;
        }
    }
    found
}

/// The place behind the item that starts at `at`: behind its `;` or its block.
fn behind_item(tokens: &[String], mut at: usize) -> usize {
    let mut depth = 0usize;
    while at < tokens.len() {
        match tokens[at].as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at
}

/// Reads the tree behind `use` at `at`, below `prefix`; returns the place behind it.
fn use_tree(tokens: &[String], mut at: usize, prefix: &[String], into: &mut Source) -> usize {
    let mut path = prefix.to_vec();
    while at < tokens.len() {
        match tokens[at].as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = use_tree(tokens, at, &path, into);
                    at += usize::from(tokens[at] == ",");
                }
                return at + 1;
            }
            "*" => {
                into.globs.push(path);
                return at + 1;
            }
            "as" => {
                into.imports.insert(tokens[at + 1].clone(), path);
                return at + 2;
            }
            "," | "}" | ";" => break,
            "self" if !path.is_empty() => at += 1,
            name => {
                path.push(name.to_owned());
                at += 1;
            }
        }
    }
    if let Some(name) = path.last() {
        into.imports.insert(name.clone(), path.clone());
    }
    at
}

/// Whether the attribute at the start stands before what only tests build: `cfg(test)`, `cfg(all(test, …))`.
fn of_tests(tokens: &[String]) -> bool {
    let attribute = tokens.iter().take_while(|token| *token != "]");
    let names: Vec<&str> = attribute.map(String::as_str).collect();
    names.contains(&"test") && !names.contains(&"not") && !names.contains(&"any")
}

fn read(text: &str) -> Source {
    let tokens = tokens(text);
    let mut source = Source::default();
    let mut at = 0;
    while at < tokens.len() {
        let is = |offset: usize, what: &str| tokens.get(at + offset).is_some_and(|t| t == what);
        if is(0, "#") && is(1, "[") && is(2, "cfg") && of_tests(&tokens[at..]) {
            at = behind_item(&tokens, at + 3);
        } else if is(0, "use") && !is(1, "<") {
            at = use_tree(&tokens, at + 1, &[], &mut source);
        } else if is(1, "::") {
            let mut path = vec![tokens[at].clone()];
            at += 1;
            while tokens.get(at).is_some_and(|t| t == "::")
                && tokens
                    .get(at + 1)
                    .is_some_and(|t| t.starts_with(|c: char| c.is_alphabetic() || c == '_'))
            {
                path.push(tokens[at + 1].clone());
                at += 2;
            }
            at += usize::from(path.len() == 1);
            source.paths.insert(path);
        } else {
            at += 1;
        }
    }
    source
}

struct Crate(BTreeMap<ModulePath, Source>);

impl Crate {
    fn open(src: &Path) -> Self {
        let mut modules = BTreeMap::new();
        let mut folders = vec![(src.to_owned(), ModulePath::new())];
        while let Some((folder, module)) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                let mut below = module.clone();
                if path.is_dir() {
                    below.push(name);
                    folders.push((path, below));
                } else if path.extension().is_some_and(|e| e == "rs") {
                    if !["lib", "main", "mod"].contains(&name.as_str()) {
                        below.push(name);
                    }
                    modules.insert(below, read(&std::fs::read_to_string(&path).unwrap()));
                }
            }
        }
        Self(modules)
    }

    /// The module in which what `path` names, seen from `from`, is written; nothing for other crates.
    fn resolve(&self, from: &ModulePath, path: &[String]) -> Option<ModulePath> {
        self.follow(from, path, &mut BTreeSet::new())
    }

    /// As [`Self::resolve`]; `seen` is what was asked on the way here, since names are handed on in rounds.
    fn follow(
        &self,
        from: &ModulePath,
        path: &[String],
        seen: &mut BTreeSet<(ModulePath, Vec<String>)>,
    ) -> Option<ModulePath> {
        // An alias of its own name (`use x::y as x`) grows for ever.
        if path.len() > 12 || !seen.insert((from.clone(), path.to_vec())) {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let (mut module, mut rest) = match first.as_str() {
            "crate" => (ModulePath::new(), rest),
            "self" => (from.clone(), rest),
            "super" => (from[..from.len().checked_sub(1)?].to_vec(), rest),
            _ => (from.clone(), path),
        };
        while rest.first().is_some_and(|name| name == "super") {
            module.pop()?;
            rest = &rest[1..];
        }
        let relative = !["crate", "self", "super"].contains(&first.as_str());
        let start = module.len();
        while let Some(name) = rest.first() {
            let mut below = module.clone();
            below.push(name.clone());
            if !self.0.contains_key(&below) {
                break;
            }
            module = below;
            rest = &rest[1..];
        }
        let source = self.0.get(&module)?;
        if let Some(name) = rest.first() {
            if let Some(origin) = source.imports.get(name) {
                // `use x::y` in a file of the crate where `x` is another crate ends here.
                let mut whole = origin.clone();
                whole.extend_from_slice(&rest[1..]);
                if whole != path || module != *from {
                    return self.follow(&module, &whole, seen);
                }
            }
            for glob in &source.globs {
                if let Some(origin) = self.follow(&module, glob, seen).filter(|m| *m != module) {
                    let target = &self.0[&origin];
                    if target.imports.contains_key(name) {
                        let mut whole = glob.clone();
                        whole.push(name.clone());
                        return self.follow(&module, &whole, seen);
                    }
                }
            }
            // A name of the prelude, of another crate, or of the file itself.
            if relative && module.len() == start {
                return None;
            }
        }
        Some(module)
    }

    fn edges(&self) -> BTreeMap<ModulePath, BTreeSet<ModulePath>> {
        let of = |from: &ModulePath, source: &Source| {
            let all = source
                .imports
                .values()
                .chain(&source.globs)
                .chain(&source.paths);
            let mut targets: BTreeSet<_> =
                all.filter_map(|path| self.resolve(from, path)).collect();
            targets.remove(from);
            targets
        };
        // What the root only hands on is no tie of the root's.
        self.0
            .iter()
            .map(
                |(module, source)| match module.is_empty() && is_facade(source) {
                    true => (module.clone(), BTreeSet::new()),
                    false => (module.clone(), of(module, source)),
                },
            )
            .collect()
    }

    /// Sets of more than one file each of which needs every other.
    fn circles(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let reach: BTreeMap<_, BTreeSet<_>> = edges
            .keys()
            .map(|from| {
                let mut seen = BTreeSet::new();
                let mut open = vec![from];
                while let Some(at) = open.pop() {
                    open.extend(edges[at].iter().filter(|next| seen.insert(*next)));
                }
                (from, seen)
            })
            .collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for from in edges.keys() {
            let with: Vec<_> = reach[from]
                .iter()
                .filter(|to| reach[**to].contains(from))
                .collect();
            if with.len() > 1 {
                circles.insert(with.iter().map(|m| m.join("::")).collect());
            }
        }
        circles.into_iter().collect()
    }
}

/// A root that uses nothing itself.
fn is_facade(source: &Source) -> bool {
    source.paths.is_empty()
}

#[test]
fn files_of_a_crate_do_not_need_each_other_in_circles() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders: Vec<_> = std::fs::read_dir(crates)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("src"))
        .filter(|src| src.is_dir())
        .collect();
    folders.sort();
    assert!(folders.len() > 15, "{folders:?}");
    let circles: Vec<String> = folders
        .iter()
        .flat_map(|src| {
            let circles = Crate::open(src).circles();
            circles
                .into_iter()
                .map(move |files| format!("{}: {}", src.display(), files.join(", ")))
        })
        .collect();
    assert!(
        circles.is_empty(),
        "cut the tie: a file imports from its own floor or below\n{}",
        circles.join("\n")
    );
}

#[test]
fn a_circle_is_found_through_whatever_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("lib.rs", "mod a;\nmod b;\nmod c;\npub use b::B;\n");
    write("a.rs", "use crate::B;\npub struct A(B);\n");
    write("b.rs", "pub struct B(super::c::C);\n");
    write(
        "c.rs",
        "pub struct C;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
    );
    assert!(Crate::open(folder.path()).circles().is_empty());
    write("c.rs", "pub struct C(Vec<crate::a::A>);\n");
    assert_eq!(Crate::open(folder.path()).circles(), [["a", "b", "c"]]);
}
