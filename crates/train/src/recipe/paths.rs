//! Paths in a recipe are relative to the recipe file.
//!
//! They are changed where the file is read, before `--set` is applied: what stands on the command
//! line is relative to the working directory, as everywhere else. The recipe that a run folder keeps
//! is relative to that folder, so that it can be read again from anywhere.

use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

/// Every key that holds a path or a list of paths.
const PATHS: [&str; 11] = [
    "trainer.output_dir",
    "model.path",
    "data.train_files",
    "data.val_files",
    "data.image_dir",
    "sft.train_files",
    "dpo.train_files",
    "dpo.general_files",
    "reward.functions.path",
    "reward.functions.python",
    "reward.functions.cwd",
];

/// Makes the paths of a recipe file in `folder` relative to the working directory.
pub(crate) fn from_folder(recipe: &mut Table, folder: &Path) {
    for key in PATHS {
        change(recipe, key, &|path| joined(key, folder, path));
    }
    run_in(recipe, folder);
}

/// The reverse: makes paths relative to `folder`, for a recipe that is kept there.
pub(crate) fn for_folder(recipe: &mut Table, folder: &Path) {
    for key in PATHS {
        change(recipe, key, &|path| {
            if is_name(key, path) {
                return path.to_owned();
            }
            relative(path, folder)
        });
    }
}

/// A program named without a folder is looked up in PATH; `org/name` is a model of the Hugging
/// Face hub unless there is such a folder.
fn is_name(key: &str, path: &Path) -> bool {
    match key {
        "reward.functions.python" => path.components().count() == 1,
        "model.path" => {
            let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
            !path.exists() && path.components().count() == 2 && path.components().all(plain)
        }
        _ => false,
    }
}

fn joined(key: &str, folder: &Path, path: &Path) -> PathBuf {
    let whole = folder.join(path);
    let hub = key == "model.path" && !whole.exists() && is_name(key, path);
    let program = key == "reward.functions.python" && is_name(key, path);
    if hub || program {
        path.to_owned()
    } else {
        whole
    }
}

/// A reward command runs in the folder of the recipe: its arguments may be files too.
fn run_in(recipe: &mut Table, folder: &Path) {
    let functions = recipe
        .get_mut("reward")
        .and_then(|reward| reward.get_mut("functions"))
        .and_then(Value::as_array_mut);
    for function in functions.into_iter().flatten() {
        let Some(table) = function.as_table_mut() else {
            continue;
        };
        if table.contains_key("command") && !table.contains_key("cwd") {
            let folder = match folder.to_string_lossy() {
                here if here.is_empty() => ".".to_owned(),
                folder => folder.into_owned(),
            };
            table.insert("cwd".into(), Value::String(folder));
        }
    }
}

/// Applies `to` to the strings at a dotted key; lists are gone through.
fn change(table: &mut Table, key: &str, to: &dyn Fn(&Path) -> PathBuf) {
    let (first, rest) = key
        .split_once('.')
        .map_or((key, None), |(a, b)| (a, Some(b)));
    let Some(value) = table.get_mut(first) else {
        return;
    };
    each(value, rest, to);
}

fn each(value: &mut Value, rest: Option<&str>, to: &dyn Fn(&Path) -> PathBuf) {
    match (value, rest) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| each(item, rest, to)),
        (Value::Table(table), Some(rest)) => change(table, rest, to),
        (Value::String(text), None) if !text.is_empty() => {
            *text = to(Path::new(text)).to_string_lossy().into_owned();
        }
        _ => {}
    }
}

/// `path` as seen from `folder`; absolute where the two have nothing in common.
fn relative(path: &Path, folder: &Path) -> PathBuf {
    let (Some(path), Some(folder)) = (physical(path), physical_folder(folder)) else {
        return path.to_owned();
    };
    let shared = path
        .components()
        .zip(folder.components())
        .take_while(|(a, b)| a == b)
        .count();
    if shared <= 1 {
        return path;
    }
    let up = folder
        .components()
        .skip(shared)
        .map(|_| Component::ParentDir);
    let down = path.components().skip(shared);
    let found: PathBuf = up.chain(down).collect();
    if found.as_os_str().is_empty() {
        return ".".into();
    }
    found
}

/// Links on the way are followed, because `..` does; a link at the end keeps its name.
fn physical(path: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(path).ok()?;
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) => Some(physical_folder(parent)?.join(name)),
        _ => std::fs::canonicalize(&whole).ok(),
    }
}

/// As far as the folder exists.
fn physical_folder(folder: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(folder).ok()?;
    if let Ok(found) = std::fs::canonicalize(&whole) {
        return Some(found);
    }
    match (whole.parent(), whole.file_name()) {
        (Some(parent), Some(name)) => Some(physical_folder(parent)?.join(name)),
        _ => Some(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECIPE: &str = r#"
[trainer]
output_dir = "out"
[model]
path = "models/base"
[data]
train_files = ["a.jsonl", "/data/b.jsonl"]
image_dir = "../images"
[[reward.functions]]
name = "python"
path = "judge.py"
python = "python3"
[[reward.functions]]
name = "command"
command = ["./judge", "table.txt"]
"#;

    // F6
    #[test]
    fn paths_start_at_the_recipe_and_names_of_programs_and_of_the_hub_stay() {
        let mut table: Table = toml::from_str(RECIPE).unwrap();
        table["model"]["path"] = "Qwen/Qwen2.5-VL-3B-Instruct".into();
        from_folder(&mut table, Path::new("recipes"));
        assert_eq!(table["trainer"]["output_dir"].as_str(), Some("recipes/out"));
        let model = table["model"]["path"].as_str();
        assert_eq!(model, Some("Qwen/Qwen2.5-VL-3B-Instruct"));
        let files = table["data"]["train_files"].as_array().unwrap();
        assert_eq!(files[0].as_str(), Some("recipes/a.jsonl"));
        assert_eq!(files[1].as_str(), Some("/data/b.jsonl"));
        assert_eq!(
            table["data"]["image_dir"].as_str(),
            Some("recipes/../images")
        );
        let functions = table["reward"]["functions"].as_array().unwrap();
        assert_eq!(functions[0]["path"].as_str(), Some("recipes/judge.py"));
        assert_eq!(functions[0]["python"].as_str(), Some("python3"));
        assert_eq!(functions[1]["cwd"].as_str(), Some("recipes"));
    }

    // F6
    #[test]
    fn a_recipe_kept_in_a_run_folder_points_at_the_same_files() {
        let place = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(place.path()).unwrap();
        let run = root.join("runs/a");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::create_dir_all(root.join("models/base")).unwrap();
        let mut table: Table = toml::from_str(RECIPE).unwrap();
        from_folder(&mut table, &root);
        let mut kept = table.clone();
        for_folder(&mut kept, &run);
        let file = kept["data"]["train_files"][0].as_str();
        assert_eq!(file, Some("../../a.jsonl"));
        from_folder(&mut kept, &run);
        let physical = |table: &Table, key: &[&str]| {
            let found = key.iter().fold(&table[key[0]], |at, part| {
                if *part == key[0] { at } else { &at[*part] }
            });
            super::physical(Path::new(found.as_str().unwrap())).unwrap()
        };
        for key in [
            &["trainer", "output_dir"],
            &["model", "path"],
            &["data", "image_dir"],
        ] {
            assert_eq!(physical(&kept, key), physical(&table, key), "{key:?}");
        }
    }
}
