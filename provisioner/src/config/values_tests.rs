use super::tests::resolve;

#[test]
fn values_are_texts_as_they_stand_in_yaml() {
    let file = r#"[values]
team = "red"
port = 8080
debug = false
tolerations = [{ key = "a", operator = "Exists" }]
"#;
    let values = resolve(&[], &[], file).unwrap().values;
    let values: Vec<(&str, &str)> = values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let tolerations = r#"[{"key":"a","operator":"Exists"}]"#;
    let want = [
        ("debug", "false"),
        ("port", "8080"),
        ("team", "red"),
        ("tolerations", tolerations),
    ];
    assert_eq!(values, want);
}

#[test]
fn values_have_names_that_are_free_and_can_be_placeholders() {
    let file = "[values]\nstack = \"a\"\nload_url = \"b\"\nTeam = \"c\"\nteam = \"d\"\n";
    let problems = resolve(&[], &[], file).unwrap_err().join("; ");
    for part in ["`values.stack` in", "`values.load_url` in", "`values.Team` in"] {
        assert!(problems.contains(part), "{problems}");
    }
    assert!(!problems.contains("values.team"), "{problems}");
    let problems = resolve(&[], &[], "values = 1\n").unwrap_err().join("; ");
    assert!(problems.contains("must be a section"), "{problems}");
}
