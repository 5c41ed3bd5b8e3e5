//! A local program that edits pictures.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use percept_base::Family;

use image::{ImageFormat, RgbImage};
use serde_json::{Value, json};

use crate::fits::fits;
use crate::{Edit, Edited, Editor, Error, transparent_mask};

/// Bytes of standard error that a message shows.
const STDERR_TAIL: usize = 2000;

/// A program with its arguments, in which `{name}` stands for what it is told; no shell reads it.
#[derive(Debug, Clone)]
pub(crate) struct CommandTool {
    words: Vec<String>,
    deadline: Duration,
}

impl CommandTool {
    /// A command of words split at blanks (words with blanks in single or double quotes), of which
    /// every name of `needed` must occur as `{name}`.
    ///
    /// # Errors
    /// An empty command, an open quote, or a name that is not there.
    pub fn new(
        command: &str,
        needed: &'static [&'static str],
        deadline: Duration,
    ) -> Result<Self, Error> {
        let words = words(command)?;
        if words.is_empty() {
            return Err(Error::Template {
                found: "no program".into(),
                expected: "a program and its arguments",
            });
        }
        for name in needed {
            let field = format!("{{{name}}}");
            if !words.iter().any(|word| word.contains(&field)) {
                return Err(Error::Template {
                    found: format!("{field} does not occur in `{command}`"),
                    expected: "a word for each file that the program gets or writes",
                });
            }
        }
        Ok(Self { words, deadline })
    }

    /// Refuses `{name}` inside the script of a shell: what it stands for comes from a file of annotations, and the shell
    /// would read it as commands. As a word of its own behind the script it is a value, whatever it holds.
    fn not_in_a_script(&self, name: &str) -> Result<(), Error> {
        const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "busybox"];
        let field = format!("{{{name}}}");
        let is_shell = |word: &String| {
            let program = Path::new(word).file_name().unwrap_or_default();
            SHELLS.iter().any(|shell| program == *shell)
        };
        let is_script = |at: usize| {
            let option = &self.words[at - 1];
            let letters = option.strip_prefix('-').filter(|o| !o.starts_with('-'));
            letters.is_some_and(|letters| letters.ends_with('c'))
                && self.words[..at - 1].iter().any(is_shell)
        };
        let mut words = (1..self.words.len()).filter(|&at| self.words[at].contains(&field));
        match words.find(|&at| is_script(at) || self.words[at - 1] == "eval") {
            None => Ok(()),
            Some(at) => Err(Error::Template {
                found: format!("{field} inside a script of a shell: `{}`", self.words[at]),
                expected: "the name as a word of its own behind the script, which reads it as \"$1\": sh -c '… \"$1\"' sh {class}",
            }),
        }
    }

    /// The command as it was given, for records.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Runs the program in `folder` with these names replaced; it is killed, with what it started,
    /// when the deadline is over. Gives what it wrote to standard output.
    pub(crate) fn run(&self, folder: &Path, names: &[(&str, &str)]) -> Result<String, Error> {
        let word = |word: &String| filled(word, names);
        let (program, arguments) = (&self.words[0], self.words[1..].iter().map(word));
        // Files, not pipes: a program can write as much as it likes, and nobody waits for readers.
        let (out, err) = (folder.join("stdout"), folder.join("stderr"));
        let create = |path: &Path| std::fs::File::create(path).map_err(file(path));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(create(&out)?)
            .stderr(create(&err)?);
        let failed = |what: String| Error::Command {
            program: program.clone(),
            what,
            stderr: tail(&err),
        };
        let mut family =
            Family::spawn(&mut command).map_err(|e| failed(format!("cannot be started: {e}")))?;
        let status = family.wait(self.deadline);
        // What it started and did not wait for ends with it.
        drop(family);
        match status {
            Some(status) if status.success() => std::fs::read_to_string(&out).map_err(file(&out)),
            Some(status) => Err(failed(format!("ended with {status}"))),
            None => Err(failed(format!(
                "did not end within {} s and was killed",
                self.deadline.as_secs_f64()
            ))),
        }
    }
}

