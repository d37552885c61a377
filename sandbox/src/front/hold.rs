//! Counting the calls of the tool and holding them from the k-th on, so that a client can be killed exactly there.

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// What `POST /_sandbox/hold` sets.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    /// The first call to hold, from 1; none: only count.
    after: Option<u64>,
    /// Do not even forward that call.
    #[serde(default)]
    before: bool,
}

impl Wanted {
    /// From JSON; the error says what is wrong.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, String> {
        let wanted: Self = serde_json::from_slice(body).map_err(|e| e.to_string())?;
        if wanted.after == Some(0) {
            return Err("`after` counts from 1".to_owned());
        }
        Ok(wanted)
    }
}

/// What `GET /_sandbox/hold` shows.
#[derive(Debug, Clone, Copy, Default, Serialize, PartialEq, Eq)]
pub(crate) struct View {
    after: Option<u64>,
    before: bool,
    /// Calls since the last `POST` or `DELETE`.
    seen: u64,
    /// Whether the k-th call has come to where it is held: its work is done, or, with `before`, it has arrived.
    holding: bool,
}

/// What is to be done with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It passes.
    Pass,
    /// Its work is done and its answer held.
    HoldAnswer(Round),
    /// It is held and never forwarded.
    Hold(Round),
}

/// Counts what was set: calls that were held in one round are let go by the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Round(u64);

/// The count and the calls that wait.
#[derive(Debug, Default)]
pub(crate) struct Hold(watch::Sender<(Round, View)>);

impl Hold {
    /// Counts a call.
    pub(crate) fn enter(&self) -> Turn {
        let mut turn = Turn::Pass;
        self.0.send_if_modified(|(round, view)| {
            view.seen += 1;
            match view.after {
                Some(k) if view.seen == k && !view.before => turn = Turn::HoldAnswer(*round),
                Some(k) if view.seen >= k => {
                    view.holding |= view.before;
                    turn = Turn::Hold(*round);
                }
                _ => {}
            }
            false
        });
        turn
    }

    /// The k-th call's work is done.
    pub(crate) fn reached(&self, round: Round) {
        self.0.send_if_modified(|(now, view)| {
            view.holding |= *now == round;
            false
        });
    }

    /// Waits until the calls of this round are let go.
    pub(crate) async fn released(&self, round: Round) {
        // An error means that the sender is gone, and with it every hold.
        let _ = self.0.subscribe().wait_for(|(now, _)| *now != round).await;
    }

    /// Starts to count anew and lets go what is held; `None` holds nothing.
    pub(crate) fn set(&self, wanted: Option<Wanted>) {
        self.0.send_modify(|(round, view)| {
            round.0 += 1;
            *view = View {
                after: wanted.and_then(|w| w.after),
                before: wanted.is_some_and(|w| w.before),
                ..View::default()
            };
        });
    }

    pub(crate) fn view(&self) -> View {
        self.0.borrow().1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(wanted: &str) -> Hold {
        let hold = Hold::default();
        hold.set(Some(Wanted::parse(wanted.as_bytes()).expect("parses")));
        hold
    }

    #[test]
    fn calls_are_counted_and_held_from_the_kth_on() {
        let hold = hold(r#"{"after": 2}"#);
        assert_eq!(hold.enter(), Turn::Pass);
        let Turn::HoldAnswer(round) = hold.enter() else {
            panic!("the second answer is held")
        };
        assert!(matches!(hold.enter(), Turn::Hold(_)));
        assert!(!hold.view().holding, "its work is not done yet");
        hold.reached(round);
        assert!(hold.view().holding);
        assert_eq!(hold.view().seen, 3);
    }

    #[test]
    fn with_before_the_kth_call_is_not_forwarded() {
        let hold = hold(r#"{"after": 1, "before": true}"#);
        assert!(matches!(hold.enter(), Turn::Hold(_)));
        assert!(hold.view().holding);
    }

    #[test]
    fn without_a_number_calls_are_only_counted() {
        let hold = hold(r#"{"after": null}"#);
        assert!((0..5).all(|_| hold.enter() == Turn::Pass));
        assert_eq!(hold.view().seen, 5);
    }

    #[tokio::test]
    async fn a_new_round_lets_go_what_the_old_one_held() {
        let hold = hold(r#"{"after": 1}"#);
        let Turn::HoldAnswer(round) = hold.enter() else {
            panic!("held")
        };
        hold.set(None);
        hold.released(round).await;
        hold.reached(round);
        assert_eq!(
            hold.view(),
            View::default(),
            "a late call of an old round changes nothing"
        );
        assert_eq!(hold.enter(), Turn::Pass);
    }

    #[test]
    fn what_is_no_hold_is_refused() {
        for wrong in [r#"{"after": 0}"#, r#"{"after": -1}"#, r#"{"afer": 1}"#, "[]", ""] {
            assert!(Wanted::parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
