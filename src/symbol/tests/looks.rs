//! A look at open windows is what they would say if all ended now, and leaves no trace.

use feeds::venue::DuplicateKey;
use proptest::prelude::*;

use super::snapshot::apply;
use crate::symbol::{Entry, Outcomes, SymbolState};
use crate::window::tests::made::{plans, steps};
use crate::window::{Emission, Flags};

/// What a stop emits of windows that are not over, and the look at them, both without what tells them apart: that a
/// stop says nothing again that it has said, and flags what it says.
fn stopped(state: &SymbolState, plan: &crate::window::Plan) -> Vec<Emission> {
    let (mut stopped, mut out) = (state.clone(), Outcomes::default());
    stopped.apply(plan, 0, &Entry::Stop, &mut out);
    out.windows.retain(|window| window.flags.has(Flags::PARTIAL));
    for window in &mut out.windows {
        window.flags = window.flags.without(Flags::PARTIAL);
    }
    out.windows
}

proptest! {
    #[test]
    fn a_look_is_what_a_stop_would_say(
        plan in plans(),
        steps in steps(80),
        quarantined in prop::bool::weighted(0.1),
    ) {
        let (key, quotes) = (DuplicateKey::Contiguous, DuplicateKey::None);
        let mut state = SymbolState::new(&plan, key, quotes);
        let mut out = Outcomes::default();
        for (number, step) in (1..).zip(&steps) {
            apply(&mut state, &plan, number, step, &mut out);
            if quarantined && number == steps.len() as u64 / 2 {
                state.quarantine(&plan, number, &mut out);
                prop_assert!(state.look(&plan).is_empty());
            }
            let before = state.clone();
            let look = state.look(&plan);
            prop_assert_eq!(&state, &before);
            let said = stopped(&state, &plan);
            for window in &said {
                prop_assert!(look.contains(window), "{:?} is not in {:?}", window, look);
            }
            // What a stop leaves out it has said before: that window is open all the same.
            for window in &look {
                let is_said = said.contains(window) || window.revision > 0;
                prop_assert!(is_said, "{:?} is not in {:?}", window, said);
            }
        }
    }
}
