package main

import (
	"fmt"
	"time"
)

const (
	floorPasses = 100 // of a tight measurement: 500,000 writes, a few seconds
	burst       = 10
)

// fanout measures deliveries to many subscribers, and between each the floor: the
// same bytes written to as many sockets by a process that does nothing else. Both
// processes live through the whole cell, on the same core, so that each pair of
// figures was taken within seconds on the same machine.
func (b *bench) fanout() error {
	floor, err := startFloor(b.load, b.ServerCore, b.Subscribers)
	if err != nil {
		return err
	}
	defer floor.close()
	defer floor.fleet.hangUp()
	return b.withServer(b.Subscribers, nil, func(s *server) error {
		fleet := b.load.newFleet(s.address, plainPath, false)
		defer fleet.hangUp()
		if err := fleet.dial(b.Subscribers); err != nil {
			return err
		}
		fleet.bytes = 0
		// What dialling left to the collector is not the deliveries' cost, and
		// the floor's sockets have had no traffic yet either.
		if err := fleet.pace(50*time.Millisecond, 20, 1); err != nil {
			return err
		}
		if err := floor.pass(20, 0); err != nil {
			return err
		}
		tight1, err := b.floor(floor, floorPasses, 0)
		if err != nil {
			return err
		}
		for _, paced := range []struct {
			delivery, pass, floor string
			interval              time.Duration
		}{
			{figDelivery5, figPass5, figFloor5, 200 * time.Millisecond},
			{figDelivery20, figPass20, figFloor20, 50 * time.Millisecond},
		} {
			if err := b.delivery(s, fleet, paced.delivery, paced.pass, paced.interval, 1); err != nil {
				return err
			}
			us, err := b.floor(floor, int(b.Each/paced.interval), paced.interval)
			if err != nil {
				return err
			}
			b.record(paced.floor, us)
		}
		tight2, err := b.floor(floor, floorPasses, 0)
		if err != nil {
			return err
		}
		b.record(figFloorTight, (tight1+tight2)/2)
		if err := b.delivery(s, fleet, figBurst, figPassBurst, 200*time.Millisecond, burst); err != nil {
			return err
		}
		if fleet.bytes != fleet.messages*int64(len(delivery)) {
			return fmt.Errorf("%d messages came in %d bytes, not in frames of %d each", fleet.messages, fleet.bytes, len(delivery))
		}
		return b.ceiling(s, fleet)
	})
}

// floor is the CPU of one write in so many passes, in microseconds.
func (b *bench) floor(f *floor, passes int, interval time.Duration) (float64, error) {
	w, err := b.window(f.process, func() error { return f.pass(passes, interval) })
	return w.each(int64(passes) * int64(len(f.fleet.conns))), err
}

// delivery records the CPU of one delivery at a steady pace, and how many messages
// the server put into a pass: more than were published at once if it fell behind.
func (b *bench) delivery(s *server, fleet *fleet, figure, pass string, interval time.Duration, burst int) error {
	before, err := s.passes()
	if err != nil {
		return err
	}
	intervals := int(b.Each / interval)
	w, err := b.window(s.process, func() error { return fleet.pace(interval, intervals, burst) })
	if err != nil {
		return err
	}
	after, err := s.passes()
	if err != nil {
		return err
	}
	b.record(figure, w.each(int64(intervals)*int64(burst)*int64(len(fleet.conns))))
	b.record(pass, after.since(before))
	return nil
}
