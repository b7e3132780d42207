//! `[http]`: who may ask a live run over HTTP, and how much.

use std::ops::Range;
use std::path::PathBuf;

use feeds::time::Nanos;
use toml::Spanned;
use toml::de::DeTable;

use super::limits::{HTTP_CONNECTIONS, HTTP_CONNECTIONS_MAX, HTTP_REQUESTS_A_SECOND_MAX, HTTP_TOKENS_MAX};
use super::listen;
use super::nearest::advice;
use super::problem::Problems;
use super::raw::{Section, Text};
use super::validate::Checker;

/// What `[http]` says beside `listen`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Who may ask; everybody if there are none.
    pub tokens: Vec<Token>,
    /// Where further ones are, if in a file of their own; [`Access::with_token_file`] adds them.
    pub tokens_file: Option<PathBuf>,
    /// Pages of other sites that may ask: `scheme://host` or `scheme://host:port`, in lower case.
    pub origins: Vec<String>,
    /// Further names by which requests may ask for us, such as a proxy's.
    pub hosts: Vec<String>,
    /// What shows who we are; plain HTTP without.
    pub tls: Option<Tls>,
    /// How much.
    pub bounds: AccessBounds,
}

/// A token that is known by its hash only.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Who it was given to.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// SHA-256 of it.
    pub sha256: [u8; 32],
    /// When it ends.
    pub expires: Option<Nanos>,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({}, {})", self.name, self.scope.name())
    }
}

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Looking.
    Read,
    /// Looking, and changing what a run does.
    Control,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 2] = [Scope::Read, Scope::Control];

    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Control => "control",
        }
    }
}

/// Files in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those between it and its authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How much is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessBounds {
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address. Without a number here one that suits strangers, and none on loopback.
    pub per_address: Option<usize>,
    /// Connections with one token. Without a number here one that suits programs.
    pub per_token: Option<usize>,
    /// Requests a second from one address, on average over a second; as `per_address` without a number here.
    pub requests_per_second: Option<u32>,
}

impl Default for AccessBounds {
    fn default() -> AccessBounds {
        AccessBounds {
            connections: HTTP_CONNECTIONS,
            per_address: None,
            per_token: None,
            requests_per_second: None,
        }
    }
}

/// `[http]` as it was written.
#[derive(Debug, Default)]
pub(super) struct RawHttp {
    pub(super) listen: Option<Text>,
    tokens: Vec<RawToken>,
    tokens_file: Option<Text>,
    origins: Option<Spanned<Vec<Text>>>,
    hosts: Option<Spanned<Vec<Text>>>,
    tls: Option<RawTls>,
    connections: Option<Spanned<i64>>,
    per_address: Option<Spanned<i64>>,
    per_token: Option<Spanned<i64>>,
    requests_per_second: Option<Spanned<i64>>,
}

#[derive(Debug)]
pub(super) struct RawToken {
    span: Range<usize>,
    name: Option<Text>,
    scope: Option<Text>,
    sha256: Option<Text>,
    expires: Option<Text>,
}

#[derive(Debug)]
struct RawTls {
    span: Range<usize>,
    cert: Option<Text>,
    key: Option<Text>,
}

