package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"fairlead/console"
	"fairlead/internal/config"
	"fairlead/internal/httpapi"
	"fairlead/internal/hub"
	"fairlead/internal/lifecycle"
	"fairlead/internal/telemetry"
	"fairlead/internal/valkey"
	"fairlead/internal/ws"
)

type serveCmd struct {
	config.Serve `embed:""`
}

// Run serves until the task has drained.
func (cmd *serveCmd) Run(io streams) error {
	host := config.ReadHost(os.DirFS("/"))
	capacity, err := host.Capacity(cmd.Limits.MaxConnections)
	if err != nil {
		return usageError{err}
	}
	task := cmd.Observe.Task(os.Hostname)
	log, err := telemetry.NewLogger(io.err, telemetry.LogOptions{Format: cmd.Observe.LogFormat, Level: cmd.Observe.LogLevel, Task: task})
	if err != nil {
		return err
	}
	memoryLimit := host.ApplyMemoryLimit(os.LookupEnv)
	// Whoever reads the log or the metrics may die first; the connections must
	// not go with him. Writes then fail, and are let fail.
	signal.Ignore(syscall.SIGPIPE)

	s := &server{settings: cmd.Serve, host: host, capacity: capacity, task: task, log: log, start: time.Now()}
	if err := s.build(); err != nil {
		return err
	}
	log.Info("starting", "version", version, "pid", os.Getpid(), "poller", cmd.Engine.Poller, "broker", cmd.Broker.Kind(),
		"max_connections", capacity.Connections, "max_connections_by", capacity.By, "memory_limit", memoryLimit)

	stopMetrics := s.writeEMF(io)
	stopSweep := every(time.Second, s.hub.Sweep)
	outcome := s.run()
	s.engine.Shutdown()
	stopSweep()
	s.hub.Close()
	if s.broker != nil {
		s.broker.Close()
	}
	stopMetrics()

	log.Info("stopped", "reason", outcome.Reason, "connections", outcome.Total, "closed", outcome.Closed,
		"forced", outcome.Forced, "seconds", outcome.Elapsed.Seconds(), "exit_code", outcome.ExitCode())
	if outcome.Err != nil {
		log.Error("failed", "error", outcome.Err) // for those who read logs
		return outcome.Err                        // for those who read the terminal
	}
	if code := outcome.ExitCode(); code != 0 {
		return exitCode(code)
	}
	return nil
}

// server is the wiring of one task.
type server struct {
	settings config.Serve
	host     config.Host
	capacity config.Capacity
	task     string
	log      *slog.Logger
	start    time.Time

	machine lifecycle.Machine
	metrics *telemetry.Metrics
	engine  *ws.Engine
	broker  *valkey.Broker // nil with the memory broker
	hub     *hub.Hub
	api     *httpapi.Server
	drainer *lifecycle.Drainer
	public  *http.Server
	admin   *http.Server
	failed  chan error
}

