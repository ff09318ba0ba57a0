package main

import (
	"time"
)

const (
	sampleEvery = 250 * time.Millisecond
	// calmFor is how long the memory must have stayed the same, within calmKiB, to
	// be called settled.
	calmFor = 5 * time.Second
	calmKiB = 128
	calmMax = 3 * time.Minute
)

// idle records what an idle connection costs: plain, with permessage-deflate, and
// resumable.
func (b *bench) idle() error {
	if err := b.idleWith(plainPath, false, func(rss, anon, base, kernel float64) {
		b.record(figIdleBase, base)
		b.record(figIdleRSS, rss)
		b.record(figIdleAnon, anon)
		b.record(figIdleKernel, kernel)
	}); err != nil {
		return err
	}
	if err := b.idleWith(plainPath, true, func(rss, anon, _, _ float64) {
		b.record(figDeflateRSS, rss)
		b.record(figDeflateAnon, anon)
	}); err != nil {
		return err
	}
	return b.idleWith(resumablePath, false, func(rss, _, _, _ float64) {
		b.record(figResumableRSS, rss)
	})
}

// idleWith opens idle connections and hands over, in KiB but for base in MiB, what
// each holds, what the server held before, and the kernel's part of each end.
func (b *bench) idleWith(path string, deflate bool, record func(rss, anon, base, kernel float64)) error {
	return b.withServer(b.Connections, nil, func(s *server) error {
		before, err := b.settled(s)
		if err != nil {
			return err
		}
		slabBefore, err := kernelMemory()
		if err != nil {
			return err
		}
		fleet := b.load.newFleet(s.address, path, deflate)
		defer fleet.hangUp()
		if err := fleet.dial(b.Connections); err != nil {
			return err
		}
		after, err := b.settled(s)
		if err != nil {
			return err
		}
		slabAfter, err := kernelMemory()
		if err != nil {
			return err
		}
		n := float64(b.Connections)
		record((after.rss-before.rss)/n, (after.anon-before.anon)/n, before.rss/1024, (slabAfter-slabBefore)/(2*n))
		return nil
	})
}

// settled waits until the server's memory does not change any more. Nothing forces
// its garbage collector: an operator would not either.
func (b *bench) settled(s *server) (memory, error) {
	var m memory
	var readErr error
	low, high, since := 0.0, 0.0, time.Now()
	next := since
	err := b.load.wait("the server's memory to settle", calmMax, func() bool {
		if time.Now().Before(next) {
			return false
		}
		next = next.Add(sampleEvery)
		m, readErr = processMemory(s.pid())
		if readErr != nil {
			return true
		}
		low, high = min(low, m.rss), max(high, m.rss)
		if high-low > calmKiB {
			low, high, since = m.rss, m.rss, time.Now()
		}
		return time.Since(since) >= calmFor
	})
	if err != nil {
		return m, err
	}
	return m, readErr
}