impl RawHttp {
    pub(super) fn read(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawHttp {
        let keys = [
            "listen",
            "tokens",
            "tokens_file",
            "origins",
            "hosts",
            "tls",
            "connections",
            "connections_per_address",
            "connections_per_token",
            "requests_per_second",
        ];
        let section = Section::new("[http]", table, span, &keys, problems);
        let tokens = section.tables("tokens").into_iter();
        RawHttp {
            listen: section.text("listen", "an address in quotes, such as \"127.0.0.1:7311\", or \"off\""),
            tokens: tokens
                .map(|(table, span)| RawToken::read("[[http.tokens]]", table, span, problems))
                .collect(),
            tokens_file: section.text("tokens_file", "a file in quotes, such as \"tokens.toml\""),
            origins: section.texts("origins", "sites in quotes, such as [\"https://desk.example\"]"),
            hosts: section.texts("hosts", "host names in quotes, such as [\"ticks.example\"]"),
            tls: section.table("tls").map(|(table, span)| RawTls::read(table, span, problems)),
            connections: section.integer("connections"),
            per_address: section.integer("connections_per_address"),
            per_token: section.integer("connections_per_token"),
            requests_per_second: section.integer("requests_per_second"),
        }
    }
}

impl RawToken {
    /// Reads a table that is written `title`.
    pub(super) fn read(
        title: &'static str,
        table: &DeTable<'_>,
        span: Range<usize>,
        problems: &Problems<'_>,
    ) -> RawToken {
        let keys = ["name", "scope", "sha256", "expires"];
        let section = Section::new(title, table, span.clone(), &keys, problems);
        RawToken {
            span,
            name: section.text("name", "a name in quotes, such as \"desk\""),
            scope: section.text("scope", "\"read\" or \"control\""),
            sha256: section.text("sha256", "the SHA-256 of the token in quotes, 64 hexadecimal digits"),
            expires: section.text("expires", "a time in quotes, such as \"2027-01-01\""),
        }
    }
}

impl RawTls {
    fn read(table: &DeTable<'_>, span: Range<usize>, problems: &Problems<'_>) -> RawTls {
        let section = Section::new("[http.tls]", table, span.clone(), &["cert", "key"], problems);
        RawTls {
            span,
            cert: section.text("cert", "a file in quotes, such as \"cert.pem\""),
            key: section.text("key", "a file in quotes, such as \"key.pem\""),
        }
    }
}

impl Checker<'_> {
    pub(super) fn access(&self, raw: &RawHttp) -> Access {
        let count = |number: &Option<Spanned<i64>>| {
            let most = HTTP_CONNECTIONS_MAX as u64;
            let number = number.as_ref().and_then(|number| self.integer(number, (1, most)))?;
            usize::try_from(number).ok()
        };
        let rate = raw.requests_per_second.as_ref();
        let rate = rate.and_then(|rate| self.integer(rate, (1, u64::from(HTTP_REQUESTS_A_SECOND_MAX))));
        let default = AccessBounds::default();
        let origins = raw.origins.as_ref().map(|origins| origins.get_ref().as_slice()).unwrap_or_default();
        let hosts = raw.hosts.as_ref().map(|hosts| hosts.get_ref().as_slice()).unwrap_or_default();
        Access {
            hosts: hosts.iter().filter_map(|host| self.host(host)).collect(),
            tokens: self.tokens(&raw.tokens, &[]),
            tokens_file: raw.tokens_file.as_ref().map(|path| path.get_ref().into()),
            origins: origins.iter().filter_map(|origin| self.origin(origin)).collect(),
            tls: raw.tls.as_ref().and_then(|tls| self.tls(tls)),
            bounds: AccessBounds {
                connections: count(&raw.connections).unwrap_or(default.connections),
                per_address: count(&raw.per_address),
                per_token: count(&raw.per_token),
                requests_per_second: rate.and_then(|rate| u32::try_from(rate).ok()),
            },
        }
    }

    /// Tokens that come behind those `before`.
    pub(super) fn tokens(&self, raw: &[RawToken], before: &[Token]) -> Vec<Token> {
        self.unique("token", raw.iter().filter_map(|token| token.name.as_ref()));
        for name in raw.iter().filter_map(|token| token.name.as_ref()) {
            if before.iter().any(|token| token.name == *name.get_ref()) {
                let message = format!("`{}` is a token of the configuration", name.get_ref());
                self.problems.add(name.span(), message);
            }
        }
        if let Some(first) = raw.get(HTTP_TOKENS_MAX.saturating_sub(before.len())) {
            let all = before.len() + raw.len();
            let message = format!("{all} tokens; at most {HTTP_TOKENS_MAX} are known");
            self.problems.add(first.span.clone(), message);
        }
        raw.iter().filter_map(|token| self.token(token)).collect()
    }

    fn token(&self, raw: &RawToken) -> Option<Token> {
        let name = self.name(&raw.name, &raw.span);
        let scope = self.required(&raw.scope, "scope", &raw.span).and_then(|text| {
            let scope = Scope::ALL.into_iter().find(|scope| scope.name() == text.get_ref());
            if scope.is_none() {
                let advice = advice(text.get_ref(), Scope::ALL.map(Scope::name));
                self.problems.add(text.span(), format!("unknown scope `{}`; {advice}", text.get_ref()));
            }
            scope
        });
        let sha256 = self.required(&raw.sha256, "sha256", &raw.span).and_then(|text| {
            let hash = digest(text.get_ref());
            if hash.is_none() {
                // What stands there may be the token itself, so it is not shown.
                let message =
                    "`sha256` is 64 hexadecimal digits: `printf %s \"$TOKEN\" | sha256sum` gives them";
                self.problems.add(text.span(), message);
            }
            hash
        });
        let expires = raw.expires.as_ref().and_then(|text| {
            let time = crate::cli::parse::time(text.get_ref());
            time.map_err(|why| self.problems.add(text.span(), why)).ok()
        });
        Some(Token { name: name?.into_inner(), scope: scope?, sha256: sha256?, expires })
    }

