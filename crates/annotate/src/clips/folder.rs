//! Pairs in a folder: a subfolder for each generator with clips of equal names, and a table of prompts.
//!
//! ```text
//! clips/prompts.csv          name,prompt
//! clips/kling/0001.mp4       a file, or a folder of frames
//! clips/luma/0001.mp4
//! ```
//!
//! Which of two generators is on the left is drawn for each prompt: people prefer a side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use percept_base::files::list_dir;
use percept_base::random::{fnv1a, uniform};
use percept_data::{Error as DataError, RawRows};
use serde_json::Value;

use crate::clips::pair::{ClipOf, ClipPair, Clips};
use crate::clips::source::ClipSource;
use crate::error::Error;

/// Names under which the table of prompts is looked for.
const PROMPTS: [&str; 4] = [
    "prompts.csv",
    "prompts.jsonl",
    "prompts.json",
    "prompts.parquet",
];

/// One generator: its name, and its clips by their names without ending.
type Generator = (String, BTreeMap<String, PathBuf>);

/// A row of the table of prompts: its number, the clip's name and the prompt.
type PromptRow = (usize, String, String);

pub(super) fn find(source: &ClipSource) -> Result<Clips, Error> {
    let (table, prompts) = prompts(&source.path)?;
    let generators = generators(&source.path)?;
    if generators.len() < 2 {
        let names: Vec<&str> = generators.iter().map(|(name, _)| name.as_str()).collect();
        return Err(DataError::file("a pair needs two generators")
            .in_file(&source.path)
            .found(format!("subfolders: {}", names.join(", ")))
            .expected("a subfolder for each generator, with clips of equal names")
            .into());
    }
    let mut clips = Clips::default();
    let known: BTreeSet<&String> = prompts.iter().map(|(_, name, _)| name).collect();
    for (_, path) in generators.iter().flat_map(|(_, all)| all) {
        let name = stem(path);
        if !known.contains(&name) {
            let error = DataError::file(format!("the clip has no prompt: no row named {name:?}"))
                .in_file(path)
                .help(format!("name it in {}", table.display()));
            miss(source, &mut clips, error)?;
        }
    }
    for (number, name, prompt) in &prompts {
        for (left, right) in sides(source, name, generators.len()) {
            let [a, b] = [left, right].map(|at| (&generators[at].0, generators[at].1.get(name)));
            let absent = [a, b].into_iter().find(|(_, clip)| clip.is_none());
            if let Some((generator, _)) = absent {
                let what = format!("{generator} has no clip named {name:?}");
                let error = DataError::row(what)
                    .at(&table, *number)
                    .help("a pair needs both clips; --skip-missing leaves such pairs out");
                miss(source, &mut clips, error)?;
                continue;
            }
            let clip = |(generator, path): (&String, Option<&PathBuf>)| ClipOf {
                path: path.cloned().unwrap_or_default(),
                model: Some(generator.clone()),
            };
            let id = match generators.len() > 2 && source.every_two {
                true => format!("{name}-{}-{}", left.min(right), left.max(right)),
                false => name.clone(),
            };
            clips.pairs.push(ClipPair {
                id,
                prompt: prompt.clone(),
                a: clip(a),
                b: clip(b),
            });
        }
    }
    Ok(clips)
}

/// Notes what is left out, or fails.
fn miss(source: &ClipSource, clips: &mut Clips, error: DataError) -> Result<(), Error> {
    if !source.skip_missing {
        return Err(error.into());
    }
    clips.skipped.push(error.to_string());
    Ok(())
}

/// The generators on the left and on the right for a prompt.
fn sides(source: &ClipSource, name: &str, generators: usize) -> Vec<(usize, usize)> {
    let draw = |a, b, what| uniform(source.seed ^ fnv1a(name.bytes()), a, b, what);
    let mut chosen: Vec<(usize, usize)> = (0..generators)
        .flat_map(|a| (a + 1..generators).map(move |b| (a, b)))
        .collect();
    if !source.every_two {
        let at = (draw(0, 0, 1) * chosen.len() as f64) as usize;
        chosen = vec![chosen[at.min(chosen.len() - 1)]];
    }
    let turned = |(a, b)| match draw(a as u64, b as u64, 2) < 0.5 {
        true => (a, b),
        false => (b, a),
    };
    chosen.into_iter().map(turned).collect()
}

/// The table of prompts: its path and its rows.
fn prompts(folder: &Path) -> Result<(PathBuf, Vec<PromptRow>), Error> {
    let named = PROMPTS.iter().map(|name| folder.join(name));
    let Some(path) = named.into_iter().find(|path| path.is_file()) else {
        return Err(DataError::file("no table of prompts")
            .in_file(folder)
            .expected("prompts.csv with the columns name and prompt")
            .help("name is that of the clips without their ending; a table with path_A, path_B and prompt can be given instead")
            .into());
    };
    let rows = RawRows::open(&path, &path)?;
    let mut found: Vec<PromptRow> = Vec::new();
    let mut seen = BTreeSet::new();
    for at in 0..rows.len() {
        let (number, row) = (rows.number(at), rows.get(at)?);
        let cell = |column: &str| -> Result<String, DataError> {
            let text = row.get(column).and_then(Value::as_str).map(str::trim);
            let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
                let names: Vec<&str> = row.keys().map(String::as_str).collect();
                DataError::row("no text in this column")
                    .at(&path, number)
                    .field(column)
                    .found(names.join(", "))
                    .expected("name and prompt")
            })?;
            Ok(text.to_owned())
        };
        let (name, prompt) = (cell("name")?, cell("prompt")?);
        if !seen.insert(name.clone()) {
            return Err(DataError::row("a name that an earlier row has")
                .at(&path, number)
                .field("name")
                .found(name)
                .into());
        }
        found.push((number, name, prompt));
    }
    Ok((path, found))
}

fn generators(folder: &Path) -> Result<Vec<Generator>, Error> {
    let mut found = Vec::new();
    for name in list_dir(folder)? {
        let path = folder.join(&name);
        if name.starts_with('.') || !path.is_dir() {
            continue;
        }
        let mut clips: BTreeMap<String, PathBuf> = BTreeMap::new();
        for file in list_dir(&path)? {
            if file.starts_with('.') {
                continue;
            }
            let clip = path.join(&file);
            if let Some(other) = clips.insert(stem(&clip), clip.clone()) {
                return Err(DataError::file("two clips of one name")
                    .in_file(&clip)
                    .found(other.display())
                    .help("remove one of them")
                    .into());
            }
        }
        found.push((name, clips));
    }
    Ok(found)
}

/// The name without its ending; folders of frames have none.
fn stem(path: &Path) -> String {
    let name = match path.is_dir() {
        true => path.file_name(),
        false => path.file_stem(),
    };
    name.unwrap_or_default().to_string_lossy().into_owned()
}
