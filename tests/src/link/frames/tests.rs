use super::*;

const FRAMING: Framing = Framing { first_head: 4, head: 12 };
const SEEDS: std::ops::Range<u64> = 0..50;

/// A hello and then so many frames, each of which says its number; of various lengths.
fn frames(count: u32) -> Vec<Vec<u8>> {
    let frame = |head: usize, content: Vec<u8>| {
        let mut frame = u32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
        frame.resize(head, 0xee);
        frame.extend(content);
        frame
    };
    let numbered = |number: u32| {
        let mut content = number.to_be_bytes().to_vec();
        content.resize(4 + (number as usize * 37) % 200, 7);
        content
    };
    let first = frame(FRAMING.first_head, b"hello".to_vec());
    std::iter::once(first).chain((1..=count).map(|n| frame(FRAMING.head, numbered(n)))).collect()
}

/// What comes out when the stream falls into pieces of random lengths.
fn through(input: &[Vec<u8>], faults: Option<FrameFaults>, seed: u64, counters: &Counters) -> Vec<u8> {
    let (stream, mut frames) = (input.concat(), Frames::new(FRAMING, 3));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut rest, mut out) = (&stream[..], Vec::new());
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rng.random_range(1..=rest.len().min(300)));
        rest = later;
        out.extend(frames.push(BytesMut::from(piece), faults, counters));
    }
    out.extend(frames.rest());
    out.concat()
}

/// The frames of a stream.
fn split(stream: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut found) = (stream, Vec::new());
    while !rest.is_empty() {
        let head = if found.is_empty() { FRAMING.first_head } else { FRAMING.head };
        let length = u32::from_be_bytes(*rest.first_chunk().unwrap()) as usize;
        let (frame, later) = rest.split_at(head + length);
        found.push(frame.to_vec());
        rest = later;
    }
    found
}

fn number(frame: &[u8]) -> u32 {
    u32::from_be_bytes(*frame[FRAMING.head..].first_chunk().unwrap())
}

#[test]
fn a_stream_that_is_left_alone_is_the_same_whatever_its_pieces() {
    let input = frames(50);
    for seed in SEEDS {
        let counters = Counters::default();
        assert_eq!(through(&input, None, seed, &counters), input.concat(), "seed {seed}");
        // Faults that never fall leave it alone, too.
        let none = Some(FrameFaults::default());
        assert_eq!(through(&input, none, seed, &counters), input.concat(), "seed {seed}");
        // Twice fifty, greetings not counted.
        assert_eq!(counters.read(), crate::link::Traffic { frames: 100, ..Default::default() });
    }
}

#[test]
fn lost_frames_are_whole_ones_never_the_first_and_are_counted() {
    let input = frames(200);
    for seed in SEEDS {
        let counters = Counters::default();
        let faults = Some(FrameFaults { lost: 300, seed, ..FrameFaults::default() });
        let output = split(&through(&input, faults, seed, &counters));
        let lost = input.iter().filter(|frame| !output.contains(frame)).count();
        assert_eq!(lost as u64, counters.read().lost_frames, "seed {seed}");
        assert!((20..110).contains(&lost), "seed {seed}: {lost} of 200 at 300 in a thousand");
        assert_eq!(output[0], input[0], "seed {seed}");
        assert_eq!(output.len() + lost, input.len(), "seed {seed}");
    }
}

#[test]
fn the_first_frame_is_hit_when_that_is_asked_for() {
    let input = frames(3);
    let faults = Some(FrameFaults { lost: 1_000, first: true, ..FrameFaults::default() });
    assert_eq!(through(&input, faults, 1, &Counters::default()), b"");
    let faults = Some(FrameFaults { lost: 1_000, ..FrameFaults::default() });
    assert_eq!(through(&input, faults, 1, &Counters::default()), input[0]);
}