    fn host(&self, text: &Text) -> Option<String> {
        let parsed = listen::host(text.get_ref());
        parsed.map_err(|message| self.problems.add(text.span(), message)).ok()
    }

    fn origin(&self, text: &Text) -> Option<String> {
        let origin = text.get_ref().to_ascii_lowercase();
        let host = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        let is_odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '*' | '?' | '#');
        if host.is_none_or(|host| host.is_empty() || host.contains(is_odd)) {
            let message = format!(
                "`{}` is no origin; write scheme, host and, if need be, port, such as \"https://desk.example\"",
                text.get_ref()
            );
            self.problems.add(text.span(), message);
            return None;
        }
        Some(origin)
    }

    fn tls(&self, raw: &RawTls) -> Option<Tls> {
        let cert = self.required(&raw.cert, "cert", &raw.span);
        let key = self.required(&raw.key, "key", &raw.span);
        Some(Tls { cert: cert?.get_ref().into(), key: key?.get_ref().into() })
    }
}

/// 64 hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 2 * hash.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use feeds::time::SECOND;

    use super::*;
    use crate::config::{Catalogue, Config};

    fn access(text: &str) -> Result<Access, String> {
        let config = Config::parse("it.toml", &format!("[http]\n{text}\n"), &Catalogue::built_in());
        config.map(|config| config.access).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_is_what_holds() {
        let hash = "00".repeat(31) + "fF";
        let access = access(&format!(
            "hosts = [\"ticks.example\"]\norigins = [\"https://Desk.example:8443\"]\ntls = {{ cert = \"c.pem\", key = \"k.pem\" }}\n\
             tokens = [{{ name = \"desk\", scope = \"read\", sha256 = \"{hash}\", expires = \"2000-01-01\" }}]\n\
             connections = 7\nconnections_per_address = 3\nconnections_per_token = 2\nrequests_per_second = 9"
        ))
        .unwrap();
        let mut sha256 = [0; 32];
        sha256[31] = 255;
        let expires = Some(946_684_800 * SECOND);
        assert_eq!(access.tokens, [Token { name: "desk".to_owned(), scope: Scope::Read, sha256, expires }]);
        assert_eq!(access.hosts, ["ticks.example"]);
        assert_eq!(access.origins, ["https://desk.example:8443"]);
        assert_eq!(access.tls, Some(Tls { cert: "c.pem".into(), key: "k.pem".into() }));
        let bounds = access.bounds;
        assert_eq!((bounds.connections, bounds.per_address, bounds.per_token), (7, Some(3), Some(2)));
        assert_eq!(bounds.requests_per_second, Some(9));
        assert!(!format!("{:?}", access.tokens).contains("255"));
    }

    #[test]
    fn what_is_wrong_is_named_and_a_token_is_never_shown() {
        let hash = "0".repeat(64);
        for (text, said) in [
            ("tokens = [{ name = \"a\", scope = \"read\", sha256 = \"s3cret\" }]".to_owned(), "sha256sum"),
            (
                format!("tokens = [{{ name = \"a\", scope = \"write\", sha256 = \"{hash}\" }}]"),
                "unknown scope",
            ),
            (format!("tokens = [{{ scope = \"read\", sha256 = \"{hash}\" }}]"), "`name` is missing"),
            ("tokens = [{ name = \"a\", scope = \"read\" }]".to_owned(), "`sha256` is missing"),
            ("tokens = \"x\"".to_owned(), "list of tables"),
            ("origins = [\"*\"]".to_owned(), "is no origin"),
            ("origins = [\"https://a/b\"]".to_owned(), "is no origin"),
            ("hosts = [\"ticks.example:80\"]".to_owned(), "is no host name"),
            ("tls = { cert = \"c.pem\" }".to_owned(), "`key` is missing"),
            ("connections = 0".to_owned(), "is not between 1"),
            ("requests_per_sec = 1".to_owned(), "the nearest is `requests_per_second`"),
        ] {
            let why = access(&text).unwrap_err();
            assert!(why.contains(said), "{why}");
        }
    }
}
