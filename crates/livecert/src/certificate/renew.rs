//! Which certificates are due, and their renewal: from what is stored, without any argument.

use jiff::{SignedDuration, Timestamp};

use super::{CertificateError, IssueRequest, Issued, Service, SubjectName};
use crate::store::{CertName, Generation, RenewalRecord, StoreError};

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

/// One certificate of a renewal run.
#[derive(Debug)]
pub struct Renewal {
    /// The certificate.
    pub cert: CertName,
    /// What became of it.
    pub result: RenewalResult,
}

/// What became of a certificate in a renewal run.
#[derive(Debug)]
#[non_exhaustive]
pub enum RenewalResult {
    /// It is not due before this moment.
    NotDue(Timestamp),
    /// There is a new one.
    Renewed(Box<Issued>),
    /// It failed; the old one is still in place.
    Failed(Box<CertificateError>),
}

impl Service {
    /// Renews the certificates that are due: those of `certs`, or all if it is empty. One failure never stops the
    /// rest. `force` renews them even if they are not due.
    ///
    /// # Errors
    /// A name in `certs` that is not in the store (nothing was done then), or the store as a whole cannot be read.
    pub async fn renew(&self, certs: &[CertName], force: bool) -> Result<Vec<Renewal>, CertificateError> {
        let certs = if certs.is_empty() { self.store.cert_names()? } else { certs.to_vec() };
        for cert in &certs {
            if let Err(error @ StoreError::NoSuchCertificate { .. }) = self.store.record(cert)
                && !self.store.cert_folder(cert).exists()
            {
                return Err(error.into());
            }
        }
        self.unless_interrupted(self.ask_for_windows(&certs)).await?;
        let now = Timestamp::now();
        let is_due = |cert: &&CertName| {
            let current = self.store.current(cert).ok().flatten();
            force || current.is_none_or(|generation| self.due(cert, &generation, now).now)
        };
        let due: Vec<CertName> = certs.iter().filter(is_due).cloned().collect();
        self.unless_interrupted(self.sweep_first(&due)).await?;
        let mut renewals = Vec::new();
        for cert in certs {
            let result = self.renew_one(&cert, force).await.unwrap_or_else(|error| {
                tracing::warn!(%cert, "the renewal failed");
                RenewalResult::Failed(Box::new(error))
            });
            renewals.push(Renewal { cert, result });
            if self.interrupt.is_cancelled() {
                break;
            }
        }
        // The others have warned already.
        let silent = renewals.iter().filter(|one| matches!(one.result, RenewalResult::NotDue(_)));
        let silent: Vec<_> = silent.map(|one| one.cert.clone()).collect();
        if !silent.is_empty() && silent.len() == renewals.len() {
            self.unless_interrupted(self.warn_of_ends(&silent)).await?;
        }
        self.unless_interrupted(self.warn_of_standings(&silent)).await?;
        Ok(renewals)
    }

    async fn renew_one(&self, cert: &CertName, force: bool) -> Result<RenewalResult, CertificateError> {
        let record = self.store.record(cert)?;
        // Without a lock first: most certificates are not due, and need not wait for anybody.
        if let Some(generation) = self.store.current(cert)?
            && !force
        {
            let due = self.due(cert, &generation, Timestamp::now());
            if !due.now {
                return Ok(RenewalResult::NotDue(due.at));
            }
        }
        let names = record.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
        let request = IssueRequest {
            names,
            cert_name: Some(cert.clone()),
            // Nobody is there to read terms: an account that is lost is made anew under those that were accepted.
            accept_tos: false,
            force,
            ..IssueRequest::default()
        };
        let issued = self.issue_unswept(&request, true).await?;
        Ok(match issued.outcome {
            super::Outcome::NotDue(at) => RenewalResult::NotDue(at),
            super::Outcome::New => RenewalResult::Renewed(Box::new(issued)),
        })
    }
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
