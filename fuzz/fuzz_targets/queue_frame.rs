//! Frames of a disk queue: whatever stands in one, it is read or refused. The checksums are made right, else nothing but
//! they would ever be tested.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&records, payload)) = data.split_first() else { return };
    let mut frame = Vec::with_capacity(16 + payload.len());
    frame.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    frame.extend_from_slice(&u32::from(records).to_le_bytes());
    frame.extend_from_slice(&crc32c::crc32c(payload).to_le_bytes());
    let crc = crc32c::crc32c(&frame);
    frame.extend_from_slice(&crc.to_le_bytes());
    frame.extend_from_slice(payload);
    if let Some(batch) = suiro::queue::read_frame(&frame) {
        assert_eq!(batch.len(), usize::from(records));
        for row in &batch.rows {
            let mut out = Vec::new();
            batch.write_json(row, &mut out);
            batch.origin(row).write_id(&mut out);
        }
    }
});
