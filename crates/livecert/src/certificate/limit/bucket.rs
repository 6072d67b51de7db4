//! One limit: a bucket of tokens that is refilled at a steady rate.

use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// Longest time that a limit may be about.
const LONGEST: SignedDuration = SignedDuration::from_hours(30 * 24);

/// So many in such a time: all at once if need be, and each comes back after its part of the time. Let's Encrypt counts like
/// this, and not by a window that slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    count: u32,
    period: SignedDuration,
}

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is not a limit: 'letsencrypt', 'letsencrypt-staging' and 'none' are, and what is like 'orders=300/3h,domain=50/7d,set=5/7d,failures=5/1h', at most 30 days each"
)]
pub struct LimitError(pub String);

/// How full the bucket is at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// How many more may come at this moment.
    pub left: u32,
    /// When the next one may come, where none may at this moment.
    pub next: Option<Timestamp>,
    /// When all may come again, where that is not now.
    pub full: Option<Timestamp>,
}

impl Limit {
    /// A limit; `None` if it is about no time, more than 30 days, or lets nothing through.
    pub(super) fn new(count: u32, period: SignedDuration) -> Option<Self> {
        let sound = count > 0 && period.is_positive() && period <= LONGEST;
        let limit = Limit { count, period };
        (sound && limit.each() > 0).then_some(limit)
    }

    pub(super) const fn fixed(count: u32, hours: i64) -> Self {
        Limit { count, period: SignedDuration::from_hours(hours) }
    }

    /// How many.
    pub fn count(self) -> u32 {
        self.count
    }

    /// In which time.
    pub fn period(self) -> SignedDuration {
        self.period
    }

    /// After which time one more may come, in nanoseconds.
    fn each(self) -> i128 {
        self.period.as_nanos() / i128::from(self.count)
    }

    /// How full the bucket is after these moments. What was let through although it seemed to be empty shows that it was
    /// not; moments to come are a slip of the clock.
    pub fn fill(self, mut times: Vec<Timestamp>, now: Timestamp) -> Fill {
        times.retain(|time| *time <= now);
        times.sort();
        let whole = self.each() * i128::from(self.count);
        // When the bucket is full again.
        let full = times
            .into_iter()
            .map(Timestamp::as_nanosecond)
            .fold(i128::MIN, |full, time| (full.max(time) + self.each()).min(time + whole));
        let now = now.as_nanosecond();
        if full <= now {
            return Fill { left: self.count, next: None, full: None };
        }
        let left = (whole - (full - now)) / self.each();
        let moment = |at| Timestamp::from_nanosecond(at).unwrap_or(Timestamp::MAX);
        Fill {
            // No more than the count, which has 32 bits.
            left: u32::try_from(left).unwrap_or(0),
            next: (left == 0).then(|| moment(full + self.each() - whole)),
            full: Some(moment(full)),
        }
    }
}

/// As in `5/7d`.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.period.as_secs();
        let units = [(86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
        let unit = units.into_iter().find(|(unit, _)| seconds % unit == 0).unwrap_or((1, 's'));
        write!(f, "{}/{}{}", self.count, seconds / unit.0, unit.1)
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let parse = || {
            let (count, period) = text.split_once('/')?;
            let span: jiff::Span = period.trim().parse().ok()?;
            let period = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
            Limit::new(count.trim().parse().ok()?, period).filter(|_| period.subsec_nanos() == 0)
        };
        parse().ok_or_else(|| LimitError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn five_in_five_hours_come_back_one_an_hour() {
        let limit: Limit = "5/5h".parse().unwrap();
        assert_eq!(limit.to_string(), "5/5h");
        let fill = limit.fill(vec![at(0); 5], at(0));
        assert_eq!(fill, Fill { left: 0, next: Some(at(3600)), full: Some(at(5 * 3600)) });
        assert_eq!(limit.fill(vec![at(0); 5], at(3600)).left, 1);
        // One that came too early was let through by the CA: nothing is held against later ones.
        assert_eq!(limit.fill(vec![at(0); 50], at(3600)).left, 1);
        assert_eq!(limit.fill(vec![at(9)], at(0)).left, 5);
        for wrong in ["", "5", "0/1h", "5/0s", "5/-1h", "5/31d", "-5/1h", "5/1h/1h", "x/1h", "5/1ms"] {
            assert!(wrong.parse::<Limit>().is_err(), "{wrong}");
        }
    }

    proptest! {
        /// Against the bucket as one would build it of tokens: it lets through the same ones, whatever comes when. So in any
        /// time no more go through than the bucket holds and is refilled with.
        #[test]
        fn no_more_go_through_than_the_bucket_gives(
            count in 1_u32..8,
            minutes in 1_i64..10_000,
            mut tries in prop::collection::vec(0_i64..3_000_000, 1..60),
        ) {
            tries.sort_unstable();
            let limit = Limit::new(count, SignedDuration::from_mins(minutes)).unwrap();
            let each = limit.each();
            // Tokens as nanoseconds of refilling.
            let (mut tokens, mut last) = (each * i128::from(count), 0_i128);
            let mut through: Vec<Timestamp> = Vec::new();
            for second in tries {
                let now = at(second);
                tokens = (tokens + now.as_nanosecond() - last).min(each * i128::from(count));
                last = now.as_nanosecond();
                let fill = limit.fill(through.clone(), now);
                prop_assert_eq!(i128::from(fill.left), tokens / each);
                prop_assert_eq!(fill.left == 0, fill.next.is_some());
                if let Some(next) = fill.next {
                    // Not a moment earlier, nor later.
                    let before = next - SignedDuration::from_nanos(1);
                    prop_assert_eq!(limit.fill(through.clone(), before.max(now)).left, 0);
                    prop_assert_eq!(limit.fill(through.clone(), next).left, 1);
                } else {
                    tokens -= each;
                    through.push(now);
                }
            }
            for (first, begin) in through.iter().enumerate() {
                for (last, end) in through.iter().enumerate().skip(first) {
                    let refilled = (end.as_nanosecond() - begin.as_nanosecond()) / each;
                    prop_assert!((last - first) as i128 <= i128::from(count) - 1 + refilled);
                }
            }
        }
    }
}