#[test]
fn duplicated_frames_arrive_twice_in_a_row() {
    let input = frames(200);
    for seed in SEEDS {
        let counters = Counters::default();
        let faults = Some(FrameFaults { duplicated: 200, seed, ..FrameFaults::default() });
        let mut output = split(&through(&input, faults, seed, &counters));
        let twice = output.windows(2).filter(|pair| pair[0] == pair[1]).count();
        assert_eq!(twice as u64, counters.read().duplicated_frames, "seed {seed}");
        assert!(twice > 10, "seed {seed}: {twice}");
        output.dedup();
        assert_eq!(output, input, "seed {seed}");
    }
}

#[test]
fn reordered_frames_change_places_with_the_next_and_none_is_lost() {
    let input = frames(200);
    for seed in SEEDS {
        let counters = Counters::default();
        let faults = Some(FrameFaults { reordered: 200, seed, ..FrameFaults::default() });
        let output = split(&through(&input, faults, seed, &counters));
        let numbers: Vec<u32> = output[1..].iter().map(|frame| number(frame)).collect();
        let late = numbers.windows(2).filter(|pair| pair[0] > pair[1]).count();
        assert_eq!(late as u64, counters.read().reordered_frames, "seed {seed}: {numbers:?}");
        assert!(late > 10, "seed {seed}: {late}");
        let mut sorted = numbers;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(1..=200), "seed {seed}");
    }
}

#[test]
fn corrupted_frames_differ_in_one_to_three_bits_and_the_others_in_none() {
    let input = frames(200);
    for seed in SEEDS {
        let counters = Counters::default();
        let faults = Some(FrameFaults { corrupted: 200, seed, ..FrameFaults::default() });
        let output = through(&input, faults, seed, &counters);
        let mut at = 0;
        let mut damaged = 0;
        for frame in &input {
            let received = &output[at..at + frame.len()];
            let flips: u32 = frame.iter().zip(received).map(|(a, b)| (a ^ b).count_ones()).sum();
            assert!(flips <= FLIPS, "seed {seed}: {flips} bits");
            damaged += u64::from(flips > 0);
            at += frame.len();
        }
        assert_eq!(at, output.len());
        assert_eq!(damaged, counters.read().corrupted_frames, "seed {seed}");
        assert!(damaged > 10, "seed {seed}: {damaged}");
        assert_eq!(output[..input[0].len()], input[0]);
    }
}

#[test]
fn the_same_seed_hits_the_same_frames_whatever_the_pieces() {
    let input = frames(100);
    let faults =
        FrameFaults { lost: 100, duplicated: 100, reordered: 100, corrupted: 100, ..Default::default() };
    let of =
        |seed, pieces| through(&input, Some(FrameFaults { seed, ..faults }), pieces, &Counters::default());
    for seed in SEEDS {
        assert_eq!(of(seed, 1), of(seed, 2), "seed {seed}");
    }
    assert_ne!(of(1, 1), of(2, 1));
}

#[test]
fn what_waits_is_let_go_when_the_faults_end() {
    let input = frames(2);
    let mut frames = Frames::new(FRAMING, 0);
    let counters = Counters::default();
    let all = FrameFaults { reordered: 1_000, ..FrameFaults::default() };
    let half = input[2].len() / 2;
    let out = frames.push(BytesMut::from(&input[..2].concat()[..]), Some(all), &counters);
    assert_eq!(out.concat(), input[0], "the first waits to be overtaken");
    let out = frames.push(BytesMut::from(&input[2][..half]), Some(all), &counters);
    assert!(out.is_empty(), "half a frame waits for its end");
    let out = frames.push(BytesMut::new(), None, &counters);
    assert_eq!(out.concat(), [&input[1][..], &input[2][..half]].concat());
    let out = frames.push(BytesMut::from(&input[2][half..]), Some(all), &counters);
    assert_eq!(out.concat(), &input[2][half..], "a frame that has begun to pass passes");
}
