//! What a stack costs: a pure function from what there is, or will be, to line items and a sum.
//!
//! ```text
//! Intents --Cost::of--> Cost --Display--> "about $0.28 an hour, $6.75 a day (estimate, ...)"
//!                            --since----> Spent
//! ```
//!
//! Prices are list prices from a dated table ([`prices`]): an estimate, never a bill. Traffic, load balancers that
//! others add and discounts are not in it.

mod prices;

use std::fmt;

use serde::Serialize;

use super::eks::NODE_GROUP_NODES;

pub use prices::{AS_OF, REGION};

/// Instance type that Auto Mode is assumed to choose for the stack's pods, and how many of them.
const ASSUMED_NODES: (&str, u32) = ("c6a.large", 2);
/// Gigabytes that the two images are assumed to take in the registry.
const ASSUMED_IMAGES_GB: f64 = 0.05;
/// Gigabytes that one image of others is assumed to take there, for each platform.
const ASSUMED_MIRRORED_GB: f64 = 0.1;
/// Hours by which AWS divides a month.
const HOURS_A_MONTH: f64 = 730.0;

/// What is billed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Intents {
    /// Control planes in standard support.
    pub control_planes: u32,
    /// The nodes, by kind.
    pub nodes: Vec<Nodes>,
    /// NAT gateways, without their traffic.
    pub nat_gateways: u32,
    /// Public IPv4 addresses: one for each node in a public subnet, one for each NAT gateway.
    pub public_ipv4: u32,
    /// Gigabytes in the registry.
    pub images_gb: f64,
}

/// Nodes of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nodes {
    /// EC2 instance type, e.g. `c6a.large`.
    pub instance_type: String,
    /// How many.
    pub count: u32,
    /// Whether Auto Mode runs them, which has a fee.
    pub auto_mode: bool,
}

impl Intents {
    /// Images in the registry and nothing else.
    pub fn images() -> Self {
        Self {
            images_gb: ASSUMED_IMAGES_GB,
            ..Self::default()
        }
    }

    /// Images, and an Auto Mode cluster in public subnets that runs the stack under load.
    pub fn auto_mode_cluster() -> Self {
        let (instance_type, count) = ASSUMED_NODES;
        let nodes = Nodes {
            instance_type: instance_type.to_owned(),
            count,
            auto_mode: true,
        };
        Self {
            control_planes: 1,
            nodes: vec![nodes],
            public_ipv4: count,
            ..Self::images()
        }
    }

    /// The same with the nodes of a new node group instead of Auto Mode's.
    #[must_use]
    pub fn with_node_group(self) -> Self {
        let (instance_type, count) = NODE_GROUP_NODES;
        let nodes = Nodes {
            instance_type: instance_type.to_owned(),
            count,
            auto_mode: false,
        };
        self.with_nodes(vec![nodes], count)
    }

    /// The same with nodes in private subnets behind a NAT gateway, which has the only public address.
    #[must_use]
    pub fn behind_nat(self) -> Self {
        Self { public_ipv4: 0, ..self }.with_gateway()
    }

    /// The same with a NAT gateway and its address.
    #[must_use]
    pub fn with_gateway(self) -> Self {
        Self {
            nat_gateways: self.nat_gateways + 1,
            public_ipv4: self.public_ipv4 + 1,
            ..self
        }
    }

    /// The same with the nodes that there are, and their public addresses, instead of those that were assumed.
    #[must_use]
    pub fn with_nodes(self, nodes: Vec<Nodes>, public_ipv4: u32) -> Self {
        Self {
            nodes,
            public_ipv4,
            ..self
        }
    }
}

/// One line of a cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// What it is, e.g. `EKS control plane`.
    pub what: String,
    /// How much of it, in `unit`.
    pub quantity: f64,
    /// `piece` or `GB`.
    pub unit: &'static str,
    /// Dollars an hour for all of it; none where the table has no price.
    pub per_hour: Option<f64>,
    /// What it belongs to.
    #[serde(skip)]
    pub owner: Owner,
}

/// Which object's existence an item is billed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The cluster and its nodes.
    Cluster,
    /// The foundation.
    Network,
    /// The repositories.
    Images,
}

/// A running cost. An estimate at list prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// `USD`.
    pub currency: &'static str,
    /// The sum of all items with a price, rounded to a millionth.
    pub per_hour: f64,
    /// What it is made of.
    pub items: Vec<Item>,
    /// Day of the prices.
    pub as_of: &'static str,
    /// Always true.
    pub estimate: bool,
    /// The region whose prices these are.
    pub prices_of: &'static str,
    /// Where it is billed.
    #[serde(skip)]
    region: String,
}

impl Cost {
    /// The cost of `intents` in `region`.
    pub fn of(intents: &Intents, region: &str) -> Self {
        Self::from_items(items(intents), region.to_owned())
    }

    fn from_items(items: Vec<Item>, region: String) -> Self {
        let sum = items.iter().filter_map(|item| item.per_hour).sum();
        Self {
            currency: "USD",
            per_hour: rounded(sum),
            items,
            as_of: AS_OF,
            estimate: true,
            prices_of: REGION,
            region,
        }
    }

