//! Back to a generation that is on disk: looked at first, then made current by one rename.

use jiff::Timestamp;

use super::amend::public_key;
use super::output::OutputSettings;
use super::{BundleError, CertificateError, Due, OutputRequest, Service, SubjectName, check_bundle};
use crate::key::PrivateKey;
use crate::store::{
    Bundle, CertLock, CertName, CertificateRecord, FoundGeneration, Generation, OutputRecord,
    PendingDeployment,
};

/// Why the current generation is still the one that it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RollbackError {
    /// There is no generation before the current one that is complete.
    #[error("'{cert}' has no generation before the current one to go back to")]
    NothingBefore {
        /// The certificate.
        cert: CertName,
    },
    /// The generation that was asked for is not there.
    #[error(
        "'{cert}' has no generation {number} (there are: {})",
        there.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    NoSuchGeneration {
        /// The certificate.
        cert: CertName,
        /// The number that was asked for.
        number: u32,
        /// The numbers that there are.
        there: Vec<u32>,
    },
    /// The certificate of that generation has ended, so nobody would accept it.
    #[error("the certificate of generation {number} ended at {until:.0}")]
    Ended {
        /// Its number.
        number: u32,
        /// When it ended.
        until: Timestamp,
    },
    /// The certificate of that generation was revoked.
    #[error("the certificate of generation {number} is revoked (since {at:.0})")]
    Revoked {
        /// Its number.
        number: u32,
        /// When that was done, or heard of.
        at: Timestamp,
    },
    /// Files are missing or do not belong together.
    #[error("generation {number} is not whole: {what}")]
    NotWhole {
        /// Its number.
        number: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// Its certificate is not what it should be.
    #[error("generation {number} cannot be used")]
    Unusable {
        /// Its number.
        number: u32,
        /// Why.
        #[source]
        source: BundleError,
    },
}

impl RollbackError {
    /// Whether something was asked for that cannot be had, rather than found to be broken.
    pub fn is_input(&self) -> bool {
        use RollbackError::{Ended, NoSuchGeneration, NothingBefore, Revoked};
        matches!(self, NothingBefore { .. } | NoSuchGeneration { .. } | Ended { .. } | Revoked { .. })
    }
}

/// What is current now.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RolledBack {
    /// The certificate.
    pub cert: CertName,
    /// The generation that was current before; none if there was none.
    pub from: Option<u32>,
    /// The generation that is current now.
    pub generation: Generation,
    /// When it is to be renewed. One that is due is renewed by the next run.
    pub due: Due,
    /// Its certificate has ended, and it was forced.
    pub ended: bool,
    /// Its hooks have done their work, and its services show it, as far as either is wanted. If not, nothing is wanted.
    pub deployed: bool,
}

impl RolledBack {
    /// Whether that generation was the current one already.
    pub fn is_unchanged(&self) -> bool {
        self.from == Some(self.generation.number)
    }
}

/// Whether clients may accept the certificate of a generation: it has neither ended nor been revoked.
fn check_in_force(generation: &Generation, now: Timestamp) -> Result<(), RollbackError> {
    let (number, until) = (generation.number, generation.info.not_after);
    if until <= now {
        return Err(RollbackError::Ended { number, until });
    }
    generation.info.revoked.map_or(Ok(()), |at| Err(RollbackError::Revoked { number, at }))
}

impl Service {
    /// Makes the generation `to` of a certificate current again, or without `to` the newest complete one before the
    /// current one. It is checked first: all files are there and belong together, and the certificate is valid; one that has
    /// ended or is revoked is taken with `force` only.
    ///
    /// # Errors
    /// A [`RollbackError`], a certificate that is not in the store, or one that is worked on. The current generation is as it
    /// was then.
    pub async fn rollback(
        &self,
        cert: &CertName,
        to: Option<u32>,
        force: bool,
    ) -> Result<RolledBack, CertificateError> {
        // No lock for what is not there.
        self.store.record(cert)?;
        let lock = self.lock(cert).await?;
        // Whoever was waited for may have changed it.
        let record = self.store.record(cert)?;
        let mut rolled = self.roll_back((cert, &lock), &record, to, force).await?;
        let waits = self.deployment(cert)?.waiting(rolled.generation.number).is_some();
        self.deploy_alone(cert, lock, &rolled.generation).await?;
        rolled.deployed = waits;
        Ok(rolled)
    }

    /// The generation `number`, if it is whole and its certificate has neither ended nor been revoked.
    pub(super) fn usable(&self, cert: &CertName, number: u32) -> Result<Generation, CertificateError> {
        let (generation, now) = (self.chosen(cert, None, Some(number))?, Timestamp::now());
        check_in_force(&generation, now)?;
        self.check_whole(cert, &generation, now)?;
        Ok(generation)
    }

