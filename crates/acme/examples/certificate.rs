//! Gets a certificate; the proof goes into DNS by hand.
//!
//!     cargo run --example certificate -- https://acme-staging-v02.api.letsencrypt.org/directory example.com
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::sync::Arc;
use std::time::Duration;

use livecert_acme::{
    AccountKey, AccountKeyType, ChallengeType, HttpTransport, Identifier, NewAccount, NewOrder, OrderStatus,
    Poll, Server,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(directory), Some(name)) = (words.next(), words.next()) else {
        return Err("give the URL of a directory and a name".into());
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .user_agent("certificate-example")
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()?;
    let server = Server::connect(Arc::new(HttpTransport::new(client)), &directory).await?;
    println!("By going on you agree to {}.", server.terms_of_service().unwrap_or("no terms"));

    // A real program stores the key before it makes the account.
    let key = AccountKey::generate(AccountKeyType::EcdsaP256)?;
    let new = NewAccount { terms_of_service_agreed: true, ..NewAccount::default() };
    let account = server.create_account(key, &new).await?;
    let order = account.new_order(&NewOrder::new(vec![Identifier::dns(&name)])).await?;

    for url in &order.authorizations {
        let authorization = account.authorization(url).await?;
        let challenge = authorization.challenge(&ChallengeType::Dns01).ok_or("dns-01 is not offered")?;
        let token = challenge.token.as_ref().ok_or("the challenge has no token")?;
        let value = account.key_authorization(token).dns_value();
        println!("Publish, then press Enter: _acme-challenge.{} TXT {value}", authorization.identifier);
        std::io::stdin().read_line(&mut String::new())?;
        account.respond(&challenge.url).await?;
    }
    let poll = Poll::within(Duration::from_secs(120));
    let order = account.poll_order(&order.url, &poll, |status| *status != OrderStatus::Pending).await?;

    let certificate_key = rcgen::KeyPair::generate()?;
    let mut request = rcgen::CertificateParams::new(vec![name])?;
    request.distinguished_name = rcgen::DistinguishedName::new();
    account.finalize(&order, request.serialize_request(&certificate_key)?.der()).await?;
    let order = account.poll_order(&order.url, &poll, |status| *status == OrderStatus::Valid).await?;
    let url = order.certificate.ok_or_else(|| format!("no certificate: {:?}", order.error))?;
    println!("{}{}", certificate_key.serialize_pem(), account.certificate(&url).await?.pem_chain);
    Ok(())
}