    /// The same with so many copies of others' images in the registry.
    #[must_use]
    pub fn mirroring(&self, copies: u32) -> Self {
        let more = ASSUMED_MIRRORED_GB * f64::from(copies);
        let mut items = self.items.clone();
        for item in items.iter_mut().filter(|item| item.owner == Owner::Images) {
            item.quantity = ((item.quantity + more) * 100.0).round() / 100.0;
            item.per_hour = Some(in_ecr(item.quantity));
        }
        Self::from_items(items, self.region.clone())
    }

    /// The part that is billed for objects of `owners`.
    #[must_use]
    pub fn only(&self, owners: &[Owner]) -> Self {
        let items = self.items.iter().filter(|item| owners.contains(&item.owner));
        Self::from_items(items.cloned().collect(), self.region.clone())
    }

    /// Whether something is billed by the hour; storage alone, fractions of a cent, is not.
    pub fn is_billable(&self) -> bool {
        self.items.iter().any(|item| item.owner != Owner::Images)
    }

    /// What it came to in `hours` at this rate. Negative hours, of clocks that disagree, count as none.
    pub fn over(&self, hours: f64) -> Spent {
        let hours = hours.max(0.0);
        Spent {
            currency: self.currency,
            total: rounded(self.per_hour * hours),
            hours: rounded(hours),
            per_hour: self.per_hour,
            as_of: self.as_of,
            estimate: true,
        }
    }

    /// The rate alone, for people: "about $0.28 an hour".
    pub fn hourly(&self) -> String {
        format!("{} an hour", dollars(self.per_hour))
    }

    /// One line an item, for people.
    pub fn details(&self) -> String {
        let width = self.items.iter().map(|item| item.label().len()).max().unwrap_or(0);
        let line = |item: &Item| match item.per_hour {
            Some(price) if price < 0.0001 => format!("{:<width$}  below $0.0001/h", item.label()),
            Some(price) => format!("{:<width$}  ${price:.4}/h", item.label()),
            None => format!("{:<width$}  price not known", item.label()),
        };
        self.items.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

impl Item {
    fn label(&self) -> String {
        match self.unit {
            "GB" => format!("{} GB {}", self.quantity, self.what),
            _ => format!("{} x {}", self.quantity, self.what),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hourly())?;
        if self.per_hour >= 0.01 {
            write!(f, ", ${:.2} a day", self.per_hour * 24.0)?;
        }
        write!(f, " (estimate, {REGION} list prices of {AS_OF}")?;
        if self.region != REGION {
            write!(f, "; those of {} differ", self.region)?;
        }
        f.write_str(")")
    }
}

/// What something cost so far, at the rate that it has now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spent {
    /// `USD`.
    pub currency: &'static str,
    /// Dollars.
    pub total: f64,
    /// How long.
    pub hours: f64,
    /// The rate.
    pub per_hour: f64,
    /// Day of the prices.
    pub as_of: &'static str,
    /// Always true.
    pub estimate: bool,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (total, rate) = (dollars(self.total), dollars(self.per_hour).replace("about ", ""));
        write!(f, "{total} in {:.1} h at {rate} an hour", self.hours)?;
        write!(f, " (estimate, {REGION} list prices of {AS_OF})")
    }
}

fn dollars(amount: f64) -> String {
    if amount > 0.0 && amount < 0.005 {
        return "less than $0.01".to_owned();
    }
    format!("about ${amount:.2}")
}

fn rounded(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}

/// Dollars an hour for so many gigabytes in ECR.
fn in_ecr(gigabytes: f64) -> f64 {
    rounded(prices::ECR_GB_MONTH * gigabytes / HOURS_A_MONTH)
}

fn items(intents: &Intents) -> Vec<Item> {
    let piece = |what: &str, count: u32, price: Option<f64>, owner| Item {
        what: what.to_owned(),
        quantity: f64::from(count),
        unit: "piece",
        per_hour: price.map(|price| rounded(price * f64::from(count))),
        owner,
    };
    let node = |kind: &Nodes| {
        let price = prices::instance(&kind.instance_type);
        let (fee, mode) = if kind.auto_mode {
            (prices::AUTO_MODE_FEE, " with Auto Mode")
        } else {
            (0.0, "")
        };
        let what = format!("{}{mode}", kind.instance_type);
        piece(
            &what,
            kind.count,
            price.map(|price| price * (1.0 + fee)),
            Owner::Cluster,
        )
    };
    let plane = piece(
        "EKS control plane",
        intents.control_planes,
        Some(prices::CONTROL_PLANE),
        Owner::Cluster,
    );
    let nat = piece(
        "NAT gateway",
        intents.nat_gateways,
        Some(prices::NAT_GATEWAY),
        Owner::Network,
    );
    let addresses = piece(
        "public IPv4 address",
        intents.public_ipv4,
        Some(prices::PUBLIC_IPV4),
        Owner::Cluster,
    );
    let images = Item {
        what: "in ECR".to_owned(),
        quantity: intents.images_gb,
        unit: "GB",
        per_hour: Some(in_ecr(intents.images_gb)),
        owner: Owner::Images,
    };
    let nodes = intents.nodes.iter().map(node);
    let all = std::iter::once(plane).chain(nodes).chain([nat, addresses, images]);
    all.filter(|item| item.quantity > 0.0).collect()
}

#[cfg(test)]
mod tests;
