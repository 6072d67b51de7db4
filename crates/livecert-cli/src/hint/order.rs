//! The next step where a step of an order cannot be taken.

use livecert::certificate::OrderError;

pub(super) fn hint(error: &OrderError) -> String {
    match error {
        OrderError::None { .. } => {
            "`livecert order new NAME…` makes one, `livecert order list` shows those that are open".to_owned()
        }
        OrderError::Unfinished { cert } => format!(
            "run the `livecert issue` again that did not come to its end, which goes on with it; or `livecert order remove \
             {cert}` gives it up"
        ),
        OrderError::Over { cert, .. } => format!(
            "`livecert order new … --force` makes another one in its place, `livecert order remove {cert}` gives it up, and \
             `livecert issue` or `livecert renew {cert}` replaces it too"
        ),
        OrderError::ForSomethingElse { cert, .. } => format!(
            "`livecert order show {cert}` tells about it; `livecert order remove {cert}` gives it up, and --force makes the \
             new one in its place"
        ),
        OrderError::NotYet { cert, standing, .. } => match standing.next_step() {
            Some(step) => format!("`livecert order {step} {cert}` comes first"),
            None => format!("look at it: livecert order show {cert}"),
        },
        OrderError::NoChallenge { cert, .. } | OrderError::Unanswerable { cert, .. } => {
            format!("`livecert order show {cert}` tells how it stands")
        }
        _ => "`livecert order list` shows the open orders".to_owned(),
    }
}
