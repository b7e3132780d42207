//! Tokens in a file of their own, so that a configuration can be shown around: `[[tokens]]`, as `[[http.tokens]]` is.

use std::fs::File;
use std::io;
use std::path::Path;

use super::access::{Access, RawToken};
use super::catalogue::Catalogue;
use super::problem::{ConfigError, Problems};
use super::raw::{Section, document};
use super::read_from;
use super::validate::Checker;

/// Who else than its owner may do anything with a file, in a Unix mode.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

impl Access {
    /// These, with the tokens of the file that they name, if they name one.
    ///
    /// # Errors
    /// [`ConfigError`] if that cannot be read, if others can read it, or with everything that is wrong in it.
    pub fn with_token_file(mut self) -> Result<Access, ConfigError> {
        let Some(path) = self.tokens_file.take() else { return Ok(self) };
        let wrong = |source| ConfigError::Unreadable { path: path.clone(), source };
        let file = File::open(&path).map_err(wrong)?;
        is_ours(&file).map_err(wrong)?;
        let text = read_from(file, &path)?;
        self.add_tokens(&path, &text)?;
        self.tokens_file = Some(path);
        Ok(self)
    }

    fn add_tokens(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let name = path.display().to_string();
        let problems = Problems::new(&name, text);
        if let Some(document) = document(text, &problems) {
            let file = Section::new("the file", document.get_ref(), document.span(), &["tokens"], &problems);
            let raw = file.tables("tokens").into_iter();
            let raw: Vec<RawToken> =
                raw.map(|(table, span)| RawToken::read("[[tokens]]", table, span, &problems)).collect();
            if raw.is_empty() {
                problems.add(document.span(), "there are no tokens in it: write [[tokens]]");
            }
            let names = Catalogue::built_in();
            let found = Checker { problems: &problems, names: &names }.tokens(&raw, &self.tokens);
            self.tokens.extend(found);
        }
        problems.into_result()
    }
}

/// An error if others than its owner may read it.
fn is_ours(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata()?.permissions().mode();
        if mode & OTHERS != 0 {
            let why = format!("others may use it (mode {:03o}): chmod 600 keeps it yours", mode & 0o777);
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::{Config, Scope};

    const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000ff";

    fn token(name: &str) -> String {
        format!("[[tokens]]\nname = \"{name}\"\nscope = \"read\"\nsha256 = \"{HASH}\"\n")
    }

    /// What a configuration with one token comes to, whose file of tokens holds `text` under `mode`.
    fn loaded(text: &str, mode: u32) -> Result<Access, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.toml");
        fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let here = token("here").replace("[[tokens]]", "[[http.tokens]]");
        let config = format!("[http]\ntokens_file = {:?}\n{here}", path.display().to_string());
        let config = Config::parse("it.toml", &config, &Catalogue::built_in()).unwrap();
        assert_eq!(config.access.tokens_file.as_deref(), Some(path.as_path()));
        let chain = |error: ConfigError| format!("{:#}", anyhow::Error::from(error));
        config.access.with_token_file().map_err(chain)
    }

    #[test]
    fn tokens_of_the_file_come_behind_those_of_the_configuration() {
        let text = format!("# ours\n{}{}", token("desk"), token("ops").replace("read", "control"));
        let access = loaded(&text, 0o600).unwrap();
        let known: Vec<(&str, Scope)> =
            access.tokens.iter().map(|token| (token.name.as_str(), token.scope)).collect();
        assert_eq!(known, [("here", Scope::Read), ("desk", Scope::Read), ("ops", Scope::Control)]);
        assert!(Access::default().with_token_file().is_ok_and(|access| access == Access::default()));
    }

    #[test]
    fn what_is_wrong_in_it_is_named_with_its_place() {
        for (text, said) in [
            (String::new(), "tokens.toml:1:1: there are no tokens in it"),
            (token("here"), "tokens.toml:2:8: `here` is a token of the configuration"),
            (token("a").replace("read", "write"), "tokens.toml:3:9: unknown scope `write`"),
            (token("a").replace(HASH, "s3cret"), "tokens.toml:4:10: `sha256` is 64 hexadecimal digits"),
            (token("a").replace("scope", "scpe"), "tokens.toml:3:1: unknown key `scpe` in [[tokens]]"),
            (token("a") + "[http]\nlisten = \"off\"\n", "tokens.toml:5:2: unknown key `http`"),
            (token("a") + &token("a"), "tokens.toml:6:8: "),
            ("[[tokens]\n".to_owned(), "tokens.toml:1:"),
        ] {
            let why = loaded(&text, 0o600).unwrap_err();
            assert!(why.contains(said), "{text}: {why}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_may_read_is_refused() {
        for (mode, is_ours) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false), (0o610, false)]
        {
            let loaded = loaded(&token("desk"), mode);
            assert_eq!(loaded.is_ok(), is_ours, "{mode:o}: {loaded:?}");
            assert!(is_ours || loaded.is_err_and(|why| why.contains("chmod 600")), "{mode:o}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let access = Access { tokens_file: Some("nowhere/tokens.toml".into()), ..Access::default() };
        let why = access.with_token_file().unwrap_err().to_string();
        assert!(why.contains("nowhere/tokens.toml"), "{why}");
    }
}