func (s *server) build() (err error) {
	o := &s.settings
	s.metrics = telemetry.NewMetrics(version)
	backend, err := ws.ParseBackend(o.Engine.Poller)
	if err != nil {
		return err
	}
	s.engine, err = ws.New(ws.Options{
		Backend:         backend,
		MaxMessageBytes: o.Limits.MaxMessageBytes,
		MaxQueueBytes:   o.Limits.MaxQueueBytes,
		MinDeflateBytes: o.Engine.CompressionMinBytes,
		PingInterval:    o.Lifecycle.PingInterval,
		WriteStall:      o.Lifecycle.WriteStallTimeout,
		CloseTimeout:    o.Lifecycle.CloseTimeout,
	})
	if err != nil {
		return err
	}
	broker, remote, err := s.openBroker()
	if err != nil {
		return err
	}
	s.broker = remote
	s.hub = hub.New(hub.Options{
		Broker:       broker,
		Encoder:      httpapi.Encoder(o.Engine.CompressionMinBytes),
		MaxPassBytes: min(256<<10, o.Limits.MaxQueueBytes/4),
		History: hub.HistoryOptions{
			Messages: o.History.Messages, Bytes: o.History.Bytes,
			Age: o.History.Age, TotalBytes: o.History.TotalBytes,
		},
		Linger: remote == nil, // else the broker keeps the window
		OnPass: func(p hub.PassInfo) {
			s.metrics.FanoutPass(p.Took, p.Members, p.Messages)
		},
	})
	var counter httpapi.Counter
	if remote != nil {
		remote.SetLocal(s.hub.Local)
		counter = remote
	}
	s.api, err = httpapi.New(httpapi.Options{
		Counter:        counter,
		Settings:       *o,
		MaxConnections: s.capacity.Connections,
		Engine:         s.engine,
		Hub:            s.hub,
		Machine:        &s.machine,
		Metrics:        s.metrics,
		Console:        console.Handler(console.Meta{Task: s.task, Version: version}),
	})
	if err != nil {
		return err
	}
	s.drainer, err = lifecycle.NewDrainer(lifecycle.DrainOptions{
		Window:   o.Lifecycle.Drain,
		Grace:    o.Lifecycle.Grace(),
		Snapshot: s.api.Connections,
		Open:     s.engine.Len,
		Arriving: s.api.Arriving,
		Abort:    s.api.Abort,
		Forced:   s.api.Forced,
		Logger:   s.log,
	})
	if err != nil {
		return err
	}
	s.metrics.Attach(s.sources())
	s.public = &http.Server{
		Handler:           s.api.Handler(),
		MaxHeaderBytes:    o.Listen.MaxHeaderBytes,
		ReadHeaderTimeout: o.Listen.HandshakeTimeout,
		// No route reads a body, so the header's time is the request's.
		ReadTimeout:  o.Listen.HandshakeTimeout,
		WriteTimeout: 2 * o.Listen.HandshakeTimeout,
		// Longer than the load balancer keeps an idle connection, so that it is
		// never this side that closes one on which a request is under way.
		IdleTimeout: o.Lifecycle.LBIdleTimeout + 15*time.Second,
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.admin = &http.Server{
		Handler:           httpapi.AdminHandler(s.metrics, s.status),
		ReadHeaderTimeout: o.Listen.HandshakeTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

func (s *server) run() lifecycle.Outcome {
	signals, stop := lifecycle.NotifySignals()
	defer stop()
	s.failed = make(chan error, 2)
	s.machine.Observe(func(t lifecycle.Transition) {
		s.log.Info("state", "from", t.From.String(), "to", t.To.String(), "reason", t.Reason)
	})
	task := lifecycle.Task{
		Machine:    &s.machine,
		Drainer:    s.drainer,
		Start:      s.listen,
		Failed:     s.failed,
		Signals:    signals,
		FinishHTTP: s.finishHTTP,
		Logger:     s.log,
	}
	return task.Run(context.Background())
}

// listen opens both listeners.
func (s *server) listen(ctx context.Context) error {
	// Pings tell who is gone; TCP keep-alives would be four more system calls
	// on each upgrade.
	quiet := net.ListenConfig{KeepAlive: -1}
	l, err := quiet.Listen(ctx, "tcp", s.settings.Listen.Addr)
	if err != nil {
		return listenError("--listen", err)
	}
	if s.settings.Listen.Admin != "" {
		admin, err := quiet.Listen(ctx, "tcp", s.settings.Listen.Admin)
		if err != nil {
			l.Close()
			return listenError("--admin-listen", err)
		}
		go s.serve(s.admin, admin)
		s.log.Info("admin", "url", "http://"+admin.Addr().String()+"/status")
	}
	go s.serve(s.public, l)
	s.log.Info("listening", "console", browserURL(l.Addr()), "address", l.Addr().String())
	return nil
}

func listenError(flag string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %w: another server has the port; stop it or choose another port", flag, err)
	}
	return fmt.Errorf("%s: %w", flag, err)
}

// browserURL is what a person on this machine opens.
func browserURL(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !(tcp.IP.IsUnspecified() || tcp.IP.IsLoopback()) {
		return "http://" + a.String()
	}
	return fmt.Sprintf("http://localhost:%d", tcp.Port)
}

func (s *server) serve(hs *http.Server, l net.Listener) {
	if err := hs.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		s.failed <- err
	}
}

func (s *server) finishHTTP(ctx context.Context) error {
	err := s.api.Finish(ctx, s.public)
	s.admin.Close() // a scrape or a profile under way must not hold up the exit
	return err
}

// writeEMF starts the metrics on standard output, if they are wanted, and
// returns what ends them with a last line.
func (s *server) writeEMF(io streams) (stop func()) {
	o := s.settings.Observe
	if o.EMFNamespace == "" {
		return func() {}
	}
	emf, err := telemetry.NewEMF(s.metrics, telemetry.EMFOptions{
		Writer: io.out, Namespace: o.EMFNamespace, Service: o.Service, Task: s.task, Interval: o.MetricsInterval, Log: s.log,
	})
	if err != nil { // the settings were validated
		s.log.Error("no CloudWatch metrics", "error", err)
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { emf.Run(ctx) })
	return func() {
		cancel()
		done.Wait()
	}
}

// every calls f at each tick until stop is called.
func every(interval time.Duration, f func(time.Time)) (stop func()) {
	t := time.NewTicker(interval)
	end := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		for {
			select {
			case now := <-t.C:
				f(now)
			case <-end:
				return
			}
		}
	})
	return func() {
		t.Stop()
		close(end)
		done.Wait()
	}
}
