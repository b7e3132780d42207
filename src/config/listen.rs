//! Where a live run shows itself over HTTP.

/// What `[http] listen` and `--listen` say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listen {
    /// On loopback, at the usual port or, if that is taken, at a free one.
    #[default]
    Usual,
    /// At this host and port and nowhere else; port 0 for a free one.
    At(String),
    /// Nowhere.
    Off,
}

impl Listen {
    /// Reads `off` or `HOST:PORT`.
    ///
    /// # Errors
    /// What would be right.
    pub fn parse(text: &str) -> Result<Listen, String> {
        if text == "off" {
            return Ok(Listen::Off);
        }
        let wrong = || format!("`{text}` is no address; write HOST:PORT, such as 127.0.0.1:7311, or off");
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let is_six = host.starts_with('[') && host.ends_with(']');
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '/' || (c == ':' && !is_six);
        if host.is_empty() || host.contains(is_odd) || port.parse::<u16>().is_err() {
            return Err(wrong());
        }
        Ok(Listen::At(text.to_owned()))
    }
}

/// Reads a host name as requests have it, without a port.
///
/// # Errors
/// What would be right.
pub(super) fn host(text: &str) -> Result<String, String> {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '@');
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let is_six = inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    if is_six || !(text.is_empty() || text.contains(is_odd) || text.contains(['[', ']', '*'])) {
        return Ok(text.to_owned());
    }
    Err(format!("`{text}` is no host name; write it without scheme and port, such as ticks.example"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_no_port() {
        for right in ["ticks.example", "proxy", "192.0.2.7", "[::1]"] {
            assert_eq!(host(right), Ok(right.to_owned()));
        }
        for wrong in ["", "a:80", "http://a", "a/b", "a b", "::1", "[a]", "*.example", "a@b"] {
            assert!(host(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(Listen::parse("off"), Ok(Listen::Off));
        for right in ["127.0.0.1:0", "0.0.0.0:7311", "[::1]:80", "ticks.example:65535"] {
            assert_eq!(Listen::parse(right), Ok(Listen::At(right.to_owned())));
        }
        for wrong in ["", "7311", ":7311", "a b:1", "::1:80", "a:", "a:65536", "a:-1", "http://a:80", "Off"] {
            assert!(Listen::parse(wrong).is_err(), "{wrong}");
        }
    }
}
