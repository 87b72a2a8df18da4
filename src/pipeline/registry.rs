//! The policy in force, shared by those who change it and those who apply it.

use std::sync::{Arc, PoisonError, RwLock};

use super::policy::{Pattern, Policy};

/// A policy that may be replaced while pipelines run. Whoever applies it takes
/// the whole of it, once for each batch, and is never held up by a change.
#[derive(Debug, Clone)]
pub struct Registry {
    current: Arc<RwLock<Arc<Policy>>>,
}

impl Registry {
    /// This policy, until it is changed.
    pub fn new(policy: Policy) -> Self {
        Self {
            current: Arc::new(RwLock::new(Arc::new(policy))),
        }
    }

    /// The policy in force now.
    pub fn current(&self) -> Arc<Policy> {
        // A panic elsewhere cannot leave half a policy: it is replaced whole.
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Adds patterns. Those who apply the policy see all of them or none. The
    /// policy is copied if somebody is applying it.
    pub fn register(&self, patterns: impl IntoIterator<Item = Pattern>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let policy = Arc::make_mut(&mut current);
        for pattern in patterns {
            policy.add(pattern);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_applies_a_policy_keeps_it_whole() {
        let registry = Registry::new(Policy::from_iter([]));
        let before = registry.current();
        registry.register([
            Pattern::Path((*b"/a").into()),
            Pattern::Path((*b"/b").into()),
        ]);
        assert_eq!((before.len(), registry.current().len()), (0, 2));
    }

    #[test]
    fn no_pattern_is_lost_between_two_who_register() {
        let registry = Registry::new(Policy::from_iter([]));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let registry = &registry;
                scope.spawn(move || {
                    for i in 0..100 {
                        let path = format!("/{thread}/{i}");
                        registry.register([Pattern::Path(path.as_bytes().into())]);
                    }
                });
            }
        });
        assert_eq!(registry.current().len(), 400);
    }
}
