//! Modbus RTU frames as inverters send them: address, function, data, and a CRC with its low byte first.

use std::fmt;

/// Why a frame was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    TooShort(usize),
    WrongChecksum { expected: u16, found: u16 },
    Exception { function: u8, code: u8 },
    LengthMismatch { announced: usize, present: usize },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(n) => write!(f, "a frame has at least 5 bytes, got {n}"),
            Self::WrongChecksum { expected, found } => {
                write!(f, "checksum is {found:04x}, the bytes give {expected:04x}: noise on the cable?")
            }
            Self::Exception { function, code } => write!(f, "device refused function {function}: code {code}"),
            Self::LengthMismatch { announced, present } => {
                write!(f, "frame announces {announced} bytes of data and has {present}")
            }
        }
    }
}

impl std::error::Error for FrameError {}

/// CRC-16 of Modbus: polynomial 0xA001 (reflected), starting from 0xFFFF.
pub fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 }
        })
    })
}

/// A request to read `count` input registers (function 4) from `first` on.
pub fn read_request(address: u8, first: u16, count: u16) -> Vec<u8> {
    let mut frame = vec![address, 4];
    frame.extend(first.to_be_bytes());
    frame.extend(count.to_be_bytes());
    let crc = crc16(&frame);
    frame.extend(crc.to_le_bytes());
    frame
}

/// The registers in a reply to `read_request`, after its checksum and length have been verified.
pub fn parse_reply(frame: &[u8]) -> Result<Vec<u16>, FrameError> {
    if frame.len() < 5 {
        return Err(FrameError::TooShort(frame.len()));
    }
    let (body, tail) = frame.split_at(frame.len() - 2);
    let (expected, found) = (crc16(body), u16::from_le_bytes([tail[0], tail[1]]));
    if expected != found {
        return Err(FrameError::WrongChecksum { expected, found });
    }
    if body[1] & 0x80 != 0 {
        return Err(FrameError::Exception { function: body[1] & 0x7F, code: body[2] });
    }
    let (announced, data) = (usize::from(body[2]), &body[3..]);
    if announced != data.len() || announced % 2 == 1 {
        return Err(FrameError::LengthMismatch { announced, present: data.len() });
    }
    Ok(data.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_the_standard_example_is_right() {
        assert_eq!(crc16(b"123456789"), 0x4B37);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut reply = vec![1, 4, 2, 0x0F, 0x00];
        let crc = crc16(&reply);
        reply.extend(crc.to_le_bytes());
        assert_eq!(parse_reply(&reply), Ok(vec![3840]));
        reply[3] ^= 0x10;
        assert!(matches!(parse_reply(&reply), Err(FrameError::WrongChecksum { .. })));
    }
}
