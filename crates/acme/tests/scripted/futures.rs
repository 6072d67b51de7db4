//! Futures can go to other threads, and handles can be shared: whether this compiles is the test.

use std::sync::Arc;

use livecert_acme::{
    Account, AccountKey, CertificateId, Error, Identifier, Known, NewAccount, NewOrder, Order, Poll, Server,
    Transport,
};
use url::Url;

fn is_send<T: Send>(_: T) {}
fn is_shared<T: Send + Sync + Clone + 'static>() {}
fn is_error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn handles_and_errors_can_be_shared() {
    is_shared::<Account>();
    is_shared::<Server>();
    is_shared::<AccountKey>();
    is_shared::<Order>();
    is_error::<Error>();
}

#[expect(dead_code, reason = "only its types are checked")]
fn all_futures_are_send(
    transport: Arc<dyn Transport>,
    server: &Server,
    account: &Account,
    (key, new, new_order, order): (AccountKey, &NewAccount, &NewOrder, &Order),
    (url, id, name, poll): (&Url, &CertificateId, &Identifier, &Poll),
) {
    is_send(Server::connect_knowing(transport.clone(), "", &Known::default()));
    is_send(Server::connect(transport, ""));
    is_send(server.fetch_nonces_ahead(1));
    is_send(server.create_account(key.clone(), new));
    is_send(server.find_account(key.clone()));
    is_send(server.renewal_info(id));
    is_send(server.revoke_with_certificate_key(&key, &[], None));
    is_send(account.info());
    is_send(account.update_contact(&[]));
    is_send(account.agree_to_terms());
    is_send(account.deactivate());
    is_send(account.orders());
    is_send(account.roll_over(key.clone()));
    is_send(account.new_order(new_order));
    is_send(account.order(url));
    is_send(account.poll_order(url, poll, |_| true));
    is_send(account.pre_authorize(name));
    is_send(account.authorization(url));
    is_send(account.poll_authorization(url, poll));
    is_send(account.deactivate_authorization(url));
    is_send(account.challenge(url));
    is_send(account.respond(url));
    is_send(account.finalize(order, &[]));
    is_send(account.certificate(url));
    is_send(account.certificate_chains(url));
    is_send(account.revoke(&[], None));
}
