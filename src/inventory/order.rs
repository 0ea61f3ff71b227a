//! The keyword `order:` of a play.

/// In which order a play takes its hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// As the inventory and the pattern have them.
    #[default]
    Inventory,
    /// The same from the end.
    ReverseInventory,
    /// By name.
    Sorted,
    /// By name from the end.
    ReverseSorted,
    /// By chance.
    Shuffle,
}

/// The words of [`Order`] as playbooks write them.
pub(crate) const NAMES: [(&str, Order); 5] = [
    ("inventory", Order::Inventory),
    ("reverse_inventory", Order::ReverseInventory),
    ("sorted", Order::Sorted),
    ("reverse_sorted", Order::ReverseSorted),
    ("shuffle", Order::Shuffle),
];

impl Order {
    /// Reads the keyword's value.
    ///
    /// # Errors
    /// A sentence with the words that there are.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, order)| *order).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            format!("`{text}` is no order: write one of {}", names.join(", "))
        })
    }
}

/// Sorts hosts. `chance` decides what [`Order::Shuffle`] does: the same number, the same order, so that a resumed run
/// goes on as it began.
pub(crate) fn sort(hosts: &mut [String], order: Order, chance: u64) {
    match order {
        Order::Inventory => {}
        Order::ReverseInventory => hosts.reverse(),
        Order::Sorted => hosts.sort(),
        Order::ReverseSorted => hosts.sort_by(|a, b| b.cmp(a)),
        Order::Shuffle => {
            let mut state = chance;
            for last in (1..hosts.len()).rev() {
                hosts.swap(last, (splitmix(&mut state) % (last as u64 + 1)) as usize);
            }
        }
    }
}

/// Steele, Lea and Flood's SplitMix64: enough chance for an order.
fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: &str, chance: u64) -> String {
        let mut hosts: Vec<String> = ["b", "c", "a", "d"].map(str::to_owned).to_vec();
        sort(&mut hosts, Order::parse(order).unwrap(), chance);
        hosts.join(" ")
    }

    #[test]
    fn each_order_does_what_it_says() {
        assert_eq!(sorted("inventory", 1), "b c a d");
        assert_eq!(sorted("reverse_inventory", 1), "d a c b");
        assert_eq!(sorted("sorted", 1), "a b c d");
        assert_eq!(sorted("reverse_sorted", 1), "d c b a");
        assert!(Order::parse("random").unwrap_err().contains("reverse_sorted"));
    }

    #[test]
    fn a_shuffle_keeps_all_hosts_and_repeats_by_its_number() {
        assert_eq!(sorted("shuffle", 7), sorted("shuffle", 7));
        let orders: std::collections::BTreeSet<String> = (0..50).map(|chance| sorted("shuffle", chance)).collect();
        assert!(orders.len() > 10);
        let mut letters: Vec<&str> = orders.first().unwrap().split(' ').collect();
        letters.sort_unstable();
        assert_eq!(letters, ["a", "b", "c", "d"]);
    }
}
