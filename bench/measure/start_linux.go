package main

import (
	"os"
	"slices"
	"time"
)

// size records how large the binary is.
func (b *bench) size() error {
	info, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	b.record(figBinary, float64(info.Size())/1e6)
	return nil
}

// ready records how long the server takes from exec to its first 200 of /ready.
// The file is in the page cache, as it is once an image was unpacked.
func (b *bench) ready() error {
	var ms []float64
	for range b.Starts {
		err := b.withServer(b.Connections, nil, func(s *server) error {
			ms = append(ms, float64(s.readyIn)/float64(time.Millisecond))
			return nil
		})
		if err != nil {
			return err
		}
	}
	b.record(figReady, median(ms))
	b.record(figReadyWorst, slices.Max(ms))
	return nil
}

// upgrades records the CPU of 10,000 upgrades: accept, HTTP request, 101 and
// hello, and what the collector does about them.
func (b *bench) upgrades() error {
	return b.withServer(b.Upgrades, nil, func(s *server) error {
		fleet := b.load.newFleet(s.address, plainPath, false)
		defer fleet.hangUp()
		w, err := b.window(s.process, func() error { return fleet.dial(b.Upgrades) })
		if err != nil {
			return err
		}
		b.record(figUpgrades, w.cpu.Seconds()*10000/float64(b.Upgrades))
		b.record(figUpgradeRate, float64(b.Upgrades)/w.wall.Seconds())
		return nil
	})
}
