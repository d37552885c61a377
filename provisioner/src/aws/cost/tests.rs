use super::*;

fn nodes(instance_type: &str, count: u32, auto_mode: bool) -> Nodes {
    Nodes {
        instance_type: instance_type.to_owned(),
        count,
        auto_mode,
    }
}

#[test]
fn every_intent_has_its_price() {
    let group = |kind: &str, count| Intents {
        nodes: vec![nodes(kind, count, false)],
        ..Intents::default()
    };
    let cases = [
        (Intents::default(), 0.0),
        (Intents::images(), 0.000_007),
        (Intents::auto_mode_cluster(), 0.281_367),
        (group("t3.large", 2), 0.1664),
        (group("t3.medium", 1), 0.0416),
        (group("m5.2xlarge", 3), 1.152),
        (
            Intents {
                nat_gateways: 1,
                public_ipv4: 1,
                ..Intents::default()
            },
            0.05,
        ),
        (
            Intents {
                images_gb: 73.0,
                ..Intents::default()
            },
            0.01,
        ),
    ];
    for (intents, expected) in cases {
        let cost = Cost::of(&intents, REGION);
        assert!(
            (cost.per_hour - expected).abs() < 1e-9,
            "{intents:?}: {}",
            cost.per_hour
        );
    }
}

#[test]
fn the_sum_is_that_of_the_lines_and_of_a_day_24_times_as_much() {
    let cost = Cost::of(&Intents::auto_mode_cluster(), "us-east-1");
    insta::assert_snapshot!(cost, @"about $0.28 an hour, $6.75 a day (estimate, us-east-1 list prices of 2026-08-01)");
    insta::assert_snapshot!(cost.details(), @r"
    1 x EKS control plane         $0.1000/h
    2 x c6a.large with Auto Mode  $0.1714/h
    2 x public IPv4 address       $0.0100/h
    0.05 GB in ECR                below $0.0001/h
    ");
    let lines: f64 = cost.items.iter().filter_map(|item| item.per_hour).sum();
    assert!((lines - cost.per_hour).abs() < 1e-6);
}

#[test]
fn other_regions_are_told_whose_prices_these_are() {
    let cost = Cost::of(&Intents::auto_mode_cluster(), "eu-west-1");
    assert!(
        cost.to_string()
            .ends_with("(estimate, us-east-1 list prices of 2026-08-01; those of eu-west-1 differ)"),
        "{cost}"
    );
}

#[test]
fn an_unknown_instance_type_is_named_and_not_guessed() {
    for unknown in ["x9.large", "c6a.metal", "c6a", "c6a.hugexlarge"] {
        let intents = Intents::auto_mode_cluster().with_nodes(vec![nodes(unknown, 1, false)], 1);
        let cost = Cost::of(&intents, REGION);
        assert!(
            cost.details().contains(&format!("1 x {unknown} ")),
            "{}",
            cost.details()
        );
        assert!(cost.details().contains("price not known"), "{unknown}");
        assert!((cost.per_hour - 0.105_007).abs() < 1e-9, "{unknown}: {}", cost.per_hour);
    }
}

#[test]
fn what_is_not_there_is_not_billed() {
    let cost = Cost::of(&Intents::auto_mode_cluster(), REGION);
    assert!(cost.is_billable());
    let images = cost.only(&[Owner::Images]);
    assert_eq!(images.items.len(), 1);
    assert!(!images.is_billable());
    insta::assert_snapshot!(images, @"less than $0.01 an hour (estimate, us-east-1 list prices of 2026-08-01)");
}

#[test]
fn what_was_spent_follows_from_the_time() {
    let cost = Cost::of(&Intents::auto_mode_cluster(), REGION);
    insta::assert_snapshot!(cost.over(10.0), @"about $2.81 in 10.0 h at $0.28 an hour (estimate, us-east-1 list prices of 2026-08-01)");
    assert!(cost.over(-1.0).total.abs() < 1e-9, "clocks may disagree");
}

#[test]
fn names_of_the_json_are_stable() {
    let intents = Intents {
        control_planes: 1,
        ..Intents::default()
    };
    let json = serde_json::to_string(&Cost::of(&intents, "eu-west-1")).unwrap();
    insta::assert_snapshot!(json, @r#"{"currency":"USD","per_hour":0.1,"items":[{"what":"EKS control plane","quantity":1.0,"unit":"piece","per_hour":0.1}],"as_of":"2026-08-01","estimate":true,"prices_of":"us-east-1"}"#);
}

#[test]
fn copies_of_others_images_are_counted_with_the_stacks_own() {
    let cost = Cost::of(&Intents::images(), "us-east-1").mirroring(4);
    insta::assert_snapshot!(cost.details(), @"0.45 GB in ECR  below $0.0001/h");
    assert!(!cost.is_billable(), "storage alone");
    let whole = Cost::of(&Intents::auto_mode_cluster(), "us-east-1");
    let more = whole.mirroring(4).per_hour - whole.per_hour;
    assert!(more > 0.00004 && more < 0.0001, "{more}");
    assert_eq!(whole.mirroring(0), whole);
}
