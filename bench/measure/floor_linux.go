package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// floorCmd is the other side of the floor: a process that holds plain sockets and
// writes the delivery frame to each, one bare write(2) after another. No server
// can deliver a message to separate sockets for less. It reads lines from standard
// input, "PASSES INTERVAL", and answers each when the passes are done.
type floorCmd struct {
	Connections int `arg:""`
}

// Run serves until standard input ends.
func (cmd *floorCmd) Run(out io.Writer) error {
	fds, err := cmd.accept(out)
	if err != nil {
		return err
	}
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		var passes int
		var interval time.Duration
		if _, err := fmt.Sscan(orders.Text(), &passes, (*int64)(&interval)); err != nil {
			return fmt.Errorf("order %q: %w", orders.Text(), err)
		}
		if err := writePasses(fds, passes, interval); err != nil {
			return err
		}
		fmt.Fprintln(out, "done")
	}
	return orders.Err()
}

// accept takes the connections and greets them as the server would.
func (cmd *floorCmd) accept(out io.Writer) ([]int, error) {
	quiet := net.ListenConfig{KeepAlive: -1} // as the server has it
	l, err := quiet.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	fmt.Fprintln(out, l.Addr())
	greeting := append(upgradeAnswer[:len(upgradeAnswer):len(upgradeAnswer)], hello...)
	request := make([]byte, 1<<10)
	fds := make([]int, 0, cmd.Connections)
	for range cmd.Connections {
		nc, err := l.Accept()
		if err != nil {
			return nil, err
		}
		if _, err := nc.Read(request); err != nil {
			return nil, err
		}
		if _, err := nc.Write(greeting); err != nil {
			return nil, err
		}
		// A descriptor out of the Go runtime's reach, as the engine keeps one.
		f, err := nc.(*net.TCPConn).File()
		if err != nil {
			return nil, err
		}
		fd, err := unix.Dup(int(f.Fd()))
		if err != nil {
			return nil, os.NewSyscallError("dup", err)
		}
		f.Close()
		nc.Close()
		if err := unix.SetNonblock(fd, true); err != nil {
			return nil, os.NewSyscallError("fcntl", err)
		}
		fds = append(fds, fd)
	}
	return fds, nil
}

func writePasses(fds []int, passes int, interval time.Duration) error {
	start := time.Now()
	for pass := range passes {
		time.Sleep(time.Until(start.Add(time.Duration(pass) * interval)))
		for _, fd := range fds {
			if n, errno := rawWrite(fd, delivery); n != len(delivery) {
				return fmt.Errorf("wrote %d of %d bytes: %w", n, len(delivery), errno)
			}
		}
	}
	time.Sleep(time.Until(start.Add(time.Duration(passes) * interval)))
	return nil
}

// floor is the floor process as the measurement sees it.
type floor struct {
	*process
	orders  io.WriteCloser
	answers *bufio.Reader
	fleet   *fleet
}

// startFloor starts the process and connects to it.
func startFloor(l *load, core, connections int) (*floor, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	f := &floor{process: newProcess("the floor process", self, "floor", fmt.Sprint(connections))}
	if f.orders, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, answers, err := os.Pipe()
	if err != nil {
		return nil, os.NewSyscallError("pipe", err)
	}
	defer answers.Close() // the child has its own
	f.cmd.Stdout = answers
	f.answers = bufio.NewReader(out)
	if err := f.start(core); err != nil {
		return nil, err
	}
	line, err := f.answers.ReadString('\n')
	if err != nil {
		f.kill()
		return nil, f.blame(fmt.Errorf("start the floor process: %w", err))
	}
	address, err := netip.ParseAddrPort(line[:len(line)-1])
	if err != nil {
		f.kill()
		return nil, fmt.Errorf("start the floor process: %w", err)
	}
	f.fleet = l.newFleet(address, plainPath, false)
	if err := f.fleet.dial(connections); err != nil {
		f.kill()
		return nil, f.blame(err)
	}
	return f, nil
}

// pass has so many passes written, one an interval (0: one right after another),
// and waits until every frame is here.
func (f *floor) pass(passes int, interval time.Duration) error {
	if _, err := fmt.Fprintln(f.orders, passes, int64(interval)); err != nil {
		return f.blame(err)
	}
	if err := f.fleet.passes(passes, interval, 1, func() {}); err != nil {
		return f.blame(err)
	}
	if _, err := f.answers.ReadString('\n'); err != nil {
		return f.blame(err)
	}
	return nil
}

// close ends the process.
func (f *floor) close() {
	f.orders.Close()
	f.kill()
}
