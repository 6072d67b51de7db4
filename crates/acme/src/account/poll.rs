//! Asking until something is settled.

use url::Url;

use super::Account;
use crate::authorization::{Authorization, AuthorizationStatus};
use crate::error::Error;
use crate::order::{Order, OrderStatus};
use crate::poll::{Poll, Polling};

impl Account {
    /// Asks about an order until `done` says so, or it is invalid. `Retry-After` is heeded.
    ///
    /// # Errors
    /// [`Error::Unsettled`] at the limit, with the order as it was seen last; the server's refusal; no answer.
    pub async fn poll_order(
        &self,
        url: &Url,
        poll: &Poll,
        done: impl Fn(&OrderStatus) -> bool,
    ) -> Result<Order, Error> {
        let mut polling = Polling::begin(poll, self.server.distance());
        loop {
            polling.pause().await;
            let order = self.order(url).await?;
            if done(&order.status) || order.status == OrderStatus::Invalid {
                return Ok(order);
            }
            if let Some(waited) = polling.is_over(order.retry_after) {
                return Err(Error::Unsettled { order: Box::new(order), waited });
            }
        }
    }

    /// Asks about an authorization until it is no longer pending. `Retry-After` is heeded.
    ///
    /// An order with many of them is settled with fewer requests by [`Account::poll_order`].
    ///
    /// # Errors
    /// [`Error::UnsettledAuthorization`] at the limit, with the authorization as it was seen last; the server's
    /// refusal; no answer.
    pub async fn poll_authorization(&self, url: &Url, poll: &Poll) -> Result<Authorization, Error> {
        let mut polling = Polling::begin(poll, self.server.distance());
        loop {
            polling.pause().await;
            let authorization = self.authorization(url).await?;
            if authorization.status != AuthorizationStatus::Pending {
                return Ok(authorization);
            }
            if let Some(waited) = polling.is_over(authorization.retry_after) {
                return Err(Error::UnsettledAuthorization { authorization: Box::new(authorization), waited });
            }
        }
    }
}