/// A word with its `{name}`s replaced, in one pass: what a value holds stays as it is, `{output}` in a class too.
fn filled(word: &str, names: &[(&str, &str)]) -> String {
    let (mut text, mut rest) = (String::new(), word);
    while let Some(open) = rest.find('{') {
        let (before, behind) = rest.split_at(open);
        text.push_str(before);
        let named = names.iter().find_map(|(name, value)| {
            let after = behind[1..].strip_prefix(name)?.strip_prefix('}')?;
            Some((value, after))
        });
        match named {
            Some((value, after)) => {
                text.push_str(value);
                rest = after;
            }
            None => {
                text.push('{');
                rest = &behind[1..];
            }
        }
    }
    text + rest
}

fn words(command: &str) -> Result<Vec<String>, Error> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in command.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '"' || c == '\'' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        None => Ok(words),
        Some(open) => Err(Error::Template {
            found: format!("a {open} that is not closed"),
            expected: "quotes in pairs",
        }),
    }
}

fn tail(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    let start = bytes.len().saturating_sub(STDERR_TAIL);
    String::from_utf8_lossy(&bytes[start..]).trim().to_owned()
}

pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path, source }
}

/// An empty folder for one call, gone with its value.
pub(crate) fn scratch() -> Result<tempfile::TempDir, Error> {
    tempfile::Builder::new()
        .prefix("percept-")
        .tempdir()
        .map_err(file(&std::env::temp_dir()))
}

/// `path` as text, for a command line.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Writes a picture for the program to read.
pub(crate) fn save(image: &RgbImage, path: &Path) -> Result<(), Error> {
    let saved = image.save_with_format(path, ImageFormat::Png);
    saved.map_err(|source| Error::Picture {
        what: text(path),
        source,
    })
}

/// Edits pictures by a program: `my-inpaint --image {image} --mask {mask} --prompt-file {prompt}
/// --out {output}`.
///
/// | name | what |
/// |---|---|
/// | `{image}` | the picture, PNG |
/// | `{mask}` | grey PNG of its size, 255 where it may change, else 0 |
/// | `{transparent}` | the picture as PNG, transparent where it may change |
/// | `{prompt}` | a text file: what the picture shows after the edit |
/// | `{class}` | the class of the new object, never inside the script of a shell (`sh -c`) |
/// | `{seed}` | a number |
/// | `{output}` | where to write the edited picture, PNG, of any size |
#[derive(Debug, Clone)]
pub struct CommandEditor {
    tool: CommandTool,
}

impl CommandEditor {
    /// An editor by this command, with a deadline for each picture.
    ///
    /// # Errors
    /// A command without `{image}`, `{mask}` or `{output}`, one that has `{class}` inside the script of a shell, an empty
    /// one, and an open quote.
    pub fn new(command: &str, deadline: Duration) -> Result<Self, Error> {
        let tool = CommandTool::new(command, &["image", "mask", "output"], deadline)?;
        tool.not_in_a_script("class")?;
        Ok(Self { tool })
    }
}

impl Editor for CommandEditor {
    fn identity(&self) -> Value {
        json!({"editor": "command", "command": self.tool.words()})
    }

