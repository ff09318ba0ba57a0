package valkey

// slots is how many hash slots a cluster has.
const slots = 16384

// slotOf is the hash slot of a key P{TAG}…: CRC-16/XMODEM of the tag, modulo 16384
// (https://valkey.io/topics/cluster-spec/#key-distribution-model).
func slotOf(tag string) uint16 {
	var crc uint16
	for i := range len(tag) {
		crc = crc<<8 ^ crc16[byte(crc>>8)^tag[i]]
	}
	return crc % slots
}

var crc16 = func() (t [256]uint16) {
	for i := range t {
		c := uint16(i) << 8
		for range 8 {
			if c&0x8000 != 0 {
				c = c<<1 ^ 0x1021
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()
