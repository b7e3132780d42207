//! What may be done how often: connections to a host by the whole process, requests on one connection.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use feeds::live::Rate;
use tokio::time::Instant;

/// Of a venue's period one part in so many is added: what leaves here evenly may arrive unevenly.
const SLACK: u32 = 20;

/// At most so many within any period, exactly: the last permits are remembered by their times.
#[derive(Clone, Debug, Default)]
pub struct Window {
    given: VecDeque<Instant>,
    /// Nothing before this: the venue asked for peace.
    held: Option<Instant>,
}

impl Window {
    /// A permit: the moment from `now` on when it is valid. Permits are valid in the order in which they were given.
    pub fn reserve(&mut self, rate: Rate, now: Instant) -> Instant {
        let (count, period) = (rate.count.max(1) as usize, Duration::from_secs(u64::from(rate.seconds)));
        let mut at = now.max(self.held.unwrap_or(now)).max(self.given.back().copied().unwrap_or(now));
        if let Some(index) = self.given.len().checked_sub(count) {
            at = at.max(self.given[index] + period + period / SLACK);
        }
        self.given.push_back(at);
        while self.given.len() > count {
            self.given.pop_front();
        }
        at
    }

    /// No further permit is valid before `until`.
    pub fn hold(&mut self, until: Instant) {
        self.held = Some(self.held.map_or(until, |held| held.max(until)));
    }
}

/// The budgets of connects of the whole process, by host: one for all connections, however many venues share a host.
#[derive(Debug, Default)]
pub struct Budgets {
    hosts: Mutex<BTreeMap<String, Window>>,
}

impl Budgets {
    /// Waits until a connect to `host` is within `rate`. A wait that is given up costs its permit.
    pub async fn connect(&self, host: &str, rate: Rate) {
        loop {
            let at = self.lock().entry(host.to_owned()).or_default().reserve(rate, Instant::now());
            tokio::time::sleep_until(at).await;
            // Meanwhile the venue may have asked for more time.
            if self.lock().get(host).and_then(|window| window.held).is_none_or(|held| held <= at) {
                return;
            }
        }
    }

    /// Nobody connects to `host` for `time`.
    pub fn hold(&self, host: &str, time: Duration) {
        self.lock().entry(host.to_owned()).or_default().hold(Instant::now() + time);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Window>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn any_300_s_hold_at_most_300_permits() {
        let (mut window, rate, start) = (Window::default(), Rate::new(300, 300), Instant::now());
        let given: Vec<Duration> = (0..2_000).map(|_| window.reserve(rate, start) - start).collect();
        for (first, after) in given.iter().zip(given.iter().skip(300)) {
            assert!(*after - *first >= Duration::from_secs(300), "{first:?} {after:?}");
        }
        assert_eq!(given[299], Duration::ZERO);
        assert_eq!(given[300], Duration::from_secs(315));
        assert_eq!(window.given.len(), 300);
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_have_budgets_of_their_own_and_can_be_held() {
        let (budgets, rate, start) = (Budgets::default(), Rate::new(1, 1), Instant::now());
        budgets.connect("a", rate).await;
        budgets.connect("b", rate).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
        budgets.connect("a", rate).await;
        assert_eq!(start.elapsed(), Duration::from_millis(1_050));
        budgets.hold("a", Duration::from_secs(90));
        budgets.connect("b", rate).await;
        assert_eq!(start.elapsed(), Duration::from_millis(1_050));
        budgets.connect("a", rate).await;
        assert_eq!(start.elapsed(), Duration::from_millis(91_050));
    }
}