    fn edit(&self, edit: &Edit<'_>) -> Result<Edited, Error> {
        fits(edit.image, edit.mask)?;
        let folder = scratch()?;
        let at = |name: &str| folder.path().join(name);
        let [image, mask, transparent, prompt, output] = [
            "image.png",
            "mask.png",
            "transparent.png",
            "prompt.txt",
            "output.png",
        ]
        .map(at);
        save(edit.image, &image)?;
        let grey = |x: u32, y: u32| image::Luma([if edit.mask.get(x, y) { 255_u8 } else { 0 }]);
        let (width, height) = edit.image.dimensions();
        let saved = image::GrayImage::from_fn(width, height, grey).save(&mask);
        let rgba = transparent_mask(edit.image, edit.mask)?;
        saved
            .and_then(|()| rgba.save(&transparent))
            .map_err(|source| Error::Picture {
                what: text(&mask),
                source,
            })?;
        std::fs::write(&prompt, edit.prompt).map_err(file(&prompt))?;
        let seed = edit.seed.to_string();
        let [image, mask, transparent, prompt, written] =
            [&image, &mask, &transparent, &prompt, &output].map(|path| text(path));
        self.tool.run(
            folder.path(),
            &[
                ("image", &image),
                ("mask", &mask),
                ("transparent", &transparent),
                ("prompt", &prompt),
                ("class", edit.class),
                ("seed", &seed),
                ("output", &written),
            ],
        )?;
        let edited = image::open(&output).map_err(|source| Error::Picture {
            what: format!("{written}, which the command was to write"),
            source,
        })?;
        Ok(Edited {
            image: edited.into_rgb8(),
            placement: None,
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Instant;

    use super::*;
    use image::Rgb;
    use percept_data::coco::Mask;

    fn edit_by(command: &str, seconds: f64) -> Result<Edited, Error> {
        let editor = CommandEditor::new(command, Duration::from_secs_f64(seconds))?;
        let image = RgbImage::from_pixel(6, 5, Rgb([1, 2, 3]));
        let mask = Mask::from_fn(6, 5, |x, _| x > 2);
        editor.edit(&Edit {
            image: &image,
            mask: &mask,
            object: &mask,
            avoid: &mask,
            class: "bear",
            prompt: "a bear on 'skis'",
            cutout: None,
            seed: 24,
        })
    }

    #[test]
    fn the_program_gets_picture_mask_and_prompt_and_its_picture_comes_back() {
        let command = r#"sh -c 'grep -q "bear on" "$3" && test "$4" = "24 bear" && cp "$1" "$2"'
            sh {image} {output} {prompt} "{seed} {class}" {mask} {transparent}"#;
        let edited = edit_by(command, 20.0).unwrap();
        assert_eq!(edited.image.dimensions(), (6, 5));
        assert_eq!(edited.image.get_pixel(0, 0).0, [1, 2, 3]);
    }

    #[test]
    fn programs_that_fail_hang_or_write_nothing_are_named() {
        let failed = edit_by(
            "sh -c 'echo no GPU >&2; exit 3' {image} {mask} {output}",
            20.0,
        );
        let failed = failed.unwrap_err().to_string();
        assert!(
            failed.contains("exit status: 3") && failed.contains("no GPU"),
            "{failed}"
        );
        let start = Instant::now();
        let hung = edit_by("sh -c 'sleep 60 & wait' {image} {mask} {output}", 0.3);
        assert!(hung.unwrap_err().to_string().contains("killed"));
        assert!(start.elapsed() < Duration::from_secs(20));
        let silent = edit_by("true {image} {mask} {output}", 20.0).unwrap_err();
        assert!(silent.to_string().contains("was to write"), "{silent}");
        assert!(edit_by("/no/such {image} {mask} {output}", 1.0).is_err());
    }

    /// A class is what a file of annotations says. In a script it would be a program.
    #[test]
    fn a_class_is_never_part_of_a_script() {
        for script in [
            "sh -c 'cp {image} {output} # {class} {mask}'",
            "/bin/bash -ec \"edit '{class}' {image} {mask} {output}\"",
            "env X=1 dash -c 'echo \"{class}\"; true {image} {mask} {output}'",
            "busybox sh -c 'x {class}' {image} {mask} {output}",
        ] {
            let refused = edit_by(script, 20.0).unwrap_err().to_string();
            assert!(refused.contains("inside a script of a shell"), "{refused}");
        }
        let folder = tempfile::tempdir().unwrap();
        let proof = folder.path().join("proof");
        let class = format!(
            "$(touch {0}); touch {0} {{seed}} {{output}}",
            proof.display()
        );
        let command = r#"sh -c 'test "$1" = "$(cat "$4")" && cp "$2" "$3"' sh {class} {image} {output} {prompt} {mask}"#;
        let editor = CommandEditor::new(command, Duration::from_secs(20)).unwrap();
        let image = RgbImage::from_pixel(6, 5, Rgb([1, 2, 3]));
        let mask = Mask::from_fn(6, 5, |x, _| x > 2);
        let edit = Edit {
            image: &image,
            mask: &mask,
            object: &mask,
            avoid: &mask,
            class: &class,
            prompt: &class,
            cutout: None,
            seed: 24,
        };
        editor.edit(&edit).unwrap();
        assert!(!proof.exists());
    }

    #[test]
    fn commands_that_cannot_work_are_refused_before_anything_runs() {
        for bad in ["", "edit {image} {mask}", "edit '{image} {mask} {output}"] {
            let refused = CommandEditor::new(bad, Duration::from_secs(1));
            assert!(matches!(refused, Err(Error::Template { .. })), "{bad}");
        }
    }
}
