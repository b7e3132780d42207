//! Tokens: how they come with a request, and whose they are.
//!
//! Only their hashes are known here. Every one of them is compared, each in the same time, so that how long an answer
//! takes says nothing about how close a guess was.

use feeds::time::Nanos;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::config::Token;
use crate::config::limits::HTTP_TOKEN_BYTES;

/// The subprotocol behind whose name browsers send a token with a WebSocket: `Sec-WebSocket-Protocol: bearer, TOKEN`.
pub(super) const SUBPROTOCOL: &str = "bearer";

/// Names of parameters that tokens are sent by elsewhere.
const PARAMETERS: [&str; 6] = ["token", "access_token", "auth_token", "bearer", "authorization", "api_key"];

/// What a request shows for itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'a> {
    /// Nothing.
    Nothing,
    /// One token.
    Token(&'a str),
    /// Something that is no token.
    Malformed,
    /// More than one.
    Several,
}

/// Finds the token among `headers`.
pub(super) fn shown(headers: &HeaderMap) -> Shown<'_> {
    let in_header = headers.get_all(AUTHORIZATION).iter().map(in_authorization);
    let in_protocol = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(in_protocol);
    let mut all = in_header.chain(in_protocol);
    match (all.next(), all.next()) {
        (None, _) => Shown::Nothing,
        (Some(_), Some(_)) => Shown::Several,
        (Some(Some(token)), None) if is_token(token) => Shown::Token(token),
        (Some(_), None) => Shown::Malformed,
    }
}

/// `Bearer TOKEN`.
fn in_authorization(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(SUBPROTOCOL).then_some(token)
}

/// `bearer, TOKEN`; other subprotocols are none of ours.
fn in_protocol(value: &HeaderValue) -> Option<Option<&str>> {
    let mut protocols = value.to_str().ok()?.split(',').map(str::trim);
    (protocols.next() == Some(SUBPROTOCOL)).then(|| {
        let token = protocols.next();
        token.filter(|_| protocols.next().is_none())
    })
}

/// True if a token came as a subprotocol, or might have.
pub(super) fn is_protocol(headers: &HeaderMap) -> bool {
    headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().any(|value| in_protocol(value).is_some())
}

/// Letters as RFC 6750 has them, and not too many.
fn is_token(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    !text.is_empty() && text.len() <= HTTP_TOKEN_BYTES && text.bytes().all(is_letter)
}

/// True if the query has a parameter that a token may be in, which would be in logs and histories.
pub(super) fn is_in(query: &str) -> bool {
    query.split('&').any(|pair| {
        let key = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        // Escaped letters in such a name are only there to get by.
        PARAMETERS.contains(&key.replace('-', "_").as_str()) || key.contains('%')
    })
}

/// The place of `token` among `known`, if it is one of them and has not ended at `now`.
pub(super) fn find(known: &[Token], token: &str, now: Nanos) -> Option<usize> {
    let hash = Sha256::digest(token.as_bytes());
    let (mut found, mut place) = (Choice::from(0), 0_u64);
    for (at, one) in (0..).zip(known) {
        let is_it = hash.as_slice().ct_eq(&one.sha256);
        place.conditional_assign(&at, is_it);
        found |= is_it;
    }
    let place = usize::try_from(place).ok().filter(|_| bool::from(found))?;
    known.get(place)?.expires.is_none_or(|end| now < end).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Scope;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_token_comes_in_one_of_two_headers_once() {
        let cases: [(&[(&str, &str)], Shown<'_>); 13] = [
            (&[], Shown::Nothing),
            (&[("authorization", "Bearer abc")], Shown::Token("abc")),
            (&[("authorization", "bearer a.b-c_~+/=")], Shown::Token("a.b-c_~+/=")),
            (&[("authorization", "Basic abc")], Shown::Malformed),
            (&[("authorization", "Bearer")], Shown::Malformed),
            (&[("authorization", "Bearer ")], Shown::Malformed),
            (&[("authorization", "Bearer a b")], Shown::Malformed),
            (&[("authorization", "Bearer a"), ("authorization", "Bearer a")], Shown::Several),
            (&[("sec-websocket-protocol", "bearer, abc")], Shown::Token("abc")),
            (&[("sec-websocket-protocol", "bearer")], Shown::Malformed),
            (&[("sec-websocket-protocol", "bearer,abc,def")], Shown::Malformed),
            (&[("sec-websocket-protocol", "chat")], Shown::Nothing),
            (&[("authorization", "Bearer a"), ("sec-websocket-protocol", "bearer, a")], Shown::Several),
        ];
        for (pairs, expected) in cases {
            assert_eq!(shown(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_query_with_a_token_is_known_for_one() {
        for query in ["token=x", "a=b&access_token=x", "Token=", "api-key=1", "to%6ben=x"] {
            assert!(is_in(query), "{query}");
        }
        for query in ["", "symbol=here%3AABC", "window=1s&tokens=1"] {
            assert!(!is_in(query), "{query}");
        }
    }

    #[test]
    fn tokens_are_known_by_their_hash_until_they_end() {
        let token = |text: &str, expires| Token {
            name: text.to_owned(),
            scope: Scope::Read,
            sha256: Sha256::digest(text.as_bytes()).into(),
            expires,
        };
        let known = [token("one", None), token("two", Some(100))];
        assert_eq!(find(&known, "one", 5), Some(0));
        assert_eq!((find(&known, "two", 99), find(&known, "two", 100)), (Some(1), None));
        assert_eq!(find(&known, "three", 5), None);
        assert_eq!(find(&[], "one", 5), None);
    }
}
