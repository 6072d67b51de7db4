//! Waiting for the disk beside the network.

use super::{CertLock, Store};

impl Store {
    /// Does what waits for the disk on a thread of its own: certificates that are worked on side by side share one thread, and
    /// a sync of one of them would keep all the others waiting for milliseconds.
    ///
    /// What was begun comes to its end, even if nobody waits for it any more: what needs the lock of a certificate is done
    /// [under it](Self::aside_under).
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> T {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || work(&store)).await {
            Ok(done) => done,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is going, and whoever waits is not asked again.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// The same for a certificate, which stays locked until it is done: also when whoever waited for it has let go.
    pub(crate) async fn aside_under<T: Send + 'static>(
        &self,
        lock: &CertLock,
        work: impl FnOnce(&Store, &CertLock) -> T + Send + 'static,
    ) -> T {
        let lock = lock.clone();
        self.aside(move |store| work(store, &lock)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::super::{CertName, StoreError};
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_the_disk_keeps_nobody_else_waiting() {
        let store = Store::read_only("home".as_ref());
        let (tell, told) = channel();
        let disk = store.aside(move |_| told.recv());
        let other = async { tell.send(()) };
        let (slow, quick) = tokio::join!(disk, other);
        assert!(slow.is_ok() && quick.is_ok());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_written_under_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (store, name) = (Store::open(folder.path()).unwrap(), "example".parse::<CertName>().unwrap());
        let lock = store.lock(&name, Duration::ZERO, |_| ()).await.unwrap();
        let (tell, told) = channel::<()>();
        let mut disk = Box::pin(store.aside_under(&lock, move |_, _| told.recv()));
        assert!(disk.as_mut().now_or_never().is_none());
        drop(disk);
        drop(lock);
        assert!(matches!(store.lock(&name, Duration::ZERO, |_| ()).await, Err(StoreError::Locked { .. })));
        tell.send(()).unwrap();
        store.lock(&name, Duration::from_secs(10), |_| ()).await.unwrap();
    }

    #[tokio::test]
    #[should_panic(expected = "the disk is on fire")]
    async fn a_panic_is_not_lost() {
        Store::read_only("home".as_ref()).aside(|_| panic!("the disk is on fire")).await
    }
}
