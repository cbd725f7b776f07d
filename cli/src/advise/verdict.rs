//! What follows of what was measured.

use kiln::profile::NOISY;
use serde::Serialize;

/// What to do about a technique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// It is not done, and gains.
    Use,
    /// It is done, and leaving it out gains.
    LeaveOut,
    /// It is done, and leaving it out costs.
    Done,
    /// It is done; leaving it out neither costs nor gains.
    NoDifference,
    /// It is not done, and gains nothing.
    NotWorthIt,
    /// The machine is too noisy to tell.
    Unclear,
    /// There is nothing to try.
    NotApplicable,
}

/// What was measured of one trial.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gain {
    /// The default's time, or memory, over that of the trial.
    pub(super) ratio: f64,
    /// How much of that is noise.
    pub(super) margin: f64,
    /// Whether its results are numbers where the default's are.
    pub(super) is_sound: bool,
}

/// A verdict, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Judgement {
    pub(super) verdict: Verdict,
    /// The number of the trial to compare with.
    pub(super) trial: usize,
    /// How many times less a call takes with the technique than without; of one to be left out, without.
    pub(super) gain: f64,
    /// The first trial with which the default has nothing ahead, though it has of the one to compare
    /// with: 256-bit vectors may do where 128 bits do not.
    pub(super) enough: Option<usize>,
}

/// Judges a technique by its trials, at least one. Of one that is the default, each leaves out a part,
/// the first one most; of another, each risks more than the one before.
pub(super) fn judge(is_default: bool, gains: &[Gain]) -> Judgement {
    let mut best = 0;
    for (index, gain) in gains.iter().enumerate() {
        let is_better = gain.ratio > gains[best].ratio * (1.0 + gain.margin);
        if gain.is_sound && (is_better || !gains[best].is_sound) {
            best = index;
        }
    }
    let Gain { ratio, margin, is_sound } = gains[best];
    let gains_much = is_sound && ratio > 1.0 + margin;
    let on = |verdict, trial, gain| Judgement { verdict, trial, gain, enough: None };
    if gains_much {
        return on(if is_default { Verdict::LeaveOut } else { Verdict::Use }, best, ratio);
    }
    // Not slower, as far as noise lets one tell.
    let does = |gain: &Gain| gain.ratio * (1.0 + gain.margin) >= 1.0;
    let is_unclear = |gain: &Gain| gain.is_sound && gain.margin >= NOISY && does(gain);
    if !is_default {
        let verdict = if is_unclear(&gains[best]) { Verdict::Unclear } else { Verdict::NotWorthIt };
        return on(verdict, best, ratio);
    }
    let gain = 1.0 / gains[0].ratio;
    match gains.iter().position(does) {
        Some(0) if is_unclear(&gains[0]) => on(Verdict::Unclear, 0, gain),
        Some(0) => on(Verdict::NoDifference, 0, gain),
        enough => Judgement { enough, ..on(Verdict::Done, 0, gain) },
    }
}

impl Verdict {
    /// The words of a table.
    pub(super) fn words(self) -> &'static str {
        match self {
            Verdict::Use => "use it",
            Verdict::LeaveOut => "leave it out",
            Verdict::Done => "already done",
            Verdict::NoDifference => "no difference",
            Verdict::NotWorthIt => "not worth it",
            Verdict::Unclear => "cannot be told",
            Verdict::NotApplicable => "not applicable",
        }
    }

    /// What comes first in a list: what is to be changed.
    pub(super) fn rank(self) -> u8 {
        match self {
            Verdict::Use | Verdict::LeaveOut => 0,
            Verdict::Done => 1,
            Verdict::NoDifference => 2,
            Verdict::NotWorthIt => 3,
            Verdict::Unclear => 4,
            Verdict::NotApplicable => 5,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gain, Judgement, Verdict, judge};

    fn gains(ratios: &[f64]) -> Vec<Gain> {
        ratios.iter().map(|&ratio| Gain { ratio, margin: 0.05, is_sound: true }).collect()
    }

    #[track_caller]
    fn judged(is_default: bool, ratios: &[f64], expected: (Verdict, usize, f64, Option<usize>)) {
        let (verdict, trial, gain, enough) = expected;
        let expected = Judgement { verdict, trial, gain, enough };
        assert_eq!(judge(is_default, &gains(ratios)), expected, "{ratios:?}");
    }

    #[test]
    fn what_is_done_is_compared_with_the_least_of_it() {
        judged(true, &[0.25, 0.5], (Verdict::Done, 0, 4.0, None));
        // Two threads do as well as all.
        judged(true, &[0.5, 0.99], (Verdict::Done, 0, 2.0, Some(1)));
        judged(true, &[1.0, 0.5], (Verdict::NoDifference, 0, 1.0, None));
    }

    #[test]
    fn what_is_done_may_be_better_left_out() {
        judged(true, &[1.25, 0.5], (Verdict::LeaveOut, 0, 1.25, None));
        // Within the spread of it, the first one is as good.
        judged(true, &[1.25, 1.26], (Verdict::LeaveOut, 0, 1.25, None));
        judged(true, &[1.25, 1.5], (Verdict::LeaveOut, 1, 1.5, None));
    }

    #[test]
    fn what_is_not_done_must_gain_more_than_the_spread() {
        judged(false, &[1.04], (Verdict::NotWorthIt, 0, 1.04, None));
        judged(false, &[0.5, 1.5], (Verdict::Use, 1, 1.5, None));
        // More risk for no more gain.
        judged(false, &[1.5, 1.55], (Verdict::Use, 0, 1.5, None));
    }

    #[test]
    fn noise_tells_nothing() {
        let verdict = |is_default, ratio| {
            let gain = Gain { ratio, margin: 0.5, is_sound: true };
            judge(is_default, &[gain]).verdict
        };
        assert_eq!([0.7, 1.0, 1.4].map(|ratio| verdict(true, ratio)), [Verdict::Unclear; 3]);
        assert_eq!([0.7, 1.0, 1.4].map(|ratio| verdict(false, ratio)), [Verdict::Unclear; 3]);
        // What is far beyond it can be told.
        assert_eq!((verdict(true, 0.2), verdict(false, 0.2)), (Verdict::Done, Verdict::NotWorthIt));
        assert_eq!((verdict(true, 2.0), verdict(false, 2.0)), (Verdict::LeaveOut, Verdict::Use));
    }

    #[test]
    fn what_breaks_results_is_not_advised() {
        let broken = Gain { is_sound: false, ..gains(&[4.0])[0] };
        let verdict = |gains: &[Gain]| judge(false, gains).verdict;
        assert_eq!(verdict(&[broken]), Verdict::NotWorthIt);
        assert_eq!(judge(false, &[gains(&[2.0])[0], broken]).trial, 0);
        let judgement = judge(false, &[broken, gains(&[2.0])[0]]);
        assert_eq!((judgement.verdict, judgement.trial), (Verdict::Use, 1));
    }
}
