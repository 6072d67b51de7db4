//! Waiting for the disk beside the network.

use super::Store;

impl Store {
    /// Does what waits for the disk on a thread of its own: certificates that are worked on side by side share one thread, and
    /// a sync of one of them would keep all the others waiting for milliseconds.
    ///
    /// What was begun comes to its end, even if nobody waits for it any more. So `work` brings its own share of the lock that
    /// it needs.
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
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

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
    #[should_panic(expected = "the disk is on fire")]
    async fn a_panic_is_not_lost() {
        Store::read_only("home".as_ref()).aside(|_| panic!("the disk is on fire")).await
    }
}
