package main

import (
	"fmt"
	"slices"
	"syscall"
	"time"
)

// What every connection is to be told at a shutdown.
const (
	goingAway      = 1001
	shutdownReason = "Server shutting down"
)

// drain records what connections see of a SIGTERM.
func (b *bench) drain() error {
	window := []string{"--drain", b.Drain.String()}
	return b.withServer(b.Connections, window, func(s *server) error {
		fleet := b.load.newFleet(s.address, plainPath, false)
		defer fleet.hangUp()
		if err := fleet.dial(b.Connections); err != nil {
			return err
		}
		var term time.Time
		told := 0
		at := make([]float64, 0, b.Connections)
		fleet.onClose = func(code uint16, reason string) {
			at = append(at, time.Since(term).Seconds())
			if code == goingAway && reason == shutdownReason {
				told++
			}
		}
		term = time.Now()
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return fmt.Errorf("send SIGTERM: %w", err)
		}
		what := fmt.Sprintf("%d connections to be closed", b.Connections)
		if err := b.load.wait(what, b.Drain+2*patience, func() bool { return fleet.open == 0 }); err != nil {
			return fmt.Errorf("%w; %d were", err, len(at))
		}
		select {
		case <-s.exited:
		case <-time.After(patience):
			return fmt.Errorf("the server is still there %v after its last connection", patience)
		}
		if len(at) == 0 {
			return fmt.Errorf("all %d connections ended without a close frame", fleet.lost)
		}
		b.record(figDrainTold, float64(told))
		b.record(figDrainFirst, slices.Min(at))
		b.record(figDrainLast, slices.Max(at))
		b.record(figDrainDistance, uniformDistance(at, b.Drain.Seconds()))
		b.record(figDrainExit, s.exitAt.Sub(term).Seconds())
		b.record(figDrainExitCode, float64(s.cmd.ProcessState.ExitCode()))
		return nil
	})
}
