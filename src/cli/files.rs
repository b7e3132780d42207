//! How many files this process may have open: each connection and each follower is one.
//!
//! Systems begin with a small limit that the process itself may raise, up to one that it may not.

use crate::config::limits::{RUN_FILES, STREAM_FOLLOWERS};

/// Raises the limit as far as may be, and says so if that is too little for `connections` over HTTP and all who may follow.
pub(super) fn make_room(connections: usize) {
    let needed = (RUN_FILES + STREAM_FOLLOWERS).saturating_add(connections) as u64;
    match raise(needed) {
        Some(limit) if limit < needed => tracing::warn!(
            limit,
            needed,
            "fewer files may be open than connections and followers there may be; ulimit -Hn or LimitNOFILE= moves it"
        ),
        _ => {}
    }
}

/// The limit now; `None` if there is none, or none that is known.
#[cfg(unix)]
fn raise(needed: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current?;
    // Where there is no upper end, a system has one all the same, which it does not tell here.
    let wanted = limit.maximum.unwrap_or(needed).max(current);
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    // What cannot be raised stays as it is, and is said where it is too little.
    Some(if setrlimit(Resource::Nofile, raised).is_ok() { wanted } else { current })
}

#[cfg(not(unix))]
fn raise(_needed: u64) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use rustix::process::{Resource, getrlimit};

    use super::*;

    #[test]
    fn the_limit_is_as_high_as_it_may_be() {
        let before = getrlimit(Resource::Nofile);
        let limit = raise(1_000);
        let after = getrlimit(Resource::Nofile);
        assert_eq!((after.current, after.maximum), (limit, before.maximum));
        let Some(limit) = limit else { return };
        assert_eq!(limit, before.maximum.unwrap_or(1_000).max(before.current.unwrap_or(0)));
        assert_eq!(raise(1_000), Some(limit), "once more changes nothing");
    }
}
