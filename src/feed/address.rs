//! Where a connection goes: scheme, host, port and path of a WebSocket's address.

use std::fmt;

/// An address that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no WebSocket address: {0:?}; write ws://host:port/path or wss://host/path")]
pub struct AddressError(pub String);

/// `ws://host:port/path?query`, in parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// With TLS.
    pub secure: bool,
    /// The host's name, or its address.
    pub host: String,
    /// The port, given or by the scheme.
    pub port: u16,
    /// The path, empty or with its slash.
    pub path: String,
    /// The query with its question mark, or nothing. It may hold a secret, so it is never shown.
    pub query: String,
}

impl Address {
    /// Reads an address of the schemes `ws`, `wss`, `http` and `https`.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let error = || AddressError(without_query(text).to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(error)?;
        let secure = match scheme {
            "wss" | "https" => true,
            "ws" | "http" => false,
            _ => return Err(error()),
        };
        let (rest, query) = rest.split_at(rest.find('?').unwrap_or(rest.len()));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let default = if secure { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address stand in brackets.
            Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| error())?),
            _ => (authority, default),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '@';
        if host.is_empty() || text.contains(is_odd) {
            return Err(error());
        }
        Ok(Address { secure, host: host.to_owned(), port, path: path.to_owned(), query: query.to_owned() })
    }

    /// This address at another place: scheme, host and port of `base`, whose path goes in front.
    #[must_use]
    pub fn moved_to(&self, base: &Address) -> Address {
        let path = format!("{}{}", base.path.trim_end_matches('/'), self.path);
        Address { path, query: self.query.clone(), ..base.clone() }
    }

    /// The address to ask for, query included.
    #[must_use]
    pub fn request(&self) -> String {
        format!("{}{}", self.shown(), self.query)
    }

    /// The address without its query, for people.
    #[must_use]
    pub fn shown(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = if self.secure { ("wss", 443) } else { ("ws", 80) };
        write!(f, "{scheme}://")?;
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        if self.port != default {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(if self.path.is_empty() { "/" } else { &self.path })
    }
}

fn without_query(text: &str) -> &str {
    text.split('?').next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_replaces_scheme_host_and_port_and_keeps_the_path() {
        let base = Address::parse("ws://127.0.0.1:9100/foo").unwrap();
        for (route, moved) in [
            ("wss://stream.example:9443/stream", "ws://127.0.0.1:9100/foo/stream"),
            ("wss://feed.example", "ws://127.0.0.1:9100/foo"),
            ("wss://feed.example/a/b?key=secret", "ws://127.0.0.1:9100/foo/a/b?key=secret"),
        ] {
            assert_eq!(Address::parse(route).unwrap().moved_to(&base).request(), moved, "{route}");
        }
    }

    #[test]
    fn addresses_are_read_whole_or_refused_and_secrets_are_not_shown() {
        let address = Address::parse("wss://feed.example/v1?token=secret").unwrap();
        assert_eq!((address.port, address.shown().as_str()), (443, "wss://feed.example/v1"));
        let six = Address::parse("ws://[::1]:9100").unwrap();
        assert_eq!((six.host.as_str(), six.port, six.shown().as_str()), ("::1", 9100, "ws://[::1]:9100/"));
        for wrong in
            ["", "feed.example", "ftp://feed.example", "ws://", "ws://a:99999", "ws://a:b", "ws://u@a/"]
        {
            assert!(Address::parse(wrong).is_err(), "{wrong}");
        }
        assert!(!Address::parse("x://a?secret").unwrap_err().to_string().contains("secret"));
    }
}
