package ws

import (
	"encoding/binary"
	"math/bits"
)

// unmask applies the masking key to p in place and returns the key rotated so
// that it fits the byte after p (RFC 6455 §5.3). The key is held as the
// little-endian word of its four bytes: byte i of the payload meets bits
// 8*(i mod 4).
//
// Four words a turn keep it near memory speed without assembly; payloads here
// are mostly under a few hundred bytes.
func unmask(p []byte, key uint32) uint32 {
	k := uint64(key)<<32 | uint64(key)
	for len(p) >= 32 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		binary.LittleEndian.PutUint64(p[8:], binary.LittleEndian.Uint64(p[8:])^k)
		binary.LittleEndian.PutUint64(p[16:], binary.LittleEndian.Uint64(p[16:])^k)
		binary.LittleEndian.PutUint64(p[24:], binary.LittleEndian.Uint64(p[24:])^k)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(key >> (8 * uint(i&3)))
	}
	return bits.RotateLeft32(key, -8*(len(p)&3))
}
