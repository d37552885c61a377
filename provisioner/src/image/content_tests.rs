use std::io::Write as _;

use futures::TryStreamExt as _;

use super::*;

const SIZE: usize = 2 * CHUNK + 17;

fn content() -> Vec<u8> {
    (0..SIZE).map(|at| u8::try_from(at % 251).expect("small")).collect()
}

/// What comes out, and why it ends early.
async fn read(chunks: Chunks, described: &Descriptor) -> (Vec<u8>, Option<Mismatch>) {
    let verdict = Verdict::default();
    let mut chunks = checked(chunks, described, verdict.clone());
    let mut read = Vec::new();
    while let Ok(Some(chunk)) = chunks.try_next().await {
        assert!(chunk.len() <= CHUNK, "memory is bounded");
        read.extend_from_slice(&chunk);
    }
    (read, verdict.take())
}

#[tokio::test]
async fn memory_a_file_and_a_part_of_one_give_the_same_bytes() {
    let content = content();
    let described = Descriptor::of("", &content);
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(b"before").expect("written");
    file.write_all(&content).expect("written");
    file.write_all(b"after").expect("written");
    let alone = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(alone.path(), &content).expect("written");
    let opened = Arc::new(file.reopen().expect("open"));
    let size = described.size;
    for chunks in [
        memory(content.clone().into()),
        whole(alone.path().to_owned(), size, Verdict::default()),
        part(opened, 6, size, Verdict::default()),
    ] {
        assert_eq!(read(chunks, &described).await, (content.clone(), None));
    }
}

#[tokio::test]
async fn wrong_content_is_never_given_out_whole() {
    let content = content();
    let described = Descriptor::of("", &content);
    let mut other = content.clone();
    other[0] ^= 1;
    let short = content[..SIZE - 1].to_vec();
    let long = [content.clone(), vec![0]].concat();
    for (given, wanted) in [(other, "digest"), (short, "bytes, not"), (long, "bytes, not")] {
        let (read, why) = read(memory(given.into()), &described).await;
        assert!(read.len() < SIZE, "{wanted}");
        assert!(why.is_some_and(|why| why.to_string().contains(wanted)), "{wanted}");
    }
}

#[tokio::test]
async fn a_file_that_is_gone_or_ends_early_says_so() {
    let described = Descriptor::of("", &content());
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), b"short").expect("written");
    let opened = Arc::new(file.reopen().expect("open"));
    let verdict = Verdict::default();
    for chunks in [
        whole("/nowhere/at/all".into(), 5, verdict.clone()),
        whole(file.path().to_owned(), described.size, verdict.clone()),
        part(opened, 0, described.size, verdict.clone()),
    ] {
        let (read, _) = read(chunks, &described).await;
        assert_eq!(read, b"");
        assert!(matches!(verdict.take(), Some(Mismatch::Unreadable(_))));
    }
}
