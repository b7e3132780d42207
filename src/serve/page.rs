//! The page: one file without anything from elsewhere, and a policy under which nothing else can run in it.

use axum::response::Response;
use hyper::header::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};

use super::routes::body;

const PAGE: &str = include_str!("page.html");

/// The page and its policy.
pub(super) fn response() -> Response {
    let mut response = body("text/html; charset=utf-8", PAGE.to_owned());
    let policy = policy();
    if let Ok(value) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(HeaderName::from_static("content-security-policy"), value);
    }
    response
}

/// Only the style and the script that are in the page, and requests to where it came from.
fn policy() -> String {
    let hash = |tag: &str| base64(&Sha256::digest(inside(tag).as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("style"),
        hash("script")
    )
}

/// What stands between the page's only `<tag>` and its end.
fn inside(tag: &str) -> &'static str {
    let begun = PAGE.split_once(&format!("<{tag}>")).map_or("", |(_, rest)| rest);
    begun.split_once(&format!("</{tag}>")).map_or("", |(inside, _)| inside)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let at = |place: usize| u32::from(part.get(place).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= part.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    /// The policy would block these, and the page would be dead or bare.
    #[test]
    fn the_page_has_nothing_that_its_policy_forbids() {
        assert!(inside("style").len() > 100 && inside("script").len() > 100);
        assert_eq!((PAGE.matches("<style").count(), PAGE.matches("<script").count()), (1, 1));
        for forbidden in
            [" style=", " onclick=", " onload=", "<link", "@import", "innerHTML", "eval(", "<iframe"]
        {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
        let elsewhere = PAGE.matches("http://").count() + PAGE.matches("https://").count();
        assert_eq!(
            elsewhere,
            PAGE.matches("http://www.w3.org/2000/svg").count(),
            "a resource from elsewhere"
        );
    }
}
