//! `livecert plan`.

use livecert::certificate::{Plan, PlannedRrset};
use serde_json::json;

use super::issue::{Issue, request};
use super::view::moment;
use crate::arguments::Globals;
use crate::context;
use crate::failure::Failure;
use crate::output::{Output, Status};

pub(super) fn run(words: Issue, globals: &Globals, output: &Output) -> Result<Status, Failure> {
    words.dry_run.refuse("plan")?;
    let request = request(words, globals)?;
    let plan = context::block_on(async { Ok(context::service(globals)?.plan(&request).await?) })?;
    output.show(&document(&plan), || text(&plan));
    Ok(Status::Done)
}

fn document(plan: &Plan) -> serde_json::Value {
    let rrset = |rrset: &PlannedRrset| {
        let before = rrset.before.as_ref().map(|(ttl, values)| json!({"ttl": ttl, "values": values}));
        json!({"fqdn": rrset.fqdn, "zone": rrset.zone, "publisher": rrset.publisher, "before": before, "added_for": rrset.added_for})
    };
    json!({
        "schema": 1,
        "name": plan.cert.as_str(),
        "server": plan.server,
        "not_due_before": plan.not_due,
        "acme": plan.acme,
        "rrsets": plan.rrsets.iter().map(rrset).collect::<Vec<_>>(),
    })
}

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(at) = plan.not_due {
        text.push_str(&format!(
            "Nothing would be done: {} is not due before {}. With --force:\n\n",
            plan.cert,
            moment(at)
        ));
    }
    text.push_str("ACME requests:\n");
    for (number, request) in plan.acme.iter().enumerate() {
        text.push_str(&format!("{:>4}. {request}\n", number + 1));
    }
    text.push_str("\nTXT records (added, watched at every name server, and removed again):\n");
    for rrset in &plan.rrsets {
        let PlannedRrset { fqdn, zone, publisher, .. } = rrset;
        text.push_str(&format!("  {fqdn}. in the zone {zone}, with {publisher}\n"));
        let before: Vec<_> = rrset.before.iter().flat_map(|(_, values)| values.iter().cloned()).collect();
        let ttl =
            rrset.before.as_ref().map_or("(a new rrset)".to_owned(), |(ttl, _)| format!("(TTL {ttl} kept)"));
        let shown = if before.is_empty() { "nothing".to_owned() } else { before.join(" ") };
        let added: Vec<_> =
            rrset.added_for.iter().map(|name| format!("+ <the value that proves {name}>")).collect();
        text.push_str(&format!("    before  {shown}\n"));
        text.push_str(
            &format!("    then    {} {} {ttl}\n", before.join(" "), added.join(" "))
                .replace("    then     +", "    then    +"),
        );
        text.push_str(&format!("    after   {shown}\n"));
    }
    text.push_str("\nNothing was changed.\n");
    text
}
