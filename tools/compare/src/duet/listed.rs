//! What the bench targets of both sides said they have.

use super::harness::Listing;

/// What a side's target listed: once, and where an id was found on one side only, again.
pub struct Listed {
    pub first: Result<Listing, String>,
    pub again: Option<Listing>,
}

impl Listed {
    /// What was listed first.
    pub fn ids(&self) -> &[String] {
        self.first.as_ref().map_or(&[], |l| &l.ids)
    }

    /// What was listed again, where it was.
    fn ids_again(&self) -> &[String] {
        self.again.as_ref().map_or(&[], |l| &l.ids)
    }

    /// The ids that did not come a second time.
    pub fn volatile(&self) -> Vec<&str> {
        match self.again {
            None => Vec::new(),
            Some(_) => without(self.ids(), self.ids_again()),
        }
    }

    /// The ids that came the second time only.
    pub fn fresh(&self) -> Vec<&str> {
        without(self.ids_again(), self.ids())
    }

    /// All that was listed.
    pub fn lists(&self) -> [&[String]; 2] {
        [self.ids(), self.ids_again()]
    }
}

fn without<'a>(ids: &'a [String], others: &[String]) -> Vec<&'a str> {
    let ids = ids.iter().filter(|id| !others.contains(id));
    ids.map(String::as_str).collect()
}

/// Whether the sides differ, so that a second listing may tell why.
pub fn differ([base, head]: [&Listing; 2]) -> bool {
    base.ids != head.ids
}
