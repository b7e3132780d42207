//! The files of the checkout, and what an offence is.

use std::fmt;
use std::io;
use std::path::Path;

/// What holds nothing of ours, at the root: builds, history, the database of a `run` without `--config`.
const SKIPPED: &[&str] = &["target", ".git", "data"];

/// One file, with its path from the root of the checkout, `/` between folders.
pub(crate) struct File {
    pub(crate) path: String,
    /// Empty where it is not text.
    pub(crate) text: String,
    pub(crate) executable: bool,
}

impl File {
    pub(crate) fn new(path: &str, text: &str, executable: bool) -> File {
        File { path: path.to_owned(), text: text.to_owned(), executable }
    }

    /// The file's name without folders and ending.
    pub(crate) fn stem(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or("");
        name.split_once('.').filter(|(stem, _)| !stem.is_empty()).map_or(name, |(stem, _)| stem)
    }

    /// The folder, without a slash at the end; empty for the root.
    pub(crate) fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// True for the file `place.rs` and for every file below the folder `place`.
    pub(crate) fn is_in(&self, place: &str) -> bool {
        self.path.strip_prefix(place).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// What is compiled into the program: the text up to the tests at its end.
    pub(crate) fn program(&self) -> &str {
        if self.stem() == "tests"
            || self.stem().ends_with("_tests")
            || self.folder().split('/').any(|part| part == "tests")
        {
            return "";
        }
        // `mod tests;` among the modules ends nothing; `mod tests {` does.
        let mut tests =
            self.text.match_indices("\n#[cfg(test)]\nmod ").map(|(at, mark)| (at, at + mark.len()));
        let inline =
            tests.find(|(_, name)| self.text[*name..].lines().next().is_some_and(|line| line.contains('{')));
        inline.map_or(&self.text, |(at, _)| &self.text[..=at])
    }

    /// The numbered lines of [`File::program`] without comments.
    pub(crate) fn program_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.program().lines().map(without_comment))
    }

    /// An offence in line `line`.
    pub(crate) fn offence(&self, line: usize, what: impl Into<String>) -> Offence {
        Offence { path: self.path.clone(), line, what: what.into() }
    }
}

/// What is wrong, where, and what to do.
pub(crate) struct Offence {
    pub(crate) path: String,
    pub(crate) line: usize,
    what: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// All files, by path.
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// The checkout that this test was built from.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn read() -> io::Result<Tree> {
        let mut files = Vec::new();
        walk(Path::new(env!("CARGO_MANIFEST_DIR")), "", &mut files)?;
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Tree { files })
    }

    /// Rust files, except this test, which has to spell out what it forbids.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs") && !file.is_in("tests/tidy"))
    }

    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// True if there is a file or folder of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.iter().any(|file| {
            file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type()?;
        if SKIPPED.contains(&path.as_str()) || name.ends_with(".db") {
            continue;
        }
        if kind.is_dir() {
            walk(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            files.push(File { path, text, executable: is_executable(&entry.path()) });
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Path) -> bool {
    true
}

/// The line up to `//`, where that is not inside a string.
pub(crate) fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| at + from) {
        if line[..at].matches('"').count().is_multiple_of(2) {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

/// True if `text` holds `word` and neither end of it goes on as a name.
pub(crate) fn has_word(text: &str, word: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let begins_before = word.starts_with(is_name) && text[..at].ends_with(is_name);
        let goes_on = word.ends_with(is_name) && text[at + word.len()..].starts_with(is_name);
        !(begins_before || goes_on)
    })
}

#[test]
fn comments_end_code_but_not_inside_strings() {
    assert_eq!(without_comment("a(); // b"), "a(); ");
    assert_eq!(without_comment(r#"open("wss://x"); // b"#), r#"open("wss://x"); "#);
    assert_eq!(without_comment("/// doc"), "");
}

#[test]
fn the_program_ends_where_its_tests_begin() {
    let file =
        File::new("src/a.rs", "//! A.\n#[cfg(test)]\nmod tests;\na\n#[cfg(test)]\nmod more {}\nb\n", false);
    assert!(file.program().ends_with("a\n"));
    assert_eq!(File::new("src/a/tests.rs", "a", false).program(), "");
}

#[test]
fn words_have_ends() {
    assert!(has_word("use tokio::time", "tokio"));
    assert!(!has_word("use tokio_util", "tokio"));
    assert!(!has_word("FxHashMap", "HashMap"));
    assert!(has_word("(tokio)", "tokio"));
}
