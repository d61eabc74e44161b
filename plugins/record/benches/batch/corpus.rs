//! The texts the benches work on: JSON log lines as services write them, the same in every run.

/// Lines of 364 bytes, nested; every fifth is a debug line.
pub(crate) fn lines(bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 512);
    let mut seed = 0x5eed_u64;
    let mut next = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    while out.len() < bytes {
        let from = out.len();
        let level = ["info", "debug", "warn", "info", "error"][next(5) as usize];
        let second = next(60);
        let milli = next(1000);
        let host = next(40);
        let method = ["GET", "POST", "PUT"][next(3) as usize];
        let (order, status) = (next(1_000_000), [200, 201, 404, 500][next(4) as usize]);
        let (duration, size, user, trace) = (next(90_000), next(100_000), next(100_000), next(u64::MAX >> 33));
        let line = format!(
            concat!(
                r#"{{"timestamp":"2026-11-22T16:28:{second:02}.{milli:03}Z","level":"{level}","host":"web-{host}","#,
                r#""service":"checkout","message":"order {order} was accepted for delivery","#,
                r#""http":{{"method":"{method}","path":"/api/v1/orders/{order}","status":{status},"#,
                r#""duration_ms":{whole}.{part:02},"bytes":{size}}},"#,
                r#""user":{{"id":{user},"email":"user{user}@example.com"}},"#,
                r#""trace_id":"{trace:032x}","cached":false,"pad":""#
            ),
            second = second,
            milli = milli,
            level = level,
            host = host,
            order = order,
            method = method,
            status = status,
            whole = duration / 100,
            part = duration % 100,
            size = size,
            user = user,
            trace = trace,
        );
        out.extend_from_slice(line.as_bytes());
        // `"}` and the line end.
        let pad = 364usize.saturating_sub(out.len() - from + 3);
        out.extend(std::iter::repeat_n(b'.', pad));
        out.extend_from_slice(b"\"}\n");
    }
    out
}

/// The same with its keys in another order and other keys each time: what defeats guessing.
pub(crate) fn shuffled(bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + 512);
    let mut seed = 7u64;
    for line in lines(bytes).split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
        let Ok(serde_json::Value::Object(map)) = serde_json::from_slice(line) else { continue };
        let mut members: Vec<String> = map.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
        for i in (1..members.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            members.swap(i, (seed >> 33) as usize % (i + 1));
        }
        let rare = seed >> 55;
        out.extend_from_slice(format!("{{{},\"x{rare}\":1}}\n", members.join(",")).as_bytes());
    }
    out
}

/// Cuts at line ends into pieces of about `size`, as a file input reads them.
pub(crate) fn chunks(text: &[u8], size: usize) -> Vec<&[u8]> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let at = rest.len().min(size);
        let end = rest[at..].iter().position(|&b| b == b'\n').map_or(rest.len(), |n| at + n + 1);
        let (chunk, behind) = rest.split_at(end);
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}
