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

/// How much of base's code lies where head has it, 0..=1: functions of one name and size at one
/// address.
pub fn shared(base: &[Function], head: &[Function]) -> f64 {
    let head = by_key(head);
    let place = |function: &Function| (function.size, function.address);
    let (mut same, mut all) = (0, 0);
    for (key, function) in by_key(base) {
        all += function.size;
        if head.get(&key).map(|there| place(there)) == Some(place(function)) {
            same += function.size;
        }
    }
    same as f64 / all.max(1) as f64
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
                address: 0,
            })
            .collect();
        functions.sort();
        functions
    }

    /// The same, one behind the other from this address on.
    fn laid_out(mut functions: Vec<Function>, mut address: u64) -> Vec<Function> {
        for function in &mut functions {
            function.address = address;
            address += function.size;
        }
        functions
    }

    #[test]
    fn what_both_have_comes_first_and_in_the_same_order() {
        let base = functions(&[("a#1", 10), ("b#1", 20), ("old#1", 5), ("c#1", 30)]);
        let head = functions(&[("a#2", 10), ("b#2", 24), ("aa#2", 5), ("c#2", 30)]);
        let [old, new] = orders(&base, &head, Order::Name);
        assert_eq!(old, ["a#1", "c#1", "b#1", "old#1"]);
        assert_eq!(new, ["a#2", "c#2", "b#2", "aa#2"]);
    }

    #[test]
    fn code_is_shared_where_it_lies_at_the_same_addresses() {
        let base = laid_out(functions(&[("a#1", 10), ("b#1", 20), ("c#1", 30)]), 64);
        let of = |head: &[(&str, u64)], from| shared(&base, &laid_out(functions(head), from));
        let same = [("a#2", 10), ("b#2", 20), ("c#2", 30)];
        assert_eq!(of(&same, 64), 1.0);
        assert_eq!(of(&same, 65), 0.0);
        // What follows one that grew lies elsewhere.
        assert_eq!(
            of(&[("a#2", 10), ("b#2", 24), ("c#2", 30)], 64),
            10.0 / 60.0
        );
        assert_eq!(of(&same[..2], 64), 30.0 / 60.0);
        assert_eq!(shared(&[], &base), 0.0);
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