    async fn roll_back(
        &self,
        (cert, lock): (&CertName, &CertLock),
        record: &CertificateRecord,
        to: Option<u32>,
        force: bool,
    ) -> Result<RolledBack, CertificateError> {
        // What a dead run had completed would be made current by the next one, and this be undone.
        self.store.finish_left_behind(cert, lock)?;
        let from = self.store.current_number(cert)?;
        let generation = self.chosen(cert, from, to)?;
        let now = Timestamp::now();
        if !force {
            check_in_force(&generation, now)?;
        }
        let ended = generation.info.not_after <= now;
        // One that has ended is looked at as it was on its first day.
        self.check_whole(cert, &generation, if ended { generation.info.not_before } else { now })?;
        let due = self.due(cert, &generation, now);
        let rolled = RolledBack { cert: cert.clone(), from, generation, due, ended, deployed: false };
        let number = rolled.generation.number;
        if rolled.is_unchanged() {
            self.stay_with(cert, lock, number)?;
        } else {
            self.refit((cert, lock), &rolled.generation, &record.output).await?;
            let pending = PendingDeployment { went_back: true, ..PendingDeployment::new(number, from) };
            self.intend_deployment(cert, lock, &record.deployment, pending)?;
            self.store.make_current(cert, lock, rolled.generation.number)?;
        }
        Ok(rolled)
    }

    /// Gives a generation that is to be current again the files and the rights that are wanted today: programs have got
    /// used to the one, and whoever lost the other must not get it back.
    pub(super) async fn refit(
        &self,
        (cert, lock): (&CertName, &CertLock),
        generation: &Generation,
        output: &OutputRecord,
    ) -> Result<(), CertificateError> {
        let output = OutputSettings::new(&OutputRequest::default(), Some(output))?;
        let output = self.output(cert, &output).await?;
        let (leaf, chain, offered) = (generation.leaf()?, generation.chain()?, Vec::new());
        let key = generation.private_key()?.as_ref().map(PrivateKey::from_pem).transpose()?;
        let files = output.files(cert, key.as_ref(), &Bundle { leaf, chain, offered })?;
        self.store.refit(cert, lock, generation.number, &files)?;
        Ok(())
    }

    fn chosen(
        &self,
        cert: &CertName,
        from: Option<u32>,
        to: Option<u32>,
    ) -> Result<Generation, CertificateError> {
        let mut all = self.store.generations(cert)?;
        if let Some(number) = to {
            return match all.iter().position(|found| found.number == number) {
                Some(position) => Ok(all.swap_remove(position).read?),
                None => {
                    let there = all.into_iter().map(|found| found.number).collect();
                    Err(RollbackError::NoSuchGeneration { cert: cert.clone(), number, there }.into())
                }
            };
        }
        let mut damaged = None;
        let before = |found: &FoundGeneration| from.is_none_or(|from| found.number < from);
        for FoundGeneration { number, read } in all.into_iter().rev().filter(before) {
            match read {
                Ok(generation) => return Ok(generation),
                Err(error) => {
                    tracing::warn!(%cert, number, %error, "a generation is passed over");
                    damaged.get_or_insert(error);
                }
            }
        }
        let nothing = RollbackError::NothingBefore { cert: cert.clone() };
        Err(damaged.map_or(nothing.into(), CertificateError::from))
    }

    /// Whether all files of a generation are there and belong together, at the moment `at`.
    pub(super) fn check_whole(
        &self,
        cert: &CertName,
        generation: &Generation,
        at: Timestamp,
    ) -> Result<(), CertificateError> {
        let number = generation.number;
        let not_whole = |what| RollbackError::NotWhole { number, what };
        let unusable = |source| RollbackError::Unusable { number, source };
        let (leaf, chain) = (generation.leaf()?, generation.chain()?);
        let full = generation.fullchain()?;
        if full != format!("{leaf}{chain}") {
            return Err(not_whole("fullchain.pem is not cert.pem and chain.pem").into());
        }
        let public_key = match generation.private_key()? {
            Some(pem) => PrivateKey::from_pem(&pem)
                .map_err(|_| not_whole("privkey.pem is no private key"))?
                .public_key_info(),
            // Its owner keeps the key, so there is nothing to compare.
            None if self.store.record(cert)?.own_request => public_key(&leaf).map_err(unusable)?,
            None => return Err(not_whole("privkey.pem is missing").into()),
        };
        let info = &generation.info;
        let names = info.names.iter().map(|name| name.parse()).collect::<Result<Vec<SubjectName>, _>>()?;
        let checked =
            check_bundle(&[&full], None, &public_key, &names, &info.server, at).map_err(unusable)?;
        if checked.info.serial != info.serial {
            return Err(not_whole("generation.json is about another certificate").into());
        }
        Ok(())
    }
}
