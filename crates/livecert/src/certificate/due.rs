//! When a certificate is to be renewed.

use jiff::{SignedDuration, Timestamp};

use crate::store::{Generation, RenewalRecord};

/// Certificates that live shorter than this are renewed when half of their life is left.
const SHORT_LIFE: SignedDuration = SignedDuration::from_hours(10 * 24);

/// When a certificate is to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The moment from which on it is due.
    pub at: Timestamp,
    /// Whether that moment has come.
    pub now: bool,
}

/// When `generation` is to be renewed: at the moment that was chosen in the CA's window (RFC 9773), where there is one;
/// else when a third of its life is left, or half of it if it lives under ten days.
pub fn due(generation: &Generation, window: Option<&RenewalRecord>, now: Timestamp) -> Due {
    let (begin, end) = (generation.info.not_before, generation.info.not_after);
    let life = end.duration_since(begin);
    let left = if life < SHORT_LIFE { life / 2 } else { life / 3 };
    let by_life = end.checked_sub(left).unwrap_or(begin);
    // A window that begins after the end would be a renewal that comes too late.
    let moment = window.and_then(RenewalRecord::moment).filter(|moment| *moment < end);
    let at = moment.unwrap_or(by_life);
    Due { at, now: now >= at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{GenerationInfo, RenewalWindow};

    fn generation(begin: i64, end: i64) -> Generation {
        let time = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        let info = GenerationInfo::new(
            vec![],
            String::new(),
            String::new(),
            (time(begin), time(end)),
            "https://ca.example/".into(),
        );
        Generation { number: 1, info, current: "current".into() }
    }

    #[test]
    fn a_certificate_is_due_with_a_third_of_its_life_left_and_a_short_one_with_half() {
        let day = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        let ninety = generation(1000, 1090);
        assert_eq!(due(&ninety, None, day(1059)), Due { at: day(1060), now: false });
        assert_eq!(due(&ninety, None, day(1060)), Due { at: day(1060), now: true });
        assert_eq!(due(&generation(1000, 1006), None, day(1003)), Due { at: day(1003), now: true });
        assert!(due(&ninety, None, day(2000)).now);
        // The CA knows better, but for a window that would come too late.
        let window = |start, end| {
            let window = RenewalWindow { start: day(start), end: day(end) };
            RenewalRecord::new("id".into(), Some(window), 0.5, day(0))
        };
        assert_eq!(due(&ninety, Some(&window(1010, 1020)), day(1012)), Due { at: day(1015), now: false });
        assert_eq!(due(&ninety, Some(&window(1095, 1097)), day(1012)), Due { at: day(1060), now: false });
    }
}
