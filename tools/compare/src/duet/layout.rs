//! The order of functions in two executables: the same wherever they have the same ones.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::link::Function;

/// Which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// By name.
    Name,
    /// At random, from this seed.
    Random(u64),
}

/// The symbols of base and of head in the order in which they shall lie. What both have in
/// the same size comes first, so that it lies at the same addresses in both; then what both
/// have in two sizes; last what only one has.
pub fn orders(base: &[Function], head: &[Function], order: Order) -> [Vec<String>; 2] {
    let (base, head) = (by_key(base), by_key(head));
    let sorted = |side: &BTreeMap<Key, &Function>, other: &BTreeMap<Key, &Function>| {
        let mut keys: Vec<&Key> = side.keys().collect();
        keys.sort_by_cached_key(|key| {
            let class = match other.get(*key) {
                Some(there) if there.size == side[*key].size => 0,
                Some(_) => 1,
                None => 2,
            };
            (class, place(key, order), (*key).clone())
        });
        keys.into_iter()
            .map(|key| side[key].symbol.clone())
            .collect()
    };
    [sorted(&base, &head), sorted(&head, &base)]
}

/// How much of base's code lies where head has it, 0..=1.
pub fn shared(base: &[Function], head: &[Function]) -> f64 {
    let head = by_key(head);
    let base = by_key(base);
    let size = |alike: bool| {
        let sizes = base.iter().filter(|(key, function)| {
            !alike
                || head
                    .get(*key)
                    .is_some_and(|there| there.size == function.size)
        });
        sizes.map(|(_, function)| function.size).sum::<u64>() as f64
    };
    size(true) / size(false).max(1.0)
}

/// A function's name, and which one it is of those that share it.
type Key = (String, usize);

fn by_key(functions: &[Function]) -> BTreeMap<Key, &Function> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    functions
        .iter()
        .map(|function| {
            let count = seen.entry(&function.name).or_default();
            *count += 1;
            ((function.name.clone(), *count), function)
        })
        .collect()
}

/// Where a key lies in an order; equal places are ordered by name.
fn place(key: &Key, order: Order) -> u64 {
    match order {
        Order::Name => 0,
        Order::Random(seed) => {
            let mut hasher = DefaultHasher::new();
            (seed, key).hash(&mut hasher);
            hasher.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn functions(all: &[(&str, u64)]) -> Vec<Function> {
        let mut functions: Vec<Function> = all
            .iter()
            .map(|(symbol, size)| Function {
                name: symbol.split('#').next().unwrap_or_default().to_owned(),
                symbol: (*symbol).to_owned(),
                size: *size,
            })
            .collect();
        functions.sort();
        functions
    }

    #[test]
    fn what_both_have_comes_first_and_in_the_same_order() {
        let base = functions(&[("a#1", 10), ("b#1", 20), ("old#1", 5), ("c#1", 30)]);
        let head = functions(&[("a#2", 10), ("b#2", 24), ("aa#2", 5), ("c#2", 30)]);
        let [old, new] = orders(&base, &head, Order::Name);
        assert_eq!(old, ["a#1", "c#1", "b#1", "old#1"]);
        assert_eq!(new, ["a#2", "c#2", "b#2", "aa#2"]);
        assert!((shared(&base, &head) - 40.0 / 65.0).abs() < 1e-9);
    }

    #[test]
    fn a_seed_gives_both_sides_one_order_and_another_seed_another() {
        let many: Vec<(String, u64)> = (0..50).map(|i| (format!("f{i}"), 16)).collect();
        let all: Vec<(&str, u64)> = many.iter().map(|(n, s)| (n.as_str(), *s)).collect();
        let side = functions(&all);
        let [old, new] = orders(&side, &side, Order::Random(1));
        assert_eq!(old, new);
        assert_ne!(old, orders(&side, &side, Order::Random(2))[0]);
        assert_ne!(old, orders(&side, &side, Order::Name)[0]);
    }

    #[test]
    fn functions_of_one_name_are_told_apart_by_their_place() {
        let base = functions(&[("f#1", 8), ("f#2", 16)]);
        let head = functions(&[("f#3", 8), ("f#4", 16)]);
        let [old, new] = orders(&base, &head, Order::Name);
        assert_eq!(
            (old, new),
            (
                vec!["f#1".into(), "f#2".into()],
                vec!["f#3".into(), "f#4".into()]
            )
        );
    }
}
